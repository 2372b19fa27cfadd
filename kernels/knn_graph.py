"""Similarities in a fixed order of additions, the union graph of neighbour lists, copies of kept rows.

In: float32 blocks of vectors, neighbour lists with weights as float16 bits, sorted sets. Out: similarities, CSR arrays,
marks. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._intrinsics import dot_lanes
from icp.kernels._jit import kernel


@kernel
def candidate_similarities(
    queries: NDArray[np.float32], base: NDArray[np.float32], candidates: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Dot products of each query with its own candidates, the same bits on any machine and in any block.

    Args:
        queries: (n, dim) float32, contiguous.
        base: (m, dim) float32, contiguous.
        candidates: (n, c) int64, rows of `base`; a negative one gives 0.

    Returns: (n, c) float32. ``dot(x, y)`` and ``dot(y, x)`` are the same bits.
    Cost: 2 * n * c * dim operations.
    """
    found = np.zeros(candidates.shape, dtype=np.float32)
    for query in range(candidates.shape[0]):
        for position in range(candidates.shape[1]):
            candidate = candidates[query, position]
            if candidate >= 0:
                found[query, position] = dot_lanes(queries[query], base[candidate])
    return found


@kernel
def union_csr(
    neighbors: NDArray[np.int32], weights: NDArray[np.uint16]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint16]]:
    """The undirected graph with an edge wherever one row lists the other.

    Args:
        neighbors: (n, k) int32, rows, in any order; negative: none. The row itself and repeats are passed over.
        weights: (n, k) uint16, bits of float16 without -0 and NaN; where the two directions differ the larger holds.

    Returns:
        indptr: (n + 1,) int64.
        indices: (edges,) int32, each row by falling weight, equal weights by rising index.
        weights: (edges,) uint16, bits of float16.

    Cost: O(edges * log(largest degree)) time, 24 bytes an entry of `neighbors`.
    """
    n_rows = neighbors.shape[0]
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    for row in range(n_rows):
        for other in neighbors[row]:
            if other >= 0 and other != row:
                indptr[row + 1] += 1
                indptr[other + 1] += 1
    for row in range(n_rows):
        indptr[row + 1] += indptr[row]
    keys = np.empty(indptr[n_rows], dtype=np.int64)
    filled = indptr[:-1].copy()
    for row in range(n_rows):
        for position in range(neighbors.shape[1]):
            other = np.int64(neighbors[row, position])
            if other >= 0 and other != row:
                rank = _falling_rank(weights[row, position]) << 32
                keys[filled[row]] = rank | other
                keys[filled[other]] = rank | np.int64(row)
                filled[row] += 1
                filled[other] += 1
    return _unpack(indptr, keys)


@kernel
def union_rows(
    n_rows: int, owners: NDArray[np.int64], others: NDArray[np.int32], weights: NDArray[np.uint16]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint16]]:
    """Some rows of an undirected graph from the edges listed at either end.

    Args:
        n_rows: number of rows.
        owners: (m,) int64, 0..n_rows - 1, in any order.
        others: (m,) int32, the other end of each edge, any number; an edge that stands twice has the same weight.
        weights: (m,) uint16, bits of float16 without -0 and NaN.

    Returns: as `union_csr`, each edge once.
    Cost: 8 bytes an edge besides the result.
    """
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    for owner in owners:
        indptr[owner + 1] += 1
    for row in range(n_rows):
        indptr[row + 1] += indptr[row]
    keys = np.empty(owners.size, dtype=np.int64)
    filled = indptr[:-1].copy()
    for edge in range(owners.size):
        keys[filled[owners[edge]]] = _falling_rank(weights[edge]) << 32 | np.int64(others[edge])
        filled[owners[edge]] += 1
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    written = 0
    for row in range(n_rows):
        mine = keys[indptr[row] : indptr[row + 1]]
        mine.sort()
        before = np.int64(-1)
        for key in mine:
            if key != before:
                keys[written] = key
                written += 1
            before = key
        starts[row + 1] = written
    ranks, indices = keys[:written] >> 32, (keys[:written] & 0xFFFFFFFF).astype(np.int32)
    return starts, indices, np.where(ranks & 0x8000, ranks, 0x7FFF - ranks).astype(np.uint16)


@kernel
def _falling_rank(bits):
    """0..65535, rising while the float16 of these bits falls."""
    value = np.int64(bits)  # the sign, then the size: positive ones are turned round, negative ones stand behind them
    return value if value & 0x8000 else 0x7FFF - value


