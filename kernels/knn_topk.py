"""The most similar rows, kept as sorted keys: improved by blocks of products, merged, grouped into cells.

A key is one int64 number for a neighbour: the rank of its similarity as float16 (falling) in the upper half, its row
in the lower, so that keys sort by (-float16 similarity, row); `NO_KEY` stands where there is no neighbour.
In: float32 blocks of vectors and their products, keys. Out: keys. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._intrinsics import LANES, at_least, dot_lanes, lowest_bit
from icp.kernels._jit import kernel

NO_KEY = np.iinfo(np.int64).max
ROW_BITS = 0xFFFFFFFF
GROUPS_PER_KEY = 4
"""Groups of a block's columns for each key kept: their largest products bound what can be kept."""
HALF_STEP = np.float32(2.0**-11)
"""Largest distance of neighbouring float16 numbers within -1..1."""


@kernel
def falling_rank(similarity):
    """0..65535: rises while the float16 nearest to a float32, clipped to -1..1, falls; the same for 0 and -0."""
    near = np.float32(min(max(similarity, np.float32(-1)), np.float32(1)))
    bits = np.int64(near.view(np.int32))
    size = bits & 0x7FFFFFFF
    # `half`: the bits of the float16, with 13 bits of fraction fewer and an exponent whose bias is 15, not 127
    if size >= 0x38800000:  # from 2**-14 on it is a normal one: round half to even
        half = (size - 0x38000000 + 0xFFF + ((size >> 13) & 1)) >> 13
    else:  # its steps are 2**-24, as those of a float32 from 0.5 to 1: adding 0.5 lets the hardware round
        half = np.int64(np.float32(abs(near) + np.float32(0.5)).view(np.int32)) - 0x3F000000
    # bits of positive numbers rise with them and are turned round; those of negative ones rise as they fall
    return half | 0x8000 if bits < 0 and half > 0 else 0x7FFF - half


@kernel
def similarity_of(key):
    """The float16 similarity in a key, as float32."""
    rank = key >> 32
    half = rank & 0x7FFF if rank & 0x8000 else 0x7FFF - rank
    exponent, fraction = half >> 10, half & 0x3FF  # 25: the exponent's bias, 15, and 10 bits of fraction
    size = (fraction + 1024) * 2.0 ** (exponent - 25) if exponent else fraction * 2.0**-24
    return np.float32(-size if rank & 0x8000 else size)


@kernel
def insert_key(mine, key):
    """Put a key into sorted keys, in place, the last falling out; one that is there already changes nothing."""
    at = mine.size - 1
    if key >= mine[at]:
        return
    while at > 0 and mine[at - 1] > key:
        at -= 1
    if at > 0 and mine[at - 1] == key:
        return
    for later in range(mine.size - 1, at, -1):
        mine[later] = mine[later - 1]
    mine[at] = key


@kernel
def _group_maxima(products, groups):
    """Fill `groups` with the largest product of each group of columns."""
    groups[:] = -np.inf
    whole = products.size - products.size % groups.size
    for start in range(0, whole, groups.size):
        for lane in range(groups.size):
            product = products[start + lane]
            groups[lane] = product if product > groups[lane] else groups[lane]
    for position in range(whole, products.size):
        if products[position] > groups[position - whole]:
            groups[position - whole] = products[position]


@kernel
def _largest(values, largest):
    """Fill `largest` with the largest of `values`, falling; -inf where there are no more."""
    largest[:] = -np.inf
    for value in values:
        at = largest.size - 1
        if value > largest[at]:
            while at > 0 and largest[at - 1] < value:
                largest[at] = largest[at - 1]
                at -= 1
            largest[at] = value


@kernel
def holds_row(mine, row):
    """Whether one of some keys is that of a row."""
    held = False
    for key in mine:  # to the end: without a branch the loop takes several keys at a time
        held |= key & ROW_BITS == row
    return held


