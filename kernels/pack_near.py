"""Neighbours and first places of the items of a plan.

In: a graph, rows, conflicts. Out: item numbers. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel
from icp.kernels.pack_state import MOST_LOOSE, WHOLE


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
def likeness(
    neighbors: NDArray[np.int32],
    docs: NDArray[np.int64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    weights: tuple[NDArray[np.uint16], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Cosine of each item to each neighbour that lists the item too, from the graph; 0 for others.

    Args:
        neighbors: (n, k) int32, as `near_items` gives them.
        docs: (n,) int64, document of each item.
        indptr, indices: CSR graph over all documents, most similar first.
        weights: (edges,) uint16, bits of the float16 similarities; (2**15,) float32, what bits mean; negative is 0.

    Returns: (n, k) float32; along a row, what is not 0 never grows.
    Cost: O(n * k * k + edges).
    """
    like = np.zeros(neighbors.shape, np.float32)
    bits, values = weights
    k = neighbors.shape[1]
    for item in range(docs.size):
        place = 0
        for edge in range(indptr[docs[item]], indptr[docs[item] + 1]):
            while place < k and neighbors[item, place] >= 0 and docs[neighbors[item, place]] == docs[item]:
                place += 1  # another piece of the document is no edge
            if place == k or neighbors[item, place] < 0:
                break
            other = neighbors[item, place]
            if docs[other] != indices[edge]:
                continue
            for back in neighbors[other]:
                if back == item and bits[edge] < values.size:
                    like[item, place] = values[bits[edge]]
            place += 1
    return like


@kernel
def separate(
    window: NDArray[np.int32],
    window_group: NDArray[np.int32],
    kind: NDArray[np.int8],
    bounds: NDArray[np.int64],
    conflicts: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Move items out of windows that hold an earlier item in conflict with them, or enough that are loose, to the
    nearest number that is free.

    Args:
        window: (n,) int32, changed: windows from ``window_group.size`` on are new ones.
        window_group: (windows,) int32, ascending.
        kind: (n,) int8, of items; see `icp.kernels.pack_state.Items`.
        bounds, conflicts: CSR over the items, both directions.

    Returns: (new windows,) int32, their groups.
    Cost: O(n + conflicts).
    """
    n, n_windows = window.size, window_group.size
    stamp = np.full(n_windows + n, -1, np.int64)
    loose = np.zeros(n_windows + n, np.int64)  # of the items seen
    extra = np.empty(n, np.int32)
    n_extra = 0
    for i in range(n):
        is_loose = kind[i] != WHOLE
        most = MOST_LOOSE if is_loose else n + 1
        clash = loose[window[i]] >= most
        for place in range(bounds[i], bounds[i + 1]):
            j = conflicts[place]
            if j < i:
                stamp[window[j]] = i
                clash = clash or window[j] == window[i]
        if not clash:
            loose[window[i]] += is_loose
            continue
        mine = window[i]
        group = window_group[mine]
        found = _nearest_free(window_group, stamp, loose, (mine, i, most))
        for new in range(n_windows if found < 0 else n_windows + n_extra, n_windows + n_extra):
            if extra[new - n_windows] == group and stamp[new] != i and loose[new] < most:
                found = new
                break
        if found < 0:
            found = n_windows + n_extra
            extra[n_extra] = group
            n_extra += 1
        window[i] = found
        loose[found] += is_loose
    return extra[:n_extra].copy()


@kernel
def _nearest_free(
    window_group: NDArray[np.int32], stamp: NDArray[np.int64], loose: NDArray[np.int64], wanted: tuple[int, int, int]
) -> int:
    """The window of the same group nearest by number to wanted[0] that is not stamped with wanted[1] and holds less
    than wanted[2] loose items, -1 if there is none."""
    mine, i, most = wanted
    for distance in range(1, window_group.size):
        below, above = mine - distance, mine + distance
        below_in = below >= 0 and window_group[below] == window_group[mine]
        above_in = above < window_group.size and window_group[above] == window_group[mine]
        if below_in and stamp[below] != i and loose[below] < most:
            return below
        if above_in and stamp[above] != i and loose[above] < most:
            return above
        if not below_in and not above_in:
            break
    return -1
