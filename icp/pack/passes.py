"""Several passes over the same documents, each in other company: `pack.epochs`.

In: the graph, plans of earlier passes. Out: the graph of the next pass, in which neighbours that met are less alike.
"""

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, PackPlan
from icp.kernels import pack_windows

FRESH = 0.5
"""Share of a document's neighbours that must be new to it, if those that it met are to be forgotten."""
MET_FACTOR = 0.25
"""What the similarity of two neighbours counts for the next pass, once for each pass in which they shared a window.
Less brings fewer of them together again, and less related windows: docs/windows.md."""


def met(plan: PackPlan, graph: DocGraph) -> NDArray[np.bool_]:
    """(edges,) bool: whether the ends of each edge share a window of the plan."""
    by_doc = np.lexsort((plan.window, plan.doc))
    bounds = np.zeros(graph.n_docs + 1, np.int64)
    np.cumsum(np.bincount(plan.doc, minlength=graph.n_docs), out=bounds[1:])
    pairs = np.stack((ends_of(graph), np.asarray(graph.indices, np.int64)), axis=1)
    together: NDArray[np.bool_] = pack_windows.share_a_window(bounds, plan.window[by_doc], pairs)
    return together


def estranged(graph: DocGraph, times: NDArray[np.int64]) -> DocGraph:
    """The graph for the next pass, rows most similar first again.

    An edge whose ends met is left out where `FRESH` of the edges of both are of others; elsewhere, in windows so long
    that most neighbours met, its weight counts less.

    Args: times (edges,) int64, passes in which the ends of each edge shared a window.
    """
    if not times.any():
        return graph
    ends, others = ends_of(graph), np.asarray(graph.indices)
    degrees = np.diff(graph.indptr)
    has_others = np.bincount(ends, times == 0, graph.n_docs) >= FRESH * degrees
    kept = ~((times > 0) & has_others[ends] & has_others[others])
    exact = np.asarray(graph.weights).astype(np.float64)
    weights = np.where(exact > 0, exact * MET_FACTOR**times, exact).astype(np.float16)[kept]
    ends, others = ends[kept], others[kept]
    order = np.lexsort((others, -weights.astype(np.float64), ends))
    bounds = np.zeros(graph.n_docs + 1, np.int64)
    np.cumsum(np.bincount(ends, minlength=graph.n_docs), out=bounds[1:])
    return DocGraph(bounds, others[order], weights[order])


def ends_of(graph: DocGraph) -> NDArray[np.int64]:
    """(edges,) int64: the row that each edge stands in."""
    return np.repeat(np.arange(graph.n_docs), np.diff(graph.indptr))


def one_after_another(plans: list[PackPlan]) -> PackPlan:
    """The windows of several plans as those of one."""
    firsts = np.cumsum([0, *(plan.n_windows for plan in plans)])
    window = [plan.window + first for plan, first in zip(plans, firsts.tolist(), strict=False)]
    doc, start, stop = (np.concatenate([getattr(plan, name) for plan in plans]) for name in ("doc", "start", "stop"))
    return PackPlan(doc, start, stop, np.concatenate(window).astype(np.int64))