@kernel
def improve_keys(
    keys: NDArray[np.int64],
    products: NDArray[np.float32],
    queries: NDArray[np.float32],
    query_rows: NDArray[np.int64],
    base: NDArray[np.float32],
    base_rows: NDArray[np.int64],
) -> int:
    """Put the rows of a block that are among a query's most similar into its keys, in place.

    Which product was rounded how makes no difference: whatever could be among the kept is computed again in a fixed
    order, so the keys are those of all rows seen so far, however they were cut into blocks.

    Args:
        keys: (n, keep) int64, sorted keys of each query.
        products: (n, m) float32, `queries` times `base`, each off by at most dim * 2**-24; rows contiguous.
        queries: (n, dim) float32, contiguous.
        query_rows: (n,) int64, row numbers, to leave out a row itself; -1: it is no row.
        base: (m, dim) float32, contiguous, none all zero.
        base_rows: (m,) int64, row numbers.

    Returns: number of similarities computed again.
    Source: error of float32 sums in any order, dim * 2**-24, twice.
    """
    keep = keys.shape[1]
    groups = np.empty((GROUPS_PER_KEY * keep + 63) // 64 * 64, dtype=np.float32)
    largest = np.empty(keep + 1, dtype=np.float32)
    error = np.float32(base.shape[1] * 2.0**-23)
    whole, computed = base.shape[0] - base.shape[0] % LANES, 0
    for query in range(keys.shape[0]):
        mine, row = keys[query], products[query]
        _group_maxima(row, groups)
        if mine[keep - 1] == NO_KEY:
            # each group gives a row: `keep` of them, itself apart, are at least as similar as this; both their
            # products and others' may be off
            _largest(groups, largest)
            least = largest[keep] - 2 * error - HALF_STEP
        else:
            least = np.float32(similarity_of(mine[keep - 1]) - HALF_STEP - error)
        for start in range(0, row.size, LANES):
            if start < whole:
                bits = np.uint64(at_least(row, start, least))
            else:
                bits = np.uint64(0)
                for lane in range(row.size - whole):
                    bits |= np.uint64(row[whole + lane] >= least) << np.uint64(lane)
            while bits:
                position = start + lowest_bit(bits)
                bits &= bits - np.uint64(1)  # less its lowest
                other = base_rows[position]
                if other == query_rows[query] or holds_row(mine, other):
                    continue
                # the product may be too small by `error`: only what cannot be among the kept is passed over
                if (falling_rank(row[position] + error) << 32 | other) < mine[keep - 1]:
                    computed += 1
                    insert_key(mine, falling_rank(dot_lanes(queries[query], base[position])) << 32 | other)
    return computed


@kernel
def score_keys(
    keys: NDArray[np.int64],
    found: NDArray[np.int64],
    queries: NDArray[np.float32],
    query_rows: NDArray[np.int64],
    base: NDArray[np.float32],
    base_rows: NDArray[np.int64],
) -> None:
    """Put proposed rows into the keys of the queries, in place.

    Args: as of `improve_keys`; found (n, c) int64, positions in `base` proposed for each query, negative for none.
    """
    for query in range(keys.shape[0]):
        for position in found[query]:
            if position >= 0 and base_rows[position] != query_rows[query]:
                similarity = dot_lanes(queries[query], base[position])
                insert_key(keys[query], falling_rank(similarity) << 32 | base_rows[position])


@kernel
def merge_keys(keys: NDArray[np.int64], places: NDArray[np.int64], found: NDArray[np.int64]) -> None:
    """Put the sorted keys `found` (m, c) into rows `places` (m,) of `keys`, in place; no key twice."""
    for position in range(places.size):
        mine = keys[places[position]]
        for key in found[position]:
            if key >= mine[mine.size - 1]:
                break
            insert_key(mine, key)


@kernel
def mean_rows(rows: NDArray[np.float32], labels: NDArray[np.int32], means: NDArray[np.float32]) -> None:
    """Replace each of `means` (n, dim) by the mean direction of the rows labelled with it, in place; none: as it was.

    Args:
        rows: (m, dim) float32.
        labels: (m,) int32, 0..n-1, -1 for a row that does not count.
    """
    sums = np.zeros(means.shape, dtype=np.float64)
    counts = np.zeros(means.shape[0], dtype=np.int64)
    for position in range(rows.shape[0]):
        label = labels[position]
        if label >= 0:
            counts[label] += 1
            for column in range(rows.shape[1]):
                sums[label, column] += rows[position, column]
    for label in range(means.shape[0]):
        square = 0.0
        for column in range(means.shape[1]):
            square += sums[label, column] * sums[label, column]
        if counts[label] and square > 0:
            for column in range(means.shape[1]):
                means[label, column] = sums[label, column] / np.sqrt(square)


@kernel
def count_members(
    cells: NDArray[np.int32], gaps: NDArray[np.float32], margin: float, counts: NDArray[np.int64]
) -> None:
    """Add to `counts` (n_cells,) the rows that join each cell: their nearest, and those within `margin` of it.

    Args:
        cells: (n, ranks) int32, nearest first, -1 for none.
        gaps: (n, ranks) float32, by how much less similar a cell is than the nearest; rising.
    """
    for row in range(cells.shape[0]):
        for rank in range(cells.shape[1]):
            if cells[row, rank] < 0 or (rank > 0 and gaps[row, rank] > margin):
                break
            counts[cells[row, rank]] += 1


@kernel
def place_members(
    cells: NDArray[np.int32],
    gaps: NDArray[np.float32],
    margin: float,
    first_row: int,
    filled: NDArray[np.int64],
    members: NDArray[np.int32],
) -> None:
    """Write the rows from `first_row` on into their cells; `filled` (n_cells,) is where the next of each cell goes."""
    for row in range(cells.shape[0]):
        for rank in range(cells.shape[1]):
            if cells[row, rank] < 0 or (rank > 0 and gaps[row, rank] > margin):
                break
            members[filled[cells[row, rank]]] = first_row + row
            filled[cells[row, rank]] += 1
