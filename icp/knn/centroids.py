"""Centroids of a uniform sample of rows, in two levels where there are many, and the nearest of them to any row.

All sums run in a fixed order, so centroids and nearest centroids are the same on any machine.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows, take
from icp.kernels.knn_topk import mean_rows
from icp.knn.vectors import BASE_TILE, empty_keys, improve, nearest, sample_rows, unpack
from icp.streams import CENTROIDS

SAMPLE_PER_CENTROID = 32
MOST_SAMPLED = 1 << 17
ROUNDS = 5
FLAT_CENTROIDS = 1024
"""Centroids from which they stand in groups, of which the nearest few are looked through."""
PROBED_GROUPS = 4


@dataclass(frozen=True, slots=True)
class Centroids:
    """Mean directions of cells of rows.

    Attributes:
        means: (n, dim) float16, norm 1, by group.
        leaders: (groups, dim) float16, mean direction of each group; none: not grouped.
        bounds: (groups + 1,) int64, where each group begins in `means`.
    """

    means: NDArray[np.float16]
    leaders: NDArray[np.float16]
    bounds: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of centroids."""
        return len(self.means)


@dataclass(frozen=True, slots=True)
class AllRows:
    """Every row, or every row of a range, in blocks, for every query."""

    rows: Rows
    size: int = 8 * BASE_TILE
    within: range | None = None

    def _wanted(self) -> range:
        return range(self.rows.shape[0]) if self.within is None else self.within

    def __len__(self) -> int:
        """Number of blocks."""
        return -(-len(self._wanted()) // self.size)

    def queries(self, block: int) -> slice:
        """All of them."""
        return slice(None)

    def load(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row numbers and vectors of a block."""
        wanted = self._wanted()[block * self.size : (block + 1) * self.size]
        ids = np.arange(wanted.start, wanted.stop, dtype=np.int64)
        return ids, take(self.rows, ids)


@dataclass(frozen=True, slots=True)
class _Groups:
    """The centroids by group, each group for the queries that probe it."""

    centroids: Centroids
    probes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.centroids.leaders)

    def queries(self, block: int) -> NDArray[np.int64]:
        return np.flatnonzero((self.probes == block).any(axis=1))

    def load(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        ids = np.arange(self.centroids.bounds[block], self.centroids.bounds[block + 1], dtype=np.int64)
        return ids, take(self.centroids.means, ids)


def nearest_centroids(
    queries: NDArray[np.float32], centroids: Centroids, *, keep: int
) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """The `keep` most similar centroids, in groups among those of the nearest groups, and their similarities.

    Returns: (n, keep) int32, -1 where there are no more and for a zero row; (n, keep) float16.
    """
    nobody = np.full(len(queries), -1, dtype=np.int64)
    if not len(centroids.leaders):
        return unpack(nearest(queries, nobody, AllRows(centroids.means), keep=keep))
    probes, _ = unpack(nearest(queries, nobody, AllRows(centroids.leaders), keep=PROBED_GROUPS))
    return unpack(nearest(queries, nobody, _Groups(centroids, probes), keep=keep))


def train_centroids(rows: Rows, *, wanted: int, seed: int) -> Centroids:
    """Up to `wanted` centroids by spherical k-means on a uniform sample; zero rows do not count.

    Cost: of n centroids in groups about n**1.5 * 64 * `ROUNDS` products.
    """
    size = min(SAMPLE_PER_CENTROID * wanted, MOST_SAMPLED)
    points = take(rows, sample_rows(rows.shape[0], seed=seed, stream=CENTROIDS, size=size))
    # a row of NaN is refused by name when it is given its cell
    usable = points.any(axis=1) & np.isfinite(points).all(axis=1)
    points = points if usable.all() else points[usable]
    return centroids_of(points, wanted=wanted, seed=seed)


def centroids_of(points: NDArray[np.float32], *, wanted: int, seed: int) -> Centroids:
    """Centroids of points, none of which is zero; see `train_centroids`."""
    dim, wanted = points.shape[1], min(wanted, len(points))
    none, flat = np.empty((0, dim), dtype=np.float16), np.zeros(1, dtype=np.int64)
    if wanted <= FLAT_CENTROIDS:
        return Centroids(k_means(points, max(wanted, 1), seed), none, flat)
    n_groups = isqrt(wanted)
    leaders = k_means(points[:: max(1, len(points) // (n_groups * 256))], n_groups, seed)
    group = nearest_centroids(points, Centroids(leaders, none, flat), keep=1)[0][:, 0]
    counts = np.bincount(group, minlength=n_groups)
    shares = np.maximum(1, np.round(counts * (wanted / max(1, len(points))))).astype(np.int64)
    means = [k_means(points[group == number], int(shares[number]), seed) for number in range(n_groups)]
    bounds = np.concatenate(([0], np.cumsum([len(part) for part in means])))
    return Centroids(np.concatenate(means), leaders, bounds.astype(np.int64))


def k_means(points: NDArray[np.float32], wanted: int, seed: int) -> NDArray[np.float16]:
    """Mean directions of at most `wanted` clusters: (min(wanted, points), dim) float16; one of zeros without points."""
    if not len(points):
        return np.zeros((1, points.shape[1]), dtype=np.float16)
    first = CENTROIDS.generator(seed).permutation(len(points))[:wanted]
    means, nobody = points[np.sort(first)], np.full(len(points), -1, dtype=np.int64)
    ids = np.arange(len(means), dtype=np.int64)
    for _ in range(ROUNDS):
        keys = empty_keys(len(points), 1)
        improve(keys, points, nobody, means, ids)
        mean_rows(points, unpack(keys)[0][:, 0], means)
    return means.astype(np.float16)
