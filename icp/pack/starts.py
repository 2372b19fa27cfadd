"""Where the search for windows starts.

In: documents along the path. Out: a window for each.
"""

import numpy as np
from numpy.typing import NDArray

from icp.pack.problem import Corpus


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
