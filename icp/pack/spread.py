"""An order of training that keeps windows that are close on the path far apart in time.

In: a vector of each window. Out: the order of training, and how far apart it keeps them.
"""

from math import gcd

import numpy as np
from numpy.typing import NDArray

from icp.knn.search import search_neighbors, symmetrize
from icp.order.matching import improve_order, matching_order

NEAREST = 10
"""Neighbours of a window in the graph through which the path leads."""
STRIDES = 64
GOLDEN = 0.6180339887498949
DISTANCES = (1, 4, 16)
"""Distances on the path up to which the gaps in training order are stated."""
WORTH = (1, 3, 6)
"""What a gap counts at each of these distances when strides are compared."""


def window_path(centroids: NDArray[np.floating], *, seed: int = 0) -> NDArray[np.int64]:
    """(n_windows,) int64: the windows along a path through their directions, by `icp.visit_order`'s default method."""
    norms = np.sqrt(np.square(centroids, dtype=np.float64).sum(axis=1, keepdims=True))
    directions = (centroids / np.where(norms > 0, norms, 1)).astype(np.float16)
    if not len(directions):
        return np.empty(0, dtype=np.int64)
    graph = symmetrize(search_neighbors(directions, k=NEAREST, seed=seed))
    return improve_order(matching_order(graph, directions), graph, directions).astype(np.int64)


def strided(n_windows: int, stride: int, offset: int = 0) -> NDArray[np.int64]:
    """(n_windows,) int64: the place on the path of each step, ``(step * stride + offset) mod n_windows``."""
    return (np.arange(n_windows, dtype=np.int64) * stride + offset) % max(1, n_windows)


def best_stride(n_windows: int) -> tuple[int, tuple[int, ...]]:
    """Of `STRIDES` whole numbers around .618 n, prime to n, that of the largest weighted least gap, and its gaps."""
    lowest = max(1, int(n_windows * GOLDEN) - STRIDES // 2)
    best, best_gaps, most = 1, stride_gaps(n_windows, 1), 0
    for stride in range(lowest, min(n_windows, lowest + STRIDES)):
        if gcd(stride, n_windows) == 1:
            gaps = stride_gaps(n_windows, stride)
            score = min(worth * gap for worth, gap in zip(WORTH, gaps, strict=True))
            if score > most:
                best, best_gaps, most = stride, gaps, score
    return best, best_gaps


def stride_gaps(n_windows: int, stride: int) -> tuple[int, ...]:
    """Least number of steps between windows at most each of `DISTANCES` apart on the path, its ends taken as joined.

    Two windows d apart are trained ``d / stride mod n`` steps apart, one way or the other around, whatever the offset.
    """
    if n_windows < 2:
        return (0,) * len(DISTANCES)
    back = pow(stride, -1, n_windows)
    steps = [distance * back % n_windows for distance in range(1, min(DISTANCES[-1], n_windows - 1) + 1)]
    around = [min(step, n_windows - step) for step in steps]
    return tuple(min(around[:distance]) for distance in DISTANCES)
