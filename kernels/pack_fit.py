"""Put documents into windows by size: best fit, and first fit along a path.

In: tokens, in the order of putting; groups and conflicts. Out: a window for each document or piece. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel
from icp.kernels.pack_state import MOST_LOOSE


class Closed(NamedTuple):
    """Which documents may not stand together.

    Attributes:
        group: (n,) int32, a window holds one group.
        bounds: (n + 1,) int64, CSR row bounds.
        conflicts: (m,) int32, documents that must not share a window with the document.
        loose: (n,) bool, what is no whole document: a window holds `MOST_LOOSE` of them.
    """

    group: NDArray[np.int32]
    bounds: NDArray[np.int64]
    conflicts: NDArray[np.int32]
    loose: NDArray[np.bool_]


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


class _Rooms(NamedTuple):
    """Windows by the room they have left: a list for each room, and a tree of the rooms that have a window."""

    tree: NDArray[np.bool_]  # (2 * n_leaves,), node t has the children 2t and 2t + 1; leaf n_leaves + room
    head: NDArray[np.int64]  # (seq_len + 1,), -1 = no window
    following: NDArray[np.int64]  # (most windows,)
    loose: NDArray[np.int64]  # (most windows,), members that are loose


@kernel
def best_fit(tokens: NDArray[np.int64], order: NDArray[np.int64], seq_len: int, closed: Closed) -> NDArray[np.int64]:
    """Each document into the window with the least room that is enough, else into a new one.

    Args:
        tokens: (n,) int64, 1 to `seq_len`.
        order: (m,) int64, documents to put, one group after another; largest first inside, as the source has it.
        seq_len: tokens of a window.
        closed: groups and conflicts of the n documents.

    Returns: (n,) int64, windows numbered as they are opened; -1 for documents that are not in `order`.
    Cost: O(m log seq_len) and one step for each conflict.
    Source: arXiv 2404.10830, best-fit packing; ties go to the window that changed last.
    """
    n_leaves = 1
    while n_leaves <= seq_len:
        n_leaves *= 2
    rooms = _Rooms(
        np.zeros(2 * n_leaves, np.bool_),
        np.full(seq_len + 1, -1, np.int64),
        np.full(order.size, -1, np.int64),
        np.zeros(order.size, np.int64),
    )
    window = np.full(tokens.size, -1, np.int64)
    left = np.empty(order.size, np.int64)
    n_windows = first = 0
    for place in range(order.size):
        doc = order[place]
        if place > 0 and closed.group[doc] != closed.group[order[place - 1]]:
            for old in range(first, n_windows):
                rooms.head[left[old]] = -1
                _mark(rooms, left[old])
            first = n_windows
        found = _take_room(rooms, window, closed, doc, tokens[doc])
        if found < 0:
            found = n_windows
            left[found] = seq_len
            n_windows += 1
        window[doc] = found
        left[found] -= tokens[doc]
        rooms.loose[found] += closed.loose[doc]
        rooms.following[found] = rooms.head[left[found]]
        rooms.head[left[found]] = found
        _mark(rooms, left[found])
    return window


@kernel
def _mark(rooms: _Rooms, room: int) -> None:
    node = rooms.tree.size // 2 + room
    rooms.tree[node] = rooms.head[room] >= 0
    node //= 2
    while node > 0:
        rooms.tree[node] = rooms.tree[2 * node] or rooms.tree[2 * node + 1]
        node //= 2


@kernel
def _next_room(rooms: _Rooms, room: int) -> int:
    """The least room from `room` on that has a window, -1 if none has."""
    n_leaves = rooms.tree.size // 2
    if room >= n_leaves:
        return -1
    node = n_leaves + room
    while not rooms.tree[node]:
        while node % 2 == 1:
            node //= 2
        if node == 0:
            return -1
        node += 1
    while node < n_leaves:
        node = 2 * node if rooms.tree[2 * node] else 2 * node + 1
    return node - n_leaves


@kernel
def _take_room(rooms: _Rooms, window: NDArray[np.int64], closed: Closed, doc: int, tokens: int) -> int:
    """Unlink the window with the least room that holds no document in conflict; -1 if there is none."""
    room = _next_room(rooms, tokens)
    while room >= 0:
        before, here = -1, rooms.head[room]
        while here >= 0:
            full = closed.loose[doc] and rooms.loose[here] >= MOST_LOOSE
            if not full and not has_conflict(window, closed, doc, here):
                if before < 0:
                    rooms.head[room] = rooms.following[here]
                else:
                    rooms.following[before] = rooms.following[here]
                _mark(rooms, room)
                return here
            before, here = here, rooms.following[here]
        room = _next_room(rooms, room + 1)
    return -1


@kernel
def has_conflict(window: NDArray[np.int64], closed: Closed, doc: int, here: int) -> bool:
    """Whether a document in conflict with `doc` stands in window `here`."""
    found = False
    for place in range(closed.bounds[doc], closed.bounds[doc + 1]):
        found = found or window[closed.conflicts[place]] == here
    return found


@kernel
def fit_path(order: NDArray[np.int64], tokens: NDArray[np.int64], rules: FitRules, closed: Closed) -> NDArray[np.int64]:
    """Fill one window after another with the first waiting document that fits; the rest of one that is cut begins the
    next.

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
        n_pieces = _note(pieces, n_pieces, (doc, part, window))
        last[doc] = window
        left[doc] -= part
        room -= part
        n_waiting -= 1
        waiting[at:n_waiting] = waiting[at + 1 : n_waiting + 1].copy()
        if left[doc] > 0 or room == 0:
            window += 1
            room = rules.capacity
        if left[doc] > 0:  # the rest begins the next window
            n_pieces = _note(pieces, n_pieces, (doc, left[doc], window))
            last[doc] = window
            room -= left[doc]
    return pieces[:, :n_pieces].copy()


@kernel
def _note(pieces: NDArray[np.int64], n_pieces: int, piece: tuple[int, int, int]) -> int:
    """Add a piece: document, tokens, window; returns how many there are."""
    pieces[0, n_pieces], pieces[1, n_pieces], pieces[2, n_pieces] = piece
    return n_pieces + 1


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
