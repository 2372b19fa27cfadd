"""The most similar rows of a block of queries, exactly and with the same bits everywhere.

In: float32 queries, blocks of float32 base rows. Out: neighbours by falling similarity. A matrix product (of numpy's
BLAS, or of FAISS on a GPU) only proposes: its sums depend on block shapes, threads and machines. Whatever could be
among the kept by the error of such sums is computed again in a fixed order and rounded to float16. So the answer is
*the* answer: all rows of the blocks compared, sorted by (-float16 similarity, row), however they are cut into blocks.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from icp.errors import InputError
from icp.kernels.knn_topk import NO_KEY, improve_keys, score_keys
from icp.knn import gpu
from icp.streams import Stream

TILE = 1008
"""Rows of a square of products: it stays in the cache until it is read, and unlike those of a power of two its columns
fall into different sets of the cache (ten times faster to transpose)."""
QUERY_TILE, BASE_TILE = TILE // 2, 2 * TILE
GPU_PRODUCTS = 1 << 24
"""Products from which a block is worth its way to a GPU."""
ROW_BITS = 0xFFFFFFFF
NORM_TOLERANCE = 0.02


class Blocks(Protocol):
    """Base rows in fixed blocks, and which queries each block is for."""

    def __len__(self) -> int:
        """Number of blocks."""

    def queries(self, block: int) -> NDArray[np.int64] | slice:
        """The queries that may find something in a block."""

    def load(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row numbers (m,) int64 and vectors (m, dim) float32 of a block."""


def empty_keys(n: int, keep: int) -> NDArray[np.int64]:
    """Keys of `n` rows that have no neighbour yet; see `icp.kernels.knn_topk`."""
    return np.full((n, keep), NO_KEY, dtype=np.int64)


