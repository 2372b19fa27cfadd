"""The planner of ``pack.method: windows``: related documents fill each window, and few are cut.

In: path, lengths, graph, vectors. Out: pieces with their windows, numbered along the path. Long documents give whole
windows first; what is left of them, and all others, are planned by stretches of the path, then by shifted ones.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan, Rows
from icp.packing.drift import drifted, window_counts
from icp.packing.halves import halved_runs
from icp.packing.items import Corpus, Pieces, largest_scale
from icp.packing.stretch import NARROW_FILL, plan_stretch
from icp.path.spread import window_path

STRETCH_DOCS = 32_768
"""Documents whose vectors are held at once, for each thread."""

RUNS_OF_STRETCH = 4
"""Runs of like windows in a stretch, so that shifted stretches cut between such runs."""

ROUNDS, NARROW_ROUNDS = (0.0, 0.5), (0.0, 0.5, 0.0, 0.5)
"""How far each round's stretches are shifted, as a share of a stretch; fitting whole documents tightly takes more."""

PATH_WINDOWS = 8192
"""Windows of several stretches up to which one path leads through all; of more, whose neighbours cost more, one leads
through each run."""

LEAST_FILL = 0.9
"""Windows of tails are at least so full (unless `min_fill` is lower), however many windows long documents fill."""

_WHOLE = 4096  # a vector of this length is rounded to whole numbers
_BLOCK_ROWS = 8192


def plan_related(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int, threads: int = 1) -> PackPlan:
    """Windows for all documents of a corpus.

    Args:
        lengths: (n,) int64, tokens of each document with its specials; 0 takes no window.
        n_eos: specials at a document's end.
        threads: stretches planned at a time; the plan does not hang on it.
    """
    tails = tail_tokens(lengths, corpus.capacity, n_eos)
    docs = np.argsort(corpus.position, kind="stable")
    docs = docs[tails[docs] > 0]
    fill = _fill_of_tails(int(lengths.sum()), int(tails.sum()), corpus)
    pieces = _planned(replace(corpus, min_fill=fill), docs, tails[docs], threads)
    excess = _windows_of(pieces) / max(1, int(tails.sum() / (fill * corpus.capacity)))
    if excess > 1 and fill * excess <= 1 and not corpus.groups.any():
        # what found no room took windows of its own: plan so many fewer, once
        again = _planned(replace(corpus, min_fill=fill * excess), docs, tails[docs], threads)
        pieces = min(again, pieces, key=_windows_of)
    return lay_out(corpus, lengths, tails, pieces)


def _windows_of(pieces: Pieces) -> int:
    return int(pieces.window.max(initial=-1)) + 1


def tail_tokens(lengths: NDArray[np.int64], capacity: int, n_eos: int) -> NDArray[np.int64]:
    """(n,) int64: what is left of each document when whole windows are taken off its front, so that eos stays with
    the last token; 0 if nothing is."""
    tails = np.where(lengths > capacity, lengths % capacity, lengths)
    return np.where((lengths > capacity) & (tails > 0) & (tails <= n_eos), n_eos + 1, tails)


def _fill_of_tails(tokens: int, tail_tokens: int, corpus: Corpus) -> float:
    """How full the windows of the tails must be, since whole windows of long documents are quite full."""
    full = (tokens - tail_tokens) / corpus.capacity
    windows = tokens / (corpus.min_fill * corpus.capacity) - full
    return (
        min(1.0, max(tail_tokens / (windows * corpus.capacity), min(LEAST_FILL, corpus.min_fill)))
        if tail_tokens
        else 1.0
    )


def _planned(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64], threads: int) -> Pieces:
    """A first plan of all, then rounds of stretches of a path through the windows."""
    if not docs.size:
        return Pieces(docs, tokens, np.empty(0, np.int32))
    corpus = replace(corpus, scale=largest_scale(corpus.embeddings, docs))
    pieces = drifted(corpus, docs, tokens)
    with ThreadPoolExecutor(threads) as pool:
        for round_, shift in enumerate(NARROW_ROUNDS if corpus.whole and corpus.min_fill >= NARROW_FILL else ROUNDS):
            stretches = _stretches(_along_windows(corpus, pieces, pool), shift)
            counts = window_counts(corpus, stretches) if round_ == 0 else [None] * len(stretches)
            pieces = _joined(corpus, list(pool.map(partial(plan_stretch, corpus), stretches, counts)))
    return pieces


