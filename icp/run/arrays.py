"""The arrays that finished steps left, mapped from disk: only what is used of them is read.

In: the folders of a `Context`. Out: arrays, as the step that made them describes them.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, PackPlan, RowParts, load_npy
from icp.errors import ArtifactError
from icp.run.checks import check_ascending, check_below, check_offsets, check_permutation
from icp.run.context import Context, part_paths
from icp.run.names import (
    CONFLICTS,
    INDICES,
    INDPTR,
    NEIGHBORS,
    NODES,
    OFFSETS,
    ORDER,
    PATH_RANK,
    PLAN,
    SIMILARITIES,
    SURVIVORS,
    VECTORS,
    WEIGHTS,
)  # fmt: skip

MOST_SPECIALS = 2
"""Of a document: bos and eos, which the plan counts among its tokens."""


def mapped(path: Path) -> NDArray[Any]:
    """A ``.npy`` file, read-only and left on disk."""
    return np.asarray(load_npy(path, "r"))


def mapped_privately(path: Path) -> NDArray[Any]:
    """A ``.npy`` file left on disk, its pages private: to kernels it is of the type that arrays in memory are of."""
    array: NDArray[Any] = load_npy(path, "c").view(np.ndarray)
    return array


def survivors(context: Context) -> NDArray[np.int64]:
    """(n_survivors,) int64, doc of each survivor of dedup, ascending."""
    path = context.path("dedup", SURVIVORS)
    found = mapped(path)
    check_ascending(path, found)
    return found


def vector_paths(context: Context) -> list[Path]:
    """The files of the vectors, one for each documents part."""
    return part_paths(context, "embeddings", VECTORS)


def survivor_vectors(context: Context, rows: NDArray[np.int64] | None = None) -> RowParts:
    """(n, dim) float16, the vectors of some survivors: `rows` (n,) int64, ascending; None for all."""
    paths = tuple(vector_paths(context))
    stamps = tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in (path.stat() for path in paths))
    found = _mapped_vectors(paths, stamps)
    return found if rows is None else found.of_rows(rows)


@lru_cache(maxsize=1)
def _mapped_vectors(paths: tuple[Path, ...], stamps: tuple[tuple[int, int, int], ...]) -> RowParts:
    """Files of vectors, mapped for all tasks of a process."""
    return RowParts(paths)


def neighbors_of(context: Context, part: str) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """Raw neighbours and similarities of the survivors of a documents part, (rows, k) each, in memory."""
    found = (np.array(mapped(context.part_path("neighbors", name, part))) for name in (NEIGHBORS, SIMILARITIES))
    neighbors, similarities = found
    check_below(context.part_path("neighbors", NEIGHBORS, part), neighbors, survivors(context).size, least=-1)
    return neighbors, similarities


def raw_neighbors(context: Context, rows: NDArray[np.int64]) -> RowParts:
    """(n, k) int32, the raw neighbours of some survivors: `rows` (n,) int64, ascending."""
    return RowParts(part_paths(context, "neighbors", NEIGHBORS), rows)


def raw_similarities(context: Context, rows: NDArray[np.int64]) -> RowParts:
    """(n, k) float16, the similarities of `raw_neighbors`."""
    return RowParts(part_paths(context, "neighbors", SIMILARITIES), rows)


def load_nodes(context: Context) -> NDArray[np.int64]:
    """(n_nodes,) int64, doc of each node, ascending."""
    path = context.path("graph", NODES)
    found = mapped(path)
    check_ascending(path, found)
    return found


def load_conflicts(context: Context) -> NDArray[np.int64]:
    """(n_conflicts, 2) int64, pairs of nodes that must not share a window: lower and higher, sorted."""
    path = context.path("graph", CONFLICTS)
    found = mapped(path)
    check_below(path, found, load_nodes(context).size)
    return found


def load_graph(context: Context) -> DocGraph:
    """The graph over nodes; see `mapped_privately`.

    Raises: ArtifactError for edges that lead nowhere: kernels go where they say.
    """
    paths = [context.path("graph", name) for name in (INDPTR, INDICES, WEIGHTS)]
    indptr, indices, weights = (mapped_privately(path) for path in paths)
    check_offsets(paths[0], indptr, last=indices.size)
    n_nodes = load_nodes(context).size
    if indptr.size != n_nodes + 1 or weights.shape != indices.shape:
        raise ArtifactError(
            f"{paths[0].parent}: its arrays do not fit together, so they are of different runs or damaged; restore "
            "them or redo the step with --fresh"
        )
    check_below(paths[1], indices, n_nodes)
    return DocGraph(indptr, indices, weights)


def token_offsets(context: Context) -> NDArray[np.int64]:
    """(n_nodes + 1,) int64, where the tokens of each node begin among those of all nodes."""
    path = context.path("tokens", OFFSETS)
    found = mapped(path)
    check_offsets(path, found)
    return found


def load_order(context: Context) -> NDArray[np.int32]:
    """(n_nodes,) int32, the path through the nodes, in memory."""
    path = context.path("order", ORDER)
    found = np.array(mapped(path))
    check_permutation(path, found, load_nodes(context).size)
    return found


def load_plan(context: Context) -> PackPlan:
    """The plan that the step `windows` left; (segments,) int64 each, sorted by (window, position)."""
    paths = [context.path("windows", name) for name in PLAN]
    plan = PackPlan(*(mapped(path) for path in paths))
    n_nodes, offsets = load_nodes(context).size, token_offsets(context)
    most = int(np.diff(offsets).max(initial=0)) + MOST_SPECIALS
    check_below(paths[0], plan.doc, max(n_nodes, 1))
    for path, numbers in zip(paths[1:3], (plan.start, plan.stop), strict=True):
        check_below(path, numbers, most + 1)
    check_below(paths[3], plan.window, max(plan.window.size, 1))
    return plan


def path_rank(context: Context) -> NDArray[np.int64]:
    """(n_windows,) int64, the rank along the path of the window trained at each step."""
    return mapped(context.path("windows", PATH_RANK))
