"""The plan: pieces in windows as they are read, windows along the path.

In: pieces and their windows. Out: `PackPlan`. What begins a window in the middle of a document stands first, what is
left open stands last; between them, each document stands after those that it is most like.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.kernels import pack_fit, pack_inside, pack_lay, pack_orient
from icp.pack.problem import Corpus, Pieces
from icp.pack.rounds import ranked

_BOUNDS = ("doc", "start", "stop")


@dataclass(frozen=True, slots=True)
class Rows:
    """Pieces of a plan.

    Attributes:
        doc, start, stop: (m,) int64.
        window: (m,) int64, under any numbers.
        key: (m,) int64, where the window stands: twice a place on the path, one more behind what begins there.
    """

    doc: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    window: NDArray[np.int64]
    key: NDArray[np.int64]


def lay_out(corpus: Corpus, lengths: NDArray[np.int64], tails: NDArray[np.int64], pieces: Pieces) -> PackPlan:
    """The plan: windows along the path by the middle place of their documents, those of long documents among them.

    Args:
        lengths: (n,) int64, tokens of each document.
        tails: (n,) int64, tokens of each that stand in `pieces`; 0 for a long document that is laid with others of its
            kind, or fills whole windows.
        pieces: one or two of a document; of those that are no whole document a window holds two at most.
    """
    placed = _placed(corpus, lengths, tails, pieces)
    whole = _whole_windows(corpus, lengths, tails, placed)
    laid = _laid_long(corpus, lengths, tails)
    n_windows = int(placed.window.max(initial=-1)) + 1
    number = np.concatenate((placed.window, n_windows + whole.window, n_windows + whole.doc.size + laid.window))
    # a window of a long document stands where the document stands, before other windows of that place
    rows = np.lexsort((number, np.concatenate((placed.key, whole.key, laid.key))))
    doc, start, stop = (np.concatenate([getattr(part, name) for part in (placed, whole, laid)]) for name in _BOUNDS)
    number = number[rows]
    window = np.cumsum(np.r_[False, number[1:] != number[:-1]][: number.size])
    return PackPlan(doc[rows], start[rows], stop[rows], window)


def _placed(corpus: Corpus, lengths: NDArray[np.int64], tails: NDArray[np.int64], pieces: Pieces) -> Rows:
    """Pieces with their bounds, window by window as they are read."""
    number, middle = ranked(corpus.position[pieces.doc], pieces.window)
    rows = np.lexsort((number, pieces.doc))
    doc, tokens, window = pieces.doc[rows], pieces.tokens[rows], number[rows]
    same = np.r_[doc[1:] == doc[:-1], False][: doc.size]
    first = np.flatnonzero(same | (lengths[doc] > tails[doc]) & ~np.r_[False, same[:-1]][: doc.size])
    second = np.where(same[first], window[np.minimum(first + 1, doc.size - 1)], -1)
    heads = pack_orient.orient(window[first], second, middle.size)
    is_rest = np.zeros(doc.size, np.bool_)
    is_rest[first] = ~heads
    is_rest[first[second >= 0] + 1] = heads[second >= 0]
    start = np.where(is_rest, lengths[doc] - tokens, 0)
    part = np.where(is_rest, 0, np.where(tokens < lengths[doc], 2, 1))
    order = np.lexsort((corpus.position[doc], part, window))
    bounds = np.searchsorted(window[order], np.arange(middle.size + 1))
    bits = np.asarray(corpus.graph.weights).view(np.uint16)
    order = order[pack_inside.order_inside(doc[order], bounds, corpus.graph.indptr, corpus.graph.indices, bits)]
    order = order[np.lexsort((part[order], window[order]))]
    placed = (column[order] for column in (doc, start, start + tokens, window, 2 * middle[window] + 1))
    return Rows(*placed)


def _whole_windows(corpus: Corpus, lengths: NDArray[np.int64], tails: NDArray[np.int64], placed: Rows) -> Rows:
    """The pieces of long documents that stand alone, between a head and a rest.

    Where they do not fill whole windows, since a tail is at least a piece, the one next to a head or a rest is shorter,
    never one that ends the document.
    """
    head, rest = np.zeros(lengths.size, np.int64), lengths.copy()
    opens, begun = placed.stop < lengths[placed.doc], placed.start > 0
    head[placed.doc[opens]] = placed.stop[opens]
    rest[placed.doc[begun]] = placed.start[begun]
    long = np.flatnonzero((lengths > corpus.capacity) & ((tails > 0) | (lengths % corpus.capacity == 0)))
    n_pieces = -(-(rest - head)[long] // corpus.capacity)
    doc = np.repeat(long, n_pieces)
    place = np.arange(doc.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    short = np.where(rest[doc] < lengths[doc], 0, n_pieces.repeat(n_pieces) * corpus.capacity - (rest - head)[doc])
    start = np.maximum(head[doc], head[doc] + place * corpus.capacity - short)
    stop = np.minimum(head[doc] + (place + 1) * corpus.capacity - short, rest[doc])
    return Rows(doc, start, stop, np.arange(doc.size), 2 * corpus.position[doc])


def _laid_long(corpus: Corpus, lengths: NDArray[np.int64], tails: NDArray[np.int64]) -> Rows:
    """Long documents of which nothing is placed: one after another along the path, cut where windows end."""
    docs = np.argsort(corpus.position, kind="stable")
    docs = docs[(lengths[docs] > corpus.capacity) & (tails[docs] == 0) & (lengths[docs] % corpus.capacity > 0)]
    limits = pack_lay.Limits(corpus.capacity, *corpus.specials)
    doc, start, stop, window = pack_lay.lay_cut(docs, lengths, limits, closed_of(corpus))
    begins = np.flatnonzero(np.r_[True, window[1:] != window[:-1]][: window.size])
    key = np.repeat(2 * corpus.position[doc[begins]], np.diff(np.r_[begins, window.size]))
    return Rows(doc, start, stop, window, key)


def closed_of(corpus: Corpus) -> pack_fit.Closed:
    """Which documents may not stand together, as kernels take it."""
    arrays: tuple[Any, ...] = (corpus.groups, corpus.conflict_bounds, corpus.conflicts, corpus.long)
    # a kernel is compiled for arrays that can be written: those that are mapped from disk are copied
    return pack_fit.Closed(*[np.require(array, requirements=("C", "W")) for array in arrays])
