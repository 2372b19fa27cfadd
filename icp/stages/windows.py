"""Step `windows`: an order and the documents' lengths -> which piece stands in which window, in training order.

In: order/, graph/, tokens/, embeddings/, the sources in documents/. Out: doc.npy start.npy stop.npy window.npy, int64
(segments,) each, sorted by (window, position), doc being the node; path_rank.npy int64 (n_windows,), the rank along the
path of each window; in the manifest's facts, the figures `windows` of DESIGN.md section 5 for this plan and for others,
and what `spread` promises. With `spread`, windows stand on a path through themselves, not on that of the documents.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.data import DocGraph, PackPlan, RowParts, load_graph
from icp.errors import InputError
from icp.groups import field_groups
from icp.packing.directions import window_directions
from icp.packing.figures import WindowFigures, window_figures
from icp.packing.inside import arrange_inside
from icp.packing.mixing import Mix, merge_orders, random_documents
from icp.packing.windows import broken_conflicts, plan_windows, renumber, training_order
from icp.path.spread import DISTANCES, best_stride, window_path
from icp.path.traversal import greedy_order
from icp.steps import Context, PartOutput, Phase, Step, one_part
from icp.tokens.tokenizer import load_tokenizer

LISTED_CONFLICTS = 1000
FITTING = ("windows", "path-fit", "best-fit")
"""Methods that know `pack.split`; the others cut documents wherever a window ends."""


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a plan is made of.

    Attributes:
        nodes: (n_nodes,) int64, doc of each node.
        groups: (n_nodes,) int64, the values of `pack.group_by`.
        conflicts: (n_conflicts, 2) int64, nodes that must not share a window.
        lengths: (n_nodes,) int64, tokens with the document's specials, 0 for a document without tokens.
        specials: bos and eos tokens of a document.
        window_specials: bos tokens of a window.
    """

    nodes: NDArray[np.int64]
    graph: DocGraph
    embeddings: RowParts
    lengths: NDArray[np.int64]
    groups: NDArray[np.int64]
    conflicts: NDArray[np.int64]
    specials: tuple[int, int]
    window_specials: int


def plan(context: Context, part: str, output: PartOutput) -> None:
    """Fill windows along the order, and number them in training order."""
    config, inputs = context.config, _inputs(context)
    if not inputs.lengths.any():
        raise InputError(
            f"{config.run}: none of the {inputs.lengths.size} documents kept has a token, so no window can be filled; "
            "check corpus.text and tokenizer.name"
        )
    order = np.load(context.folder("order") / "order.npy", allow_pickle=False)
    is_source = config.pack.method == "source"
    sources = field_groups(context.folder("documents"), inputs.nodes, ["source"]) if is_source else None
    along_path, path_rank, output.info["random_windows"] = _mixed(context, inputs, order, sources)
    in_training = arrange_inside(renumber(along_path, path_rank), config.pack.inside, seed=config.seed)
    arrays = {name: getattr(in_training, name) for name in PackPlan.__slots__} | {"path_rank": path_rank}
    for name, array in arrays.items():
        with output.path(f"{name}.npy").open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
        output.rows(f"{name}.npy", array.size)
    if config.pack.shuffle == "spread":
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
    config, inputs = context.config, _inputs(context)
    folder = context.folder("windows")
    made = PackPlan(*(np.load(folder / f"{name}.npy", allow_pickle=False) for name in PackPlan.__slots__))
    unbound = replace(inputs, conflicts=inputs.conflicts[:0], groups=np.zeros_like(inputs.groups))
    order = np.load(context.folder("order") / "order.npy", allow_pickle=False)
    own = _figures(made, inputs, config)
    output.info.update(count=made.n_windows, seq_len=config.pack.seq_len)
    output.info.update({field.name: getattr(own, field.name) for field in fields(own)})
    baselines = (
        ("random", order, "random"),
        ("algorithm1", greedy_order(inputs.graph)[0], "path-cut"),
        ("path_cut", order, "path-cut"),
    )
    for name, along, method in baselines:
        figures = _figures(_planned(context, unbound, along, method), inputs, config)
        output.info[f"{name}_mean_similarity"] = figures.mean_similarity
        output.info[f"{name}_max_similarity"] = figures.max_similarity
    planned = context.records("plan")["all"].info
    told = ("conflicts_broken", "random_windows", "spread")
    output.info.update({name: planned[name] for name in told if name in planned})
    output.info["empty_documents"] = int(np.count_nonzero(inputs.lengths == 0))


