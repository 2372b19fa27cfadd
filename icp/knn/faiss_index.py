"""Neighbours proposed by an index of FAISS, of any kind that its factory makes: ``graph.method: faiss``.

In: vectors, a factory string such as ``IVF4096,PQ64x4fs,RFlat``. Out: neighbours whose similarities are computed from
the vectors, as those of all methods are: the index only proposes, and what it keeps of a vector may be coarse. How many
lists it probes, and how many candidates it is asked for, is chosen on a sample.

FAISS runs with one thread: then an index is the same for any number of workers. Another version of FAISS, or a
processor of other instructions, may propose others.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows, take
from icp.errors import ConfigError
from icp.kernels.knn_expand import score_candidates
from icp.knn import gpu
from icp.knn.groupings import Search
from icp.knn.methods import Found
from icp.knn.recall import enough_found, shares_found
from icp.knn.vectors import empty_keys, sample_rows, unpack
from icp.streams import CENTROIDS

AUTO = "auto"
FLAT_ROWS = 1 << 14
TRAINED_ROWS = 1 << 16
ROWS_PER_LIST = 64
"""Rows that an index is trained on: as many for each list, and so many in any case."""
BLOCK_ROWS = 1 << 10
TASK_ROWS = 1 << 14
PARAMETERS = {"nprobe": (1, 1 << 10), "efSearch": (16, 1 << 12)}
"""What says how much an index searches, and from where to where it is tried, by doubling."""
FACTORS = (1, 4, 16)
"""How many times the neighbours kept are asked of the index: more where it knows vectors but coarsely."""
PLATEAU = 0.002
"""A doubled search that finds so little more will not reach the target."""


@dataclass(frozen=True, slots=True)
class Probing:
    """How much of an index is searched.

    Attributes:
        parameter: a key of `PARAMETERS`; empty for an index that has none.
        value: of it.
        factor: one of `FACTORS`.
        share: of the sample's true neighbours, those found.
    """

    parameter: str
    value: int
    factor: int
    share: float


def library() -> Any:
    """The FAISS module, of whichever of its two wheels is installed; raises ConfigError if neither is."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of SWIG, not ours to mend
            import faiss
    except ImportError:
        raise ConfigError(
            "graph.method is faiss, and FAISS is not installed; pip install faiss-cpu, or faiss-gpu where there is a "
            "GPU, never both, or use graph.method cells, which needs neither"
        ) from None
    return faiss


def check_method(method: str) -> None:
    """Raise ConfigError for a method that needs FAISS where there is none."""
    if method == "faiss":
        library()


def factory_of(search: Search) -> str:
    """The factory string; ``auto`` is all rows as they are, or where they are many lists of a byte a dimension."""
    if search.factory != AUTO:
        return search.factory
    return f"IVF{4 * isqrt(search.n_rows)},SQ8" if search.n_rows > FLAT_ROWS else "Flat"


def train_index(rows: Rows, search: Search) -> Any:
    """An empty index, trained on a uniform sample; raises ConfigError for one that cannot be made of these rows."""
    faiss, factory = library(), factory_of(search)
    with _one_thread(), _told(factory, search.dim):
        index = faiss.index_factory(search.dim, factory, faiss.METRIC_INNER_PRODUCT)
        lists = faiss.try_extract_index_ivf(index)
        if lists is not None:
            lists.cp.seed, lists.cp.min_points_per_centroid = search.seed % (1 << 31), 1
        size = max(TRAINED_ROWS, ROWS_PER_LIST * (lists.nlist if lists is not None else 0))
        points = take(rows, sample_rows(search.n_rows, seed=search.seed, stream=CENTROIDS, size=size))
        if not index.is_trained:
            index.train(np.ascontiguousarray(points[points.any(axis=1) & np.isfinite(points).all(axis=1)]))
    return index


def add_rows(index: Any, blocks: Iterable[NDArray[np.float32]], search: Search) -> None:
    """Put all rows, which come in blocks, in order, into an index."""
    with _one_thread(), _told(factory_of(search), search.dim):
        for block in blocks:
            index.add(np.ascontiguousarray(block))


