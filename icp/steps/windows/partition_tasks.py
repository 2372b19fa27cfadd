"""Tasks of a plan in partitions, which exchange only files (`icp.pack.partitions` says what they do).

*prepare*: arrays that all tasks map. *segments*: where the segments of a range point. *divide*: the documents of each
partition. *partition*: windows of one. *seam*: better ones where two meet. A small corpus has none of these.
"""

import numpy as np
from numpy.typing import NDArray

from icp.choices import PACK_METHODS
from icp.data import PackPlan, load_graph
from icp.engine.step import ALL, PartOutput, one_part
from icp.pack.partitions import (
    NOTHING,
    Segments,
    divide,
    is_divided,
    joined_seams,
    plan_partition,
    plan_seam,
    segment_directions,
    segments_of,
)
from icp.pack.plan_windows import corpus_of, limited
from icp.pack.planner import docs_along, fill_of_tails, lay_out, tail_tokens
from icp.pack.problem import Corpus, Pieces
from icp.run.context import Context
from icp.run.nodes import load_vectors
from icp.steps.windows.inputs import (
    capacity_of,
    chosen_lengths,
    load_array,
    load_inputs,
    load_order,
    loose_documents,
    save_array,
)

CORPUS = ("position", "groups", "conflict_bounds", "conflicts")
SEGMENTS = ("docs", "bounds", "blocks")
PIECES = ("doc", "tokens", "window")


def prepare(context: Context, part: str, output: PartOutput) -> None:
    """Write what is to be divided, unless that turns out to be no more than a partition."""
    inputs, config = load_inputs(context), context.config
    lengths = chosen_lengths(inputs, ~loose_documents(inputs, config)).lengths
    corpus = corpus_of(inputs.graph, inputs.embeddings, load_order(context), inputs.groups, inputs.conflicts)
    corpus = limited(corpus, capacity_of(config), config.pack.min_fill, config.pack.split, inputs.specials)
    tails = tail_tokens(lengths, corpus.capacity, inputs.specials[1])
    docs = docs_along(corpus, tails)
    output.info.update(divided=is_divided(docs.size), specials=inputs.specials)
    if not is_divided(docs.size):
        return
    output.info["min_fill"] = fill_of_tails(corpus, lengths, tails)
    segments = segments_of(corpus, docs)
    output.info["ranges"] = segments.n_ranges
    arrays = {name: getattr(corpus, name) for name in CORPUS} | {name: getattr(segments, name) for name in SEGMENTS}
    for name, array in (arrays | {"tails": tails}).items():
        save_array(output, f"divided/{name}", array)


def point(context: Context, part: str, output: PartOutput) -> None:
    """Write where the segments of a range point."""
    save_array(output, f"divided/{part}", segment_directions(_corpus(context), _segments(context), number_of(part)))


def halve(context: Context, part: str, output: PartOutput) -> None:
    """Write the documents of each partition."""
    directions = np.concatenate([load_array(context, f"divided/{name}") for name in ranges(context)])
    found = divide(_segments(context), directions)
    for number, docs in enumerate(found):
        save_array(output, f"divided/docs-{number:05}", docs)
    output.info["partitions"] = len(found)


def plan_part(context: Context, part: str, output: PartOutput) -> None:
    """Write the windows of a partition."""
    docs = np.array(load_array(context, f"divided/docs-{number_of(part):05}"))
    _save(output, part, plan_partition(_corpus(context), docs, load_array(context, "divided/tails"), context.threads))


def mend_seam(context: Context, part: str, output: PartOutput) -> None:
    """Write better windows for the second half of a partition and the first half of the next."""
    number, names = number_of(part), partitions(context)
    before = _load(context, names[number - 1]) if number else NOTHING
    after = _load(context, names[number]) if number < len(names) else NOTHING
    _save(output, part, plan_seam(_corpus(context), before, after, context.threads))


def parted_plan(context: Context, lengths: NDArray[np.int64]) -> PackPlan:
    """The pieces of all seams, laid along the path.

    Args:
        lengths: (n_nodes,) int64, of related documents.
    """
    pieces = joined_seams([_load(context, name) for name in seams(context)])
    return lay_out(_corpus(context), lengths, load_array(context, "divided/tails"), pieces)


def prepared(context: Context) -> list[str]:
    """The one part of *prepare*, where there may be more than a partition."""
    n_nodes = np.load(context.folder("graph") / "nodes.npy", mmap_mode="r", allow_pickle=False).size
    in_partitions = PACK_METHODS[context.config.pack.method].in_partitions
    return one_part(context) if in_partitions and is_divided(n_nodes) else []


def is_parted(context: Context) -> bool:
    """Whether the plan is made in partitions; *prepare* has said so."""
    return bool(prepared(context)) and bool(context.records("prepare")[ALL].info["divided"])


def ranges(context: Context) -> list[str]:
    """The parts of *segments*."""
    count = context.records("prepare")[ALL].info["ranges"] if is_parted(context) else 0
    return [f"segments-{number:05}" for number in range(count)]


def divided(context: Context) -> list[str]:
    """The one part of *divide*."""
    return one_part(context) if is_parted(context) else []


def partitions(context: Context) -> list[str]:
    """The parts of *partition*."""
    count = context.records("divide")[ALL].info["partitions"] if is_parted(context) else 0
    return [f"partition-{number:05}" for number in range(count)]


def seams(context: Context) -> list[str]:
    """The parts of *seam*: one more than partitions."""
    names = partitions(context)
    return [f"seam-{number:05}" for number in range(len(names) + 1)] if names else []


def number_of(part: str) -> int:
    """The number at the end of a part's name."""
    return int(part.rpartition("-")[2])


def _corpus(context: Context) -> Corpus:
    """The corpus as *prepare* left it, its arrays mapped."""
    info, config = context.records("prepare")[ALL].info, context.config
    position, groups, bounds, conflicts = (load_array(context, f"divided/{name}") for name in CORPUS)
    graph, vectors = load_graph(context.folder("graph")), load_vectors(context)
    corpus = Corpus(vectors, graph, position, groups, bounds, conflicts, 0, 1, 1.0, False, 0.0, 1.0)
    return limited(corpus, capacity_of(config), info["min_fill"], config.pack.split, tuple(info["specials"]))


def _segments(context: Context) -> Segments:
    return Segments(*(load_array(context, f"divided/{name}") for name in SEGMENTS))


def _save(output: PartOutput, part: str, pieces: Pieces) -> None:
    for name in PIECES:
        save_array(output, f"divided/{part}.{name}", getattr(pieces, name))


def _load(context: Context, part: str) -> Pieces:
    return Pieces(*(np.array(load_array(context, f"divided/{part}.{name}")) for name in PIECES))
