"""The most similar rows of a block of queries, exactly and with the same bits everywhere.

In: float32 queries, blocks of float32 base rows. Out: neighbours by falling similarity. FAISS only proposes: its sums
depend on block shapes and threads. Similarities are recomputed in a fixed order and rounded to float16; where
FAISS's error could hide a neighbour, the block is scanned again by our own kernel. So the answer is *the* answer: all
rows of the blocks compared, sorted by (-float16 similarity, row), however they are cut into blocks.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icp.errors import ConfigError, InputError
from icp.kernels.graph import all_similarities, candidate_similarities

SPARE = 8
"""Candidates asked of FAISS beyond those wanted: they settle most ties without another scan."""
SCAN_ROWS = 256
"""Queries of one scan of a block: bounds its memory."""
BLAS_THRESHOLD = 20
"""Queries from which FAISS multiplies matrices; its own default makes small blocks 3-8 times slower."""
NO_KEY = np.iinfo(np.int64).max
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


def nearest(
    queries: NDArray[np.float32], query_rows: NDArray[np.int64], blocks: Blocks, *, keep: int, threads: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """The most similar rows of the blocks, itself and zero rows left out.

    Args:
        queries: (n, dim) float32; a zero row finds nothing.
        query_rows: (n,) int64, their row numbers, to leave out a row itself; -1: it is no row.
        blocks: what to search; a row stands in one block only.
        keep: neighbours of a row.
        threads: threads of FAISS, 0 for its own choice; the result does not depend on it.

    Returns: (n, keep) int32 rows sorted by (-similarity, row), -1 where there are no more; (n, keep) float16, 0 there.
    Raises: ConfigError if FAISS is missing.
    """
    keys = np.full((len(queries), keep), NO_KEY, dtype=np.int64)
    # what FAISS did not propose from a block is no more similar than this
    unseen = np.full((len(blocks), len(queries)), -np.inf, dtype=np.float32)
    alive = np.count_nonzero(queries, axis=1) > 0
    # float32 sums of `dim` products err by at most dim * 2**-24, here and in FAISS
    error = queries.shape[1] * np.float32(2.0**-23)
    with faiss_settings(threads) as faiss:
        for block in range(len(blocks)):
            chosen = np.arange(len(queries))[blocks.queries(block)]
            chosen = chosen[alive[chosen]]
            ids, base = _nonzero(*blocks.load(block))
            count = min(keep + SPARE, len(ids))
            if count and chosen.size:
                values, proposed = faiss.knn(queries[chosen], base, count, metric=faiss.METRIC_INNER_PRODUCT)
                # FAISS says -1 where it has nothing to say: then all of the block is unseen
                worst = np.where((proposed < 0).any(axis=1), np.float32(1), values.min(axis=1))
                unseen[block, chosen] = worst if count < len(ids) else -np.inf
                proposed[_half(values + error) < _last(keys[chosen])[:, None]] = -1
                found = candidate_similarities(queries[chosen], base, proposed)
                ids = np.where(proposed < 0, -1, ids[proposed])
                keys[chosen] = _merge(keys[chosen], _keys(found, ids, query_rows[chosen]))
    doubtful = (_half(unseen + error) >= _last(keys)) & (unseen > -np.inf)
    _settle(queries, query_rows, blocks, keys, doubtful)
    none = keys == NO_KEY
    return np.where(none, -1, keys & ROW_BITS).astype(np.int32), np.where(none, np.float16(0), _similarity(keys))


def _settle(
    queries: NDArray[np.float32],
    query_rows: NDArray[np.int64],
    blocks: Blocks,
    keys: NDArray[np.int64],
    doubtful: NDArray[np.bool_],
) -> None:
    """Scan the blocks that may hold more neighbours than FAISS proposed, and mend `keys` in place."""
    all_similarities(queries[:0], queries[:0])  # compiled before workers start, even where nothing is in doubt
    for block in np.flatnonzero(doubtful.any(axis=1)):
        ids, base = _nonzero(*blocks.load(int(block)))
        rows = np.flatnonzero(doubtful[block])
        for start in range(0, rows.size, SCAN_ROWS):
            chosen = rows[start : start + SCAN_ROWS]
            found = _keys(all_similarities(queries[chosen], base), ids, query_rows[chosen])
            found = np.partition(found, min(keys.shape[1], len(ids)) - 1, axis=1)[:, : keys.shape[1]]
            # the scan has all of the block, so what FAISS proposed of it goes
            kept = np.where(np.isin(keys[chosen] & ROW_BITS, ids), NO_KEY, keys[chosen])
            keys[chosen] = _merge(kept, found)


def _nonzero(ids: NDArray[np.int64], base: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    alive = base.any(axis=1)
    return (ids, base) if alive.all() else (ids[alive], base[alive])


def _merge(keys: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.sort(np.concatenate((keys, found), axis=1), axis=1)[:, : keys.shape[1]]


def _half(similarities: NDArray[np.float32]) -> NDArray[np.float16]:
    """Rounded to float16 within -1..1, and never -0, so that equal similarities have equal bits."""
    return np.clip(similarities, -1, 1).astype(np.float16) + np.float16(0)


def _keys(
    similarities: NDArray[np.float32], ids: NDArray[np.int64], query_rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Numbers that sort like (-float16 similarity, row); NO_KEY for the query itself and negative rows."""
    bits = _half(similarities).view(np.uint16).astype(np.int64)
    keys = np.where(bits & 0x8000, bits, 0x7FFF - bits) << 32 | ids
    return np.where((ids < 0) | (ids == query_rows[:, None]), NO_KEY, keys)


