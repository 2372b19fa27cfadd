"""What a plan of a run is made of, read from the folders of its steps; arrays on disk are mapped where they can be."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.choices import PACK_METHODS
from icp.config import Config
from icp.data import DocGraph, PackPlan, Rows
from icp.engine.step import PartOutput
from icp.pack.plan_windows import plan_windows
from icp.pack.training_order import Mix, random_documents
from icp.run.arrays import load_conflicts, load_graph, load_nodes, mapped, token_offsets
from icp.run.context import Context, document_paths
from icp.run.extended import first_packed
from icp.run.names import TAIL, TOKENIZER
from icp.run.nodes import field_groups, planning_vectors
from icp.run.passes import passes_of
from icp.tokenizer.tokenizer import load_tokenizer


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made of.

    Attributes:
        nodes: (n_nodes,) int64, doc of each node.
        embeddings: what the plan goes by: of texts, or of links alone.
        groups: (n_nodes,) int64, the values of `pack.group_by`; None without any.
        conflicts: (n_conflicts, 2) int64, nodes that must not share a window.
        lengths: (n_nodes,) int64, tokens with the document's specials, 0 for a document without tokens.
        specials: bos and eos tokens of a document.
        times: (n_nodes,) int64, passes in which each node stands; None: one, of all.
    """

    nodes: NDArray[np.int64]
    graph: DocGraph
    embeddings: Rows
    lengths: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    conflicts: NDArray[np.int64]
    specials: tuple[int, int]
    times: NDArray[np.int64] | None = None

    def of_pass(self, number: int) -> "Inputs":
        """The same without tokens of documents that a pass does not hold."""
        return self if self.times is None else chosen_lengths(self, self.times > number)


def load_inputs(context: Context) -> Inputs:
    """The inputs of the step `windows`; documents that stand in no pass have no tokens."""
    config = context.config
    vocabulary = load_tokenizer(config.tokenizer, trained=context.path("tokens", TOKENIZER))
    specials = (int(config.tokenizer.bos == "document"), int(vocabulary.eos_id is not None))
    n_tokens = np.diff(token_offsets(context))
    n_tokens[n_tokens > 0] += sum(specials)
    nodes, fields = load_nodes(context), config.pack.group_by
    times = passes_of(document_paths(context), nodes, config.pack) if config.pack.has_passes else None
    if times is not None:
        n_tokens[times == 0] = 0
    n_tokens[: first_packed(context, nodes)] = 0
    return Inputs(
        nodes,
        load_graph(context),
        planning_vectors(context),
        n_tokens,
        field_groups(document_paths(context), nodes, fields) if fields else None,
        load_conflicts(context),
        specials,
        times,
    )


def load_sources(context: Context, inputs: Inputs) -> NDArray[np.int64] | None:
    """(n_nodes,) int64: the source of each node, for the method that asks."""
    wanted = PACK_METHODS[context.config.pack.method].by_source
    return field_groups(document_paths(context), inputs.nodes, ["source"]) if wanted else None


def load_plan(context: Context, folder: str = "") -> PackPlan:
    """A plan that a phase left in this step's folder, mapped."""
    return PackPlan(*(load_array(context, f"{folder}{name}") for name in PackPlan.__slots__))


def load_tail(context: Context) -> NDArray[np.int64] | None:
    """What `pack.tail` left out or repeated, or `pack.continuation` repeated; None where neither does."""
    return np.array(mapped(context.path("windows", TAIL))) if context.config.pack.lists_tail else None


def load_array(context: Context, name: str) -> NDArray[Any]:
    """An array of this step, mapped."""
    return mapped(context.path("windows", f"{name}.npy"))


def save_array(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    """Write an array of this step."""
    with output.path(f"{name}.npy").open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    output.rows(f"{name}.npy", len(array))


def save_plan(output: PartOutput, folder: str, plan: PackPlan) -> None:
    """Write a plan, see `load_plan`."""
    for name in PackPlan.__slots__:
        save_array(output, f"{folder}{name}", getattr(plan, name))


def mix_of(config: Config) -> Mix:
    """Where random windows come in training."""
    return Mix(config.pack.mix_random.begin, config.pack.mix_random.end, config.pack.mix_random.over)


def loose_documents(inputs: Inputs, config: Config) -> NDArray[np.bool_]:
    """(n_nodes,) bool: those that are packed at random."""
    return random_documents(inputs.lengths, mix_of(config).mean, seed=config.seed)


def chosen_lengths(inputs: Inputs, chosen: NDArray[np.bool_]) -> Inputs:
    """The same without tokens of other documents."""
    return replace(inputs, lengths=np.where(chosen, inputs.lengths, 0))


def plan_of(
    context: Context,
    inputs: Inputs,
    order: NDArray[np.int32],
    method: str,
    sources: NDArray[np.int64] | None = None,
    *,
    continuation: str = "cut",
    seed: int | None = None,
) -> PackPlan:
    """A plan of these inputs by a method, as the configuration wants it; `continuation` only of this pack's own."""
    config = context.config
    return plan_windows(
        inputs.graph,
        inputs.embeddings,
        order,
        inputs.lengths,
        seq_len=config.capacity,
        method=method,
        min_fill=config.pack.min_fill,
        least_fill=config.pack.least_fill if PACK_METHODS[method].knows_split else 0.0,
        split=config.pack.split if PACK_METHODS[method].knows_split else "minimal",
        min_piece=config.pack.min_piece,
        continuation=continuation,
        seed=config.seed if seed is None else seed,
        specials=inputs.specials,
        conflicts=inputs.conflicts,
        groups=inputs.groups,
        sources=sources,
        threads=context.threads,
    )
