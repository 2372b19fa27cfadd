"""Step `order`: the graph -> an order of all nodes and its certificate.

In: graph/, embeddings/ (or vectors of links alone), neighbors/, the sources in documents/. Out: order.npy
int32 (n_nodes,) and path_starts.npy bool (n_nodes,); in the manifest's facts, the figures
`order` of docs/design.md, *Figures*.

With `partitions` above 1 what needs vectors is done in pieces: paths along edges, matched in the whole graph (*match*),
are joined inside each piece (*near*, *pieces*, *join*); the pieces are laid end to end (*lay*), local search goes over
stretches of that (*stretch*) and over shifted ones (*mend*). *facts* says what the pieces lost, where one piece can be
solved beside them. The methods ``random`` and ``source`` have no pieces.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.order.matching import Paths, join_paths, match_fragments
from icp.order.pieces import (
    choose_marks,
    cut_pieces,
    improve_stretch,
    join_pieces,
    nearest_marks,
    shifted,
    stretch_bounds,
    unshifted,
)
from icp.order.visit_order import IMPROVABLE, greedy_order, one_path, order_similarity, visit_order
from icp.run.arrays import load_graph, load_nodes, mapped
from icp.run.context import Context, document_paths
from icp.run.names import ORDER, PATH_STARTS
from icp.run.nodes import by_links_alone, field_groups, load_vectors, planning_vectors
from icp.steps.order.certificate import exact_neighbors, run_dual_bound, run_upper_bound

RANGE_PATHS = 1 << 16
"""Paths of one task of *near*."""
COMPARED_NODES = 100_000
"""Nodes up to which the order of one piece is made beside that of several."""


def match(context: Context, part: str, output: PartOutput) -> None:
    """Write the paths along edges that `matching` finds in the whole graph."""
    paths = match_fragments(load_graph(context))
    _save(output, "paths.npy", paths.order)
    _save(output, "bounds.npy", paths.bounds)
    _save(output, "marks.npy", choose_marks(planning_vectors(context), _n_pieces(context)))


def find_near(context: Context, part: str, output: PartOutput) -> None:
    """Write the mark nearest to each path of a range."""
    begin = _number(part) * RANGE_PATHS
    paths = _paths(context)
    firsts = paths.order[paths.bounds[:-1]][begin : begin + RANGE_PATHS].astype(np.int64)
    _save(output, f"{part}.npy", nearest_marks(planning_vectors(context), _load(context, "marks"), firsts))


def split(context: Context, part: str, output: PartOutput) -> None:
    """Write which paths belong to each piece."""
    near = np.concatenate([_load(context, name) for name in _ranges(context)])
    pieces = cut_pieces(near, np.diff(_load(context, "bounds")), _n_pieces(context))
    for number, piece in enumerate(pieces):
        _save(output, f"paths-{number:05}.npy", piece)


def join(context: Context, part: str, output: PartOutput) -> None:
    """Write the paths of one piece as one."""
    mine = _paths(context).chosen(_load(context, f"paths-{_number(part):05}"))
    _save(output, f"{part}.npy", join_paths(mine, planning_vectors(context)))


def lay(context: Context, part: str, output: PartOutput) -> None:
    """Write the pieces as one path, or what Algorithm 1 walks, whole and cut into stretches."""
    if context.config.order.method == "matching":
        laid = join_pieces([_load(context, name) for name in _joined(context)], planning_vectors(context))
        starts = one_path(laid.size)
    else:
        graph = load_graph(context)
        laid, starts = greedy_order(graph, recompute_degree=context.config.order.recompute_degree)
    _save(output, "laid.npy", laid)
    _save(output, "starts.npy", starts)
    for number, (begin, end) in enumerate(pairwise(stretch_bounds(laid.size, _n_pieces(context)))):
        _save(output, f"laid-{number:05}.npy", laid[begin : end + 1])


def improve(context: Context, part: str, output: PartOutput) -> None:
    """Write a stretch after local search."""
    _improve(context, part, output, _load(context, f"laid-{_number(part):05}"))


def mend(context: Context, part: str, output: PartOutput) -> None:
    """Write what local search makes of the second half of a stretch and the first half of the next."""
    number = _number(part)
    stretch = shifted([_load(context, f"stretch-{number + side:05}") for side in (0, 1)], 0)
    _improve(context, part, output, stretch)


def _improve(context: Context, part: str, output: PartOutput, stretch: NDArray[np.int32]) -> None:
    scratch = context.folder("order")
    improved = improve_stretch(stretch, load_graph(context), planning_vectors(context), scratch=scratch)
    _save(output, f"{part}.npy", improved)


def visit(context: Context, part: str, output: PartOutput) -> None:
    """Order the nodes; the similarity of the order stands in the record."""
    if _n_pieces(context) == 1:
        order, starts, similarity = _visited(context)
    else:
        order, starts = _load(context, "laid"), _load(context, "starts")
        if context.config.order.improve:
            order = unshifted(*([_load(context, name) for name in parts(context)] for parts in (_stretches, _mended)))
            starts = one_path(order.size)
        similarity = order_similarity(order, load_vectors(context))
    _save(output, ORDER, order)
    _save(output, PATH_STARTS, starts)
    output.info["similarity"] = similarity
    output.info["path_starts"] = int(starts.sum())


def certify(context: Context, part: str, output: PartOutput) -> None:
    """How near the order comes to what no order can exceed."""
    walked = context.records("visit")["all"].info
    similarity, bound, dual = walked["similarity"], run_upper_bound(context), run_dual_bound(context)
    exact, n_pieces = exact_neighbors(context), _n_pieces(context)
    output.info.update(
        method=context.config.order.method,
        similarity=similarity,
        upper_bound=bound,
        certificate=_share(similarity, bound),
        dual_bound=dual,
        dual_certificate=None if dual is None else _share(similarity, dual),
        path_starts=walked["path_starts"],
        exact_neighbors=exact,
        bounds_are="bounds" if exact else "estimates",
        partitions=n_pieces,
    )
    if n_pieces > 1 and _n_nodes(context) <= COMPARED_NODES:
        output.info["lost_to_partitions"] = _share(_visited(context)[2] - similarity, bound)


def _visited(context: Context) -> tuple[NDArray[np.int32], NDArray[np.bool_], float]:
    """The order of all nodes in one piece, where its paths begin, how alike the texts are along it."""
    order, by_source = context.config.order, context.config.order.method == "source"
    found = visit_order(
        load_graph(context),
        planning_vectors(context),
        method=order.method,
        improve=order.improve,
        recompute_degree=order.recompute_degree,
        seed=context.config.seed,
        groups=field_groups(document_paths(context), load_nodes(context), ["source"]) if by_source else None,
        scratch=context.folder("order"),
    )
    similarity = order_similarity(found.order, load_vectors(context)) if by_links_alone(context) else found.similarity
    return found.order, found.path_starts, similarity


def _share(similarity: float, bound: float) -> float | None:
    return similarity / bound if bound > 0 else None


def _n_nodes(context: Context) -> int:
    return int(load_nodes(context).size)


def _paths(context: Context) -> Paths:
    return Paths(_load(context, "paths"), _load(context, "bounds"))


def _n_pieces(context: Context) -> int:
    """Pieces of at least two nodes; 1 for methods that have none."""
    order = context.config.order
    return max(1, min(order.partitions, _n_nodes(context) // 2)) if order.method in IMPROVABLE else 1


def _number(part: str) -> int:
    return int(part.rpartition("-")[2])


def _matched(context: Context) -> bool:
    """Whether paths are joined in pieces."""
    return context.config.order.method == "matching" and _n_pieces(context) > 1


def _one_if_matched(context: Context) -> list[str]:
    return one_part(context) if _matched(context) else []


def _one_if_pieces(context: Context) -> list[str]:
    return one_part(context) if _n_pieces(context) > 1 else []


def _ranges(context: Context) -> list[str]:
    n_paths = _load(context, "bounds").size - 1 if _matched(context) else 0
    return [f"near-{number:05}" for number in range(-(-n_paths // RANGE_PATHS))]


def _joined(context: Context) -> list[str]:
    return [f"joined-{number:05}" for number in range(_n_pieces(context))] if _matched(context) else []


def _stretches(context: Context) -> list[str]:
    n_pieces = _n_pieces(context) if context.config.order.improve else 1
    return [f"stretch-{number:05}" for number in range(n_pieces)] if n_pieces > 1 else []


def _mended(context: Context) -> list[str]:
    return [name.replace("stretch", "mended") for name in _stretches(context)[:-1]]


def _load(context: Context, name: str) -> NDArray[Any]:
    return np.array(mapped(context.path("order", f"{name}.npy")))


def _save(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    with output.path(name).open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    output.rows(name, array.size)


def _keys(config: Config) -> tuple[str, ...]:
    return ("order", "seed")


STEP = Step(
    name="order",
    format=2,
    inputs=("documents", "embeddings", "dedup", "neighbors", "graph"),
    keys=_keys,
    phases=(
        Phase("match", _one_if_matched, match, scratch=True),
        Phase("near", _ranges, find_near, scratch=True),
        Phase("pieces", _one_if_matched, split, scratch=True),
        Phase("join", _joined, join, scratch=True),
        Phase("lay", _one_if_pieces, lay, scratch=True),
        Phase("stretch", _stretches, improve, scratch=True),
        Phase("mend", _mended, mend, scratch=True),
        Phase("visit", one_part, visit),
        Phase("facts", one_part, certify),
    ),
)
