"""The same documents in windows of several kinds: the pack's own, those of other methods, and controls.

In: a run with a finished pack. Out: plans. All hold every document once; those of other methods know no conflicts and
no groups. *same source*: documents of a source one after another, in an order by the seed; *redealt*: the documents of
each batch of the pack, dealt again to the windows of that batch, so that what a step of training reads stays, but not
what a window holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, PackPlan
from icp.order.visit_order import greedy_order
from icp.pack.plan_windows import plan_windows
from icp.run.arrays import load_order, load_plan
from icp.run.context import Context, document_paths
from icp.run.nodes import field_groups
from icp.steps.windows.inputs import load_inputs, plan_of
from icp.streams import PROBE

OURS, PATH_CUT, PAPER, SAME_SOURCE, BEST_FIT, REDEALT, RANDOM = ARMS = (
    "this pack",
    "its path, cut",
    "paper's method",
    "same source",
    "best-fit",
    "redealt in batches",
    "random",
)


@dataclass(frozen=True, slots=True)
class Arms:
    """Plans of the same documents.

    Attributes:
        plans: by name, in the order of `ARMS`.
        lengths: (n,) int64, tokens of each document with its specials.
        nodes: (n,) int64, doc of each.
        sources: (n,) int64, a number for the source of each.
        capacity: tokens of a window for documents.
    """

    plans: Mapping[str, PackPlan]
    lengths: NDArray[np.int64]
    nodes: NDArray[np.int64]
    sources: NDArray[np.int64]
    capacity: int


@dataclass(frozen=True, slots=True)
class Makers:
    """How plans of some documents are made.

    Attributes:
        own: the windows that are probed. path: the order that they were made along.
        cut: documents along an order, cut where windows end. fit: by size alone.
        graph: of the documents. sources: (n,) a number for the source of each. random: (n,) int32, a permutation.
    """

    own: Callable[[], PackPlan]
    path: Callable[[], NDArray[np.int32]]
    cut: Callable[[NDArray[np.int32]], PackPlan]
    fit: Callable[[NDArray[np.int32]], PackPlan]
    graph: DocGraph
    sources: NDArray[np.int64]
    random: NDArray[np.int32]


def plan_arms(context: Context, *, batch: int, seed: int) -> Arms:
    """The pack's own plan and the others; `batch`: windows of a step of training."""
    inputs = load_inputs(context)
    own, capacity = load_plan(context), context.config.capacity
    sources = field_groups(document_paths(context), inputs.nodes, ["source"])
    free = replace(inputs, conflicts=inputs.conflicts[:0], groups=None)
    makers = Makers(
        own=lambda: own,
        path=lambda: load_order(context),
        cut=lambda order: plan_of(context, free, order, "path-cut"),
        fit=lambda order: plan_of(context, free, order, "best-fit"),
        graph=free.graph,
        sources=sources,
        random=PROBE.generator(seed).permutation(inputs.nodes.size).astype(np.int32),
    )
    plans = plans_by_name(makers)
    dealt = {REDEALT: redealt(own, batch, capacity, seed=seed)}
    plans = {name: plan for name in ARMS for plan in [{**plans, **dealt}.get(name)] if plan is not None}
    return Arms(plans, inputs.lengths, inputs.nodes, sources, capacity)


def plans_by_name(makers: Makers) -> dict[str, PackPlan]:
    """Plans of every kind but *redealt*; those of *same source* only where there is more than one."""
    random, sources = makers.random, makers.sources
    plans = {
        OURS: makers.own(),
        PATH_CUT: makers.cut(makers.path()),
        PAPER: makers.cut(greedy_order(makers.graph)[0]),
        SAME_SOURCE: makers.cut(random[np.argsort(sources[random], kind="stable")]),
        BEST_FIT: makers.fit(random),
        RANDOM: makers.cut(random),
    }
    if np.unique(sources).size < 2:
        del plans[SAME_SOURCE]
    return plans


def redealt(plan: PackPlan, batch: int, capacity: int, *, seed: int) -> PackPlan:
    """The pieces of each `batch` windows that follow one another, dealt to as many windows in an order by the seed.

    Pieces that follow one another in a document and lie in one batch are one again. Windows are filled to `capacity`
    tokens one after another; a document is cut where one ends.
    """
    generator = PROBE.generator(seed, 1)
    parts: list[NDArray[np.int64]] = []
    n_windows = 0
    bounds = np.searchsorted(plan.window, np.arange(0, plan.n_windows + batch, batch))
    for begin, end in pairwise(bounds.tolist()):
        doc, start, stop = _joined(plan, begin, end)
        dealt = cut_along(generator.permutation(doc.size).astype(np.int32), stop - start, capacity)
        first = start[dealt.doc]
        parts.append(np.array([doc[dealt.doc], first + dealt.start, first + dealt.stop, dealt.window + n_windows]))
        n_windows += dealt.n_windows
    return PackPlan(*np.concatenate([np.empty((4, 0), dtype=np.int64), *parts], axis=1))


def cut_along(
    order: NDArray[np.int32], lengths: NDArray[np.int64], capacity: int, *, method: str = "path-cut"
) -> PackPlan:
    """Documents one after another along an order, cut where windows end; or by another method without a graph."""
    edgeless = DocGraph(
        np.zeros(order.size + 1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float16)
    )
    pointless = np.zeros((order.size, 1), dtype=np.float32)
    return plan_windows(edgeless, pointless, order, lengths, seq_len=capacity, method=method)


def _joined(plan: PackPlan, begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Document, start and stop of the pieces of a range, those that follow one another in a document as one."""
    rows = begin + np.lexsort((plan.start[begin:end], plan.doc[begin:end]))
    doc, start, stop = plan.doc[rows], plan.start[rows], plan.stop[rows]
    begins = np.ones(rows.size, dtype=np.bool_)
    begins[1:] = (doc[1:] != doc[:-1]) | (start[1:] != stop[:-1])
    ends = np.append(begins[1:], True)[: rows.size]
    return doc[begins], start[begins], stop[ends]
