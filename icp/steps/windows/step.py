"""Step `windows`: an order and the documents' lengths -> which piece stands in which window, in training order.

In: order/, graph/, tokens/, embeddings/, the sources in documents/. Out: doc.npy start.npy stop.npy window.npy, int64
(segments,) each, sorted by (window, position), doc being the node; path_rank.npy int64 (n_windows,), the rank along the
path of each window; unless windows are padded, tail.npy int64 (pieces, 4), what was repeated or left out for that; in
the manifest's facts, the figures of docs/design.md for this plan and for others, and what `spread` promises. With
`spread`, windows stand on a path through themselves, not on that of the documents.

A small corpus is planned by *plan* and judged by *facts*. A large one is planned in partitions (*prepare* to *seam*)
and laid (*lay*), its windows are led along paths run by run (*directions*, *runs*, *path*) and judged range by range
(*baselines*, *similarities*, *figures*): tasks that share the work and exchange only files.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import PackPlan
from icp.engine.step import PartOutput, Phase, Step, one_part
from icp.errors import InputError
from icp.pack.plan_windows import broken_conflicts
from icp.pack.spread import DISTANCES, best_stride
from icp.pack.training_order import arrange_inside, merge_orders, renumber, training_order
from icp.run.arrays import load_order
from icp.run.context import Context
from icp.steps.windows import figure_tasks, partition_tasks, passes, training_path_tasks
from icp.steps.windows.floors import floor_figures, missed_fill, near_copy_figures
from icp.steps.windows.inputs import (
    Inputs,
    chosen_lengths,
    load_inputs,
    load_plan,
    loose_documents,
    mix_of,
    plan_of,
    save_array,
)
from icp.steps.windows.tails import filled, leave_tail, warn_of_tail, whole_windows

LISTED_CONFLICTS = 1000


SPARSE = 0.5
"""Fill below which most of what is trained on is padding."""


def plan(context: Context, part: str, output: PartOutput) -> None:
    """Fill windows along the order, and number them in training order."""
    config, inputs = context.config, load_inputs(context)
    if not inputs.lengths.any():
        raise InputError(
            f"{config.run}: none of the {inputs.lengths.size} documents kept has a token, so no window can be filled; "
            "check corpus.text and tokenizer.name"
        )
    along_path, path_rank, output.info["random_windows"] = _mixed(context, inputs)
    if config.pack.epochs > 1:
        made = passes.planned(context, inputs, (along_path, path_rank))
        in_training, path_rank, tail = made.plan, made.path_rank, made.tail
        output.info.update(made.facts(spread=config.pack.shuffle == "spread"))
    else:
        in_training = renumber(along_path, path_rank)
        in_training = arrange_inside(in_training, config.pack.inside, inputs.lengths, seed=config.seed)
        in_training, tail = filled(context, inputs, in_training)
    leave_tail(context, inputs, tail, output)
    arrays = {name: getattr(in_training, name) for name in PackPlan.__slots__} | {"path_rank": path_rank}
    for name, array in arrays.items():
        save_array(output, name, array)
    if config.pack.shuffle == "spread" and config.pack.epochs == 1:
        stride, gaps = best_stride(path_rank.size - output.info["random_windows"])
        output.info["spread"] = {"stride": stride, "gaps": dict(zip(map(str, DISTANCES), gaps, strict=True))}
    broken = broken_conflicts(in_training, inputs.conflicts)
    output.info["conflicts_broken"] = len(broken)
    output.info["broken_conflicts"] = inputs.nodes[broken[:LISTED_CONFLICTS]].tolist()
    output.count("documents", int(np.count_nonzero(inputs.lengths)))
    output.count("empty_documents", int(np.count_nonzero(inputs.lengths == 0)))


def measure(context: Context, part: str, output: PartOutput) -> None:
    """Figures of the plan; and, without conflicts and groups, of random windows, of the paper's method, and of this
    pack's own order cut as the paper does."""
    figures, planned = figure_tasks.measured(context), context.records("plan")["all"]
    output.info.update(count=load_plan(context).n_windows, seq_len=context.config.pack.seq_len)
    output.info.update(figures[figure_tasks.OWN])
    for name in figure_tasks.BASELINES:
        for kind in ("mean_similarity", "max_similarity"):
            output.info[f"{name}_{kind}"] = figures[name][kind]
    told = ("conflicts_broken", "random_windows", "spread", "passes", "met_again", "removed")
    output.info.update({name: planned.info[name] for name in told if name in planned.info})
    output.info["empty_documents"] = planned.counts["empty_documents"]
    output.info.update(floor_figures(context) | near_copy_figures(context))
    warn_of_tail(context, output)
    if missed := missed_fill(context, output.info["fill"]):
        output.info.setdefault("warnings", []).extend(missed)
    if output.info["fill"] < SPARSE:
        output.info.setdefault("warnings", []).append(
            f"windows: {output.info['fill']:.1%} of their tokens are text, the rest is padding; "
            f"pack.seq_len is {context.config.pack.seq_len:,}, lower it or take more documents"
        )


