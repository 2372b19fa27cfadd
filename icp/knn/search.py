"""The most similar rows of every row, and the undirected graph of them.

In: float16 or float32 embeddings, norm 1 or all zero. Out: `KnnGraph`, `DocGraph`.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, KnnGraph, take
from icp.errors import ConfigError, InputError
from icp.kernels.knn_graph import union_csr
from icp.knn.cells import (
    CHUNK_ROWS,
    EXTRA,
    assign_cells,
    cell_tasks,
    count_cells,
    group_rows,
    most_joined,
    search_cells,
)
from icp.knn.centroids import AllRows, train_centroids
from icp.knn.exact import merge_found, search_exact
from icp.knn.expansion import PASSES, cells_joined, expand
from icp.knn.ivf import OWN_LIST, assign_lists, count_lists, search_lists
from icp.knn.methods import choose_method
from icp.knn.recall import choose_nprobe, choose_overlap, enough_found, recall_interval, shares_found
from icp.knn.vectors import check_rows, empty_keys, nearest, sample_rows, tuning_size, unpack
from icp.streams import RECALL, TUNING

SAMPLE_ROWS = 1000


def search_neighbors(
    embeddings: NDArray[np.float16] | NDArray[np.float32],
    *,
    k: int = 10,
    method: str = "auto",
    target_recall: float = 0.95,
    seed: int = 0,
) -> KnnGraph:
    """The `k` most similar rows of each row.

    Args:
        embeddings: (n, dim) float16 or float32, each row of norm 1 or all zero; similarities are those of the rows
            rounded to float16. A zero row has no neighbours and is nobody's neighbour.
        k: neighbours of a row; itself does not count.
        method: exact | cells | ivf | auto (exact where there are few rows or cells would not be faster).
        target_recall: share of the true `k` nearest that ``cells`` and ``ivf`` should find; how far cells overlap and
            how many lists are searched is chosen on a sample.
        seed: of the samples and of k-means; exact search draws nothing.

    Returns: `KnnGraph`, rows sorted by (-float16 similarity, row), the same bytes on any machine and for any number
        of threads.
    Raises: InputError for a wrong shape, type or row; ConfigError for a wrong option.
    Cost: exact n * n * dim operations; cells about n * 1000 * dim on text, and n ** 1.5 * dim to find the cells; where
        rows are many, up to `PASSES` passes of n * 60 * dim after them.
    """
    rows = _checked(embeddings)
    if k < 1:
        raise ConfigError(f"k is {k}, must be at least 1; 10 is usual")
    chosen = choose_method(rows.shape[0], rows.shape[1], method)
    if chosen == "ivf":
        keys = _search_lists(rows, k, target_recall, seed)
    elif chosen == "cells":
        keys = _search_cells(rows, k, target_recall, seed, may_compare_all=method == "auto")
    else:
        keys = search_exact(rows, keep=k)
    neighbors, similarities = unpack(keys[:, :k])
    return KnnGraph(neighbors, similarities.astype(np.float32))


def recall_estimate(
    embeddings: NDArray[np.float16] | NDArray[np.float32], knn: KnnGraph, *, seed: int = 0
) -> tuple[float, float, float]:
    """Share of the true nearest neighbours in `knn`, on a uniform sample of 1,000 rows, with its 95% interval.

    Returns: recall, its lower and its upper bound.
    """
    rows = _checked(embeddings)
    sample = sample_rows(rows.shape[0], seed=seed, stream=RECALL, size=SAMPLE_ROWS)
    exact, best = unpack(nearest(take(rows, sample), sample, AllRows(rows), keep=knn.neighbors.shape[1]))
    return recall_interval(knn.neighbors[sample], knn.similarities[sample].astype(np.float16), exact, best)


def symmetrize(knn: KnnGraph) -> DocGraph:
    """The undirected graph with an edge wherever one of two rows lists the other (the larger similarity holds).

    Raises: InputError if `knn` names a row it does not have.
    """
    n_rows = knn.neighbors.shape[0]
    if knn.neighbors.size and int(knn.neighbors.max()) >= n_rows:
        raise InputError(
            f"neighbors name row {knn.neighbors.max()}, but there are {n_rows} rows; check for a cut array"
        )
    # adding 0 makes +0 of -0
    weights = np.ascontiguousarray(knn.similarities.astype(np.float16) + np.float16(0)).view(np.uint16)
    indptr, indices, bits = union_csr(np.ascontiguousarray(knn.neighbors, dtype=np.int32), weights)
    return DocGraph(indptr, indices, bits.view(np.float16))


def _checked(embeddings: NDArray[np.float16] | NDArray[np.float32]) -> NDArray[np.float16]:
    """The rows as float16; raises InputError for another shape or type."""
    if embeddings.ndim != 2 or embeddings.dtype not in (np.float16, np.float32):
        raise InputError(
            f"embeddings are {embeddings.dtype} of shape {embeddings.shape}, expected float16 or float32 (n, dim)"
        )
    with np.errstate(over="ignore"):  # infinity is named when its row is checked
        return embeddings.astype(np.float16, copy=False)


def _checked_blocks(rows: NDArray[np.float16]) -> Iterator[NDArray[np.float32]]:
    """The rows in blocks, at least one, each checked."""
    for start in range(0, max(1, len(rows)), CHUNK_ROWS):
        block = rows[start : start + CHUNK_ROWS].astype(np.float32)
        check_rows(block, start, "embeddings")
        yield block


def _true_neighbors(
    rows: NDArray[np.float16], k: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float16]]:
    """A sample of rows, the exact neighbours of each, and their similarities."""
    sample = sample_rows(rows.shape[0], seed=seed, stream=TUNING, size=tuning_size(rows.shape[0]))
    exact, best = unpack(nearest(take(rows, sample), sample, AllRows(rows), keep=k))
    return sample, exact.astype(np.int64), best


def _search_cells(
    rows: NDArray[np.float16], k: int, target_recall: float, seed: int, *, may_compare_all: bool
) -> NDArray[np.int64]:
    """Keys of all rows by cells in memory, with the overlap that the target needs, or passes after them."""
    centroids = train_centroids(rows, wanted=count_cells(len(rows)), seed=seed)
    sample, exact, best = _true_neighbors(rows, k, seed)
    mine, others = (assign_cells(take(rows, wanted), centroids) for wanted in (sample, exact.ravel()))
    others[0][exact.ravel() < 0] = -1
    most = most_joined(len(rows), len(centroids))
    overlap = choose_overlap(mine, others, target_recall=target_recall, most_joined=most)
    assigned = [assign_cells(block, centroids, ranks=overlap.ranks) for block in _checked_blocks(rows)]
    cells = group_rows(assigned, len(centroids), margin=overlap.margin)
    if may_compare_all and not cells.is_cheaper_than_all_pairs(len(rows)):
        return search_exact(rows, keep=k)
    keep = k if overlap.enough else k + EXTRA
    keys = empty_keys(len(rows), keep)
    for wanted in cell_tasks(cells):
        merge_found(keys, 0, search_cells(rows, cells, wanted, keep=keep, seed=seed))
    if overlap.enough:
        return keys
    own, joined = group_rows(assigned, len(centroids), margin=OWN_LIST), cells_joined(assigned, margin=overlap.margin)
    before = None
    for _ in range(PASSES):
        found, similarities = unpack(keys[sample, :k])
        if enough_found(shares_found(found, similarities, exact.astype(np.int32), best), target_recall):
            break
        now = keys.copy()
        for wanted in cell_tasks(own):
            merge_found(keys, 0, expand(rows, (now, before), joined, own, wanted))
        before = now
    return keys


def _search_lists(rows: NDArray[np.float16], k: int, target_recall: float, seed: int) -> NDArray[np.int64]:
    """Keys of all rows by inverted lists in memory."""
    centroids = train_centroids(rows, wanted=count_lists(len(rows)), seed=seed)
    sample, exact, _ = _true_neighbors(rows, k, seed)
    mine, others = (assign_lists(take(rows, wanted), centroids) for wanted in (sample, exact.ravel()))
    neighbor_lists = np.where(exact < 0, -1, others[0][:, 0].reshape(-1, k))
    nprobe = choose_nprobe(mine[0], neighbor_lists, target_recall=target_recall)
    assigned = [assign_lists(block, centroids, ranks=nprobe) for block in _checked_blocks(rows)]
    own = group_rows(assigned, len(centroids), margin=OWN_LIST)
    probing = group_rows(assigned, len(centroids), margin=nprobe - 1)
    keys = empty_keys(len(rows), k)
    for wanted in cell_tasks(probing):
        merge_found(keys, 0, search_lists(rows, own, probing, wanted, keep=k))
    return keys
