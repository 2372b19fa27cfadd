"""Windows of a large corpus, partition by partition: each planned by itself, then again where two of them meet.

In: documents along the path, vectors, graph. Out: pieces. Documents that follow one another on the path make segments;
these are halved by direction until a half is a partition, so that neighbours in their order are alike. A seam is the
second half of a partition and the first half of the next. All work but the halving is for one range of segments, one
partition or one seam, the same in memory and as tasks that exchange files.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph
from icp.order.matching import ChosenRows
from icp.order.pieces import induced_graph
from icp.pack.bisection import halved_runs, window_directions
from icp.pack.problem import Corpus, Pieces
from icp.pack.rounds import begin_windows, finish_windows

PARTITION_DOCS = 262_144
"""Documents up to which a corpus is one partition."""

SEGMENT_DOCS = 32
"""Documents that stay together, as they follow one another on the path."""

RANGE_SEGMENTS = 4096
"""Segments of one task."""


def is_divided(n_docs: int) -> bool:
    """Whether so many documents are planned in partitions."""
    return n_docs > PARTITION_DOCS


@dataclass(frozen=True, slots=True)
class Segments:
    """Documents that stay together while a corpus is divided.

    Attributes:
        docs: (n,) int64, documents in path order, one group after another.
        bounds: (segments + 1,) int64, the place in `docs` where each begins, and the end.
        blocks: (blocks + 1,) int64, the segment with which each block begins, and the end. A block holds whole groups,
            or one large one; partitions keep to blocks.
    """

    docs: NDArray[np.int64]
    bounds: NDArray[np.int64]
    blocks: NDArray[np.int64]

    @property
    def n_ranges(self) -> int:
        """Ranges of segments, see `segment_directions`."""
        return -(-(self.bounds.size - 1) // RANGE_SEGMENTS)


def segments_of(corpus: Corpus, docs: NDArray[np.int64]) -> Segments:
    """The segments of documents, (m,) int64, that stand in path order, one group after another."""
    group = corpus.groups[docs]
    begins = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    edges = _packed(np.r_[begins, docs.size], PARTITION_DOCS)
    firsts = [np.arange(begin, end, SEGMENT_DOCS) for begin, end in pairwise(edges)]
    blocks = np.cumsum([0, *(first.size for first in firsts)])
    return Segments(docs, np.append(np.concatenate(firsts), docs.size), blocks)


def _packed(edges: NDArray[np.int64], most: int) -> list[int]:
    """Some of the edges, so that what lies between two of them is up to `most`, or cannot be less."""
    kept = [0]
    for before, edge in zip(edges[1:-1].tolist(), edges[2:].tolist(), strict=True):
        if edge - kept[-1] > most:
            kept.append(before)
    return [*kept, int(edges[-1])]


def segment_directions(corpus: Corpus, segments: Segments, number: int) -> NDArray[np.float16]:
    """(segments of the range, dim) float16: where each points."""
    bounds = segments.bounds[number * RANGE_SEGMENTS : (number + 1) * RANGE_SEGMENTS + 1]
    of_segment = np.repeat(np.arange(bounds.size - 1), np.diff(bounds))
    return window_directions(corpus.embeddings, np.asarray(segments.docs[bounds[0] : bounds[-1]]), of_segment)


def divide(segments: Segments, directions: NDArray[np.float16]) -> list[NDArray[np.int64]]:
    """The documents of each partition, in path order; partitions that follow one another are alike.

    Args:
        directions: (segments, dim) float16, of all ranges.
    """
    sizes, partitions = np.diff(segments.bounds), []
    for begin, end in pairwise(segments.blocks.tolist()):
        for run in halved_runs(directions[begin:end], sizes[begin:end], PARTITION_DOCS):
            starts, counts = segments.bounds[begin + run], sizes[begin + run]
            places = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            partitions.append(np.asarray(segments.docs[places]))
    return partitions


def plan_partition(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64], threads: int) -> Pieces:
    """Windows of the documents of a partition; windows that follow one another by number are like one another.

    Args:
        docs: in path order.
        tokens: (all documents,) int64.
    """
    if not docs.size:
        return NOTHING
    chosen = np.sort(docs)
    pieces = begin_windows(
        part_of(corpus, chosen), np.searchsorted(chosen, docs).astype(np.int64), np.asarray(tokens[docs]), threads
    )
    return replace(pieces, doc=chosen[pieces.doc])


def plan_seam(corpus: Corpus, before: Pieces, after: Pieces, threads: int) -> Pieces:
    """Better windows for the second half of a partition and the first half of the next."""
    first, last = _half(before, second=True), _half(after, second=False)
    n_first = n_windows(first)
    pieces = Pieces(
        np.concatenate((first.doc, last.doc)),
        np.concatenate((first.tokens, last.tokens)),
        np.concatenate((first.window, last.window + n_first)).astype(np.int32),
    )
    if not pieces.doc.size:
        return NOTHING
    chosen, local = np.unique(pieces.doc, return_inverse=True)
    pieces = finish_windows(part_of(corpus, chosen), replace(pieces, doc=local.astype(np.int64)), threads)
    return replace(pieces, doc=chosen[pieces.doc])


def _half(pieces: Pieces, *, second: bool) -> Pieces:
    """The windows up to the middle piece, or those behind it, numbered from 0."""
    if not pieces.doc.size:
        return pieces
    middle = int(np.partition(pieces.window, pieces.window.size // 2)[pieces.window.size // 2])
    rows = np.flatnonzero(pieces.window >= middle if second else pieces.window < middle)
    return Pieces(pieces.doc[rows], pieces.tokens[rows], pieces.window[rows] - np.int32(middle if second else 0))


def part_of(corpus: Corpus, docs: NDArray[np.int64]) -> Corpus:
    """A corpus of some documents, (m,) int64 ascending, renamed 0 to m - 1 in their order.

    Links and conflicts with other documents are left out; vectors are looked up in those of `corpus`.
    """
    graph = induced_graph(corpus.graph, docs)
    pairs = corpus.conflicts
    conflicts = induced_graph(DocGraph(corpus.conflict_bounds, pairs, np.zeros(pairs.size, np.float16)), docs)
    return replace(
        corpus,
        embeddings=ChosenRows(corpus.embeddings, docs),
        graph=graph,
        position=np.asarray(corpus.position[docs]),
        groups=np.asarray(corpus.groups[docs]),
        long=np.asarray(corpus.long[docs]),
        tails=np.asarray(corpus.tails[docs]),
        conflict_bounds=conflicts.indptr,
        conflicts=conflicts.indices,
    )


def joined_seams(seams: list[Pieces]) -> Pieces:
    """The pieces of all seams, their windows under numbers of their own."""
    first = np.cumsum([0, *(n_windows(seam) for seam in seams)])
    return Pieces(
        np.concatenate([seam.doc for seam in seams]),
        np.concatenate([seam.tokens for seam in seams]),
        np.concatenate([seam.window + begin for seam, begin in zip(seams, first, strict=False)]).astype(np.int32),
    )


def n_windows(pieces: Pieces) -> int:
    """One more than the largest number of a window."""
    return int(pieces.window.max(initial=-1)) + 1


NOTHING = Pieces(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32))
