"""Where the search for windows starts, and windows of their own for what found no room.

In: documents along the path; pieces. Out: pieces.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels import pack_fit
from icp.pack.problem import Corpus, Pieces, item_conflicts, merged


def window_count(tokens: int, capacity: int, min_fill: float) -> int:
    """Windows for so many tokens: as many as `min_fill` lets, at least as many as must be."""
    return max(int(tokens / (min_fill * capacity)), -(-tokens // capacity))


def start_windows(
    corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Equal segments of the path: (n,) int32, where the middle of each document lies; and the group of each."""
    group = corpus.groups[docs]
    begins = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    totals = np.add.reduceat(tokens, begins)
    counts = np.array([window_count(total, corpus.capacity, corpus.min_fill) for total in totals.tolist()])
    run = np.repeat(np.arange(begins.size), np.diff(np.r_[begins, tokens.size]))
    total, count = totals[run], counts[run]
    middle = np.cumsum(tokens) - (np.cumsum(totals) - totals)[run] - (tokens + 1) // 2
    window = (np.cumsum(counts) - counts)[run] + middle * count // total
    return window.astype(np.int32), np.repeat(group[begins], counts).astype(np.int32)


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
    closed = pack_fit.Closed(corpus.groups[over_doc], *item_conflicts(corpus, over_doc, item_of))
    order = np.lexsort((-over_tokens, closed.group))
    opened = pack_fit.best_fit(over_tokens, order, corpus.capacity, closed) + left.size
    kept = tokens > 0
    return merged(
        corpus,
        Pieces(
            np.concatenate((pieces.doc[kept], over_doc)),
            np.concatenate((tokens[kept], over_tokens)),
            np.concatenate((window[kept], opened.astype(np.int32))),
        ),
    )
