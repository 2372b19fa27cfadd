"""What stands together in a window: how similar its members are, and which pairs of documents share one.

In: blocks of vectors sorted by window, windows of documents. Out: similarities, marks. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel


@kernel
def member_similarities(
    vectors: NDArray[np.float32], indptr: NDArray[np.int64], reach: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Similarity of each member of a window to the other members.

    Args:
        vectors: (members, dim) float32, members of consecutive windows, one row a document of a window.
        indptr: (windows + 1,) int64, first member of each window and the number of members.
        reach: the largest similarity is looked for among the `reach` members before and after.

    Returns:
        mean: (members,) float64, mean dot product with all others of the window; 0 if alone.
        largest: (members,) float32, largest dot product with another within reach; 0 if alone. Exact for windows
            of up to ``reach + 1`` members, a lower bound beyond.
    Cost: O(members * dim) for the mean, O(members * min(reach, members of a window) * dim) for the largest.
    """
    n_members, dim = vectors.shape
    mean = np.zeros(n_members, dtype=np.float64)
    largest = np.zeros(n_members, dtype=np.float32)
    total = np.empty(dim, dtype=np.float64)
    for window in range(indptr.size - 1):
        begin, end = indptr[window], indptr[window + 1]
        n_here = end - begin
        if n_here < 2:
            continue
        members = vectors[begin:end]
        total[:] = 0.0
        for i in range(n_here):
            for d in range(dim):
                total[d] += members[i, d]
        for i in range(n_here):
            dot = 0.0
            for d in range(dim):
                value = np.float64(members[i, d])
                dot += (total[d] - value) * value
            mean[begin + i] = dot / (n_here - 1)
        _largest_dots(members, reach, largest[begin:end])
    return mean, largest


@kernel
def _largest_dots(members: NDArray[np.float32], reach: int, largest: NDArray[np.float32]) -> None:
    # columns side by side: the inner loop runs over members, so that the sum over dimensions keeps its order
    n_here, dim = members.shape
    columns = np.empty((dim, n_here), dtype=np.float32)
    for i in range(n_here):
        for d in range(dim):
            columns[d, i] = members[i, d]
    dots = np.empty(n_here, dtype=np.float32)
    largest[:] = -np.inf
    for i in range(n_here - 1):
        width = min(reach, n_here - 1 - i)
        near = dots[:width]
        near[:] = 0.0
        for d in range(dim):
            value = members[i, d]
            column = columns[d, i + 1 : i + 1 + width]
            for j in range(width):
                near[j] += value * column[j]
        for j in range(width):
            largest[i] = max(largest[i], near[j])
            largest[i + 1 + j] = max(largest[i + 1 + j], near[j])


@kernel
def share_a_window(
    indptr: NDArray[np.int64], windows: NDArray[np.int64], pairs: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which pairs of documents stand together in at least one window.

    Args:
        indptr: (n_docs + 1,) int64, CSR row bounds of `windows`.
        windows: (entries,) int64, windows of each document, ascending.
        pairs: (n_pairs, 2) int64.

    Returns: (n_pairs,) bool.
    """
    shared = np.zeros(pairs.shape[0], dtype=np.bool_)
    for pair in range(pairs.shape[0]):
        left, right = indptr[pairs[pair, 0]], indptr[pairs[pair, 1]]
        left_end, right_end = indptr[pairs[pair, 0] + 1], indptr[pairs[pair, 1] + 1]
        while left < left_end and right < right_end:
            if windows[left] == windows[right]:
                shared[pair] = True
                break
            if windows[left] < windows[right]:
                left += 1
            else:
                right += 1
    return shared
