"""Lay documents one after another and cut them where a window is full: once each, or with their neighbours again.

In: lengths, an order, groups and conflicts, a graph. Out: pieces. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel
from icp.kernels.pack_fit import Closed, has_conflict


class Limits(NamedTuple):
    """How windows are filled.

    Attributes:
        capacity: tokens of a window, at least ``n_bos + 1 + n_eos``.
        n_bos, n_eos: specials at a document's ends that are never cut from its first and last token.
    """

    capacity: int
    n_bos: int
    n_eos: int


class Laid(NamedTuple):
    """The pieces so far, and the window that is open.

    Attributes:
        pieces: (4, most) int64: document, first token, one past the last, window; in the order laid.
        count: (1,) int64, pieces so far.
        window, room: (1,) int64, number of the open window, and the tokens that it still takes.
    """

    pieces: NDArray[np.int64]
    count: NDArray[np.int64]
    window: NDArray[np.int64]
    room: NDArray[np.int64]


class Line(NamedTuple):
    """Documents that are not laid yet.

    Attributes:
        order: (n,) int64, one group after another.
        taken: (1,) int64, how many of them were laid or wait.
        waiting: (n,) int64, those passed over, since they are in conflict with a document of the window then open.
        n_waiting: (1,) int64, how many wait.
        n_refused: (1,) int64, how many of these, from the first on, are known to be in conflict with the open window.
    """

    order: NDArray[np.int64]
    taken: NDArray[np.int64]
    waiting: NDArray[np.int64]
    n_waiting: NDArray[np.int64]
    n_refused: NDArray[np.int64]


@kernel
def lay_cut(order: NDArray[np.int64], lengths: NDArray[np.int64], limits: Limits, closed: Closed) -> NDArray[np.int64]:
    """Lay the documents one after another and cut every `capacity` tokens, heeding groups and conflicts.

    A document in conflict with one of the window waits for the next window. A window ends where a group ends.

    Args:
        order: (n_docs,) int64, rows of `lengths`, one group after another.
        lengths: (n_docs,) int64, tokens of each document with its specials; 0 takes no room.
        limits: of windows and cuts.
        closed: groups and conflicts.

    Returns: (4, pieces) int64: document, first token, one past the last token, window; in the order laid. With one
        group and no conflicts a window but the last lacks at most ``n_bos + n_eos`` tokens.
    Cost: O(documents + windows * waiting documents).
    """
    n = order.size
    usable = max(limits.capacity - limits.n_bos - limits.n_eos, 1)  # a cut may leave the specials' room empty
    laid = _first_window(2 * n + lengths.sum() // usable + 2, limits)
    line = Line(order, np.zeros(1, np.int64), np.empty(n, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))
    last = np.full(lengths.size, -1, np.int64)
    while line.taken[0] < n or line.n_waiting[0] > 0:
        window = laid.window[0]
        doc = _next_waiting(line, last, closed, window)
        if doc < 0:
            doc = _next_ahead(line, last, closed, window, laid.room[0] < limits.capacity)
        if doc >= 0:
            _lay(doc, lengths[doc], limits, laid)
            if laid.room[0] < limits.capacity:  # else it was empty, and stands nowhere
                last[doc] = laid.window[0]
        if doc < 0 or laid.room[0] == 0:
            _open_next(laid, limits)
        if laid.window[0] != window:
            line.n_refused[0] = 0
    return laid.pieces[:, : laid.count[0]].copy()


@kernel
def _next_waiting(line: Line, last: NDArray[np.int64], closed: Closed, window: int) -> int:
    """Take the first waiting document that may enter the window out of the line; -1 if none may."""
    waiting = line.waiting
    for place in range(line.n_refused[0], line.n_waiting[0]):
        doc = waiting[place]
        if not has_conflict(last, closed, doc, window):
            line.n_refused[0] = place
            line.n_waiting[0] -= 1
            for later in range(place, line.n_waiting[0]):
                waiting[later] = waiting[later + 1]
            return doc
    line.n_refused[0] = line.n_waiting[0]
    return -1


@kernel
def _next_ahead(line: Line, last: NDArray[np.int64], closed: Closed, window: int, begun: bool) -> int:
    """Take the next document of the order that may enter the window, and let those before it wait.

    Returns -1 where the order ends, or a group of which the window, if `begun`, or a waiting document is.
    """
    order, waiting, group = line.order, line.waiting, closed.group
    while line.taken[0] < order.size:
        doc = order[line.taken[0]]
        if begun and line.taken[0] > 0 and group[doc] != group[order[line.taken[0] - 1]]:
            return -1
        if line.n_waiting[0] > 0 and group[doc] != group[waiting[0]]:
            return -1
        line.taken[0] += 1
        if not has_conflict(last, closed, doc, window):
            return doc
        waiting[line.n_waiting[0]] = doc
        line.n_waiting[0] += 1
        line.n_refused[0] = line.n_waiting[0]
    return -1


@kernel
def lay_repeats(
    order: NDArray[np.int64],
    lengths: NDArray[np.int64],
    limits: Limits,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Lay each document that stands nowhere whole yet, then its nearest ones until the window is full.

    The nearest are its neighbours, most similar first, then theirs. One that does not fit is cut at the window's end,
    and the rest of it is left to the window in which it stands whole. Where no neighbour is left, the next document of
    the order follows in the same window.

    Args:
        order: (n_docs,) int64, a permutation.
        lengths: (n_docs,) int64, tokens of each document with its specials; 0 takes no window.
        limits: of windows and cuts.
        indptr, indices: CSR graph over the documents, most similar first.

    Returns: (4, pieces) int64, as `lay_cut`; a document may come again.
    Cost: O(documents + neighbours looked at).
    """
    n = lengths.size
    laid = _first_window(n, limits)
    last = np.full(n, -1, np.int64)
    seen = np.full(n, -1, np.int64)
    queue = np.empty(n, np.int64)
    placed = lengths == 0
    for doc in order:
        if placed[doc]:
            continue
        laid = _with_room(laid, lengths[doc], limits)
        _lay(doc, lengths[doc], limits, laid)
        placed[doc], last[doc] = True, laid.window[0]
        seen[doc], queue[0] = doc, doc
        n_queued, at = 1, 0
        while at < n_queued and laid.room[0] > 0:
            for near in indices[indptr[queue[at]] : indptr[queue[at] + 1]]:
                if seen[near] == doc:
                    continue
                seen[near], queue[n_queued] = doc, near
                n_queued += 1
                if laid.room[0] == 0 or last[near] == laid.window[0] or lengths[near] == 0:
                    continue
                last[near] = laid.window[0]
                if _put(near, 0, lengths[near], limits, laid) < lengths[near]:
                    laid.room[0] = 0  # the rest shall not stand here too
                else:
                    placed[near] = True
            at += 1
        if laid.room[0] == 0:
            _open_next(laid, limits)
    return laid.pieces[:, : laid.count[0]].copy()


