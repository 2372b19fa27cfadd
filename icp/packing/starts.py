"""Where the search for windows starts, and windows of their own for what found no room.

In: documents along the path; pieces. Out: pieces.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels import fit
from icp.packing.items import Corpus, Pieces, item_conflicts, merged

LEAST_TOKENS = 32
"""Fewest tokens of a piece at the start."""


def window_count(tokens: int, capacity: int, min_fill: float) -> int:
    """Windows for so many tokens: as many as `min_fill` lets, at least as many as must be."""
    return max(int(tokens / (min_fill * capacity)), -(-tokens // capacity))


def start_pieces(
    corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64]
) -> tuple[Pieces, NDArray[np.int32]]:
    """Equal segments of the path, and the group of each window.

    Documents are cut where segments end; those with conflicts go to the segment of their middle.
    """
    group = corpus.groups[docs]
    begins = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    totals = np.add.reduceat(tokens, begins)
    counts = np.array([window_count(total, corpus.capacity, corpus.min_fill) for total in totals.tolist()])
    run = np.repeat(np.arange(begins.size), np.diff(np.r_[begins, tokens.size]))
    total, count = totals[run], counts[run]
    stop = np.cumsum(tokens) - (np.cumsum(totals) - totals)[run]
    start = stop - tokens
    first, last = start * count // total, (stop - 1) * count // total
    middle = np.minimum((start + stop) * count // (2 * total), count - 1)
    solid = corpus.conflict_bounds[docs + 1] > corpus.conflict_bounds[docs]
    first, last = np.where(solid, middle, first), np.where(solid, middle, last)
    n_pieces = last - first + 1
    row = np.repeat(np.arange(docs.size), n_pieces)
    segment = first[row] + np.arange(row.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    edge = -(-segment * total[row] // count[row])
    after = -(-(segment + 1) * total[row] // count[row])
    sizes = np.minimum(after, stop[row]) - np.maximum(edge, start[row])
    sizes = np.where(solid[row], tokens[row], sizes)
    window = ((np.cumsum(counts) - counts)[run][row] + segment).astype(np.int32)
    pieces = merged(corpus, Pieces(docs[row], sizes, window))
    return without_slivers(pieces, max(corpus.least, LEAST_TOKENS)), np.repeat(group[begins], counts).astype(np.int32)


def without_slivers(pieces: Pieces, least: int) -> Pieces:
    """Pieces under `least` tokens added to the largest of their document, which is its first."""
    begins = np.r_[True, pieces.doc[1:] != pieces.doc[:-1]]
    sliver = ~begins & (pieces.tokens < least)
    tokens = pieces.tokens.copy()
    np.add.at(tokens, np.flatnonzero(begins)[np.cumsum(begins) - 1][sliver], tokens[sliver])
    return Pieces(pieces.doc[~sliver], tokens[~sliver], pieces.window[~sliver])


def open_windows(corpus: Corpus, pieces: Pieces, left: NDArray[np.int64]) -> Pieces:
    """What found no room goes to windows of its own: `left` tokens, or a whole piece, out of each window."""
    out = []
    rows = np.lexsort((-pieces.tokens, pieces.window))
    first = np.searchsorted(pieces.window[rows], np.arange(left.size + 1))
    doc, tokens, window = pieces.doc.tolist(), pieces.tokens.copy(), pieces.window.copy()
    for full in np.flatnonzero(left).tolist():
        need, members = int(left[full]), rows[first[full] : first[full + 1]].tolist()
        while need > 0:
            largest = max(members, key=lambda row: int(tokens[row]))
            gone = need if need >= corpus.least and tokens[largest] >= need + corpus.least else int(tokens[largest])
            out.append((doc[largest], gone))
            tokens[largest] -= gone
            need -= gone
    over_doc, over_tokens = (np.array(column, np.int64) for column in zip(*out, strict=True))
    rows = np.lexsort((-over_tokens, corpus.position[over_doc]))
    over_doc, over_tokens = over_doc[rows], over_tokens[rows]
    item_of = np.full(corpus.position.size, -1, np.int32)
    item_of[over_doc[::-1]] = np.arange(over_doc.size - 1, -1, -1, dtype=np.int32)
    closed = fit.Closed(corpus.groups[over_doc], *item_conflicts(corpus, over_doc, item_of))
    order = np.lexsort((-over_tokens, closed.group))
    opened = fit.best_fit(over_tokens, order, corpus.capacity, closed) + left.size
    kept = tokens > 0
    return merged(
        corpus,
        Pieces(
            np.concatenate((pieces.doc[kept], over_doc)),
            np.concatenate((tokens[kept], over_tokens)),
            np.concatenate((window[kept], opened.astype(np.int32))),
        ),
    )
