"""Passes over the documents of a run, one plan after another; each is made when the ones before it are known.

In: `Inputs`. Out: one plan in training order, where each pass begins, and how many neighbours met again.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.order.visit_order import visit_order
from icp.pack.passes import estranged, met, one_after_another
from icp.pack.spread import DISTANCES, best_stride
from icp.pack.training_order import arrange_inside, renumber, training_order
from icp.run.context import Context
from icp.steps.windows import training_path_tasks
from icp.steps.windows.inputs import Inputs, plan_of
from icp.steps.windows.tails import filled, whole_windows


@dataclass(frozen=True, slots=True)
class Passes:
    """Plans of all passes as one.

    Attributes:
        plan: in training order, pass after pass.
        path_rank: (n_windows,) int64; the ranks of a pass follow those of the one before.
        tail: (m, 4) int64, what is repeated or left out, see `icp.pack.tail`.
        firsts: the first window of each pass, and their number.
        again: for each pass but the first, the share of neighbours in one window that met before.
    """

    plan: PackPlan
    path_rank: NDArray[np.int64]
    tail: NDArray[np.int64]
    firsts: list[int]
    again: list[float]

    def facts(self, *, spread: bool) -> dict[str, object]:
        """What the manifest says of them."""
        facts: dict[str, object] = {"passes": self.firsts, "met_again": self.again}
        if spread:
            strides = [best_stride(n) for n in np.diff(self.firsts).tolist()]
            gaps = [min(found) for found in zip(*(gaps for _, gaps in strides), strict=True)]
            facts["spread"] = {"stride": strides[0][0], "gaps": dict(zip(map(str, DISTANCES), gaps, strict=True))}
        return facts


def planned(context: Context, inputs: Inputs, first: tuple[PackPlan, NDArray[np.int64]]) -> Passes:
    """All passes; `first` is the plan of the first one, and the rank of the window trained at each step."""
    config = context.config
    plans, ranks, tails, again = [], [], [], []
    times = np.zeros(inputs.graph.indices.size, np.int64)
    offset = 0
    for number in range(config.pack.epochs):
        here = inputs.of_pass(number)
        along, rank = first if number == 0 else _planned(context, here, times, number)
        if number < config.pack.epochs - 1 or number:
            together = met(along, inputs.graph)
            again.append(float((together & (times > 0)).sum() / max(1, together.sum())))
            times += together
        plan = arrange_inside(renumber(along, rank), config.pack.inside, here.lengths, seed=config.seed)
        plan, tail = filled(context, here, plan)
        tails.append(tail + np.array([0, 0, 0, offset]) * (tail[:, 3:] >= 0))
        plans.append(plan)
        ranks.append(rank + offset)
        offset += plan.n_windows
    firsts = np.cumsum([0, *(plan.n_windows for plan in plans)]).tolist()
    return Passes(one_after_another(plans), np.concatenate(ranks), np.concatenate(tails), firsts, again[1:])


def _planned(
    context: Context, inputs: Inputs, times: NDArray[np.int64], number: int
) -> tuple[PackPlan, NDArray[np.int64]]:
    """The plan of a later pass and its ranks, by a graph in which neighbours that met are less alike."""
    config, seed = context.config, context.config.seed + number
    changed = replace(inputs, graph=estranged(inputs.graph, times))
    order = visit_order(
        changed.graph,
        inputs.embeddings,
        method=config.order.method,
        improve=config.order.improve,
        recompute_degree=config.order.recompute_degree,
        seed=seed,
    ).order
    method, continuation = config.pack.method, config.pack.continuation
    plan = whole_windows(plan_of(context, changed, order, method, continuation=continuation, seed=seed), config)
    if config.pack.shuffle == "spread":
        plan = renumber(plan, training_path_tasks.path_through(inputs, plan, seed))
    return plan, training_order(plan.n_windows, shuffle=config.pack.shuffle, seed=seed)
