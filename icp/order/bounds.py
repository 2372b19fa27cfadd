"""What no order of the documents can exceed.

In: the neighbours of each document before any were dropped. Out: bounds on the sum of similarities along a path. They
hold if the neighbours are exact, up to the rounding of float16 similarities; otherwise they are estimates.
"""

import numpy as np
from numpy.typing import NDArray

from icp.data import KnnGraph
from icp.kernels import order_bounds, order_tour

DESCENT = order_bounds.Schedule(200, 0.02, 0.97)
"""As low as 400 steps from 0.05 by 0.985, to five digits, in half the time."""


def raw_upper_bound(similarities: NDArray[np.floating], total: float = 0.0) -> float:
    """`total` plus half of the two largest similarities of each row; (rows, k), 0 where there is no neighbour."""
    n_rows, k = similarities.shape
    indptr = np.arange(n_rows + 1, dtype=np.int64) * k
    return float(order_tour.upper_bound(indptr, similarities.astype(np.float32).ravel(), total))


def dual_bound(knn: KnnGraph) -> float:
    """A tighter bound than half of the two largest: the dual of the 2-matching, by a descent of prices.

    Args:
        knn: the k nearest of each row, most similar first. Entries of -1 are passed over (rows that are no documents
            any more), but their similarities still say that no row left out is nearer.

    A pair that is in no list is no nearer than the last of either list, so prices of at least half of that make the
    bound hold for all pairs.
    Cost: about 7 seconds for a million rows of 16 neighbours; 12 bytes a pair.
    """
    n_rows, k = knn.neighbors.shape
    if not n_rows:
        return 0.0
    similarities = np.ascontiguousarray(knn.similarities, dtype=np.float32)
    floors = np.maximum(similarities[:, -1], 0).astype(np.float64) / 2
    pairs = order_bounds.listed_pairs(np.ascontiguousarray(knn.neighbors, dtype=np.int32), similarities, floors)
    prices = np.maximum(similarities[:, min(1, k - 1)].astype(np.float64) / 2, floors)
    return float(order_bounds.descend_prices(pairs, floors, prices, DESCENT))