def _along_windows(corpus: Corpus, pieces: Pieces, pool: ThreadPoolExecutor) -> Pieces:
    """The same windows, numbered so that like ones come into one stretch, and inside runs along a path; one group after
    another."""
    sums = centroids(corpus.embeddings, pieces.doc, pieces.window)
    one = pieces.doc.size <= STRETCH_DOCS
    few = one or len(sums) <= PATH_WINDOWS
    path = window_path(sums) if few else np.arange(len(sums))
    if not one:
        sizes = np.bincount(pieces.window, minlength=len(sums))
        runs = [path[run] for run in halved_runs(sums[path], sizes[path], -(-STRETCH_DOCS // RUNS_OF_STRETCH))]
        path = np.concatenate(runs if few else list(pool.map(lambda run: run[window_path(sums[run])], runs)))
    group = np.zeros(path.size, np.int32)
    group[pieces.window] = corpus.groups[pieces.doc]
    path = path[np.argsort(group[path], kind="stable")]
    number = np.empty(path.size, np.int32)
    number[path] = np.arange(path.size, dtype=np.int32)
    return Pieces(pieces.doc, pieces.tokens, number[pieces.window])


def centroids(embeddings: Rows, doc: NDArray[np.int64], window: NDArray[np.integer]) -> NDArray[np.float64]:
    """(windows, dim) float64: sum of the vectors of the pieces of each window, as whole numbers, exact in any order.

    Args:
        embeddings: (n, dim) float.
        doc, window: (pieces,) integers, of each piece.
    """
    rows = np.argsort(window, kind="stable")
    sums = np.zeros((int(window.max(initial=-1)) + 1, embeddings.shape[1]))
    for begin in range(0, rows.size, _BLOCK_ROWS):
        block = rows[begin : begin + _BLOCK_ROWS]
        vectors = np.rint(embeddings[doc[block]].astype(np.float32) * np.float32(_WHOLE)).astype(np.int64)
        firsts = np.flatnonzero(np.r_[True, np.diff(window[block]) > 0])
        sums[window[block][firsts]] += np.add.reduceat(vectors, firsts, axis=0)
    return sums


def _stretches(pieces: Pieces, shift: float) -> list[Pieces]:
    """Windows that follow one another, of some `STRETCH_DOCS` pieces; `shift`: how far on, as a share of a stretch."""
    rows = np.argsort(pieces.window, kind="stable")
    window = pieces.window[rows]
    edges = _edges(rows.size, STRETCH_DOCS)
    inner = [int(begin + shift * (end - begin)) for begin, end in pairwise(edges)] if len(edges) > 2 else []
    cuts = np.unique(np.r_[0, np.searchsorted(window, window[np.array(inner, np.int64)]), rows.size]).tolist()
    spans = [rows[begin:end] for begin, end in pairwise(cuts)]
    return [
        Pieces(pieces.doc[span], pieces.tokens[span], pieces.window[span] - pieces.window[span[0]]) for span in spans
    ]


def _edges(n: int, most: int) -> list[int]:
    """Begins of the fewest equal parts of up to `most`, and the end."""
    n_parts = max(1, -(-n // most)) if n else 0
    return [n * part // max(n_parts, 1) for part in range(n_parts + 1)]


def _joined(corpus: Corpus, parts: list[Pieces]) -> Pieces:
    """Plans of stretches as one, their windows numbered in the order of stretches, inside along the path."""
    first = 0
    windows = [np.empty(0, np.int32)]
    for part in parts:
        number, middle = _ranked(corpus.position[part.doc], part.window)
        windows.append((number + first).astype(np.int32))
        first += middle.size
    empty = np.empty(0, np.int64)
    return Pieces(
        np.concatenate([empty, *(part.doc for part in parts)]),
        np.concatenate([empty, *(part.tokens for part in parts)]),
        np.concatenate(windows),
    )


def lay_out(corpus: Corpus, lengths: NDArray[np.int64], tails: NDArray[np.int64], pieces: Pieces) -> PackPlan:
    """The plan: windows along the path by the middle place of their documents, whole windows of long documents among
    them; the pieces of a document in the order of windows, the documents of a window in path order.

    Args:
        lengths: (n,) int64, tokens of each document.
        tails: (n,) int64, what is left of each when its whole windows are taken off its front.
        pieces: of the tails; windows under any numbers.
    """
    window, middle = _ranked(corpus.position[pieces.doc], pieces.window)
    rows = np.lexsort((window, pieces.doc))
    doc, tokens, window = pieces.doc[rows], pieces.tokens[rows], window[rows]
    before = np.cumsum(tokens) - tokens
    begins = np.r_[True, doc[1:] != doc[:-1]][: doc.size]
    start = before - np.maximum.accumulate(np.where(begins, before, 0)) + (lengths - tails)[doc]
    long, long_start, long_stop = _whole_windows(lengths, tails, corpus.capacity)
    # a whole window of a long document stands where the document stands, before other windows of that place
    key = np.concatenate((2 * middle[window] + 1, 2 * corpus.position[long]))
    number = np.concatenate((window, middle.size + np.arange(long.size)))
    doc, start = np.concatenate((doc, long)), np.concatenate((start, long_start))
    stop = np.concatenate((start[: tokens.size] + tokens, long_stop))
    rows = np.lexsort((corpus.position[doc], number, key))
    number = number[rows]
    window = np.cumsum(np.r_[False, number[1:] != number[:-1]][: number.size])
    return PackPlan(doc[rows], start[rows], stop[rows], window)


def _ranked(place: NDArray[np.int64], window: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows numbered without gaps by the middle place of their members, ties by the first; and that place of each."""
    rows = np.lexsort((place, window))
    begins = np.flatnonzero(np.r_[True, np.diff(window[rows]) > 0][: window.size])
    sizes = np.diff(np.r_[begins, window.size])
    middle, first = place[rows][begins + (sizes - 1) // 2], place[rows][begins]
    by_rank = np.lexsort((first, middle))
    number = np.empty(int(window.max(initial=-1)) + 1, np.int64)
    number[window[rows][begins][by_rank]] = np.arange(begins.size)
    return number[window], middle[by_rank]


def _whole_windows(
    lengths: NDArray[np.int64], tails: NDArray[np.int64], capacity: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Document, start and stop of the pieces that fill a window alone."""
    heads = lengths - tails
    n_pieces = np.where(lengths > capacity, -(-heads // capacity), 0)
    doc = np.repeat(np.arange(lengths.size), n_pieces)
    start = (np.arange(doc.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)) * capacity
    return doc, start, np.minimum(start + capacity, heads[doc])
