"""Pairs of free path ends to join, the most similar first.

In: vectors of whole numbers, as `matching` makes them: their products are exact in float32. Out: pairs of rows.
"""

from collections.abc import Iterator
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from icp.kernels import order_matching
from icp.kernels.order_matching import Candidates

QUERY_ROWS = 1024
EXACT_ENDS = 20_000
"""Rows up to which each is compared with all others; beyond, with those of the nearest cells."""
CELL_ROWS = 4096
"""Rows of a cell that are compared with one another; larger cells are divided, which bounds the work of alike rows."""

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def all_pairs(vectors: NDArray[np.int16]) -> Pairs:
    """All pairs of rows, most similar first."""
    # compiled before workers start, even where there are few ends
    none = np.empty(0, dtype=np.int64)
    order_matching.keep_best(
        _nothing(0, 1, np.empty(0, np.int32)), np.empty((0, 0), np.float32), none, none, none.astype(np.int32)
    )
    heads, tails = np.triu_indices(len(vectors), 1)
    rows = vectors.astype(np.float32)
    falling = _falling((rows @ rows.T)[heads, tails])
    return heads[falling], tails[falling]


def nearest_pairs(
    vectors: NDArray[np.int16], groups: NDArray[np.int32], width: int, probes: int, *, exact_ends: int = EXACT_ENDS
) -> Pairs:
    """Each row with its `width` most similar of other groups, most similar pairs first.

    Of more than `exact_ends` rows, each is compared with those of its `probes` nearest cells only.
    """
    n_rows = len(vectors)
    found = _nothing(n_rows, width, groups)
    blocks = _all_blocks(n_rows) if n_rows <= exact_ends else _cell_blocks(vectors, probes)
    for queries, base in blocks:
        block = vectors[queries].astype(np.float32) @ vectors[base].astype(np.float32).T
        order_matching.keep_best(found, block, queries, base, groups[queries])
    heads, places = np.nonzero(found.rows >= 0)
    falling = _falling(found.similarities[heads, places])
    return heads[falling], found.rows[heads, places][falling].astype(np.int64)


def _falling(similarities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where the similarities stand by falling 16-bit value, equal ones as they are: numpy's stable sort is radix."""
    keys = 65535 - (similarities.astype(np.int64) + (1 << 24)) // 512
    return np.argsort(keys.astype(np.uint16), kind="stable")


def _nothing(n_rows: int, width: int, groups: NDArray[np.int32]) -> Candidates:
    rows = np.full((n_rows, width), -1, dtype=np.int32)
    return Candidates(rows, np.full((n_rows, width), -np.inf, dtype=np.float32), groups)


_Blocks = Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]


def _all_blocks(n_rows: int) -> _Blocks:
    for query in range(0, n_rows, QUERY_ROWS):
        for base in range(0, n_rows, CELL_ROWS):
            yield np.arange(query, min(query + QUERY_ROWS, n_rows)), np.arange(base, min(base + CELL_ROWS, n_rows))


def _cell_blocks(vectors: NDArray[np.int16], probes: int, cell_rows: int = CELL_ROWS) -> _Blocks:
    """Queries and rows to compare: each row with the rows of its nearest cells, `cell_rows` of each at most."""
    cells, first, size = _cells(vectors, probes)
    home = cells[:, 0]
    members = np.argsort(home, kind="stable")
    # a cell of more than cell_rows counts as several, of which a visitor sees one
    divided = np.maximum(1, -(-size // cell_rows))
    rows = np.arange(len(vectors))
    part = rows[:, None] % divided[cells]
    part[members, 0] = (np.arange(members.size) - first[home[members]]) // cell_rows
    begins = np.where(size[cells] > 0, first[cells] + part * cell_rows, -1).ravel()
    asked = np.argsort(begins, kind="stable")
    cuts = np.flatnonzero(np.diff(begins[asked], prepend=-1))  # empty cells are passed over
    for cut, stop in zip(cuts, [*cuts[1:], asked.size], strict=True):
        begin = begins[asked[cut]]
        cell = home[members[begin]]
        base = members[begin : min(begin + cell_rows, first[cell] + size[cell])]
        queries = asked[cut:stop] // probes
        for query in range(0, queries.size, QUERY_ROWS):
            yield queries[query : query + QUERY_ROWS], base


def _cells(vectors: NDArray[np.int16], probes: int) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Nearest cells of each row, (n, probes) int32, home first; where each cell begins among rows by home; its size.

    The middles of the cells are rows, evenly drawn: that is as good here as trained ones and costs nothing.
    """
    n_cells = 2 * isqrt(len(vectors))
    middles = np.linspace(0, len(vectors) - 1, n_cells).astype(np.int64)
    found = _nothing(len(vectors), probes, np.full(n_cells, -1, dtype=np.int32))
    centers = np.ascontiguousarray(vectors[middles].astype(np.float32).T)
    for begin in range(0, len(vectors), CELL_ROWS):
        queries = np.arange(begin, min(begin + CELL_ROWS, len(vectors)))
        block = vectors[queries].astype(np.float32) @ centers
        order_matching.keep_best(found, block, queries, np.arange(n_cells), np.zeros(queries.size, dtype=np.int32))
    size = np.bincount(found.rows[:, 0], minlength=n_cells)
    return found.rows, np.cumsum(size) - size, size
