"""Moves on an open path: turn a stretch (2-opt), or put up to three documents elsewhere (Or-opt).

In: a path with what is kept about it, a queue of documents worth another look. Out: the same arrays, changed in place.
Similarities are dot products of whole numbers, so gains are exact. Nothing is checked.
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


class Queue(NamedTuple):
    """Documents to look at: a ring of (n,) int32, (n,) bool whether each waits, and (2,) int64 first and number."""

    ring: NDArray[np.int32]
    waits: NDArray[np.bool_]
    span: NDArray[np.int64]


class Limits(NamedTuple):
    """Nothing longer than `reach` is turned or shifted; `pinned`: the ends of the path keep their places."""

    reach: int
    pinned: bool


class Move(NamedTuple):
    """The document at `at` shall get the one at `to` instead of its neighbour after (before) it.

    `closer` is the similarity of the two.
    """

    at: int
    to: int
    after: bool
    closer: int
    pinned: bool


@kernel
def dot(vectors: NDArray[np.int16], one: int, two: int) -> np.int32:
    """Sum of the products of two rows; exact, in whatever order."""
    total = np.int32(0)
    for d in range(vectors.shape[1]):
        total = np.int32(total + np.int32(np.int32(vectors[one, d]) * np.int32(vectors[two, d])))
    return total


@kernel
def start_tour(vectors: NDArray[np.int16], path: NDArray[np.int32]) -> tuple[Tour, Queue]:
    """What `improve_path` needs about a path, which is used, not copied; every document waits, in path order."""
    n = path.size
    place = np.empty(n, dtype=np.int32)
    step = np.zeros(n, dtype=np.int32)
    for i in range(n):
        place[path[i]] = i
        if i + 1 < n:
            step[i] = dot(vectors, path[i], path[i + 1])
    queue = Queue(path.copy(), np.ones(n, dtype=np.bool_), np.array([0, n], dtype=np.int64))
    return Tour(vectors, path, place, step, np.zeros(LONGEST_SEGMENT, dtype=np.int32)), queue


@kernel
def try_turn(tour, queue, move):
    """2-opt: the two beside each other, and their partners beside each other; the gain, 0 if it is not done."""
    low, high = min(move.at, move.to), max(move.at, move.to)
    last = tour.path.size - 1
    if not move.after:
        low, high = low - 1, high - 1
    # steps low and high go; the stretch between them is turned
    if move.pinned and (low < 0 or high >= last):
        return np.int64(0)
    removed = np.int64(tour.step[high])
    added = move.closer
    if low >= 0:
        removed += tour.step[low]
    if low >= 0 and high < last:
        if move.after:
            added += dot(tour.vectors, tour.path[low + 1], tour.path[high + 1])
        else:
            added += dot(tour.vectors, tour.path[low], tour.path[high])
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
        tour.step[at] = dot(tour.vectors, tour.path[at], tour.path[at + 1])


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
def try_shift(tour, queue, move):
    """Or-opt: a segment with the document at one end goes beside the other; the gain, 0 if none gains."""
    last = tour.path.size - 1
    for length in range(1, LONGEST_SEGMENT + 1):
        # the step that shall get better is at the border of the segment
        first = move.at - length + 1 if move.after else move.at
        stop = first + length
        if first < 0 or stop > last + 1 or first <= move.to < stop:
            break
        if move.pinned and (first == 0 or stop > last):
            break
        kept = np.int64(tour.step[stop - 1])
        if first > 0:
            kept += tour.step[first - 1]
        if first > 0 and stop <= last:
            kept -= dot(tour.vectors, tour.path[first - 1], tour.path[stop])
        far = tour.path[first] if move.after else tour.path[stop - 1]
        for behind in (True, False):
            # between the other document and the one behind (before) it
            beside = move.to + 1 if behind else move.to - 1
            if first <= beside < stop or (move.pinned and not 0 <= beside <= last):
                continue
            gain = move.closer - kept
            if 0 <= beside <= last:
                gain += dot(tour.vectors, far, tour.path[beside]) - tour.step[min(beside, move.to)]
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
