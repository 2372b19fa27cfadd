"""What no order of a run's nodes can exceed, read from its neighbours.

In: neighbors/, graph/nodes.npy, dedup/survivors.npy. Out: the bounds of `icp.order.bounds`, and
whether they hold.
"""

import numpy as np

from icp.data import KnnGraph
from icp.order.bounds import dual_bound, raw_upper_bound
from icp.run.arrays import raw_neighbors, raw_similarities, survivors
from icp.run.context import Context
from icp.run.nodes import node_rows

BLOCK_ROWS = 1 << 16
DUAL_NODES = 20_000_000
"""Nodes up to which the dual bound is computed: 300 bytes and ten millionths of a second a node."""


def run_upper_bound(context: Context) -> float:
    """Half of the two largest similarities of each node among its raw neighbours."""
    rows = node_rows(context)
    raw = raw_similarities(context, rows)
    bound = 0.0
    for begin in range(0, rows.size, BLOCK_ROWS):
        block = np.arange(begin, min(begin + BLOCK_ROWS, rows.size))
        bound = raw_upper_bound(raw[block], bound)
    return bound


def run_dual_bound(context: Context) -> float | None:
    """The dual bound from the raw neighbours of the nodes; None beyond `DUAL_NODES`."""
    rows = node_rows(context)
    if rows.size > DUAL_NODES:
        return None
    raw, similarities = raw_neighbors(context, rows), raw_similarities(context, rows)
    node_of_row = np.full(survivors(context).size + 1, -1, dtype=np.int32)  # the last stands for no neighbour
    node_of_row[rows] = np.arange(rows.size, dtype=np.int32)
    knn = KnnGraph(np.empty(raw.shape, dtype=np.int32), np.empty(raw.shape, dtype=np.float32))
    for begin in range(0, rows.size, BLOCK_ROWS):
        block = np.arange(begin, min(begin + BLOCK_ROWS, rows.size))
        knn.neighbors[block] = node_of_row[raw[block]]
        knn.similarities[block] = similarities[block]
    return dual_bound(knn)


def exact_neighbors(context: Context) -> bool:
    """Whether the search missed no neighbour: only then do the bounds hold."""
    return bool(context.manifest("neighbors").facts.get("method") == "exact")
