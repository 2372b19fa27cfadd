"""The most similar rows of every row, and the undirected graph of them.

In: float16 or float32 embeddings, norm 1 or all zero. Out: `KnnGraph`, `DocGraph`.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from icp.checks import as_array, checked_knn, public
from icp.data import DocGraph, KnnGraph
from icp.errors import ConfigError, InputError
from icp.kernels.knn_graph import union_csr
from icp.knn import faiss_index, phases
from icp.knn.cells import CHUNK_ROWS
from icp.knn.exact import merge_found
from icp.knn.groupings import Groups, Search, count_kept
from icp.knn.vectors import check_rows, empty_keys, unpack

MOST_NEIGHBORS = 1 << 16


@public
def search_neighbors(
    embeddings: NDArray[np.float16] | NDArray[np.float32],
    *,
    k: int = 10,
    method: str = "auto",
    target_recall: float = 0.95,
    seed: int = 0,
    faiss: str = faiss_index.AUTO,
) -> KnnGraph:
    """The `k` most similar rows of each row.

    Args:
        embeddings: (n, dim) float16 or float32, each row of norm 1 or all zero; similarities are those of the rows
            rounded to float16. A zero row has no neighbours and is nobody's neighbour.
        k: neighbours of a row; itself does not count.
        method: exact | cells | ivf | faiss | auto (exact where there are few rows or cells would not be faster).
        target_recall: share of the true `k` nearest that the others than ``exact`` should find; how far cells overlap
            and how many lists are searched is chosen on a sample.
        seed: of the samples and of k-means; exact search draws nothing.
        faiss: for method ``faiss``, which needs FAISS, a string of its index factory, e.g. ``IVF4096,PQ64x4fs,RFlat``.

    Returns: `KnnGraph`, rows sorted by (-float16 similarity, row), the same bytes on any machine and for any number
        of threads; by ``faiss`` with the same version on like processors.
    Raises: InputError for a wrong shape, type or row; ConfigError for a wrong option.
    Cost: exact n * n * dim operations; cells about n * 1000 * dim on text, and n ** 1.5 * dim to find the cells; where
        rows are many, up to `icp.knn.expansion.PASSES` passes of n * 60 * dim after them.
    """
    rows = _checked(embeddings)
    if k < 1:
        raise ConfigError(f"k is {k}, must be at least 1; 10 is usual")
    if k > MOST_NEIGHBORS:
        raise ConfigError(f"k is {k}, must be at most {MOST_NEIGHBORS:,}; 10 is usual")
    if not 0 < target_recall <= 1:
        raise ConfigError(f"target_recall is {target_recall}, must be above 0 and at most 1; 0.95 is usual")
    keys = _search(rows, Search(rows.shape[0], rows.shape[1], k, count_kept(k), method, target_recall, seed, faiss))
    neighbors, similarities = unpack(keys[:, :k])
    return KnnGraph(neighbors, similarities.astype(np.float32))


def symmetrize(knn: KnnGraph) -> DocGraph:
    """The undirected graph with an edge wherever one of two rows lists the other (the larger similarity holds).

    Raises: InputError if `knn` names a row it does not have, or its arrays do not fit together.
    """
    knn = checked_knn(knn)
    # adding 0 makes +0 of -0
    weights = np.ascontiguousarray(knn.similarities.astype(np.float16) + np.float16(0)).view(np.uint16)
    indptr, indices, bits = union_csr(np.ascontiguousarray(knn.neighbors, dtype=np.int32), weights)
    return DocGraph(indptr, indices, bits.view(np.float16))


def _checked(embeddings: NDArray[np.float16] | NDArray[np.float32]) -> NDArray[np.float16]:
    """The rows as float16; raises InputError for another shape or type."""
    embeddings = as_array("embeddings", embeddings, kinds="f", n_axes=2)
    if embeddings.dtype not in (np.float16, np.float32):
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


def _search(rows: NDArray[np.float16], search: Search) -> NDArray[np.int64]:
    """Keys of all rows: (n, k) int64 or more columns."""
    if search.planned == "exact":
        for _ in _checked_blocks(rows):
            pass
        return _search_groups(rows, replace(search, keep=search.k), None)
    if not search.has_groups:
        return _search_index(rows, search)
    sample, centroids = search.tuning_rows(), phases.train(rows, search)
    exact, best = unpack(phases.true_neighbors(rows, sample, k=search.k))
    tuning = phases.tune(rows, centroids, sample, exact, search)
    assigned = [phases.assign(block, centroids, tuning, search) for block in _checked_blocks(rows)]
    groups, expansion = phases.group(assigned, tuning, search)
    if not phases.needs_extra(groups, expansion):
        search = replace(search, keep=search.k)
    keys = _search_groups(rows, search, groups)
    n_passes, before = 0, None
    while expansion and phases.needs_pass(n_passes, phases.found_in_sample(keys[sample], exact, best), search):
        now = keys.copy()
        for task in phases.expansion_tasks(expansion).values():
            merge_found(keys, 0, phases.expansion_task(rows, (now, before), expansion, task))
        n_passes, before = n_passes + 1, now
    return keys


def _search_index(rows: NDArray[np.float16], search: Search) -> NDArray[np.int64]:
    """What an index of FAISS finds."""
    index, sample = faiss_index.train_index(rows, search), search.tuning_rows()
    faiss_index.add_rows(index, _checked_blocks(rows), search)
    truth = unpack(phases.true_neighbors(rows, sample, k=search.k))
    probing = faiss_index.tune_index(rows, index, sample, truth, search)
    keys = empty_keys(len(rows), search.keep)
    for task in faiss_index.row_tasks(len(rows)):
        merge_found(keys, 0, faiss_index.search_index(rows, index, probing, task, keep=search.keep))
    return keys


def _search_groups(rows: NDArray[np.float16], search: Search, groups: Groups | None) -> NDArray[np.int64]:
    """Everything that the tasks of the search find."""
    keys = empty_keys(len(rows), search.keep)
    for task in phases.search_tasks(search, groups).values():
        merge_found(keys, 0, phases.search_task(rows, search, groups, task))
    return keys