def tune_index(
    rows: Rows,
    index: Any,
    sample: NDArray[np.int64],
    truth: tuple[NDArray[np.int32], NDArray[np.float16]],
    search: Search,
) -> Probing:
    """The least search that reaches the target on sampled rows, or the one that found most.

    Args:
        sample: (m,) int64, row numbers.
        truth: their true neighbours, (m, k) int32, and the similarities of those, float16.
    """
    parameter, least, most = _range_of(index)

    def measured(value: int, factor: int) -> tuple[Probing, bool]:
        keys = _propose(rows, index, Probing(parameter, value, factor, 0.0), sample, search.keep)
        shares = shares_found(*unpack(keys[:, : search.k]), *truth)
        share = float(shares.mean()) if shares.size else 1.0
        return Probing(parameter, value, factor, share), enough_found(shares, search.target_recall)

    best = Probing(parameter, least, FACTORS[0], 0.0)
    for factor in FACTORS:
        value, before = least, -1.0
        while True:
            found, is_enough = measured(value, factor)
            best = max(best, found, key=lambda one: one.share)
            if is_enough:
                return _least(measured, found, max(least, value // 2))
            if value >= most or found.share < before + PLATEAU:
                break
            value, before = min(2 * value, most), found.share
    return best


def _least(measured: Any, enough: Probing, low: int) -> Probing:
    """The least value above `low`, which is too little, that is enough."""
    while low + 1 < enough.value:
        middle = (low + enough.value) // 2
        found, is_enough = measured(middle, enough.factor)
        enough, low = (found, low) if is_enough else (enough, middle)
    return enough


def search_index(rows: Rows, index: Any, probing: Probing, wanted: range, *, keep: int) -> Found:
    """The neighbours of a range of rows among those that the index proposes."""
    mine = np.arange(wanted.start, wanted.stop, dtype=np.int64)
    keys = _propose(rows, index, probing, mine, keep)
    return Found(mine, keys, 2 * rows.shape[1] * mine.size * (1 + probing.factor * keep))


def row_tasks(n_rows: int) -> list[range]:
    """The rows in ranges, the same for any number of workers."""
    return [range(start, min(start + TASK_ROWS, n_rows)) for start in range(0, n_rows, TASK_ROWS)]


def _propose(rows: Rows, index: Any, probing: Probing, mine: NDArray[np.int64], keep: int) -> NDArray[np.int64]:
    """Keys of some rows: (m, keep) int64."""
    keys, (index, space) = empty_keys(mine.size, keep), _placed(index)
    with _one_thread():
        if probing.parameter:
            space.set_index_parameter(index, probing.parameter, probing.value)
        wanted = min(probing.factor * keep + 1, index.ntotal, gpu.MOST)
        for start in range(0, mine.size if wanted else 0, BLOCK_ROWS):
            block = mine[start : start + BLOCK_ROWS]
            queries = take(rows, block)
            found = index.search(queries, wanted)[1].astype(np.int64)
            _score(keys[start : start + BLOCK_ROWS], rows, found, queries, block)
    return keys


def _score(
    keys: NDArray[np.int64],
    rows: Rows,
    found: NDArray[np.int64],
    queries: NDArray[np.float32],
    query_rows: NDArray[np.int64],
) -> None:
    """Put the rows that an index proposed, (n, c) int64, -1 for none, into the keys of the queries, in place."""
    counts = (found >= 0) & (found != query_rows[:, None]) & np.asarray(queries.any(axis=1))[:, None]
    ids, places = np.unique(found[counts], return_inverse=True)
    base = np.ascontiguousarray(rows[ids], dtype=np.float16).view(np.uint16)
    alive = np.asarray((base << 1).any(axis=1))  # of zeros with a sign too
    counts[counts] = alive[places]
    bounds = np.concatenate(([0], np.cumsum(counts.sum(axis=1)))).astype(np.int64)
    score_candidates(keys, bounds, places[alive[places]].astype(np.int64), queries, base, ids)


def _range_of(index: Any) -> tuple[str, int, int]:
    """Name, least and greatest value of what says how much an index searches."""
    faiss = library()
    space = faiss.ParameterSpace()
    space.initialize(index)
    names = {space.parameter_ranges.at(number).name for number in range(space.parameter_ranges.size())}
    for name, (least, most) in PARAMETERS.items():
        if name in names:
            lists = faiss.try_extract_index_ivf(index) if name == "nprobe" else None
            return name, least, min(most, lists.nlist) if lists is not None else most
    return "", 0, 0


@lru_cache(maxsize=1)
def _placed(index: Any) -> tuple[Any, Any]:
    """The index on a GPU, where there is one that takes its kind, and what sets its parameters."""
    faiss, on_gpu = library(), gpu.faiss_on_gpu()
    if on_gpu is not None:
        # of fast scans, graphs and refinements, which stay where they are
        with suppress(RuntimeError):
            return on_gpu.index_cpu_to_gpu(gpu.resources(), gpu.device(), index), faiss.GpuParameterSpace()
    return index, faiss.ParameterSpace()


@contextmanager
def _one_thread() -> Iterator[None]:
    faiss = library()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@contextmanager
def _told(factory: str, dim: int) -> Iterator[None]:
    """What FAISS objects to an index, as an error that names the setting."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).rpartition("Error: ")[2].rpartition(".cpp:")[2]
        reason = reason.partition(": ")[2] if reason[:1].isdigit() else reason
        raise ConfigError(
            f"graph.faiss is {factory!r}: FAISS makes no such index of these vectors of {dim} dimensions ({reason}); "
            f"use a string of its index factory, e.g. IVF4096,SQ8, with fewer lists than rows, or {AUTO}"
        ) from None
