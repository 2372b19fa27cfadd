"""Rounds of stretches: windows put next to like ones, cut into stretches, each stretch planned by itself.

In: pieces with their windows, or documents along the path. Out: better windows. `begin_windows` is the first of the
rounds, for whole documents; `finish_windows` the others, whose stretches are shifted.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icp.pack.bisection import halved_runs, window_sums
from icp.pack.first_plan import drifted, window_counts
from icp.pack.problem import Corpus, Pieces
from icp.pack.quantising import largest_scale
from icp.pack.spread import window_path
from icp.pack.stretch import NARROW_FILL, plan_stretch

STRETCH_DOCS = 32_768
"""Documents whose vectors are held at once, for each thread."""

RUNS_OF_STRETCH = 4
"""Runs of like windows in a stretch, so that shifted stretches cut between such runs."""

ROUNDS, NARROW_ROUNDS = (0.0, 0.5), (0.0, 0.5, 0.0, 0.5)
"""How far each round's stretches are shifted, as a share of a stretch; fitting whole documents tightly takes more."""

PATH_WINDOWS = 8192
"""Windows of several stretches up to which one path leads through all; of more, whose neighbours cost more, one leads
through each run."""

RESERVE = 1000
"""Windows of which one may be planned away, see `_with_reserve`."""


def begin_windows(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64], threads: int) -> Pieces:
    """Windows of documents that have none: a first plan of all, and the first half of the rounds.

    Args:
        docs: (n,) int64, in path order.
        tokens: (n,) int64, 1 to capacity.
    """
    rounds, fill = _rounds(corpus), _with_reserve(corpus, docs.size, int(tokens.sum()))
    corpus = replace(corpus, min_fill=fill, scale=largest_scale(corpus.embeddings, docs))
    pieces = drifted(corpus, docs, tokens)
    with ThreadPoolExecutor(threads) as pool:
        for number, shift in enumerate(rounds[: len(rounds) // 2]):
            pieces = _round(corpus, pieces, shift, pool, first=number == 0)
    return pieces


def finish_windows(corpus: Corpus, pieces: Pieces, threads: int) -> Pieces:
    """Better windows by the second half of the rounds."""
    corpus = replace(corpus, scale=largest_scale(corpus.embeddings, np.unique(pieces.doc)))
    rounds = _rounds(corpus)
    with ThreadPoolExecutor(threads) as pool:
        for shift in rounds[len(rounds) // 2 :]:
            pieces = _round(corpus, pieces, shift, pool)
    return pieces


def _with_reserve(corpus: Corpus, n_docs: int, n_tokens: int) -> float:
    """`min_fill` with a window less for every second stretch, since some open one for what finds no room; of `RESERVE`
    windows, one less at most."""
    n_stretches, n_windows = len(_edges(n_docs, STRETCH_DOCS)) - 1, int(n_tokens / (corpus.min_fill * corpus.capacity))
    reserve = min(n_stretches // 2, n_windows // RESERVE)
    if not reserve:
        return corpus.min_fill
    return min(1.0, n_tokens / ((n_windows - reserve) * corpus.capacity))


def _rounds(corpus: Corpus) -> tuple[float, ...]:
    return NARROW_ROUNDS if corpus.whole and corpus.min_fill >= NARROW_FILL else ROUNDS


def _round(corpus: Corpus, pieces: Pieces, shift: float, pool: ThreadPoolExecutor, *, first: bool = False) -> Pieces:
    stretches = _stretches(_along_windows(corpus, pieces, pool), shift)
    sized = first or not corpus.whole
    counts = window_counts(corpus, stretches) if sized else [None] * len(stretches)
    return _joined(corpus, list(pool.map(partial(plan_stretch, corpus, again=not first), stretches, counts)))


def _along_windows(corpus: Corpus, pieces: Pieces, pool: ThreadPoolExecutor) -> Pieces:
    """The same windows, numbered so that like ones come into one stretch, and inside runs along a path; one group after
    another."""
    sums = window_sums(corpus.embeddings, pieces.doc, pieces.window)
    one = pieces.doc.size <= STRETCH_DOCS
    few = one or len(sums) <= PATH_WINDOWS
    path = window_path(sums) if few else np.arange(len(sums))
    if not one:
        sizes = np.bincount(pieces.window, minlength=len(sums))
        runs = [path[run] for run in halved_runs(sums[path], sizes[path], -(-STRETCH_DOCS // RUNS_OF_STRETCH))]
        path = np.concatenate(runs if few else list(pool.map(lambda run: run[window_path(sums[run])], runs)))
    group = np.zeros(path.size, np.int32)
    group[pieces.window] = corpus.groups[pieces.doc]
    path = path[np.argsort(group[path], kind="stable")]
    number = np.empty(path.size, np.int32)
    number[path] = np.arange(path.size, dtype=np.int32)
    return Pieces(pieces.doc, pieces.tokens, number[pieces.window])


def _stretches(pieces: Pieces, shift: float) -> list[Pieces]:
    """Windows that follow one another, of some `STRETCH_DOCS` pieces; `shift`: how far on, as a share of a stretch."""
    rows = np.argsort(pieces.window, kind="stable")
    window = pieces.window[rows]
    edges = _edges(rows.size, STRETCH_DOCS)
    inner = [int(begin + shift * (end - begin)) for begin, end in pairwise(edges)] if len(edges) > 2 else []
    cuts = np.unique(np.r_[0, np.searchsorted(window, window[np.array(inner, np.int64)]), rows.size]).tolist()
    spans = [rows[begin:end] for begin, end in pairwise(cuts)]
    return [
        Pieces(pieces.doc[span], pieces.tokens[span], pieces.window[span] - pieces.window[span[0]]) for span in spans
    ]


def _edges(n: int, most: int) -> list[int]:
    """Begins of the fewest equal parts of up to `most`, and the end."""
    n_parts = max(1, -(-n // most)) if n else 0
    return [n * part // max(n_parts, 1) for part in range(n_parts + 1)]


def _joined(corpus: Corpus, parts: list[Pieces]) -> Pieces:
    """Plans of stretches as one, their windows numbered in the order of stretches, inside along the path."""
    first = 0
    windows = [np.empty(0, np.int32)]
    for part in parts:
        number, middle = ranked(corpus.position[part.doc], part.window)
        windows.append((number + first).astype(np.int32))
        first += middle.size
    empty = np.empty(0, np.int64)
    return Pieces(
        np.concatenate([empty, *(part.doc for part in parts)]),
        np.concatenate([empty, *(part.tokens for part in parts)]),
        np.concatenate(windows),
    )


def ranked(place: NDArray[np.int64], window: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows numbered without gaps by the middle place of their members, ties by the first.

    Args:
        place: (members,) int64, the place of each member on the path.
        window: (members,) int32, its window; some numbers may be missing.

    Returns: the new number of each member's window, (members,) int64; the middle place of each window by its new
        number, (windows,) int64.
    """
    rows = np.lexsort((place, window))
    begins = np.flatnonzero(np.r_[True, np.diff(window[rows]) > 0][: window.size])
    sizes = np.diff(np.r_[begins, window.size])
    middle, first = place[rows][begins + (sizes - 1) // 2], place[rows][begins]
    by_rank = np.lexsort((first, middle))
    number = np.empty(int(window.max(initial=-1)) + 1, np.int64)
    number[window[rows][begins][by_rank]] = np.arange(begins.size)
    return number[window], middle[by_rank]