@kernel
def _unpack(indptr, keys):
    n_rows = indptr.size - 1
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    indices = np.empty(keys.size, dtype=np.int32)
    weights = np.empty(keys.size, dtype=np.uint16)
    seen = np.full(n_rows, -1, dtype=np.int32)
    written = 0
    for row in range(n_rows):
        mine = keys[indptr[row] : indptr[row + 1]]
        mine.sort()
        for key in mine:
            other = key & 0xFFFFFFFF
            if seen[other] == row:
                continue
            seen[other] = row
            rank = key >> 32
            indices[written] = other
            weights[written] = rank if rank & 0x8000 else 0x7FFF - rank
            written += 1
        starts[row + 1] = written
    return starts, indices[:written].copy(), weights[:written].copy()


@kernel
def component_sizes(indptr: NDArray[np.int64], indices: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number of rows of each connected component of an undirected graph, by the component's lowest row.

    Args:
        indptr: (n + 1,) int64.
        indices: (edges,) int32, each edge in both rows.

    Returns: (components,) int64; rows without an edge are components of 1.
    Cost: O(n + edges).
    """
    n_rows, count = indptr.size - 1, 0
    reached = np.zeros(n_rows, dtype=np.bool_)
    stack = np.empty(n_rows, dtype=np.int32)
    sizes = np.zeros(n_rows, dtype=np.int64)
    for first in range(n_rows):
        if reached[first]:
            continue
        reached[first] = True
        stack[0] = first
        height = 1
        while height > 0:
            height -= 1
            row = stack[height]
            sizes[count] += 1
            for other in indices[indptr[row] : indptr[row + 1]]:
                if not reached[other]:
                    reached[other] = True
                    stack[height] = other
                    height += 1
        count += 1
    return sizes[:count].copy()


@kernel
def keep_leaders(
    pairs: NDArray[np.int64], jaccards: NDArray[np.float64], least: float, n_rows: int
) -> NDArray[np.int64]:
    """Which earlier kept row each row is a copy of: a row stays unless it is alike to a row that stays.

    Args:
        pairs: (m, 2) int64, lower and higher row, sorted by the higher, then the lower.
        jaccards: (m,) float64, similarity of the texts of each pair.
        least: a pair counts from this similarity on.
        n_rows: number of rows.

    Returns: (removed,) int64, rising: the position of the pair that removed each removed row: of kept rows the one of
        largest `jaccards`, of equal ones the lowest.
    """
    kept = np.ones(n_rows, dtype=np.bool_)
    removing = np.empty(pairs.shape[0], dtype=np.int64)
    count = first = 0
    while first < pairs.shape[0]:
        row, stop, best = pairs[first, 1], first, -1
        while stop < pairs.shape[0] and pairs[stop, 1] == row:
            alike = jaccards[stop] >= least and kept[pairs[stop, 0]]
            if alike and (best < 0 or jaccards[stop] > jaccards[best]):
                best = stop
            stop += 1
        if best >= 0:
            kept[row] = False
            removing[count] = best
            count += 1
        first = stop
    return removing[:count].copy()


@kernel
def jaccard_pairs(
    sets: NDArray[np.uint64],
    bounds: NDArray[np.int64],
    others: NDArray[np.uint64],
    other_bounds: NDArray[np.int64],
    pairs: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Shared share of pairs of sorted sets: size of the intersection / size of the union, 0 for two empty sets.

    Args:
        sets, others: (values,) uint64, rising inside each set.
        bounds, other_bounds: (n + 1,) int64, where each set begins.
        pairs: (m, 2) int64, a set of `sets` and a set of `others`.

    Returns: (m,) float64.
    """
    found = np.zeros(pairs.shape[0], dtype=np.float64)
    for position in range(pairs.shape[0]):
        one = sets[bounds[pairs[position, 0]] : bounds[pairs[position, 0] + 1]]
        two = others[other_bounds[pairs[position, 1]] : other_bounds[pairs[position, 1] + 1]]
        left = right = shared = 0
        while left < one.size and right < two.size:
            if one[left] == two[right]:
                shared += 1
                left += 1
                right += 1
            elif one[left] < two[right]:
                left += 1
            else:
                right += 1
        union = one.size + two.size - shared
        if union > 0:
            found[position] = shared / union
    return found
