"""What a plan is worth, and that of several plans of few documents the best is taken."""

from dataclasses import replace

import numpy as np
import pytest
from topics import SEQ_LEN, planned, rows_of

from icp.pack import planner
from icp.pack.plan_windows import corpus_of
from icp.pack.problem import Limits, Pieces, limited
from icp.pack.worth import CUT, MEAN, NEAREST, plan_worth


def corpus_and_pieces(topics):
    """A corpus, and pieces of some of its documents: five windows, two documents in two of them."""
    vectors, graph, order = topics[:3]
    corpus = limited(corpus_of(graph, vectors, order, None, None), Limits(SEQ_LEN))
    window = np.arange(40) % 5
    doc = np.r_[np.arange(40), 3, 7].astype(np.int64)
    tokens = np.r_[np.full(40, 100), 60, 300].astype(np.int64)
    return corpus, Pieces(doc, tokens, np.r_[window, 0, 0].astype(np.int32))


def worth_by_definition(corpus, pieces):
    vectors = np.asarray(corpus.embeddings, np.float64)
    total = 0.0
    for at, doc in enumerate(pieces.doc.tolist()):
        whole = pieces.tokens[pieces.doc == doc].sum()
        mates = pieces.doc[(pieces.window == pieces.window[at]) & (pieces.doc != doc)]
        near = set(corpus.graph.indices[corpus.graph.indptr[doc] : corpus.graph.indptr[doc + 1]].tolist())
        cosines = vectors[mates] @ vectors[doc]
        first = at == min(np.flatnonzero(pieces.doc == doc), key=lambda row: (-pieces.tokens[row], pieces.window[row]))
        firsts = [
            cosine
            for mate, cosine in zip(mates.tolist(), cosines.tolist(), strict=True)
            if mate in near and first and is_first(pieces, mate, pieces.window[at])
        ]
        share = pieces.tokens[at] / whole
        total += share * (MEAN * cosines.mean() + NEAREST * max(0.0, *firsts, 0.0))
    for doc in np.flatnonzero(np.bincount(pieces.doc) == 2):
        total -= CUT * np.sqrt(pieces.tokens[pieces.doc == doc].min() / 1000)
    return total


def is_first(pieces, doc, window):
    rows = np.flatnonzero(pieces.doc == doc)
    return pieces.window[min(rows, key=lambda row: (-pieces.tokens[row], pieces.window[row]))] == window


def test_worth_is_that_of_the_definition(topics):
    corpus, pieces = corpus_and_pieces(topics)
    assert plan_worth(corpus, pieces) == pytest.approx(worth_by_definition(corpus, pieces), rel=0.01)


def test_a_cut_costs_by_its_smaller_piece(topics):
    corpus, pieces = corpus_and_pieces(topics)
    even = replace(pieces, tokens=np.r_[np.full(40, 100), 100, 100].astype(np.int64))
    uneven = replace(pieces, tokens=np.r_[np.full(40, 100), 10, 10].astype(np.int64))
    assert plan_worth(corpus, even) < plan_worth(corpus, uneven)


def test_the_best_of_several_plans_is_taken_where_documents_are_few(topics, monkeypatch):
    made, plan_once = [], planner._planned

    def noted(corpus, *args):
        made.append((corpus, plan_once(corpus, *args)))
        return made[-1][1]

    monkeypatch.setattr(planner, "_planned", noted)
    chosen = planned(topics, min_fill=0.9)
    assert [corpus.dearer for corpus, _ in made] == [1.0, *planner.DEARER]
    worths = [plan_worth(corpus, pieces) for corpus, pieces in made]
    assert max(worths) > min(worths), "plans of the same documents differ"
    monkeypatch.setattr(planner, "_planned", lambda *_: made[int(np.argmax(worths))][1])
    assert rows_of(planned(topics, min_fill=0.9)) == rows_of(chosen)
    monkeypatch.undo()
    monkeypatch.setattr(planner, "FEW_DOCS", 599)
    only = planned(topics, min_fill=0.9)
    monkeypatch.setattr(planner, "_planned", lambda *_: made[0][1])
    assert rows_of(planned(topics, min_fill=0.9)) == rows_of(only)


def test_fewer_windows_go_before_worth_down_to_what_is_wanted(topics):
    corpus, pieces = corpus_and_pieces(topics)
    fewer = replace(pieces, window=np.r_[np.arange(40) % 4, 3, 0].astype(np.int32))
    fewest = replace(pieces, window=np.r_[np.arange(40) % 2, 1, 0].astype(np.int32))
    assert planner._best(corpus, [pieces, fewer, fewest], 2) is fewest
    best = max((pieces, fewer, fewest), key=lambda each: plan_worth(corpus, each))
    assert planner._best(corpus, [pieces, fewer, fewest], 5) is best


def test_threads_change_no_plan_of_few_documents(topics):
    assert rows_of(planned(topics, min_fill=0.9, threads=3)) == rows_of(planned(topics, min_fill=0.9))
