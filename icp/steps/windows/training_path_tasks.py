"""Tasks that lay a plan and lead a path through its windows, in runs where there are many; they exchange only files.

*lay*: the windows of related documents along the path of documents. *directions*: where the windows of a range point.
*runs*: windows halved by direction. *path*: a path through the windows of one run. A small corpus has none of these:
one path leads through all its windows when they are numbered.
"""

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan, RowParts
from icp.engine.step import ALL, PartOutput, one_part
from icp.pack.bisection import halved_runs, window_directions
from icp.pack.partitions import is_divided
from icp.pack.rounds import PATH_WINDOWS
from icp.pack.spread import window_path
from icp.run.arrays import load_order, token_offsets
from icp.run.context import Context
from icp.run.nodes import planning_vectors
from icp.steps.windows.inputs import (
    Inputs,
    chosen_lengths,
    load_array,
    load_inputs,
    load_plan,
    load_sources,
    loose_documents,
    plan_of,
    save_array,
    save_plan,
)
from icp.steps.windows.partition_tasks import is_parted, number_of, parted_plan
from icp.steps.windows.tails import whole_windows

RANGE_WINDOWS = 4096
"""Windows of one task of *directions*."""


def lay(context: Context, part: str, output: PartOutput) -> None:
    """Write the plan of related documents, and into how many runs its windows are cut."""
    inputs = load_inputs(context)
    plan = _made(context, inputs)
    save_plan(output, "laid/", plan)
    output.info["windows"] = plan.n_windows


def point(context: Context, part: str, output: PartOutput) -> None:
    """Write where the windows of a range point."""
    plan, first = load_plan(context, "laid/"), number_of(part) * RANGE_WINDOWS
    begin, end = np.searchsorted(plan.window, (first, first + RANGE_WINDOWS))
    doc, window = np.array(plan.doc[begin:end]), np.array(plan.window[begin:end]) - first
    save_array(output, f"laid/{part}", window_directions(planning_vectors(context), doc, window))


def halve(context: Context, part: str, output: PartOutput) -> None:
    """Write the windows of each run."""
    directions = np.concatenate([load_array(context, f"laid/{name}") for name in pointed(context)])
    runs = halved_runs(directions, np.ones(len(directions), np.int64), PATH_WINDOWS)
    for number, run in enumerate(runs):
        save_array(output, f"laid/windows-{number:05}", run)
    output.info["runs"] = len(runs)


def lead(context: Context, part: str, output: PartOutput) -> None:
    """Write the windows of a run along a path through them."""
    run = np.array(load_array(context, f"laid/windows-{number_of(part):05}"))
    directions = RowParts([context.path("windows", f"laid/{name}.npy") for name in pointed(context)])[run]
    save_array(output, f"laid/{part}", run[window_path(directions, seed=context.config.seed)])


def related_plan(context: Context, inputs: Inputs) -> PackPlan:
    """The windows of all documents but those packed at random, along the path of documents."""
    return load_plan(context, "laid/") if laid(context) else _made(context, inputs)


def _made(context: Context, inputs: Inputs) -> PackPlan:
    related = chosen_lengths(inputs, ~loose_documents(inputs, context.config))
    if is_parted(context):
        return parted_plan(context, related.lengths)
    order, sources, config = load_order(context), load_sources(context, inputs), context.config
    plan = plan_of(context, related, order, config.pack.method, sources, continuation=config.pack.continuation)
    return whole_windows(plan, config)


def related_path(context: Context, inputs: Inputs, plan: PackPlan) -> NDArray[np.int64]:
    """(n_windows,) int64: the windows of `related_plan` along a path through them."""
    if runs := led(context):
        return np.concatenate([load_array(context, f"laid/{name}") for name in runs])
    return path_through(inputs, plan, context.config.seed)


def path_through(inputs: Inputs, plan: PackPlan, seed: int) -> NDArray[np.int64]:
    """(n_windows,) int64: the windows of a plan along one path through them."""
    return window_path(window_directions(inputs.embeddings, plan.doc, plan.window), seed=seed)


def laid(context: Context) -> list[str]:
    """The one part of *lay*, where there may be many documents or windows."""
    offsets = token_offsets(context)
    many = int(offsets[-1]) > PATH_WINDOWS // 2 * context.config.capacity
    return one_part(context) if many or is_divided(offsets.size - 1) else []


def pointed(context: Context) -> list[str]:
    """The parts of *directions*, where windows are led along paths and one path would be long."""
    count = context.records("lay")[ALL].info["windows"] if laid(context) else 0
    many = context.config.pack.shuffle == "spread" and count > PATH_WINDOWS
    return [f"directions-{number:05}" for number in range(-(-count // RANGE_WINDOWS))] if many else []


def halved(context: Context) -> list[str]:
    """The one part of *runs*."""
    return one_part(context) if pointed(context) else []


def led(context: Context) -> list[str]:
    """The parts of *path*."""
    count = context.records("runs")[ALL].info["runs"] if pointed(context) else 0
    return [f"run-{number:05}" for number in range(count)]
