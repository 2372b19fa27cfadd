"""Stretches of like windows: windows halved again and again by direction, so that each stretch holds whole topics.

In: a vector and a size for each window. Out: an order whose runs are compact. All sums are of whole numbers, exact in
any order.
"""

import numpy as np
from numpy.typing import NDArray

_WHOLE = 4096  # a vector of this length is rounded to whole numbers
_ROUNDS = 8


def halved_runs(sums: NDArray[np.float64], sizes: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    """Runs of like windows, of up to `most` documents; inside a run, by number.

    Args:
        sums: (windows, dim) float64, whole numbers.
        sizes: (windows,) int64, documents of each.
        most: at least 1.

    Returns: int64, a permutation in pieces; neighbours in it are more alike than others.
    Cost: O(windows * dim * log(documents / most)).
    """
    norms = np.sqrt(np.square(sums).sum(axis=1))
    vectors = np.rint(sums / np.where(norms > 0, norms, 1)[:, None] * _WHOLE)
    runs, todo = [], [np.arange(len(sums))]
    while todo:
        rows = todo.pop()
        if rows.size < 2 or sizes[rows].sum() <= most:
            runs.append(rows)
            continue
        left = _half(vectors[rows], sizes[rows])
        todo += [rows[~left], rows[left]]
    return runs


def _half(vectors: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows belong to the half that is trained to stand against the other: equal in size, neither empty."""
    farthest = int(np.argmin(vectors @ vectors.sum(axis=0)))
    opposite = int(np.argmin(vectors @ vectors[farthest]))
    direction = vectors[farthest] - vectors[opposite]
    left = np.zeros(sizes.size, np.bool_)
    for _ in range(_ROUNDS):
        by_side = np.argsort(-(vectors @ direction), kind="stable")
        middle = np.searchsorted(np.cumsum(sizes[by_side]), sizes.sum() / 2) + 1
        left[:] = False
        left[by_side[: min(max(int(middle), 1), sizes.size - 1)]] = True
        before = direction
        n_left = np.count_nonzero(left)
        direction = np.rint(vectors[left].sum(axis=0) / n_left - vectors[~left].sum(axis=0) / (sizes.size - n_left))
        if np.array_equal(direction, before):
            break
    return left
