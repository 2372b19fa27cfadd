"""Orders of all documents along a similarity graph, and the similarity that an order reaches.

In: the graph in CSR form, blocks of vectors. Out: an order of all documents, sums of similarities. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel


@kernel
def greedy_path(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], start_order: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Order all documents along greedy paths through a similarity graph.

    Args:
        indptr: (n_docs + 1,) int64, CSR row bounds; ``indptr[0] == 0``, never decreasing.
        indices: (n_edges,) int32, neighbours of each row, most similar first.
        start_order: (n_docs,) int32, a permutation: where to look for the next path's start.

    Returns:
        order: (n_docs,) int32, a permutation of ``0..n_docs-1``, the k-th document visited.
        path_starts: (n_docs,) bool, True where ``order[k]`` begins a path.

    Raises: nothing; bad input reads out of bounds. `icp.visit_order` checks first.
    Cost: O(n_docs + n_edges) time, 6 bytes per document besides the inputs.
    Source: arXiv 2310.10638, Algorithm 1, for rows already sorted by similarity. Its line 7 prints arg min; the text
    says "highest weight", and so does this.
    """
    n_docs = start_order.size
    visited = np.zeros(n_docs, dtype=np.bool_)
    order = np.empty(n_docs, dtype=np.int32)
    path_starts = np.zeros(n_docs, dtype=np.bool_)
    placed = 0
    for start in start_order:
        if visited[start]:
            continue
        path_starts[placed] = True
        doc = start
        while doc >= 0:
            visited[doc] = True
            order[placed] = doc
            placed += 1
            following = np.int32(-1)
            for edge in range(indptr[doc], indptr[doc + 1]):
                if not visited[indices[edge]]:
                    following = indices[edge]
                    break
            doc = following
    return order, path_starts


@kernel
def greedy_path_by_open_degree(
    indptr: NDArray[np.int64], indices: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """As `greedy_path`, but each path starts at the document with the fewest unvisited neighbours (ties: the lower).

    Args:
        indptr, indices: as there; each edge in both rows.

    Returns: order and path_starts, as there.
    Cost: O((n_docs + n_edges) * log n_docs) time at most, 24 bytes per document besides the inputs.
    """
    n_docs = indptr.size - 1
    leaves = 1
    while leaves < n_docs:
        leaves *= 2
    # a tournament of (degree, row): node 1 holds the winner, leaf `leaves + row` each row
    tree = np.full(2 * leaves, np.iinfo(np.int64).max, dtype=np.int64)
    for row in range(n_docs):
        tree[leaves + row] = (indptr[row + 1] - indptr[row]) << 32 | row
    for node in range(leaves - 1, 0, -1):
        tree[node] = min(tree[2 * node], tree[2 * node + 1])
    visited = np.zeros(n_docs, dtype=np.bool_)
    order = np.empty(n_docs, dtype=np.int32)
    path_starts = np.zeros(n_docs, dtype=np.bool_)
    placed = 0
    while placed < n_docs:
        path_starts[placed] = True
        doc = np.int64(tree[1] & 0xFFFFFFFF)
        while doc >= 0:
            visited[doc] = True
            order[placed] = doc
            placed += 1
            _play(tree, leaves + doc, np.iinfo(np.int64).max)
            following = np.int64(-1)
            for edge in range(indptr[doc], indptr[doc + 1]):
                near = np.int64(indices[edge])
                if not visited[near]:
                    _play(tree, leaves + near, tree[leaves + near] - (1 << 32))  # one unvisited neighbour fewer
                    if following < 0:
                        following = near
            doc = following
    return order, path_starts


@kernel
def _play(tree, node, value):
    """Give a leaf a new value and let it play upwards as long as something changes."""
    while node > 0 and tree[node] != value:
        tree[node] = value
        sibling = tree[node ^ 1] if node > 1 else value
        value = min(value, sibling)
        node //= 2


@kernel
def path_similarity(vectors: NDArray[np.float32], total: float) -> float:
    """`total` plus the dot products of successive rows, added one after another in float64.

    Args:
        vectors: (rows, dim) float32, the documents of a stretch of the path in order. Stretches that share their
            border row, each given the total so far, add up to the same bits as the whole path at once.
        total: sum of the steps before.
    """
    for row in range(vectors.shape[0] - 1):
        dot = 0.0
        for d in range(vectors.shape[1]):
            dot += np.float64(vectors[row, d]) * np.float64(vectors[row + 1, d])
        total += dot
    return total


@kernel
def upper_bound(indptr: NDArray[np.int64], similarities: NDArray[np.float32], total: float) -> float:
    """`total` plus, for each row, half of its two largest similarities: what no order of the rows can exceed.

    Args:
        indptr: (rows + 1,) int64, CSR row bounds.
        similarities: (entries,) float32, cosines of each row to its neighbours in any order; 0 where there is none.
        total: sum of the rows before.

    A row counts 0 for a largest or second largest that is negative or missing: an end of a path has one step, so
    only this is a bound for it too.
    """
    for row in range(indptr.size - 1):
        first = np.float32(0)
        second = np.float32(0)
        for entry in range(indptr[row], indptr[row + 1]):
            value = similarities[entry]
            if value > first:
                second = first
                first = value
            elif value > second:
                second = value
        total += 0.5 * (np.float64(first) + np.float64(second))
    return total