def _inputs(context: Context) -> _Inputs:
    config = context.config
    graph, tokens = context.folder("graph"), context.folder("tokens")
    nodes = np.load(graph / "nodes.npy", allow_pickle=False)
    survivors = np.load(context.folder("dedup") / "survivors.npy", allow_pickle=False)
    parts = sorted(context.folder("embeddings").glob("part-*.npy"))
    vocabulary = load_tokenizer(config.tokenizer, trained=tokens / "tokenizer.json")
    specials = (int(config.tokenizer.bos == "document"), int(vocabulary.eos_id is not None))
    n_tokens = np.diff(np.load(tokens / "offsets.npy", allow_pickle=False))
    return _Inputs(
        nodes,
        load_graph(graph),
        RowParts(parts, np.searchsorted(survivors, nodes).astype(np.int64)),
        np.where(n_tokens > 0, n_tokens + sum(specials), 0).astype(np.int64),
        field_groups(context.folder("documents"), nodes, config.pack.group_by),
        np.load(graph / "conflicts.npy", allow_pickle=False),
        specials,
        int(config.tokenizer.bos == "window"),
    )


def _mixed(
    context: Context, inputs: _Inputs, order: NDArray[np.int32], sources: NDArray[np.int64] | None
) -> tuple[PackPlan, NDArray[np.int64], int]:
    """The plan, the rank of the window trained at each step, and how many windows, the last ones, are random."""
    config = context.config
    mix = Mix(config.pack.mix_random.begin, config.pack.mix_random.end, config.pack.mix_random.over)
    loose = random_documents(inputs.lengths, mix.mean, seed=config.seed)
    plans = [
        _planned(context, replace(inputs, lengths=np.where(chosen, inputs.lengths, 0)), order, method, sources)
        for chosen, method in ((~loose, config.pack.method), (loose, "random"))
    ]
    if config.pack.shuffle == "spread":
        directions = window_directions(inputs.embeddings, plans[0].doc, plans[0].window)
        plans[0] = renumber(plans[0], window_path(directions, seed=config.seed))
    ranks = [
        training_order(made.n_windows, shuffle=shuffle, seed=config.seed)
        for made, shuffle in zip(plans, (config.pack.shuffle, "random"), strict=True)
    ]
    first = plans[0].n_windows
    doc, start, stop = (np.concatenate([getattr(made, name) for made in plans]) for name in ("doc", "start", "stop"))
    window = np.concatenate((plans[0].window, plans[1].window + first))
    return PackPlan(doc, start, stop, window), merge_orders(ranks[0], ranks[1] + first, mix)[0], plans[1].n_windows


def _planned(
    context: Context,
    inputs: _Inputs,
    order: NDArray[np.int32],
    method: str,
    sources: NDArray[np.int64] | None = None,
) -> PackPlan:
    config = context.config
    return plan_windows(
        inputs.graph,
        inputs.embeddings,
        order,
        inputs.lengths,
        seq_len=config.pack.capacity - inputs.window_specials,
        method=method,
        min_fill=config.pack.min_fill,
        split=config.pack.split if method in FITTING else "minimal",
        seed=config.seed,
        specials=inputs.specials,
        conflicts=inputs.conflicts,
        groups=inputs.groups if config.pack.group_by else None,
        sources=sources,
        threads=context.threads,
    )


def _figures(made: PackPlan, inputs: _Inputs, config: Config) -> WindowFigures:
    return window_figures(
        made,
        inputs.embeddings,
        inputs.lengths,
        capacity=config.pack.capacity - inputs.window_specials,
        window_specials=inputs.window_specials,
    )


def _keys(config: Config) -> tuple[str, ...]:
    pack = ("seq_len", "stride", "method", "min_fill", "split", "group_by", "inside", "mix_random", "shuffle")
    return (*(f"pack.{name}" for name in pack), "tokenizer.bos", "tokenizer.eos", "tokenizer.pad", "seed")


STEP = Step(
    name="windows",
    format=2,
    inputs=("documents", "dedup", "embeddings", "graph", "tokens", "order"),
    keys=_keys,
    phases=(Phase("plan", one_part, plan), Phase("facts", one_part, measure)),
)
