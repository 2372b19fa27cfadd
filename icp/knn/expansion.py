"""Neighbours of neighbours: they complete what cells miss where many rows are about equally near.

In: vectors, the neighbours found so far, the cells that each row joined. Out: more of the true neighbours, found in
passes. Cells that overlap enough to bring all neighbours together grow with the corpus; a pass costs the same for any.
Source: local joins of NN-descent (Dong, Moses, Li, WWW 2011), without its sampling, begun from cells.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows, take
from icp.kernels.knn_expand import list_candidates, mark_old, score_candidates
from icp.kernels.knn_topk import NO_KEY
from icp.knn.cells import Cells
from icp.knn.methods import Found
from icp.knn.recall import Assigned
from icp.knn.vectors import ROW_BITS

PASSES = 6
"""Passes at most."""
FAN = 16
"""Nearest neighbours of a row through which, and among which, a pass looks."""
BLOCK_ROWS = 1 << 14
"""Rows handled at a time: like ones, so that the vectors they are compared with are few."""


def cells_joined(assigned: Sequence[Assigned], *, margin: float) -> NDArray[np.int32]:
    """(n, ranks) int32: the cells that each row joined, -1 for no more; see `icp.knn.cells.group_rows`."""
    found = [np.where(gaps.astype(np.float32) <= margin, cells, np.int32(-1)) for cells, gaps in assigned]
    joined = np.concatenate(found)
    joined[:, 0] = np.concatenate([cells[:, 0] for cells, _ in assigned])
    return np.ascontiguousarray(joined[:, : max(1, int((joined >= 0).any(axis=0).sum()))])


def expand(rows: Rows, keys: tuple[Rows, Rows | None], joined: NDArray[np.int32], own: Cells, wanted: range) -> Found:
    """One pass for the rows whose nearest cell is one of the `wanted`.

    Args:
        keys: (n, keep) int64, keys found so far, and those that the last pass had; None: there was none.
        joined: (n, ranks) int32, of `cells_joined`.
        own: the rows of each nearest cell.
    """
    mine = np.array(own.members[own.bounds[wanted.start] : own.bounds[wanted.stop]], dtype=np.int64)
    found, moved = np.empty((mine.size, keys[0].shape[1]), dtype=np.int64), 0
    for begin in range(0, mine.size, BLOCK_ROWS):
        block = mine[begin : begin + BLOCK_ROWS]
        found[begin : begin + BLOCK_ROWS], n_bytes = _expand_block(rows, keys, joined, block)
        moved += n_bytes
    order = np.argsort(mine, kind="stable")
    return Found(mine[order], found[order], moved)


def _expand_block(
    rows: Rows, keys: tuple[Rows, Rows | None], joined: NDArray[np.int32], mine: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """Better keys of some rows, and the bytes of vectors read for them."""
    near = _marked(keys, mine)
    others, places = np.unique(near & ROW_BITS, return_inverse=True)
    second = _marked(keys, np.where(others == ROW_BITS, 0, others))  # no row has that number: it is none
    bounds = np.empty(mine.size + 1, dtype=np.int64)
    candidates = list_candidates(mine, near, places.reshape(near.shape).astype(np.int32), second, joined, bounds)
    better, looking = np.ascontiguousarray(keys[0][mine]), np.flatnonzero(np.diff(bounds))
    ids, where = np.unique(candidates, return_inverse=True)
    base = np.ascontiguousarray(rows[ids.astype(np.int64)], dtype=np.float16).view(np.uint16)
    queries, improved = take(rows, mine[looking]), better[looking]
    edges = np.append(bounds[looking], bounds[-1])
    score_candidates(improved, edges, where.astype(np.int64), queries, base, ids.astype(np.int64))
    better[looking] = improved
    return better, 2 * (queries.size + base.size)


def _marked(keys: tuple[Rows, Rows | None], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m, fan) int64: rows near to those `wanted`, with a mark of those that are not new; -1 for none."""
    now, before = keys
    mine = np.ascontiguousarray(now[wanted])
    known = np.ascontiguousarray(before[wanted]) if before is not None else np.full_like(mine, NO_KEY)
    marked: NDArray[np.int64] = mark_old(mine, known, min(FAN, mine.shape[1]))
    return marked
