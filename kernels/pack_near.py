"""Neighbours and first places of the items of a plan.

In: a graph, rows, conflicts. Out: item numbers. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel


@kernel
def near_items(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], docs: NDArray[np.int64], item_of: NDArray[np.int32], k: int
) -> NDArray[np.int32]:
    """The first `k` neighbours of each item's document that are items too.

    Args:
        indptr, indices: CSR graph over all documents, most similar first.
        docs: (n,) int64, document of each item.
        item_of: (all documents,) int32, item of a document (its largest piece), -1 = none here.
        k: at least 1.

    Returns: (n, k) int32, then -1. The first piece of a cut document lists the next before all others, any other piece
        the first.
    """
    near = np.full((docs.size, k), -1, np.int32)
    for item in range(docs.size):
        count = 0
        if item_of[docs[item]] != item:
            near[item, 0] = item_of[docs[item]]
            count = 1
        elif item + 1 < docs.size and docs[item + 1] == docs[item]:
            near[item, 0] = item + 1
            count = 1
        for edge in range(indptr[docs[item]], indptr[docs[item] + 1]):
            if count == k:
                break
            other = item_of[indices[edge]]
            if other >= 0:
                near[item, count] = other
                count += 1
    return near


@kernel
def separate(
    window: NDArray[np.int32], window_group: NDArray[np.int32], bounds: NDArray[np.int64], conflicts: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Move items out of windows that hold an earlier item in conflict with them, to the nearest number that is free.

    Args:
        window: (n,) int32, changed: windows from ``window_group.size`` on are new ones.
        window_group: (windows,) int32, ascending.
        bounds, conflicts: CSR over the items, both directions.

    Returns: (new windows,) int32, their groups.
    Cost: O(n + conflicts).
    """
    n, n_windows = window.size, window_group.size
    stamp = np.full(n_windows + n, -1, np.int64)
    extra = np.empty(n, np.int32)
    n_extra = 0
    for i in range(n):
        clash = False
        for place in range(bounds[i], bounds[i + 1]):
            j = conflicts[place]
            if j < i:
                stamp[window[j]] = i
                clash = clash or window[j] == window[i]
        if not clash:
            continue
        mine = window[i]
        found = _nearest_free(window_group, stamp, mine, i)
        for new in range(n_windows if found < 0 else n_windows + n_extra, n_windows + n_extra):
            if extra[new - n_windows] == window_group[mine] and stamp[new] != i:
                found = new
                break
        if found < 0:
            found = n_windows + n_extra
            extra[n_extra] = window_group[mine]
            n_extra += 1
        window[i] = found
    return extra[:n_extra].copy()


@kernel
def _nearest_free(window_group: NDArray[np.int32], stamp: NDArray[np.int64], mine: int, i: int) -> int:
    """The window of the same group nearest by number that is not stamped with `i`, -1 if all are."""
    for distance in range(1, window_group.size):
        below, above = mine - distance, mine + distance
        below_in = below >= 0 and window_group[below] == window_group[mine]
        above_in = above < window_group.size and window_group[above] == window_group[mine]
        if below_in and stamp[below] != i:
            return below
        if above_in and stamp[above] != i:
            return above
        if not below_in and not above_in:
            break
    return -1
