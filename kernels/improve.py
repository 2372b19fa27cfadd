"""Local search on a path: 2-opt and Or-opt with neighbour lists and a queue of documents worth another look.

In: a path, vectors of whole numbers, the graph. Out: the same arrays, the path changed in place. Similarities are dot
products of whole numbers, so every gain is exact: the path is the same on any processor. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel

LONGEST_SEGMENT = 3
"""Documents that Or-opt moves at once."""


class Tour(NamedTuple):
    """A path, and what is kept about it.

    Attributes:
        vectors: (n, dim) int16; a sum of products must fit into int32.
        path: (n,) int32, a permutation.
        place: (n,) int32, where each document stands in `path`.
        step: (n,) int32, similarity of ``path[i]`` and ``path[i + 1]``, 0 at the end.
        held: (LONGEST_SEGMENT,) int32, documents on the move.
    """

    vectors: NDArray[np.int16]
    path: NDArray[np.int32]
    place: NDArray[np.int32]
    step: NDArray[np.int32]
    held: NDArray[np.int32]


class Near(NamedTuple):
    """Neighbours of each document, most similar first: (n + 1,) int64, (edges,) int32, (edges,) int32."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    similarities: NDArray[np.int32]


class Queue(NamedTuple):
    """Documents to look at: a ring of (n,) int32, (n,) bool whether each waits, and (2,) int64 first and number."""

    ring: NDArray[np.int32]
    waits: NDArray[np.bool_]
    span: NDArray[np.int64]


class Move(NamedTuple):
    """The document at `at` shall get the one at `to` instead of its neighbour after (before) it.

    `closer` is the similarity of the two; nothing longer than `reach` is turned or shifted.
    """

    at: int
    to: int
    after: bool
    closer: int
    reach: int


@kernel
def _dot(vectors, one, two):
    total = np.int32(0)
    for d in range(vectors.shape[1]):
        total = np.int32(total + np.int32(np.int32(vectors[one, d]) * np.int32(vectors[two, d])))
    return total


@kernel
def edge_similarities(
    vectors: NDArray[np.int16], indptr: NDArray[np.int64], indices: NDArray[np.int32]
) -> NDArray[np.int32]:
    """(edges,) int32: the dot product of each row with each of its neighbours."""
    found = np.empty(indices.size, dtype=np.int32)
    for row in range(indptr.size - 1):
        for edge in range(indptr[row], indptr[row + 1]):
            found[edge] = _dot(vectors, row, indices[edge])
    return found


@kernel
def start_tour(vectors: NDArray[np.int16], path: NDArray[np.int32]) -> tuple[Tour, Queue]:
    """What `improve_path` needs about a path, which is used, not copied; every document waits, in path order."""
    n = path.size
    place = np.empty(n, dtype=np.int32)
    step = np.zeros(n, dtype=np.int32)
    for i in range(n):
        place[path[i]] = i
        if i + 1 < n:
            step[i] = _dot(vectors, path[i], path[i + 1])
    queue = Queue(path.copy(), np.ones(n, dtype=np.bool_), np.array([0, n], dtype=np.int64))
    return Tour(vectors, path, place, step, np.zeros(LONGEST_SEGMENT, dtype=np.int32)), queue


@kernel
def improve_path(tour: Tour, near: Near, queue: Queue, reach: int, visits: int) -> tuple[int, int, int]:
    """Apply gaining moves around waiting documents until none waits or all visits are spent.

    Args:
        tour: an open path, changed in place.
        near: with similarities by the same vectors.
        queue: who waits; changed in place.
        reach: longest stretch that a move may turn or shift.
        visits: documents looked at, at most.

    Returns: 2-opt moves, Or-opt moves, sum of their gains.
    Source: Croes 1958 (2-opt); Or 1976; Bentley 1992 (neighbour lists, don't-look bits).
    """
    turned = 0
    moved = 0
    gained = 0
    while queue.span[1] > 0 and visits > 0:
        node = _take(queue)
        kind = 1
        while kind > 0 and visits > 0:
            visits -= 1
            kind, gain = _visit(tour, near, queue, node, reach)
            gained += gain
            turned += kind == 1
            moved += kind == 2
    return turned, moved, gained


@kernel
def _take(queue):
    node = queue.ring[queue.span[0]]
    queue.span[0] += 1
    if queue.span[0] == queue.ring.size:
        queue.span[0] = 0
    queue.span[1] -= 1
    queue.waits[node] = False
    return node


@kernel
def _push(tour, queue, at):
    """Let the document at `at` wait, if there is one and it does not wait yet."""
    if at < 0 or at >= tour.path.size:
        return
    node = tour.path[at]
    if queue.waits[node]:
        return
    queue.waits[node] = True
    end = queue.span[0] + queue.span[1]
    if end >= queue.ring.size:
        end -= queue.ring.size
    queue.ring[end] = node
    queue.span[1] += 1


