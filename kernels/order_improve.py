"""Local search on a path: 2-opt and Or-opt with neighbour lists and a queue of documents worth another look.

In: a path, vectors of whole numbers, the graph. Out: the same arrays, the path changed in place. Similarities are dot
products of whole numbers, so every gain is exact: the path is the same on any processor. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel
from icp.kernels.order_moves import Limits, Move, Queue, Tour, dot, try_shift, try_turn


class Near(NamedTuple):
    """Neighbours of each document, most similar first: (n + 1,) int64, (edges,) int32, (edges,) int32."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    similarities: NDArray[np.int32]


@kernel
def along_path(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], order: NDArray[np.int32], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The graph with documents renamed to their places in `order`, which keeps neighbours near in memory.

    Args:
        indptr, indices: (n + 1,) int64 and (edges,) int32.
        order: (n,) int32, a permutation.
        width: neighbours of a document to keep, the first ones.
    """
    n = order.size
    place = np.empty(n, dtype=np.int32)
    bounds = np.zeros(n + 1, dtype=np.int64)
    for at in range(n):
        place[order[at]] = at
        bounds[at + 1] = bounds[at] + min(width, indptr[order[at] + 1] - indptr[order[at]])
    renamed = np.empty(bounds[n], dtype=np.int32)
    for at in range(n):
        first = indptr[order[at]]
        for t in range(bounds[at + 1] - bounds[at]):
            renamed[bounds[at] + t] = place[indices[first + t]]
    return bounds, renamed


@kernel
def edge_similarities(
    vectors: NDArray[np.int16], indptr: NDArray[np.int64], indices: NDArray[np.int32]
) -> NDArray[np.int32]:
    """(edges,) int32: the dot product of each row with each of its neighbours."""
    found = np.empty(indices.size, dtype=np.int32)
    for row in range(indptr.size - 1):
        for edge in range(indptr[row], indptr[row + 1]):
            found[edge] = dot(vectors, row, indices[edge])
    return found


@kernel
def improve_path(tour: Tour, near: Near, queue: Queue, limits: Limits, visits: int) -> tuple[int, int, int]:
    """Apply gaining moves around waiting documents until none waits or all visits are spent.

    Args:
        tour: an open path, changed in place.
        near: with similarities by the same vectors.
        queue: who waits; changed in place.
        limits: what a move may do.
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
            kind, gain = _visit(tour, near, queue, node, limits)
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
def _visit(tour, near, queue, node, limits):
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
            move = Move(at, np.int64(tour.place[near.indices[edge]]), after, closer, limits.pinned)
            if abs(move.to - at) > limits.reach:
                continue
            gain = try_turn(tour, queue, move)
            if gain > 0:
                return 1, gain
            gain = try_shift(tour, queue, move)
            if gain > 0:
                return 2, gain
    return 0, np.int64(0)
