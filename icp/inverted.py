"""Neighbours of all rows: every row compared, or inverted lists of which as many are searched as the recall needs.

In: float16 rows in memory or in parts (`Rows`). Out: groups of rows with their neighbours, in tasks that are the same
whatever the parts of the input.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows
from icp.errors import ConfigError
from icp.vectors import check_rows, faiss_settings, nearest, sample_rows

EXACT_OPERATIONS = 6e12
"""rows * rows * dim up to which `auto` compares all: 100,000 rows of 512, a minute or two on one core."""
QUERY_ROWS = 4096
BASE_ROWS = 16384
TRAIN_ROWS = 1 << 18
TRAIN_ROWS_PER_LIST = 64
LEAST_LIST_ROWS = 128
"""Rows of a list on average at least: below that, what a block costs outweighs its products."""
TRAIN_SALT = 1

Group = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float16]]
"""Row numbers (m,), and their neighbours and similarities (m, keep)."""


def choose_method(n_rows: int, dim: int, method: str) -> str:
    """``exact`` or ``ivf``: what `method` says, or by size for ``auto``."""
    if method not in ("auto", "exact", "ivf"):
        raise ConfigError(f"method is {method!r}; use one of auto, exact, ivf")
    if method == "auto":
        return "ivf" if float(n_rows) * n_rows * dim > EXACT_OPERATIONS else "exact"
    return method


@dataclass(frozen=True, slots=True)
class AllRows:
    """Every row, in blocks of `BASE_ROWS`, for every query."""

    rows: Rows

    def __len__(self) -> int:
        """Number of blocks."""
        return -(-self.rows.shape[0] // BASE_ROWS)

    def queries(self, block: int) -> slice:
        """All of them."""
        return slice(None)

    def load(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row numbers and vectors of a block."""
        start, stop = block * BASE_ROWS, min((block + 1) * BASE_ROWS, self.rows.shape[0])
        ids = np.arange(start, stop, dtype=np.int64)
        return ids, take(self.rows, ids)


def take(rows: Rows, wanted: NDArray[np.int64]) -> NDArray[np.float32]:
    """Chosen rows as a block: (len(wanted), dim) float32."""
    return np.ascontiguousarray(rows[wanted], dtype=np.float32)


def search_all(rows: Rows, starts: range, *, keep: int, threads: int = 0, where: str = "embeddings") -> Iterator[Group]:
    """Exact neighbours of the `QUERY_ROWS` rows from each of `starts` on; raises InputError for a wrong row."""
    for start in starts:
        mine = np.arange(start, min(start + QUERY_ROWS, rows.shape[0]), dtype=np.int64)
        queries = take(rows, mine)
        check_rows(queries, start, where)
        yield mine, *nearest(queries, mine, AllRows(rows), keep=keep, threads=threads)


@dataclass(frozen=True, slots=True)
class InvertedLists:
    """Rows grouped by their most similar centroid.

    Attributes:
        centroids: (nlist, dim) float16 rows.
        order: (listed,) int64, row numbers by (list, row); zero rows stand in no list.
        bounds: (nlist + 1,) int64, where each list begins in `order`.
        vectors: (listed, dim) rows, in the order of `order`.
    """

    centroids: Rows
    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    vectors: Rows

    @property
    def nlist(self) -> int:
        """Number of lists."""
        return int(self.centroids.shape[0])


