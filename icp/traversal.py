"""The order in which documents are visited: what `icp.visit_order` gives."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.data import DocGraph, Rows, Traversal
from icp.errors import ConfigError, InputError
from icp.kernels import tour

STRETCH_ROWS = 16_384
"""Documents whose vectors are held at once."""

_STREAM = 1  # beside the seed, so that the order and the plan draw different numbers


def visit_order(
    graph: DocGraph,
    embeddings: Rows,
    *,
    method: str = "algorithm1",
    improve: bool = False,
    seed: int = 0,
    groups: NDArray[np.integer] | None = None,
) -> Traversal:
    """An order of all documents in which neighbours are similar, and what it is worth.

    Args:
        graph: similarity graph of n documents.
        embeddings: (n, dim) float, norm 1 or all zero.
        method: ``algorithm1``, the paper's walk: from the document of least degree (ties: the lower row; degrees are
            those of the whole graph) to the most similar unvisited neighbour, and again when there is none.
            ``random``: a permutation. ``source``: sorted by group, ascending rows inside.
        improve: local search after it; not built yet.
        seed: of ``random``.
        groups: (n,) integers, for ``source`` only.

    Returns: the order; ``upper_bound`` from the graph's rows (use `raw_upper_bound` where the neighbours before any
        pruning are at hand), ``dual_bound`` NaN.

    Raises: ConfigError for a method this version does not have; InputError for arrays that do not fit together.
    Source: arXiv 2310.10638, Algorithm 1.
    """
    if method not in _METHODS:
        raise ConfigError(f"order.method is {method!r}, which is not built; use one of {', '.join(_METHODS)}")
    if improve:
        raise ConfigError("order.improve is true, which is not built; leave it false")
    _check(graph, embeddings, groups)
    order, path_starts = _METHODS[method](_Request(graph, seed, groups))
    similarity = order_similarity(order, embeddings)
    if not np.isfinite(similarity):
        raise InputError("embeddings hold NaN or infinity; give rows of norm 1, or all zero")
    bound = float(tour.upper_bound(graph.indptr, graph.weights.astype(np.float32), 0.0))
    return Traversal(order, path_starts, similarity, bound, float("nan"))


def greedy_order(graph: DocGraph) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Algorithm 1 alone, without its figures: order (n,) int32 and path_starts (n,) bool."""
    start_order = np.argsort(np.diff(graph.indptr), kind="stable").astype(np.int32)
    order, path_starts = tour.greedy_path(graph.indptr, graph.indices, start_order)
    return order, path_starts


def order_similarity(order: NDArray[np.int32], embeddings: Rows) -> float:
    """Sum of the cosines of successive documents; the same bits whatever the stretches."""
    total = 0.0
    for begin in range(0, max(0, order.size - 1), STRETCH_ROWS):
        rows = order[begin : begin + STRETCH_ROWS + 1].astype(np.int64)
        total = float(tour.path_similarity(np.ascontiguousarray(embeddings[rows], dtype=np.float32), total))
    return total


def raw_upper_bound(similarities: NDArray[np.floating], total: float = 0.0) -> float:
    """`total` plus half of the two largest similarities of each row; (rows, k), 0 where there is no neighbour."""
    n_rows, k = similarities.shape
    indptr = np.arange(n_rows + 1, dtype=np.int64) * k
    return float(tour.upper_bound(indptr, similarities.astype(np.float32).ravel(), total))


def source_groups(documents: Path, docs: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for the source of each of `docs`, sources numbered as they first appear; no source is a source too.

    Args:
        documents: folder of ``part-*.parquet``, one row a document, in order.
        docs: (n,) int64, ascending row numbers over all parts.
    """
    chunks, first = [], 0
    for path in sorted(documents.glob("part-*.parquet")):
        column = pq.read_table(path, columns=["source"]).column("source")
        begin, end = np.searchsorted(docs, (first, first + len(column)))
        chunks += column.cast(pa.large_string()).take(docs[begin:end] - first).chunks
        first += len(column)
    coded = pa.chunked_array(chunks, type=pa.large_string()).combine_chunks().dictionary_encode("encode")
    return np.asarray(coded.indices, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Request:
    graph: DocGraph
    seed: int
    groups: NDArray[np.integer] | None


_Paths = tuple[NDArray[np.int32], NDArray[np.bool_]]


def _algorithm1(request: _Request) -> _Paths:
    return greedy_order(request.graph)


def _random(request: _Request) -> _Paths:
    n_docs = request.graph.n_docs
    order = np.random.default_rng([request.seed, _STREAM]).permutation(n_docs).astype(np.int32)
    path_starts = np.zeros(n_docs, dtype=np.bool_)
    path_starts[:1] = True
    return order, path_starts


def _source(request: _Request) -> _Paths:
    if request.groups is None:
        raise ConfigError("order.method is 'source', which needs the group of each document; pass groups=")
    order = np.argsort(request.groups, kind="stable").astype(np.int32)
    ordered = request.groups[order]
    path_starts = np.ones(order.size, dtype=np.bool_)
    path_starts[1:] = ordered[1:] != ordered[:-1]
    return order, path_starts


_METHODS: dict[str, Callable[[_Request], _Paths]] = {
    "algorithm1": _algorithm1,
    "random": _random,
    "source": _source,
}


def _check(graph: DocGraph, embeddings: Rows, groups: NDArray[np.integer] | None) -> None:
    n_docs, bounds = graph.n_docs, graph.indptr
    if n_docs < 0 or bounds[0] != 0 or np.any(np.diff(bounds) < 0):
        raise InputError("graph.indptr must begin with 0 and never decrease; icp.symmetrize gives one that does")
    if not graph.indices.size == graph.weights.size == bounds[-1]:
        raise InputError(
            f"graph has {graph.indices.size} indices and {graph.weights.size} weights, "
            f"its indptr ends at {bounds[-1]}; the three must agree"
        )
    if graph.indices.size and not (graph.indices.min() >= 0 and graph.indices.max() < n_docs):
        raise InputError(
            f"graph.indices run from {graph.indices.min()} to {graph.indices.max()}, "
            f"expected 0 to {n_docs - 1}: one row a document"
        )
    if len(embeddings.shape) != 2 or embeddings.shape[0] != n_docs:
        raise InputError(
            f"embeddings are {embeddings.shape}, expected ({n_docs}, dim): one row a document of the graph"
        )
    if groups is not None and (groups.shape != (n_docs,) or groups.dtype.kind not in "iu"):
        raise InputError(f"groups are {groups.shape} {groups.dtype}, expected ({n_docs},) integers")
