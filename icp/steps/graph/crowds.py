"""Groups of look-alikes that are larger than a document has neighbours: the pairs that no list holds.

In: pairs of rows that are alike, the raw neighbours. Out: more pairs to be looked at. Where half of a row's list is
alike to it, there may be more than the list holds; it is compared with all that pairs lead to, from row to row.
"""

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows, take
from icp.dedup.components import connected_pairs
from icp.kernels.knn_graph import candidate_similarities
from icp.plurals import counted
from icp.run.arrays import load_nodes, mapped, survivor_vectors, survivors
from icp.run.context import Context
from icp.run.extended import extended
from icp.run.names import CONFLICTS
from icp.steps.graph.arrays import raw_neighbors
from icp.steps.graph.grown import to_judge

MOST_PAIRS = 4_000_000
"""Pairs that are added; groups that need the fewest come first."""
BLOCK_PAIRS = 1 << 14


def unlisted_pairs(
    context: Context, alike: NDArray[np.int64], listed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """Pairs to be looked at beside those that are listed, of rows to be judged: see `pairs_within`.

    Args:
        alike: (n, 2) int64, pairs of rows that are alike; conflicts of a run that is extended join them.
        listed: (m, 2) int64, pairs that are looked at already.
    """
    n_rows = max(1, survivors(context).size)
    n_neighbors = next((neighbors.shape[1] for _, neighbors, _ in raw_neighbors(context)), 0)
    linked = np.concatenate((alike, _before(context)))
    found, left = pairs_within(linked, least=max(1, n_neighbors // 2), most=MOST_PAIRS)
    keys = np.setdiff1d(found[:, 1] * n_rows + found[:, 0], listed.max(axis=1) * n_rows + listed.min(axis=1))
    lower, higher = keys % n_rows, keys // n_rows
    judged = to_judge(context, lower, higher)
    return np.stack((lower[judged], higher[judged]), axis=1), left


def pairs_within(linked: NDArray[np.int64], *, least: int, most: int) -> tuple[NDArray[np.int64], int]:
    """Pairs of rows that links connect, one of each linked to `least` others or more.

    Args:
        linked: (n, 2) int64, pairs of rows.
        most: pairs in all; groups that would need more are left out, the largest first.

    Returns: (m, 2) int64, lower and higher row, sorted by (higher, lower); how many groups were left out.
    """
    size = int(linked.max(initial=0)) + 1
    once = np.unique(linked.max(axis=1) * size + linked.min(axis=1))
    rows, places = np.unique(np.stack((once // size, once % size), axis=1), return_inverse=True)
    places = places.reshape(-1).astype(np.int64)
    labels = connected_pairs(rows.size, places.reshape(-1, 2))
    is_full = np.bincount(places, minlength=rows.size) >= least
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order], prepend=-1, append=-1))
    n_full = np.add.reduceat(is_full[order].astype(np.int64), bounds[:-1]) if rows.size else np.empty(0, np.int64)
    costs = n_full * np.diff(bounds)
    wanted = np.flatnonzero(n_full)
    wanted = wanted[np.argsort(costs[wanted], kind="stable")]
    n_taken = int(np.searchsorted(np.cumsum(costs[wanted]), most, side="right"))
    keys = [np.empty(0, np.int64)]
    for group in wanted[:n_taken].tolist():
        here = order[bounds[group] : bounds[group + 1]]
        mine, others = rows[here[is_full[here]]][:, None], rows[here]
        grid = np.maximum(mine, others) * size + np.minimum(mine, others)
        keys.append(np.unique(grid[mine != others]))
    found = np.sort(np.concatenate(keys))
    return np.stack((found % size, found // size), axis=1), wanted.size - n_taken


def similarities_of(context: Context, pairs: NDArray[np.int64]) -> NDArray[np.float16]:
    """(m,) float16: the cosines of pairs of rows, as `neighbors` has them."""
    vectors, found = survivor_vectors(context), [np.empty(0, np.float16)]
    for start in range(0, len(pairs), BLOCK_PAIRS):
        found.append(cosines(vectors, pairs[start : start + BLOCK_PAIRS]))
    return np.concatenate(found)


def cosines(vectors: Rows, pairs: NDArray[np.int64]) -> NDArray[np.float16]:
    """(m,) float16: of each pair of rows (m, 2)."""
    left, right = (take(vectors, side) for side in pairs.T)
    found = candidate_similarities(left, right, np.arange(len(pairs), dtype=np.int64)[:, None])
    return np.asarray(found[:, 0], np.float16)


def too_large(n_groups: int, what: str) -> str:
    """A warning."""
    return (
        f"graph: {counted(n_groups, 'group')} of {what}, too large to compare all pairs: neighbours of it are kept "
        "apart, others may share a window"
    )


def _before(context: Context) -> NDArray[np.int64]:
    """(n, 2) int64: the conflicts of the run that this one extends, as rows."""
    base = extended(context)
    if base is None:
        return np.empty((0, 2), np.int64)
    rows = np.searchsorted(survivors(base), load_nodes(base))
    return rows[np.asarray(mapped(base.path("graph", CONFLICTS)), np.int64)].reshape(-1, 2)