def train_centroids(rows: Rows, *, seed: int) -> NDArray[np.float16]:
    """Centroids of spherical k-means on a uniform sample, about sqrt(8 n) of them: (nlist, dim) float16.

    One thread, as sums of floats depend on their number; zero rows do not count.
    """
    nlist = max(1, min(isqrt(8 * rows.shape[0]), rows.shape[0] // LEAST_LIST_ROWS))
    size = min(TRAIN_ROWS_PER_LIST * nlist, TRAIN_ROWS)
    points = take(rows, sample_rows(rows.shape[0], seed=seed, salt=TRAIN_SALT, size=size))
    # a row of NaN is refused by name when it is given its list
    points = points[points.any(axis=1) & np.isfinite(points).all(axis=1)]
    nlist = min(nlist, len(points))
    if nlist == 0:
        return np.zeros((1, rows.shape[1]), dtype=np.float16)
    with faiss_settings(1) as faiss:
        options = {"niter": 6, "spherical": True, "seed": seed % 2**31, "min_points_per_centroid": 1}
        means = faiss.Kmeans(rows.shape[1], nlist, **options)
        means.train(points)
    return np.asarray(means.centroids, dtype=np.float16)


def list_rows(assigned: NDArray[np.int32], nlist: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers by (list, row), and the bounds of each list; -1 in `assigned` (n,) is in no list."""
    order = np.argsort(assigned, kind="stable")[np.count_nonzero(assigned < 0) :]
    return order.astype(np.int64), np.searchsorted(assigned[order], np.arange(nlist + 1)).astype(np.int64)


def nearest_lists(queries: NDArray[np.float32], centroids: Rows, *, nprobe: int, threads: int = 0) -> NDArray[np.int32]:
    """The `nprobe` lists whose centroids are most similar: (n, nprobe) int32, -1 for a zero row."""
    nobody = np.full(len(queries), -1, dtype=np.int64)
    return nearest(queries, nobody, AllRows(centroids), keep=nprobe, threads=threads)[0]


def choose_nprobe(
    queries: NDArray[np.float32], neighbor_lists: NDArray[np.int32], centroids: Rows, *, target_recall: float
) -> int:
    """How many lists must be searched to find `target_recall` of the true neighbours of a sample.

    Args:
        queries: (n, dim) float32, the sample.
        neighbor_lists: (n, k) int32, the list in which each true neighbour stands; -1: no neighbour.
    """
    ranked = nearest_lists(queries, centroids, nprobe=centroids.shape[0])
    ranks = np.argsort(ranked, axis=1, kind="stable")
    wanted = neighbor_lists >= 0
    found_at = np.take_along_axis(ranks, np.maximum(neighbor_lists, 0), axis=1)[wanted]
    if not found_at.size:
        return 1
    reached = np.cumsum(np.bincount(found_at, minlength=centroids.shape[0])) / found_at.size
    return int(np.searchsorted(reached, target_recall)) + 1


@dataclass(frozen=True, slots=True)
class ListBlocks:
    """The lists that some queries probe, in blocks of at most `BASE_ROWS`; the first in `wanted` first."""

    lists: InvertedLists
    probes: NDArray[np.int32]
    pieces: tuple[tuple[int, int, int], ...]

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self.pieces)

    def queries(self, block: int) -> NDArray[np.int64]:
        """Those that probe the list of a block."""
        return np.flatnonzero((self.probes == self.pieces[block][0]).any(axis=1))

    def load(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row numbers and vectors of a block."""
        _, start, stop = self.pieces[block]
        return self.lists.order[start:stop], take(self.lists.vectors, np.arange(start, stop, dtype=np.int64))


def search_lists(lists: InvertedLists, wanted: range, *, nprobe: int, keep: int) -> Iterator[Group]:
    """Neighbours of the rows of the `wanted` lists, exact within the `nprobe` lists nearest to each row.

    One thread: blocks are too small to share, and there are many tasks to run side by side.
    """
    for number in wanted:
        for start in range(lists.bounds[number], lists.bounds[number + 1], QUERY_ROWS):
            stop = min(start + QUERY_ROWS, int(lists.bounds[number + 1]))
            mine = lists.order[start:stop]
            queries = take(lists.vectors, np.arange(start, stop, dtype=np.int64))
            probes = nearest_lists(queries, lists.centroids, nprobe=nprobe, threads=1)
            # a row's own list first: it sets a bound that spares most of the work in the others
            probed = [number, *(int(other) for other in np.unique(probes) if other not in (number, -1))]
            pieces = tuple(
                (other, begin, min(begin + BASE_ROWS, int(lists.bounds[other + 1])))
                for other in probed
                for begin in range(int(lists.bounds[other]), int(lists.bounds[other + 1]), BASE_ROWS)
            )
            blocks = ListBlocks(lists, probes, pieces)
            yield mine, *nearest(queries, mine, blocks, keep=keep, threads=1)
