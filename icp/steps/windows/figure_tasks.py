"""Tasks that judge a plan beside others of the same documents; they exchange only files.

*baselines*: windows at random, of the paper's method, and of this pack's own order cut as the paper does, without
conflicts and groups. *similarities*: of the members of a range of windows of one plan. *figures*: of one plan. A small
corpus has none of these: *facts* does it all.
"""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from icp.data import PackPlan
from icp.engine.step import ALL, PartOutput
from icp.order.visit_order import greedy_order
from icp.pack.similarity import figures_of, member_similarities, members_of, window_figures
from icp.run.arrays import load_order
from icp.run.context import Context
from icp.run.names import PLAN
from icp.run.nodes import load_vectors
from icp.steps.windows.inputs import (
    Inputs,
    load_array,
    load_inputs,
    load_plan,
    load_tail,
    plan_of,
    save_array,
    save_plan,
)
from icp.steps.windows.partition_tasks import number_of

BASELINES = ("random", "algorithm1", "path_cut")
OWN = "own"
SMALL_PIECES = 65_536
"""Pieces of a plan that is judged in one task; of larger ones, about as many in each."""


def make_baseline(context: Context, part: str, output: PartOutput) -> None:
    """Write the plan of a baseline."""
    save_plan(output, f"{part}/", _baseline(context, load_inputs(context), part))


def compare(context: Context, part: str, output: PartOutput) -> None:
    """Write the similarities of the members of a range of windows of a plan."""
    name = part.rpartition("-")[0]
    plan = _part_of(_plan(context, name), number_of(part))
    mean, largest = member_similarities(members_of(plan), load_vectors(context))
    save_array(output, f"{name}/{part}.mean", mean)
    save_array(output, f"{name}/{part}.largest", largest)


def sum_up(context: Context, part: str, output: PartOutput) -> None:
    """Leave the figures of a plan in the record."""
    names = [name for name in compared(context) if name.rpartition("-")[0] == part]
    mean, largest = (
        np.concatenate([load_array(context, f"{part}/{name}.{kind}") for name in names]) for kind in ("mean", "largest")
    )
    inputs = load_inputs(context)
    members, more = members_of(_plan(context, part)), _more(context, inputs, part)
    output.info.update(asdict(figures_of(members, (mean, largest), inputs.lengths, **(_room(context) | more))))


def measured(context: Context) -> dict[str, dict[str, Any]]:
    """The figures of the plan (`OWN`) and of each baseline."""
    if records := context.records("figures"):
        return {name: records[name].info for name in judged(context)}
    inputs = load_inputs(context)
    plans = {OWN: load_plan(context)} | {name: _baseline(context, inputs, name) for name in BASELINES}
    found = {}
    for name, plan in plans.items():
        more = _more(context, inputs, name)
        figures = window_figures(plan, load_vectors(context), inputs.lengths, **(_room(context) | more))
        found[name] = asdict(figures)
    return found


def _more(context: Context, inputs: Inputs, name: str) -> dict[str, Any]:
    """What a plan repeats or leaves out; of this pack's own plan alone."""
    return {"tail": load_tail(context), "times": inputs.times} if name == OWN else {}


def made(context: Context) -> list[str]:
    """The parts of *baselines*."""
    return list(BASELINES) if _is_large(context) else []


def judged(context: Context) -> list[str]:
    """The parts of *figures*."""
    return [OWN, *made(context)] if _is_large(context) else []


def compared(context: Context) -> list[str]:
    """The parts of *similarities*: some ranges of each plan."""
    return [
        f"{name}-{number:05}"
        for name in judged(context)
        for number in range(-(-_n_pieces(context, name) // SMALL_PIECES))
    ]


def _is_large(context: Context) -> bool:
    return _n_pieces(context, OWN) > SMALL_PIECES


def _n_pieces(context: Context, name: str) -> int:
    """Pieces of a plan, as its record says."""
    own = context.records("plan")[ALL].files if name == OWN else {}
    file = own[PLAN[0]] if own else context.records("baselines")[name].files[f"{name}/{PLAN[0]}"]
    return file.rows or 0


def _plan(context: Context, name: str) -> PackPlan:
    return load_plan(context, "" if name == OWN else f"{name}/")


def _part_of(plan: PackPlan, number: int) -> PackPlan:
    """The windows of a range, numbered from 0; a window belongs where its first piece stands."""
    edges = [min(place * SMALL_PIECES, plan.doc.size) for place in (number, number + 1)]
    begin, end = (int(np.searchsorted(plan.window, plan.window[at - 1], side="right")) if at else 0 for at in edges)
    chosen = {name: np.array(getattr(plan, name)[begin:end]) for name in PackPlan.__slots__}
    return PackPlan(**(chosen | {"window": chosen["window"] - (chosen["window"][:1].sum())}))


def _baseline(context: Context, inputs: Inputs, name: str) -> PackPlan:
    unbound = replace(inputs, conflicts=inputs.conflicts[:0], groups=None)
    order = greedy_order(inputs.graph)[0] if name == "algorithm1" else load_order(context)
    return plan_of(context, unbound, order, "random" if name == "random" else "path-cut")


def _room(context: Context) -> dict[str, Any]:
    """Tokens of a window for documents, and beside them."""
    capacity = context.config.capacity
    return {"capacity": capacity, "window_specials": context.config.pack.row_tokens - capacity}
