"""The planner of ``pack.method: windows``: related documents fill each window, and few are cut.

In: path, lengths, graph, vectors. Out: pieces with their windows, numbered along the path. Long documents give whole
windows first; what is left of them, and all others, are planned by stretches of like windows, then by shifted ones: in
one piece, or in partitions where there are many.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.pack import rounds
from icp.pack.partition_plan import Division, plan_divided
from icp.pack.partitions import NOTHING, is_divided, n_windows, segments_of
from icp.pack.problem import Corpus, Pieces
from icp.pack.rounds import begin_windows, finish_windows, ranked


@dataclass(frozen=True, slots=True)
class Tails:
    """What is left of documents when whole windows are taken off their fronts.

    Attributes:
        corpus: all documents; its `min_fill` is that of the windows of tails.
        tokens: (n,) int64, see `tail_tokens`.
        docs: (m,) int64, the documents that have a tail, in path order, one group after another.
    """

    corpus: Corpus
    tokens: NDArray[np.int64]
    docs: NDArray[np.int64]


LEAST_FILL = 0.9
"""Windows of tails are at least so full (unless `min_fill` is lower), however many windows long documents fill."""


def plan_related(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int, threads: int = 1) -> PackPlan:
    """Windows for all documents of a corpus.

    Args:
        lengths: (n,) int64, tokens of each document with its specials; 0 takes no window.
        n_eos: specials at a document's end.
        threads: stretches, or partitions, planned at a time; the plan does not depend on it.
    """
    tails = tails_of(corpus, lengths, n_eos)
    if is_divided(tails.docs.size):
        pieces = plan_divided(division_of(tails), threads)
    elif tails.docs.size:
        pieces = _in_one_piece(tails.corpus, tails.docs, tails.tokens[tails.docs], threads)
    else:
        pieces = NOTHING
    return lay_out(corpus, lengths, tails.tokens, pieces)


def tails_of(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int) -> Tails:
    """The tails of the documents; arguments as `plan_related` takes them."""
    tokens = tail_tokens(lengths, corpus.capacity, n_eos)
    fuller = replace(corpus, min_fill=fill_of_tails(corpus, lengths, tokens))
    return Tails(fuller, tokens, docs_along(corpus, tokens))


def division_of(tails: Tails) -> Division:
    """What the tasks of a plan in partitions read."""
    return Division(tails.corpus, tails.tokens, segments_of(tails.corpus, tails.docs))


def docs_along(corpus: Corpus, tails: NDArray[np.int64]) -> NDArray[np.int64]:
    """The documents that have a tail, in path order, one group after another."""
    docs = np.argsort(corpus.position, kind="stable")
    return docs[tails[docs] > 0]


def tail_tokens(lengths: NDArray[np.int64], capacity: int, n_eos: int) -> NDArray[np.int64]:
    """(n,) int64: what is left of each document when whole windows are taken off its front, so that eos stays with
    the last token; 0 if nothing is."""
    tails = np.where(lengths > capacity, lengths % capacity, lengths)
    return np.where((lengths > capacity) & (tails > 0) & (tails <= n_eos), n_eos + 1, tails)


def fill_of_tails(corpus: Corpus, lengths: NDArray[np.int64], tails: NDArray[np.int64]) -> float:
    """How full the windows of the tails must be, since whole windows of long documents are quite full."""
    tokens, of_tails = int(lengths.sum()), int(tails.sum())
    full = (tokens - of_tails) / corpus.capacity
    windows = tokens / (corpus.min_fill * corpus.capacity) - full
    if not of_tails:
        return 1.0
    return min(1.0, max(of_tails / (windows * corpus.capacity), min(LEAST_FILL, corpus.min_fill)))


def _in_one_piece(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64], threads: int) -> Pieces:
    pieces = finish_windows(corpus, begin_windows(corpus, docs, tokens, threads), threads)
    fill = corpus.min_fill
    excess = n_windows(pieces) / max(1, int(tokens.sum() / (fill * corpus.capacity)))
    if docs.size <= rounds.STRETCH_DOCS and excess > 1 and fill * excess <= 1 and not corpus.groups.any():
        # what found no room took windows of its own: plan so many fewer, once; of many windows one more is nothing
        fuller = replace(corpus, min_fill=fill * excess)
        again = finish_windows(fuller, begin_windows(fuller, docs, tokens, threads), threads)
        pieces = min(again, pieces, key=n_windows)
    return pieces


def lay_out(corpus: Corpus, lengths: NDArray[np.int64], tails: NDArray[np.int64], pieces: Pieces) -> PackPlan:
    """The plan: windows along the path by the middle place of their documents, whole windows of long documents among
    them; the pieces of a document in the order of windows, the documents of a window in path order.

    Args:
        lengths: (n,) int64, tokens of each document.
        tails: (n,) int64, what is left of each when its whole windows are taken off its front.
        pieces: of the tails; windows under any numbers.
    """
    window, middle = ranked(corpus.position[pieces.doc], pieces.window)
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


def _whole_windows(
    lengths: NDArray[np.int64], tails: NDArray[np.int64], capacity: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Document, start and stop of the pieces that fill a window alone."""
    heads = lengths - tails
    n_pieces = np.where(lengths > capacity, -(-heads // capacity), 0)
    doc = np.repeat(np.arange(lengths.size), n_pieces)
    start = (np.arange(doc.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)) * capacity
    return doc, start, np.minimum(start + capacity, heads[doc])