def unpack(keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """Rows (n, keep) int32, -1 where there is none, and similarities (n, keep) float16, 0 there."""
    rank, none = keys >> 32, keys == NO_KEY
    halves = np.where(rank & 0x8000, rank, 0x7FFF - rank).astype(np.uint16).view(np.float16)
    return np.where(none, -1, keys & ROW_BITS).astype(np.int32), np.where(none, np.float16(0), halves)


def pack(rows: NDArray[np.int32], similarities: NDArray[np.float16]) -> NDArray[np.int64]:
    """The keys that `unpack` gives these rows and similarities of: (n, keep) int64."""
    halves = np.ascontiguousarray(similarities).view(np.uint16).astype(np.int64)
    rank = np.where(halves & 0x8000, halves, 0x7FFF - halves)
    return np.where(rows < 0, NO_KEY, (rank << 32) | rows).astype(np.int64)


@np.errstate(invalid="ignore")  # rows of NaN, refused by name later: numpy warns of them or not, by where they lie
def nearest(
    queries: NDArray[np.float32], query_rows: NDArray[np.int64], blocks: Blocks, *, keep: int
) -> NDArray[np.int64]:
    """Keys of the most similar rows of the blocks, itself and zero rows left out.

    Args:
        queries: (n, dim) float32; a zero row finds nothing.
        query_rows: (n,) int64, their row numbers, to leave out a row itself; -1: it is no row.
        blocks: what to search; a row may stand in several blocks.
        keep: neighbours of a row.

    Returns: (n, keep) int64, sorted by (-similarity, row); `unpack` them.
    """
    keys = empty_keys(len(queries), keep)
    alive = np.asarray(queries.any(axis=1))
    everybody = np.flatnonzero(alive)
    for block in range(len(blocks)):
        chosen = np.arange(len(queries))[blocks.queries(block)]
        chosen = everybody if chosen.size == len(queries) else chosen[alive[chosen]]
        ids, base = nonzero(*blocks.load(block))
        if not (chosen.size and ids.size):
            continue
        if chosen.size == len(queries):
            improve(keys, queries, query_rows, base, ids)
        else:
            mine = keys[chosen]
            improve(mine, queries[chosen], query_rows[chosen], base, ids)
            keys[chosen] = mine
    return keys


def nonzero(ids: NDArray[np.int64], base: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of a block that are not all zero."""
    alive = base.any(axis=1)
    return (ids, base) if alive.all() else (ids[alive], base[alive])


def improve(
    keys: NDArray[np.int64],
    queries: NDArray[np.float32],
    query_rows: NDArray[np.int64],
    base: NDArray[np.float32],
    base_rows: NDArray[np.int64],
) -> None:
    """Put the most similar rows of a block into the keys of the queries, in place; none of the vectors is zero."""
    if len(queries) * len(base) >= GPU_PRODUCTS and gpu.faiss_on_gpu() is not None:
        _improve_on_gpu(keys, queries, query_rows, base, base_rows)
    else:
        _improve_by_tiles(keys, queries, query_rows, base, base_rows)


def _improve_by_tiles(
    keys: NDArray[np.int64],
    queries: NDArray[np.float32],
    query_rows: NDArray[np.int64],
    base: NDArray[np.float32],
    base_rows: NDArray[np.int64],
) -> None:
    for start in range(0, len(base), BASE_TILE):
        columns = slice(start, start + BASE_TILE)
        for first in range(0, len(queries), QUERY_TILE):
            mine = slice(first, first + QUERY_TILE)
            products = queries[mine] @ base[columns].T
            improve_keys(keys[mine], products, queries[mine], query_rows[mine], base[columns], base_rows[columns])


def _improve_on_gpu(
    keys: NDArray[np.int64],
    queries: NDArray[np.float32],
    query_rows: NDArray[np.int64],
    base: NDArray[np.float32],
    base_rows: NDArray[np.int64],
) -> None:
    found, unseen = gpu.propose(queries, base, keys.shape[1] + 1)
    score_keys(keys, found, queries, query_rows, base, base_rows)
    # where a row that was not proposed might come into the list, all of the block is compared here
    last = np.where(keys[:, -1] == NO_KEY, np.float16(-1), unpack(keys[:, -1:])[1][:, 0])
    doubtful = np.flatnonzero((unseen > -np.inf) & (unseen.astype(np.float16) >= last))
    if doubtful.size:
        mine = keys[doubtful]
        _improve_by_tiles(mine, queries[doubtful], query_rows[doubtful], base, base_rows)
        keys[doubtful] = mine


def improve_within(keys: NDArray[np.int64], vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
    """Put the most similar rows of a block into the keys of its own rows, in place; none of the vectors is zero."""
    if len(vectors) ** 2 >= GPU_PRODUCTS and gpu.faiss_on_gpu() is not None:
        _improve_on_gpu(keys, vectors, rows, vectors, rows)
        return
    # numpy makes but one half of the product of a matrix with itself; larger ones leave the cache
    size = len(vectors) if 2 * len(vectors) <= 3 * TILE else TILE
    tiles = [slice(start, start + size) for start in range(0, len(vectors), max(1, size))]
    for number, one in enumerate(tiles):
        block = vectors[one]
        improve_keys(keys[one], block @ block.T, block, rows[one], block, rows[one])
        for two in tiles[number + 1 :]:
            improve_both((keys[one], keys[two]), (block, vectors[two]), (rows[one], rows[two]))


def improve_both(
    keys: tuple[NDArray[np.int64], NDArray[np.int64]],
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Put the most similar rows of each of two blocks into the other's keys, in place, by one matrix product."""
    (one, two), (left, right), (left_rows, right_rows) = keys, vectors, rows
    if len(left) * len(right) >= GPU_PRODUCTS and gpu.faiss_on_gpu() is not None:
        _improve_on_gpu(one, left, left_rows, right, right_rows)
        _improve_on_gpu(two, right, right_rows, left, left_rows)
        return
    products = left @ right.T
    improve_keys(one, products, left, left_rows, right, right_rows)
    improve_keys(two, np.ascontiguousarray(products.T), right, right_rows, left, left_rows)


def sample_rows(n_rows: int, *, seed: int, stream: Stream, size: int) -> NDArray[np.int64]:
    """A uniform sample without repeats, ascending: (min(size, n_rows),) int64."""
    drawn = stream.generator(seed).choice(n_rows, size=min(size, n_rows), replace=False, shuffle=False)
    return np.sort(drawn).astype(np.int64)


def tuning_size(n_rows: int) -> int:
    """How many rows to sample for choosing the overlap: their cost is a small share of the search's."""
    return min(1000, max(512, n_rows // 500))


def check_rows(
    block: NDArray[np.float32], first_row: int, where: str, *, docs: NDArray[np.int64] | None = None
) -> None:
    """Raises InputError naming the first row (its document) that holds NaN or infinity, or has no norm of 1 or 0."""
    norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
    wrong = np.flatnonzero(~((np.abs(norms - 1) <= NORM_TOLERANCE) | (norms == 0)))
    if wrong.size:
        row = int(wrong[0])
        found = f"norm {norms[row]:.4g}" if np.isfinite(norms[row]) else "NaN or infinity"
        who = f"row {first_row + row}" + ("" if docs is None else f" (document {docs[row]})")
        raise InputError(
            f"{where}: {who} has {found}, expected norm 1, or all zeros for a row without neighbours; "
            "divide each vector by its norm"
        )