def _last(keys: NDArray[np.int64]) -> NDArray[np.float16]:
    """The similarity that a row must reach to come into the list; -2 while there is room."""
    return np.where(keys[:, -1] == NO_KEY, np.float16(-2), _similarity(keys[:, -1]))


def _similarity(keys: NDArray[np.int64]) -> NDArray[np.float16]:
    rank = keys >> 32
    return np.where(rank & 0x8000, rank, 0x7FFF - rank).astype(np.uint16).view(np.float16)


@contextmanager
def faiss_settings(threads: int) -> Iterator[Any]:
    """The FAISS module, with its threads and BLAS threshold set as we need them and put back afterwards."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of SWIG, not ours to mend
            import faiss
    except ImportError:
        raise ConfigError('neighbour search needs FAISS, which is not installed; run pip install "icp[cpu]"') from None
    n_threads, threshold = faiss.omp_get_max_threads(), faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = BLAS_THRESHOLD
    if threads:
        faiss.omp_set_num_threads(threads)
    try:
        yield faiss
    finally:
        faiss.cvar.distance_compute_blas_threshold = threshold
        faiss.omp_set_num_threads(n_threads)


def sample_rows(n_rows: int, *, seed: int, salt: int, size: int) -> NDArray[np.int64]:
    """A uniform sample without repeats, ascending: (min(size, n_rows),) int64."""
    drawn = np.random.default_rng([salt, seed]).choice(n_rows, size=min(size, n_rows), replace=False, shuffle=False)
    return np.sort(drawn).astype(np.int64)


def recall_interval(
    found: NDArray[np.int32], similarities: NDArray[np.float16], exact: NDArray[np.int32], best: NDArray[np.float16]
) -> tuple[float, float, float]:
    """Mean share of the true nearest that was found, ties counted, and its 95% interval over rows.

    Args:
        found, similarities: (n, k) int32 and float16, what was found; -1 for none.
        exact, best: (n, k) int32 and float16, the true nearest; a row without any does not count.

    Returns: recall, its lower and its upper bound; ones if no row counts.
    """
    n_true = (exact >= 0).sum(axis=1)
    counts = n_true > 0
    least = np.where(exact >= 0, best, np.float16(2)).min(axis=1, initial=2)[:, None]
    shares = ((found >= 0) & (similarities >= least)).sum(axis=1)[counts] / n_true[counts]
    if not shares.size:
        return 1.0, 1.0, 1.0
    mean = float(shares.mean())
    half = 1.96 * float(shares.std(ddof=1)) / float(np.sqrt(shares.size)) if shares.size > 1 else 0.0
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def check_rows(block: NDArray[np.float32], first_row: int, where: str) -> None:
    """Raises InputError naming the first row that holds NaN or infinity, or has a norm other than 1 and 0."""
    norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
    wrong = np.flatnonzero(~((np.abs(norms - 1) <= NORM_TOLERANCE) | (norms == 0)))
    if wrong.size:
        row = int(wrong[0])
        found = f"norm {norms[row]:.4g}" if np.isfinite(norms[row]) else "NaN or infinity"
        raise InputError(
            f"{where}: row {first_row + row} has {found}, expected norm 1, or all zeros for a row without neighbours; "
            "divide each vector by its norm"
        )
