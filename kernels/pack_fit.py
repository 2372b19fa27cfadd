"""Put whole documents into windows by size: best fit, and first fit along a path.

In: tokens, in the order of putting; groups and conflicts. Out: a window for each. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel


class Closed(NamedTuple):
    """Which documents may not stand together.

    Attributes:
        group: (n,) int32, a window holds one group.
        bounds: (n + 1,) int64, CSR row bounds.
        conflicts: (m,) int32, documents that must not share a window with the document.
    """

    group: NDArray[np.int32]
    bounds: NDArray[np.int64]
    conflicts: NDArray[np.int32]


class _Rooms(NamedTuple):
    """Windows by the room they have left: a list for each room, and a tree of the rooms that have a window."""

    tree: NDArray[np.bool_]  # (2 * n_leaves,), node t has the children 2t and 2t + 1; leaf n_leaves + room
    head: NDArray[np.int64]  # (seq_len + 1,), -1 = no window
    following: NDArray[np.int64]  # (most windows,)


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
        np.zeros(2 * n_leaves, np.bool_), np.full(seq_len + 1, -1, np.int64), np.full(order.size, -1, np.int64)
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
            if not has_conflict(window, closed, doc, here):
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
