"""Tasks of a plan in partitions over files: `icp.pack.partition_plan` says which there are and what they do.

*prepare* writes the arrays that all of them map. A small corpus has none of these tasks.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.choices import PACK_METHODS
from icp.config import Config
from icp.data import PackPlan
from icp.engine.step import ALL, PartOutput, Phase, one_part
from icp.pack.crowds import bearable
from icp.pack.floor import raised
from icp.pack.layout import lay_out
from icp.pack.partition_plan import PARTITIONS, RANGES, TASKS, Division, Task, joined_pieces
from icp.pack.partitions import Segments, is_divided
from icp.pack.plan_windows import corpus_of
from icp.pack.planner import division_of, tails_of
from icp.pack.problem import Corpus, Limits, limited
from icp.run.arrays import load_graph, load_nodes, load_order
from icp.run.context import Context
from icp.run.nodes import planning_vectors
from icp.steps.windows.inputs import (
    chosen_lengths,
    load_array,
    load_inputs,
    loose_documents,
    save_array,
)

CORPUS = ("position", "groups", "conflict_bounds", "conflicts", "long")
SEGMENTS = ("docs", "bounds", "blocks")
COUNTED_BY = {RANGES: "prepare", PARTITIONS: "divide"}
"""The phase whose record holds a count."""


@dataclass(frozen=True, slots=True)
class FileStore:
    """The files and records of this step as a `icp.pack.partition_plan.Store`; `output` is of the part at work."""

    context: Context
    output: PartOutput | None = None

    def save(self, name: str, array: NDArray[Any]) -> None:
        """Write an array."""
        assert self.output is not None, "only a task that is at work saves"
        save_array(self.output, f"divided/{name}", array)

    def load(self, name: str) -> NDArray[Any]:
        """An array, mapped."""
        return load_array(self.context, f"divided/{name}")

    def set_count(self, name: str, count: int) -> None:
        """Leave a count in the record of the part."""
        assert self.output is not None, "only a task that is at work counts"
        self.output.info[name] = count

    def count(self, name: str) -> int:
        """A count in the record of the part that set it."""
        return int(self.context.records(COUNTED_BY[name])[ALL].info[name])


def prepare(context: Context, part: str, output: PartOutput) -> None:
    """Write what is to be divided, unless that turns out to be no more than a partition."""
    inputs, config = load_inputs(context), context.config
    lengths = chosen_lengths(inputs, ~loose_documents(inputs, config)).lengths
    conflicts = bearable(np.asarray(inputs.conflicts), lengths, config.capacity)
    corpus = corpus_of(inputs.graph, inputs.embeddings, load_order(context), inputs.groups, conflicts)
    limits = _limits(config, inputs.specials, config.pack.min_fill)
    tails = tails_of(limited(corpus, limits), lengths)
    output.info.update(divided=is_divided(tails.docs.size), specials=inputs.specials)
    if not is_divided(tails.docs.size):
        return
    division, store = division_of(tails), FileStore(context, output)
    output.info["min_fill"] = division.corpus.min_fill
    store.set_count(RANGES, division.segments.n_ranges)
    for owner, names in ((division.corpus, CORPUS), (division.segments, SEGMENTS), (division, ("tails",))):
        for name in names:
            store.save(name, getattr(owner, name))


def phases() -> list[Phase]:
    """The phases of a plan in partitions; of a small corpus, they have no parts."""
    tasks = [Phase(task.name, partial(parts_of, task), partial(do, task), scratch=True) for task in TASKS]
    return [Phase("prepare", prepared, prepare, scratch=True), *tasks]


def do(task: Task, context: Context, part: str, output: PartOutput) -> None:
    """One task."""
    task.work(_division(context), FileStore(context, output), 0 if part == ALL else number_of(part))


def parts_of(task: Task, context: Context) -> list[str]:
    """The parts of the phase of a task."""
    if not is_parted(context):
        return []
    if task.count is None:
        return one_part(context)
    return [f"{task.name}-{number:05}" for number in range(task.count(FileStore(context)))]


def parted_plan(context: Context, lengths: NDArray[np.int64]) -> PackPlan:
    """The pieces of all seams, laid along the path.

    Args:
        lengths: (n_nodes,) int64, of related documents.
    """
    division = _division(context)
    plan = lay_out(division.corpus, lengths, division.tails, joined_pieces(FileStore(context)))
    floor = context.config.pack.least_fill
    return raised(division.corpus, lengths, plan, floor, cuts=True) if floor else plan


def prepared(context: Context) -> list[str]:
    """The one part of *prepare*, where there may be more than a partition."""
    in_partitions = PACK_METHODS[context.config.pack.method].in_partitions
    return one_part(context) if in_partitions and is_divided(load_nodes(context).size) else []


def is_parted(context: Context) -> bool:
    """Whether the plan is made in partitions; *prepare* has said so."""
    return bool(prepared(context)) and bool(context.records("prepare")[ALL].info["divided"])


def number_of(part: str) -> int:
    """The number at the end of a part's name."""
    return int(part.rpartition("-")[2])


def _division(context: Context) -> Division:
    """What *prepare* left, its arrays mapped."""
    info, config = context.records("prepare")[ALL].info, context.config
    arrays = {name: load_array(context, f"divided/{name}") for name in (*CORPUS, *SEGMENTS, "tails")}
    position, groups, bounds, conflicts, long = (arrays[name] for name in CORPUS)
    fixed = (planning_vectors(context), load_graph(context), position, groups, bounds, conflicts, long)
    corpus = Corpus(*fixed, arrays["tails"])
    limits = _limits(config, tuple(info["specials"]), info["min_fill"])
    segments = Segments(*(arrays[name] for name in SEGMENTS))
    return Division(limited(corpus, limits), arrays["tails"], segments, context.threads)


def _limits(config: Config, specials: tuple[int, int], min_fill: float) -> Limits:
    return Limits(config.capacity, specials, min_fill, config.pack.split, config.pack.min_piece)