@kernel
def _first_window(most: int, limits: Limits) -> Laid:
    room = np.full(1, limits.capacity, np.int64)
    return Laid(np.empty((4, most), np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), room)


@kernel
def _with_room(laid: Laid, length: int, limits: Limits) -> Laid:
    """Room for the pieces of one more document and of the window that it ends in."""
    usable = max(limits.capacity - limits.n_bos - limits.n_eos, 1)
    most = laid.count[0] + length // usable + limits.capacity + 2
    if most <= laid.pieces.shape[1]:
        return laid
    pieces = np.empty((4, 2 * most), np.int64)
    pieces[:, : laid.count[0]] = laid.pieces[:, : laid.count[0]]
    return Laid(pieces, laid.count, laid.window, laid.room)


@kernel
def _open_next(laid: Laid, limits: Limits) -> None:
    laid.window[0] += 1
    laid.room[0] = limits.capacity


@kernel
def _lay(doc: int, length: int, limits: Limits, laid: Laid) -> None:
    """Lay all of a document, from the open window on into as many as it takes."""
    start = _put(doc, 0, length, limits, laid)
    while start < length:
        _open_next(laid, limits)
        start = _put(doc, start, length, limits, laid)


@kernel
def _put(doc: int, start: int, length: int, limits: Limits, laid: Laid) -> int:
    """Put as much of a document, from token `start` on, as the open window takes; returns where the rest begins.

    Every cut is made here: where the window is full, unless that would part bos from the first token or eos from the
    last; then earlier.
    """
    stop = min(start + laid.room[0], length)
    if stop < length:
        if limits.n_eos > 0:
            stop = min(stop, length - limits.n_eos - 1)
        if start == 0 and stop <= limits.n_bos:
            stop = 0
    if stop <= start:
        return start
    pieces, count = laid.pieces, laid.count[0]
    pieces[0, count] = doc
    pieces[1, count] = start
    pieces[2, count] = stop
    pieces[3, count] = laid.window[0]
    laid.count[0] += 1
    laid.room[0] -= stop - start
    return stop
