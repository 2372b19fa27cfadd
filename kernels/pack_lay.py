"""Lay documents along an order into windows: cut where a window ends, or whole where they fit.

In: lengths, an order, groups and conflicts. Out: pieces. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel
from icp.kernels.pack_fit import Closed, has_conflict


class Limits(NamedTuple):
    """How windows are filled.

    Attributes:
        capacity: tokens of a window.
        n_bos, n_eos: specials at a document's ends that are never cut from its first and last token.
    """

    capacity: int
    n_bos: int
    n_eos: int


class FitRules(NamedTuple):
    """When a document is cut, and when a window is full enough.

    Attributes:
        capacity: tokens of a window.
        look: documents of the order that wait for a window at a time.
        cuts: a window that nothing fits is filled with a piece.
        enough: tokens from which on it is left as it is.
        least: fewest tokens of a piece.
    """

    capacity: int
    look: int
    cuts: bool
    enough: int
    least: int


@kernel
def lay_cut(order: NDArray[np.int64], lengths: NDArray[np.int64], limits: Limits, closed: Closed) -> NDArray[np.int64]:
    """Lay the documents one after another and cut every `capacity` tokens, heeding groups and conflicts.

    A document in conflict with one of the window waits for the next window. A window ends where a group ends.

    Args:
        order: (n_docs,) int64, rows of `lengths`, one group after another.
        lengths: (n_docs,) int64, tokens of each document with its specials; 0 takes no room.
        limits: of windows and cuts.
        closed: groups and conflicts.

    Returns: (4, pieces) int64: document, first token, one past the last token, window; in the order laid. The same as
        `icp.kernels.pack_windows.cut_path` with one group and no conflicts.
    Cost: O(documents + windows * waiting documents).
    """
    capacity = limits.capacity
    n = order.size
    most = 2 * n + lengths.sum() // max(capacity - limits.n_bos - limits.n_eos, 1) + 2
    pieces = np.empty((4, most), np.int64)
    last = np.full(lengths.size, -1, np.int64)
    waiting = np.empty(n, np.int64)
    place = np.zeros(4, np.int64)  # pieces so far, window, its room, documents taken from the order
    place[2] = capacity
    n_waiting = scanned = 0
    while place[3] < n or n_waiting > 0:
        doc = -1
        while scanned < n_waiting and doc < 0:
            if not has_conflict(last, closed, waiting[scanned], place[1]):
                doc = waiting[scanned]
                n_waiting -= 1
                waiting[scanned:n_waiting] = waiting[scanned + 1 : n_waiting + 1].copy()
            else:
                scanned += 1
        while doc < 0 and place[3] < n:
            ahead = order[place[3]]
            if place[3] > 0 and place[2] < capacity and closed.group[ahead] != closed.group[order[place[3] - 1]]:
                break
            if n_waiting > 0 and closed.group[ahead] != closed.group[waiting[0]]:
                break
            place[3] += 1
            if has_conflict(last, closed, ahead, place[1]):
                waiting[n_waiting] = ahead
                n_waiting += 1
                scanned = n_waiting
            else:
                doc = ahead
        if doc >= 0:
            before = place[1]
            _lay(doc, lengths[doc], limits, pieces, place)
            last[doc] = place[1] if place[2] < capacity else place[1] - 1
            scanned = scanned if place[1] == before else 0
        elif place[3] < n or n_waiting > 0:
            place[1] += place[2] < capacity
            place[2] = capacity
            scanned = 0
    return pieces[:, : place[0]].copy()


@kernel
def _lay(doc: int, length: int, limits: Limits, pieces: NDArray[np.int64], place: NDArray[np.int64]) -> None:
    start = 0
    while start < length:
        stop = min(start + place[2], length)
        if stop < length:
            stop = min(stop, length - limits.n_eos - 1) if limits.n_eos > 0 else stop
            if start == 0 and stop <= limits.n_bos:
                stop = 0
        if stop > start:
            pieces[0, place[0]] = doc
            pieces[1, place[0]] = start
            pieces[2, place[0]] = stop
            pieces[3, place[0]] = place[1]
            place[0] += 1
            place[2] -= stop - start
        start = max(start, stop)
        if start < length or place[2] == 0:
            place[1] += 1
            place[2] = limits.capacity


@kernel
def fit_path(order: NDArray[np.int64], tokens: NDArray[np.int64], rules: FitRules, closed: Closed) -> NDArray[np.int64]:
    """Fill one window after another with the first waiting document that fits.

    Args:
        order: (m,) int64, documents in path order, one group after another.
        tokens: (n,) int64, 1 to capacity for documents in `order`.
        rules: of windows and cuts.
        closed: groups and conflicts of the n documents.

    Returns: (3, pieces) int64: document, tokens, window.
    Cost: O(m * look).
    """
    n = order.size
    pieces = np.empty((3, 2 * n + 1), np.int64)
    left = tokens.copy()
    last = np.full(tokens.size, -1, np.int64)
    waiting = np.empty(rules.look, np.int64)
    n_pieces = n_waiting = taken = window = 0
    room = rules.capacity
    while taken < n or n_waiting > 0:
        while (
            n_waiting < rules.look
            and taken < n
            and (n_waiting == 0 or closed.group[order[taken]] == closed.group[waiting[0]])
        ):
            if n_waiting == 0 and taken > 0 and closed.group[order[taken]] != closed.group[order[taken - 1]]:
                window += room < rules.capacity
                room = rules.capacity
            waiting[n_waiting] = order[taken]
            n_waiting += 1
            taken += 1
        at, part = _choose(waiting[:n_waiting], left, last, (window, room), rules, closed)
        if at < 0:
            window += 1
            room = rules.capacity
            continue
        doc = waiting[at]
        pieces[0, n_pieces] = doc
        pieces[1, n_pieces] = part
        pieces[2, n_pieces] = window
        n_pieces += 1
        last[doc] = window
        left[doc] -= part
        room -= part
        if left[doc] == 0:
            n_waiting -= 1
            waiting[at:n_waiting] = waiting[at + 1 : n_waiting + 1].copy()
        if left[doc] > 0 or room == 0:
            window += 1
            room = rules.capacity
    return pieces[:, :n_pieces].copy()


@kernel
def _choose(
    waiting: NDArray[np.int64],
    left: NDArray[np.int64],
    last: NDArray[np.int64],
    here: tuple[int, int],
    rules: FitRules,
    closed: Closed,
) -> tuple[int, int]:
    """Which waiting document goes into the window, and how many of its tokens; -1 if the window is to be closed."""
    window, room = here
    cut = -1
    for at in range(waiting.size):
        if (left[waiting[at]] > room and cut >= 0) or has_conflict(last, closed, waiting[at], window):
            continue
        if left[waiting[at]] <= room:
            return at, left[waiting[at]]
        if room >= rules.least and left[waiting[at]] >= room + rules.least:
            cut = at
    if rules.cuts and cut >= 0 and rules.capacity - room < rules.enough:
        return cut, room
    return -1, 0
