"""The most similar rows of every row, and the undirected graph of them.

In: float16 or float32 embeddings, norm 1 or all zero. Out: `KnnGraph`, `DocGraph`.
"""

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, KnnGraph
from icp.errors import ConfigError, InputError
from icp.inverted import (
    BASE_ROWS,
    QUERY_ROWS,
    AllRows,
    InvertedLists,
    choose_method,
    choose_nprobe,
    list_rows,
    nearest_lists,
    search_all,
    search_lists,
    take,
    train_centroids,
)
from icp.kernels.graph import union_csr
from icp.vectors import check_rows, nearest, recall_interval, sample_rows

SAMPLE_ROWS = 1000
TUNE_SALT, RECALL_SALT = 2, 3


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
        method: exact | ivf | auto (exact up to `EXACT_OPERATIONS`).
        target_recall: share of the true `k` nearest that ``ivf`` should find; how many lists it searches is chosen on
            a sample.
        seed: of the samples and of k-means; exact search draws nothing.

    Returns: `KnnGraph`, rows sorted by (-float16 similarity, row), the same bytes for any number of threads.
    Raises: InputError for a wrong shape, type or row; ConfigError for a wrong option or if FAISS is missing.
    Cost: exact 2 * n * n * dim operations; ivf about sqrt(n) times fewer.
    Source: IVF as in FAISS, arXiv 2401.08281; exact answers within the lists searched.
    """
    rows = _checked(embeddings)
    if k < 1:
        raise ConfigError(f"k is {k}, must be at least 1; 10 is usual")
    neighbors = np.full((rows.shape[0], k), -1, dtype=np.int32)
    similarities = np.zeros((rows.shape[0], k), dtype=np.float32)
    if choose_method(rows.shape[0], rows.shape[1], method) == "ivf":
        lists, nprobe = _make_lists(rows, k, target_recall, seed)
        groups = search_lists(lists, range(lists.nlist), nprobe=nprobe, keep=k)
    else:
        groups = search_all(rows, range(0, rows.shape[0], QUERY_ROWS), keep=k)
    for mine, found, values in groups:
        neighbors[mine], similarities[mine] = found, values
    return KnnGraph(neighbors, similarities)


def recall_estimate(
    embeddings: NDArray[np.float16] | NDArray[np.float32], knn: KnnGraph, *, seed: int = 0
) -> tuple[float, float, float]:
    """Share of the true nearest neighbours in `knn`, on a uniform sample of 1,000 rows, with its 95% interval.

    Returns: recall, its lower and its upper bound.
    """
    rows = _checked(embeddings)
    sample = sample_rows(rows.shape[0], seed=seed, salt=RECALL_SALT, size=SAMPLE_ROWS)
    exact, best = nearest(take(rows, sample), sample, AllRows(rows), keep=knn.neighbors.shape[1])
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


def _make_lists(rows: NDArray[np.float16], k: int, target_recall: float, seed: int) -> tuple[InvertedLists, int]:
    """Lists of rows in memory, and how many of them to search."""
    for start in range(0, len(rows), BASE_ROWS):
        check_rows(rows[start : start + BASE_ROWS].astype(np.float32), start, "embeddings")
    centroids = train_centroids(rows, seed=seed)
    starts = range(0, len(rows), QUERY_ROWS)
    blocks = [
        nearest_lists(take(rows, np.arange(s, min(s + QUERY_ROWS, len(rows)))), centroids, nprobe=1) for s in starts
    ]
    assigned = np.concatenate([np.empty(0, np.int32), *(block[:, 0] for block in blocks)])
    order, bounds = list_rows(assigned, len(centroids))
    sample = sample_rows(len(rows), seed=seed, salt=TUNE_SALT, size=SAMPLE_ROWS)
    queries = take(rows, sample)
    exact, _ = nearest(queries, sample, AllRows(rows), keep=k)
    neighbor_lists = np.where(exact < 0, -1, assigned[exact])
    nprobe = choose_nprobe(queries, neighbor_lists, centroids, target_recall=target_recall)
    return InvertedLists(centroids, order, bounds, rows[order]), nprobe
