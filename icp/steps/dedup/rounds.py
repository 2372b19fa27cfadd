"""Connected components in rounds of independent tasks, for more candidates than one union-find is to hold.

In: files of buckets. Out, scratch files of the step: edges between positions, after each operation, until all point at
the smallest position of their component. A round is a large star and a small star, each a phase of its own whose parts
are ranges of positions. A file of edges is ascending, with the bounds of the ranges beside it: it is written once, and
each task of the next phase reads its stretch of all files. Positions are below 2^32; no edge joins one with itself.

Source: Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii, Connected Components in MapReduce and Beyond, SoCC 2014.
Cost: a chain of n positions takes about log2(n) rounds, buckets of near-duplicates 3 to 6; a task holds the edges of
its range, among them all that meet in the smallest position of a component.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from icp.dedup.stars import LOW, SHIFT, Edges, both_ways, distinct, large_star, make_edges, small_star
from icp.engine.step import PartOutput, Phase
from icp.errors import ArtifactError
from icp.run.context import Context
from icp.steps.dedup.candidates import bucket_parts, load_array, load_found, n_candidates, save_array

UNION_FIND_POSITIONS = 1 << 28
"""Candidates whose components one task finds: 2 GiB of int64, less than *twins* takes for so many documents. A crawl of
a billion documents has fewer."""
RANGE_POSITIONS = 1 << 22
"""Positions of a range: with ten edges each, a task holds some hundreds of MiB."""
MAX_ROUNDS = 36
"""A chain of 2^32 positions takes about 33."""


def ranges(n: int) -> list[str]:
    """The ranges of n positions; one where a single task finds the components."""
    n_ranges = 1 if n <= UNION_FIND_POSITIONS else -(-n // RANGE_POSITIONS)
    return [f"range-{k:05d}" for k in range(n_ranges)]


def range_bounds(n: int) -> NDArray[np.int64]:
    """(n_ranges + 1,) int64, the first position of each range, and n."""
    n_ranges = len(ranges(n))
    return np.append(np.arange(n_ranges) * RANGE_POSITIONS, n).astype(np.int64)


def edge_parts(context: Context) -> list[str]:
    """The files of buckets, if their components are found in rounds."""
    return bucket_parts(context) if n_candidates(context) > UNION_FIND_POSITIONS else []


def write_edges(context: Context, part: str, output: PartOutput) -> None:
    """Write an edge from every member of a bucket to its first one."""
    members, starts = load_found(context, part)
    firsts = np.repeat(members[starts], np.diff(np.append(starts, members.size)))
    others = members != firsts
    _save_edges(context, "edges", part, output, both_ways(make_edges(members[others], firsts[others])))


def star_parts(number: int, context: Context) -> list[str]:
    """The ranges, in round `number`; none if the round before it changed nothing."""
    n = n_candidates(context)
    if n <= UNION_FIND_POSITIONS or (number and not _moved(context, number - 1)):
        return []
    return ranges(n)


def write_large(number: int, context: Context, part: str, output: PartOutput) -> None:
    """Write what `large_star` makes of the edges of a range."""
    earlier = ("edges", bucket_parts(context)) if number == 0 else (_small(number - 1), ranges(n_candidates(context)))
    edges, output.info["moved"] = large_star(_load_edges(context, *earlier, part))
    _save_edges(context, _large(number), part, output, edges)


def write_small(number: int, context: Context, part: str, output: PartOutput) -> None:
    """Write what `small_star` makes of the edges of a range."""
    edges = _load_edges(context, _large(number), ranges(n_candidates(context)), part)
    edges, output.info["moved"] = small_star(edges)
    _save_edges(context, _small(number), part, output, edges)


def star_phases() -> list[Phase]:
    """The phases of all rounds; those after the first that changes nothing have no parts."""
    works: list[tuple[int, Callable[[int], str], Callable[[int, Context, str, PartOutput], None]]]
    works = [(k, *pair) for k in range(MAX_ROUNDS) for pair in ((_large, write_large), (_small, write_small))]
    rounds = [Phase(name(k), partial(star_parts, k), partial(work, k), scratch=True) for k, name, work in works]
    return [Phase("edges", edge_parts, write_edges, scratch=True), *rounds]


def star_labels(context: Context, part: str) -> NDArray[np.int64]:
    """(positions of the range,) int64: the smallest position that each one is connected to.

    Raises: ArtifactError if `MAX_ROUNDS` were too few.
    """
    n = n_candidates(context)
    last = max(k for k in range(MAX_ROUNDS) if context.records(_small(k)))
    if _moved(context, last):
        raise ArtifactError(
            f"{context.folder('dedup')}: {MAX_ROUNDS} rounds of stars over {n:,} candidates left "
            f"{_moved(context, last):,} edges in motion; raise icp.steps.dedup.rounds.MAX_ROUNDS and run again"
        )
    first, stop = range_bounds(n)[ranges(n).index(part) :][:2].tolist()
    edges = _load_edges(context, _small(last), ranges(n), part)
    center, other = (edges >> SHIFT).astype(np.int64), (edges & LOW).astype(np.int64)
    labels = np.arange(first, stop)
    labels[center[other < center] - first] = other[other < center]
    return labels


def _large(number: int) -> str:
    return f"large-{number:02d}"


def _small(number: int) -> str:
    return f"small-{number:02d}"


def _moved(context: Context, number: int) -> int:
    """How many edges a round changed; 0 if it was not needed."""
    records = [context.records(name(number)).values() for name in (_large, _small)]
    return sum(int(record.info["moved"]) for found in records for record in found)


def _save_edges(context: Context, phase: str, part: str, output: PartOutput, edges: Edges) -> None:
    firsts = range_bounds(n_candidates(context)).astype(np.uint64)
    save_array(output, f"stars/{phase}/{part}.edges.npy", edges)
    save_array(output, f"stars/{phase}/{part}.bounds.npy", np.searchsorted(edges, firsts << SHIFT))


def _load_edges(context: Context, phase: str, names: Sequence[str], part: str) -> Edges:
    """The edges of a range in all files of a phase."""
    at = ranges(n_candidates(context)).index(part)
    found = [np.zeros(0, np.uint64)]
    for name in names:
        begin, end = load_array(context, f"stars/{phase}/{name}.bounds.npy")[at : at + 2].tolist()
        found.append(load_array(context, f"stars/{phase}/{name}.edges.npy", mapped=True)[begin:end])
    return distinct(np.concatenate(found))