def _mixed(context: Context, inputs: Inputs) -> tuple[PackPlan, NDArray[np.int64], int]:
    """The plan, the rank of the window trained at each step, and how many windows, the last ones, are random."""
    config = context.config
    plans = [training_path_tasks.related_plan(context, inputs), _random_plan(context, inputs)]
    if config.pack.shuffle == "spread":
        plans[0] = renumber(plans[0], training_path_tasks.related_path(context, inputs, plans[0]))
    ranks = [
        training_order(made.n_windows, shuffle=shuffle, seed=config.seed)
        for made, shuffle in zip(plans, (config.pack.shuffle, "random"), strict=True)
    ]
    first = plans[0].n_windows
    doc, start, stop = (np.concatenate([getattr(made, name) for made in plans]) for name in ("doc", "start", "stop"))
    window = np.concatenate((plans[0].window, plans[1].window + first))
    merged = merge_orders(ranks[0], ranks[1] + first, mix_of(config))[0]
    return PackPlan(doc, start, stop, window), merged, plans[1].n_windows


def _random_plan(context: Context, inputs: Inputs) -> PackPlan:
    """Windows of the documents that are packed at random."""
    loose = chosen_lengths(inputs, loose_documents(inputs, context.config))
    if not loose.lengths.any():
        return PackPlan(*np.empty((4, 0), np.int64))
    continuation = context.config.pack.continuation
    plan = plan_of(context, loose, load_order(context), "random", continuation=continuation)
    return whole_windows(plan, context.config)


def _keys(config: Config) -> tuple[str, ...]:
    pack = ("seq_len", "stride", "method", "min_fill", "split", "min_piece", "group_by", "inside", "mix_random")
    # unsaid where nothing is chosen: packs made before there was a choice stay as they are
    unsaid = {"tail": "pad", "least_fill": 0.0, "continuation": "cut", "epochs": 1, "sources": {}, "documents": "all"}
    chosen = [f"pack.{name}" for name, usual in unsaid.items() if getattr(config.pack, name) != usual]
    if config.pack.epochs > 1:  # later passes have paths of their own
        chosen += ["order.method", "order.improve", "order.recompute_degree"]
    specials = (f"tokenizer.{name}" for name in ("bos", "eos", "pad"))
    return (*(f"pack.{name}" for name in pack), "pack.shuffle", *chosen, *specials, "seed")


def figures_step() -> Step:
    """The step with a plan that is there already, as a record of the phase *plan*: it only makes the figures."""
    names = ("plan", "baselines", "similarities", "figures", "facts")
    return replace(STEP, phases=tuple(phase for phase in STEP.phases if phase.name in names))


STEP = Step(
    name="windows",
    format=6,
    inputs=("documents", "dedup", "embeddings", "graph", "tokens", "order"),
    keys=_keys,
    phases=(
        *partition_tasks.phases(),
        Phase("lay", training_path_tasks.laid, training_path_tasks.lay, scratch=True),
        Phase("directions", training_path_tasks.pointed, training_path_tasks.point, scratch=True),
        Phase("runs", training_path_tasks.halved, training_path_tasks.halve, scratch=True),
        Phase("path", training_path_tasks.led, training_path_tasks.lead, scratch=True),
        Phase("plan", one_part, plan),
        Phase("baselines", figure_tasks.made, figure_tasks.make_baseline, scratch=True),
        Phase("similarities", figure_tasks.compared, figure_tasks.compare, scratch=True),
        Phase("figures", figure_tasks.judged, figure_tasks.sum_up, scratch=True),
        Phase("facts", one_part, measure),
    ),
    # in the bytes of tokens, which this step reads; a key of its own unless windows are padded
    reads=(
        "tokenizer.name",
        *(f"pack.{name}" for name in ("tail", "least_fill", "continuation", "epochs", "sources", "documents")),
        *(f"graph.conflict_{name}" for name in ("jaccard", "containment")),
        *(f"order.{name}" for name in ("method", "improve", "recompute_degree")),
    ),
)
