"""The first plan of all documents at once: whole documents move, one after another, to windows of their neighbours.

In: documents along the path. Out: a window for each; windows may be too full. Vectors are read a block at a time, so
that only the windows' sums are held besides: topics gather from all over the path before it is cut into stretches.
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from icp.kernels.pack_first_plan import Block, Flow, Links, drift, settle
from icp.pack.problem import NEIGHBORS, Corpus, Pieces
from icp.pack.quantising import quantised
from icp.pack.starts import start_windows

SWEEPS, PENALTY = 4, 1.0
"""Times that each document is visited; what a window that overflows, or has room, costs for its share of a window."""

BLOCK_DOCS = 262_144
"""Documents whose vectors are held at once, a byte a dimension; those of a partition are read once."""


def drifted(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64]) -> Pieces:
    """Windows of related documents, none of them cut, that hold roughly what they should.

    Args:
        docs: (n,) int64, in path order.
        tokens: (n,) int64, 1 to capacity.
    """
    start, group = start_windows(corpus, docs, tokens)
    window = np.full(corpus.position.size, -1, np.int32)
    window[docs] = start
    n_windows = group.size
    squares, own, count, filled = np.zeros((4, n_windows), np.int64)
    flow = Flow(
        window,
        np.zeros((n_windows, corpus.embeddings.shape[1]), np.int32),
        squares,
        own,
        count,
        filled,
        group,
        np.full(n_windows, -1, np.int64),
        np.zeros(1, np.int64),
    )
    links = Links(
        corpus.graph.indptr,
        corpus.graph.indices,
        corpus.conflict_bounds,
        corpus.conflicts,
        np.array([NEIGHBORS]),
    )
    spans = [slice(begin, begin + BLOCK_DOCS) for begin in range(0, docs.size, BLOCK_DOCS)]
    block = None
    for sweep in range(SWEEPS + 1):
        for span in spans:
            if block is None or len(spans) > 1:
                block = _block(corpus, docs[span], tokens[span])
            if sweep == 0:
                settle(flow, block)
            else:
                drift(flow, block, links, corpus.capacity, (PENALTY, corpus.scale**2))
    return Pieces(docs, tokens, window[docs])


def _block(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64]) -> Block:
    vectors = quantised(corpus.embeddings, docs, corpus.scale)
    return Block(vectors, docs, tokens, np.einsum("ij,ij->i", vectors, vectors, dtype=np.int64))


def window_counts(corpus: Corpus, stretches: list[Pieces]) -> list[dict[int, int]]:
    """How many windows each stretch may have for each of its groups, so that all together are as full as wanted."""
    tokens: dict[int, int] = defaultdict(int)
    windows: dict[int, int] = defaultdict(int)
    counts: list[dict[int, int]] = []
    for pieces in stretches:
        here = np.bincount(corpus.groups[pieces.doc], weights=pieces.tokens)
        counts.append({})
        for group in np.flatnonzero(here).tolist():
            tokens[group] += int(here[group])
            most = int(tokens[group] / (corpus.min_fill * corpus.capacity))
            counts[-1][group] = max(most - windows[group], -(-int(here[group]) // corpus.capacity))
            windows[group] += counts[-1][group]
    return counts


def sized(corpus: Corpus, pieces: Pieces, counts: dict[int, int]) -> tuple[Pieces, NDArray[np.int32]]:
    """The emptiest windows dissolved, or empty ones added, until a stretch has as many as it may have.

    Args:
        pieces: windows numbered so that a group's follow one another.
        counts: windows of each group.

    Returns: pieces; (windows,) int32, group of each window, ascending.
    """
    n_windows = int(pieces.window.max()) + 1
    filled = np.bincount(pieces.window, weights=pieces.tokens, minlength=n_windows)
    group = np.zeros(n_windows, np.int32)
    group[pieces.window] = corpus.groups[pieces.doc]
    number = np.full(n_windows, -1, np.int32)
    first = 0
    for each, count in sorted(counts.items()):
        used = np.flatnonzero((group == each) & (filled > 0))
        kept = np.sort(used[np.lexsort((used, -filled[used]))[:count]])
        number[used] = first + np.maximum(np.searchsorted(kept, used, side="right") - 1, 0)
        first += count
    groups = np.repeat(np.array(sorted(counts), np.int32), [count for _, count in sorted(counts.items())])
    return Pieces(pieces.doc, pieces.tokens, number[pieces.window]), groups