@kernel
def _visit(tour, near, queue, node, reach):
    """Apply the first gaining move of a document: its kind (0 none, 1 2-opt, 2 Or-opt) and its gain."""
    at = np.int64(tour.place[node])
    for after in (True, False):
        current = np.int64(0)
        if after:
            current = np.int64(tour.step[at])
        elif at > 0:
            current = np.int64(tour.step[at - 1])
        for edge in range(near.indptr[node], near.indptr[node + 1]):
            closer = np.int64(near.similarities[edge])
            if closer <= current:
                break
            move = Move(at, np.int64(tour.place[near.indices[edge]]), after, closer, reach)
            if abs(move.to - at) > reach:
                continue
            gain = _try_turn(tour, queue, move)
            if gain > 0:
                return 1, gain
            gain = _try_shift(tour, queue, move)
            if gain > 0:
                return 2, gain
    return 0, np.int64(0)


@kernel
def _try_turn(tour, queue, move):
    """2-opt: the two beside each other, and their partners beside each other; the gain, 0 if it is not done."""
    low, high = min(move.at, move.to), max(move.at, move.to)
    last = tour.path.size - 1
    if not move.after:
        low, high = low - 1, high - 1
    # steps low and high go; the stretch between them is turned
    removed = np.int64(tour.step[high])
    added = move.closer
    if low >= 0:
        removed += tour.step[low]
    if low >= 0 and high < last:
        if move.after:
            added += _dot(tour.vectors, tour.path[low + 1], tour.path[high + 1])
        else:
            added += _dot(tour.vectors, tour.path[low], tour.path[high])
    gain = added - removed
    if gain <= 0:
        return np.int64(0)
    _reverse(tour, low + 1, high)
    for border in (low, high):
        _measure(tour, border)
        _push(tour, queue, border)
        _push(tour, queue, border + 1)
    return gain


@kernel
def _reverse(tour, first, last):
    """Turn the stretch from `first` to `last`; the steps at its borders are left to the caller."""
    i, j = first, last
    while i < j:
        one, two = tour.path[i], tour.path[j]
        tour.path[i], tour.path[j] = two, one
        tour.place[two], tour.place[one] = i, j
        i += 1
        j -= 1
    i, j = first, last - 1
    while i < j:
        tour.step[i], tour.step[j] = tour.step[j], tour.step[i]
        i += 1
        j -= 1


@kernel
def _measure(tour, at):
    """Compute a step anew, if there is one."""
    if 0 <= at < tour.path.size - 1:
        tour.step[at] = _dot(tour.vectors, tour.path[at], tour.path[at + 1])


@kernel
def _try_shift(tour, queue, move):
    """Or-opt: a segment with the document at one end goes beside the other; the gain, 0 if none gains."""
    last = tour.path.size - 1
    for length in range(1, LONGEST_SEGMENT + 1):
        # the step that shall get better is at the border of the segment
        first = move.at - length + 1 if move.after else move.at
        stop = first + length
        if first < 0 or stop > last + 1 or first <= move.to < stop:
            break
        kept = np.int64(tour.step[stop - 1])
        if first > 0:
            kept += tour.step[first - 1]
        if first > 0 and stop <= last:
            kept -= _dot(tour.vectors, tour.path[first - 1], tour.path[stop])
        far = tour.path[first] if move.after else tour.path[stop - 1]
        for behind in (True, False):
            # between the other document and the one behind (before) it
            beside = move.to + 1 if behind else move.to - 1
            if first <= beside < stop:
                continue
            gain = move.closer - kept
            if 0 <= beside <= last:
                gain += _dot(tour.vectors, far, tour.path[beside]) - tour.step[min(beside, move.to)]
            if gain > 0:
                gap = max(beside, move.to)  # the segment goes before what stands here
                _shift(tour, queue, first, stop, gap, move.after == behind)
                return gain
    return np.int64(0)


@kernel
def _shift(tour, queue, first, stop, gap, turned):
    """Move the segment from `first` to before `stop`, turned or not, to before what stands at `gap`."""
    length = stop - first
    for t in range(length):
        tour.held[t] = tour.path[stop - 1 - t if turned else first + t]
    if gap > first:
        for at in range(stop, gap):
            _put(tour, at - length, tour.path[at])
            tour.step[at - length] = tour.step[at]
        begin, low, high = gap - length, first, gap
    else:
        for at in range(first - 1, gap - 1, -1):
            _put(tour, at + length, tour.path[at])
            tour.step[at + length] = tour.step[at]
        begin, low, high = gap, gap, stop
    for t in range(length):
        _put(tour, begin + t, tour.held[t])
    for at in range(begin - 1, begin + length):
        _measure(tour, at)
    for border in (low, begin, begin + length, high):
        _measure(tour, border - 1)
        _push(tour, queue, border - 1)
        _push(tour, queue, border)
    if high == tour.path.size:
        tour.step[high - 1] = 0


@kernel
def _put(tour, at, node):
    tour.path[at] = node
    tour.place[node] = at
