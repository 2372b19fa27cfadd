"""The order in which documents are visited: what `icp.visit_order` gives."""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from icp.checks import as_array, checked_graph, checked_knn, checked_rows, public
from icp.data import DocGraph, KnnGraph, Rows, Traversal
from icp.errors import ConfigError, InputError
from icp.kernels import order_tour
from icp.order.bounds import dual_bound, raw_upper_bound
from icp.order.matching import improve_order, matching_order
from icp.streams import ORDER

STRETCH_ROWS = 16_384
"""Documents whose vectors are held at once."""

IMPROVABLE = ("matching", "algorithm1")
"""Methods whose order the local search may change."""


@public
def visit_order(
    graph: DocGraph,
    embeddings: Rows,
    *,
    method: str = "matching",
    improve: bool = True,
    recompute_degree: bool = False,
    seed: int = 0,
    groups: NDArray[np.integer] | None = None,
    knn: KnnGraph | None = None,
    scratch: str | PathLike[str] | None = None,
) -> Traversal:
    """An order of all documents in which neighbours are similar, and what it is worth.

    Args:
        graph: similarity graph of n documents.
        embeddings: (n, dim) float, norm 1 or all zero.
        method: ``matching``: one path, of the most similar pairs taken first, whose pieces are joined end to end.
            ``algorithm1``, the paper's walk: from the document of least degree (ties: the lower row; degrees are
            those of the whole graph) to the most similar unvisited neighbour, and again when there is none.
            ``random``: a permutation. ``source``: sorted by group, ascending rows inside.
        improve: local search (2-opt, Or-opt) after ``matching`` or ``algorithm1``; the others stay as they are.
        recompute_degree: ``algorithm1`` begins again at the document with the fewest unvisited neighbours.
        seed: of ``random``.
        groups: (n,) integers, for ``source`` only.
        knn: the nearest of each document, -1 where there is none: the bounds are made of them.
        scratch: a folder on disk for what takes most memory while `improve` works, 2 bytes a dimension and document,
            where that is more than 256 MiB; None for memory.

    Returns: the order; ``path_starts`` of an improved path is its begin alone. ``upper_bound`` is from the graph's rows
        and ``dual_bound`` NaN where `knn` is not given.

    Raises: ConfigError for a method this version does not have; InputError for arrays that do not fit together, or
        embeddings of another norm.
    Cost: near-linear; a million documents take under a minute on a core.
    Source: arXiv 2310.10638, Algorithm 1, for ``algorithm1``.
    """
    if method not in _METHODS:
        raise ConfigError(f"order.method is {method!r}, which is not built; use one of {', '.join(_METHODS)}")
    graph = checked_graph(graph)
    embeddings, groups = checked_rows("embeddings", embeddings, graph.n_docs), _checked_groups(graph.n_docs, groups)
    if knn is not None:
        knn = checked_knn(knn, graph.n_docs)
    order, path_starts = _METHODS[method](_Request(graph, embeddings, recompute_degree, seed, groups))
    if improve and method in IMPROVABLE:
        order = improve_order(order, graph, embeddings, scratch=scratch)
        path_starts = one_path(order.size)
    similarity = order_similarity(order, embeddings)
    if not np.isfinite(similarity):
        raise InputError("embeddings hold NaN or infinity; give rows of norm 1, or all zero")
    if knn is not None:
        return Traversal(order, path_starts, similarity, raw_upper_bound(knn.similarities), dual_bound(knn))
    bound = float(order_tour.upper_bound(graph.indptr, graph.weights.astype(np.float32), 0.0))
    return Traversal(order, path_starts, similarity, bound, float("nan"))


def greedy_order(graph: DocGraph, *, recompute_degree: bool = False) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Algorithm 1 alone, without its figures: order (n,) int32 and path_starts (n,) bool."""
    if recompute_degree:
        order, path_starts = order_tour.greedy_path_by_open_degree(graph.indptr, graph.indices)
    else:
        start_order = np.argsort(np.diff(graph.indptr), kind="stable").astype(np.int32)
        order, path_starts = order_tour.greedy_path(graph.indptr, graph.indices, start_order)
    return order, path_starts


def order_similarity(order: NDArray[np.int32], embeddings: Rows, *, stretch_rows: int = STRETCH_ROWS) -> float:
    """Sum of the cosines of successive documents; the same bits however many rows are read at a time."""
    total = 0.0
    for begin in range(0, max(0, order.size - 1), stretch_rows):
        rows = order[begin : begin + stretch_rows + 1].astype(np.int64)
        total = float(order_tour.path_similarity(np.ascontiguousarray(embeddings[rows], dtype=np.float32), total))
    return total


@dataclass(frozen=True, slots=True)
class _Request:
    graph: DocGraph
    embeddings: Rows
    recompute_degree: bool
    seed: int
    groups: NDArray[np.integer] | None


_Paths = tuple[NDArray[np.int32], NDArray[np.bool_]]


def _matching(request: _Request) -> _Paths:
    order = matching_order(request.graph, request.embeddings)
    return order, one_path(order.size)


def _algorithm1(request: _Request) -> _Paths:
    return greedy_order(request.graph, recompute_degree=request.recompute_degree)


def _random(request: _Request) -> _Paths:
    n_docs = request.graph.n_docs
    order = ORDER.generator(request.seed).permutation(n_docs).astype(np.int32)
    return order, one_path(n_docs)


def one_path(n_docs: int) -> NDArray[np.bool_]:
    """`path_starts` of a single path."""
    starts = np.zeros(n_docs, dtype=np.bool_)
    starts[:1] = True
    return starts


def _source(request: _Request) -> _Paths:
    if request.groups is None:
        raise ConfigError("order.method is 'source', which needs the group of each document; pass groups=")
    order = np.argsort(request.groups, kind="stable").astype(np.int32)
    ordered = request.groups[order]
    path_starts = np.ones(order.size, dtype=np.bool_)
    path_starts[1:] = ordered[1:] != ordered[:-1]
    return order, path_starts


_METHODS: dict[str, Callable[[_Request], _Paths]] = {
    "matching": _matching,
    "algorithm1": _algorithm1,
    "random": _random,
    "source": _source,
}


def _checked_groups(n_docs: int, groups: NDArray[np.integer] | None) -> NDArray[np.integer] | None:
    if groups is None:
        return None
    groups = as_array("groups", groups, kinds="iu", n_axes=1)
    if groups.shape != (n_docs,):
        raise InputError(f"groups are {groups.shape} {groups.dtype}, expected ({n_docs},) integers")
    return groups
