"""Neighbours within inverted lists: each row stands in one list, and as many lists are searched as the recall needs.

All rows that probe a list search it at once, by one product: what FAISS calls a batched search.
"""

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows, take
from icp.knn.cells import Cells
from icp.knn.centroids import Centroids, nearest_centroids
from icp.knn.methods import Found
from icp.knn.recall import Assigned
from icp.knn.vectors import empty_keys, improve

MOST_PROBED = 32
"""Lists that a row probes at most."""
LEAST_LIST_ROWS = 128
"""Rows of a list on average at least: below that, what a block costs outweighs its products."""


def count_lists(n_rows: int) -> int:
    """How many lists to train: about sqrt(8 n)."""
    return max(1, min(isqrt(8 * n_rows), n_rows // LEAST_LIST_ROWS))


def assign_lists(rows: NDArray[np.float32], centroids: Centroids, *, ranks: int = MOST_PROBED) -> Assigned:
    """The lists nearest to each row of a block, and their ranks: a margin of n lets a row probe n + 1 lists."""
    lists, _ = nearest_centroids(rows, centroids, keep=min(ranks, len(centroids)))
    return lists, np.broadcast_to(np.arange(lists.shape[1], dtype=np.float16), lists.shape)


def search_lists(rows: Rows, own: Cells, probing: Cells, wanted: range, *, keep: int) -> Found:
    """Neighbours among the rows of the `wanted` lists.

    Args:
        own: the rows of each list.
        probing: the rows that search each list.
    """
    mine = np.array(probing.members[probing.bounds[wanted.start] : probing.bounds[wanted.stop]])
    found, moved = np.unique(mine).astype(np.int64), 0
    keys = empty_keys(found.size, keep)
    for number in wanted:
        queries, base = (cells.members[slice(*cells.bounds[number : number + 2])] for cells in (probing, own))
        if not (queries.size and base.size):
            continue
        places = np.searchsorted(found, queries)
        block, query_rows, base_rows = keys[places], queries.astype(np.int64), base.astype(np.int64)
        vectors, others = take(rows, query_rows), take(rows, base_rows)
        improve(block, vectors, query_rows, others, base_rows)
        keys[places] = block
        moved += 2 * (vectors.size + others.size)
    return Found(found, keys, moved)
