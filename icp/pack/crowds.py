"""Conflicts that windows have room for: of a crowd of look-alikes larger than there are windows, some must share one.

In: conflicts, how many windows there will be. Out: the conflicts that are kept. Where they can all be kept, all are.
"""

import numpy as np
from numpy.typing import NDArray

FEW_WINDOWS = 16
"""Windows that are opened for conflicts in any case, however few tokens there are."""


def bearable(conflicts: NDArray[np.int64], lengths: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
    """The conflicts to plan by.

    Documents get colours, so that two in conflict differ. If there are more colours than windows, those of half as many
    colours as windows stay in conflict with one another, and with no others: then each window holds few of them.

    Args:
        conflicts: (m, 2) int64, pairs of documents.
        lengths: (n,) int64, tokens of each document.
        capacity: tokens of a window.

    Returns: (k, 2) int64, all of them where no more colours than windows are needed.
    Source: greedy colouring by falling degree (Welsh and Powell, The Computer Journal 10, 1967).
    """
    n_windows = max(FEW_WINDOWS, int(lengths.sum()) // capacity)
    there = conflicts[(lengths[conflicts] > 0).all(axis=1)]
    docs, places = np.unique(there, return_inverse=True)
    pairs = places.reshape(-1, 2)
    degrees = np.bincount(pairs.ravel(), minlength=docs.size)
    if degrees.max(initial=0) < n_windows:
        return conflicts
    colors = _colored(pairs, degrees)
    if colors.max() < n_windows:
        return conflicts
    crowd = colors // (n_windows // 2)
    return np.asarray(there[crowd[pairs[:, 0]] == crowd[pairs[:, 1]]])


def _colored(pairs: NDArray[np.intp], degrees: NDArray[np.intp]) -> NDArray[np.int64]:
    """(n,) int64: a colour for each of n documents, the least that none of its conflicts has."""
    both = np.concatenate((pairs, pairs[:, ::-1]))
    both = both[np.argsort(both[:, 0], kind="stable")]
    bounds = np.concatenate(([0], np.cumsum(degrees)))
    colors = np.full(degrees.size, -1, np.int64)
    for doc in np.argsort(-degrees, kind="stable").tolist():
        taken = colors[both[bounds[doc] : bounds[doc + 1], 1]]
        is_free = np.ones(taken.size + 1, np.bool_)
        is_free[taken[(taken >= 0) & (taken <= taken.size)]] = False
        colors[doc] = int(np.argmax(is_free))
    return colors
