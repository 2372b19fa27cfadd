"""Neighbours of neighbours: rows that may be nearer than those found so far, and their similarities.

In: rows, the neighbours of each and theirs, cells. Out: candidates, keys (`icp.kernels.knn_topk`). Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._intrinsics import dot_lanes, prefetch
from icp.kernels._jit import kernel
from icp.kernels.knn_topk import NO_KEY, ROW_BITS, falling_rank, insert_key

SPREAD = 0x9E3779B1
"""An odd number, 2**32 over the golden ratio, whose multiples spread row numbers over a table."""
OLD = 1 << 32
"""Flag above the 32 bits of a row."""
AHEAD = 4
"""Candidates before its turn that a vector is asked for."""


@kernel
def list_candidates(
    rows: NDArray[np.int64],
    near: NDArray[np.int64],
    places: NDArray[np.int32],
    second: NDArray[np.int64],
    joined: NDArray[np.int32],
    bounds: NDArray[np.int64],
) -> NDArray[np.int32]:
    """The neighbours of each row's neighbours that were not compared with it: they share no cell, and it or they came
    by the last pass.

    Args:
        rows: (m,) int64, row numbers.
        near: (m, fan) int64, rows near to each, `OLD` set in those known before the last pass; negative for none.
        places: (m, fan) int32, where the neighbours of each of them stand in `second`; any number for none.
        second: (u, fan) int64, as `near`.
        joined: (n, ranks) int32, the cells that each of all rows joined, -1 for no more.
        bounds: (m + 1,) int64, filled: where the candidates of each row begin.

    Returns: (candidates,) int32, each once a row, in the order they were met; none of `near`.
    Cost: fan * fan look-ups a row in a table that stays in the cache; cells are asked for before they are compared.
    """
    fan = near.shape[1]
    size = 2
    while size < 3 * fan * (fan + 1):  # at most a third is ever filled, so that probes are short
        size *= 2
    table = np.zeros(size, dtype=np.int64)
    met = np.empty(fan * fan, dtype=np.int64)
    found = np.empty(rows.size * fan * fan, dtype=np.int32)
    n_found = 0
    for at in range(rows.size):
        bounds[at] = n_found
        _put(table, at, rows[at])
        for neighbor in near[at]:
            if neighbor >= 0:
                _put(table, at, neighbor & ROW_BITS)
        n_met = 0
        for first in range(fan):
            if near[at, first] < 0:
                continue
            for other in second[places[at, first]]:
                if other < 0 or (near[at, first] & other & OLD):  # both steps were known: the last pass compared them
                    continue
                row = other & ROW_BITS
                if _put(table, at, row):
                    prefetch(joined[row])
                    met[n_met] = row
                    n_met += 1
        for row in met[:n_met]:
            if not _meet(joined[rows[at]], joined[row]):
                found[n_found] = row
                n_found += 1
    bounds[rows.size] = n_found
    return found[:n_found].copy()


@kernel
def _put(table, at, row):
    """Note a row among those met from place `at`; False if it is there."""
    # a mark holds the place in its upper half: those of earlier places count as empty, and nothing need be cleared
    mask, mark = table.size - 1, np.int64(at + 1) << 32 | np.int64(row)
    slot = (np.int64(row) * SPREAD) >> 7 & mask  # the lowest bits of a product depend on few bits of the row
    while table[slot] >> 32 == at + 1:
        if table[slot] == mark:
            return False
        slot = (slot + 1) & mask
    table[slot] = mark
    return True


@kernel
def mark_old(keys: NDArray[np.int64], before: NDArray[np.int64], fan: int) -> NDArray[np.int64]:
    """The rows of the nearest `fan` keys of each, `OLD` set in those that were among `before`; -1 for none.

    Args:
        keys: (m, keep) int64, sorted.
        before: (m, keep) int64, sorted.

    Returns: (m, fan) int64.
    """
    rows = np.empty((keys.shape[0], fan), dtype=np.int64)
    for at in range(keys.shape[0]):
        place = 0
        for number in range(fan):
            key = keys[at, number]
            while place < before.shape[1] and before[at, place] < key:
                place += 1
            is_old = place < before.shape[1] and before[at, place] == key
            rows[at, number] = -1 if key == NO_KEY else key & ROW_BITS | (OLD if is_old else 0)
    return rows


@kernel
def _meet(one, two):
    """Whether two rows share a cell."""
    for cell in one:
        if cell < 0:
            return False
        for other in two:
            if other == cell:
                return True
    return False


@kernel
def score_candidates(
    keys: NDArray[np.int64],
    bounds: NDArray[np.int64],
    places: NDArray[np.int64],
    queries: NDArray[np.float32],
    base: NDArray[np.uint16],
    base_rows: NDArray[np.int64],
) -> None:
    """Put the candidates of each query into its keys, in place.

    Args:
        keys: (m, keep) int64, sorted keys of each query.
        bounds: (m + 1,) int64, where the candidates of each begin in `places`.
        places: (candidates,) int64, rows of `base`.
        queries: (m, dim) float32, contiguous.
        base: (u, dim) uint16, bits of float16, contiguous; none all zero.
        base_rows: (u,) int64, row numbers.

    Cost: waits for memory: a row of `base` is asked for `AHEAD` candidates before its turn, which halves the time.
    """
    last = places.size - 1
    for query in range(keys.shape[0]):
        for at in range(bounds[query], bounds[query + 1]):
            prefetch(base[places[min(at + AHEAD, last)]])
            similarity = dot_lanes(queries[query], base[places[at]])
            insert_key(keys[query], falling_rank(similarity) << 32 | base_rows[places[at]])
