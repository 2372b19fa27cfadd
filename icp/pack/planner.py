"""The planner of ``pack.method: windows``: related documents fill each window, and few are cut.

In: path, lengths, graph, vectors. Out: pieces with their windows, numbered along the path. Long documents give whole
windows first; what is left of them, and all others, are planned by stretches of like windows, then by shifted ones: in
one piece, or in partitions where there are many.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.pack import rounds
from icp.pack.layout import lay_out
from icp.pack.partition_plan import Division, plan_divided
from icp.pack.partitions import NOTHING, is_divided, n_windows, segments_of
from icp.pack.problem import Corpus, Pieces
from icp.pack.rounds import begin_windows, finish_windows
from icp.pack.worth import plan_worth


@dataclass(frozen=True, slots=True)
class Tails:
    """What is left of documents when whole windows are taken off their fronts.

    Attributes:
        corpus: all documents; its `min_fill` is that of the windows of tails.
        tokens: (n,) int64, see `tail_tokens`.
        docs: (m,) int64, the documents that have a tail, in path order, one group after another.
    """

    corpus: Corpus
    tokens: NDArray[np.int64]
    docs: NDArray[np.int64]


LEAST_FILL = 0.9
"""Windows of tails are at least so full (unless `min_fill` is lower), however many windows long documents fill."""

FEW_DOCS = 4096
"""Documents up to which several plans are made, and the best is taken."""

DEARER = (1.4, 2.0, 1.2, 1.7)
"""What cuts cost in further plans, as a multiple of what they do in the first."""


def plan_related(corpus: Corpus, lengths: NDArray[np.int64], threads: int = 1) -> PackPlan:
    """Windows for all documents of a corpus.

    Args:
        lengths: (n,) int64, tokens of each document with its specials; 0 takes no window.
        threads: stretches, or partitions, planned at a time; the plan does not depend on it.

    Source: the project's own (docs/windows.md).
    """
    tails = tails_of(corpus, lengths)
    if is_divided(tails.docs.size):
        pieces = plan_divided(division_of(tails), threads)
    elif tails.docs.size:
        pieces = _in_one_piece(tails.corpus, tails.docs, tails.tokens[tails.docs], threads)
    else:
        pieces = NOTHING
    return lay_out(corpus, lengths, tails.tokens, pieces)


def tails_of(corpus: Corpus, lengths: NDArray[np.int64]) -> Tails:
    """The tails of the documents, and the corpus with the fill that their windows need.

    Args:
        lengths: (n,) int64, tokens of each document with its specials; 0 takes no window.
    """
    tokens = tail_tokens(corpus, lengths)
    long = (lengths > corpus.capacity) & (tokens > 0)
    fuller = replace(corpus, min_fill=fill_of_tails(corpus, lengths, tokens), long=long, tails=tokens)
    return Tails(fuller, tokens, docs_along(corpus, tokens))


def division_of(tails: Tails) -> Division:
    """What the tasks of a plan in partitions read."""
    return Division(tails.corpus, tails.tokens, segments_of(tails.corpus, tails.docs))


def docs_along(corpus: Corpus, tails: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m,) int64: the documents that have a tail, in path order, one group after another.

    Args:
        tails: (n,) int64, tokens left of each document; 0: it has no tail.
    """
    docs = np.argsort(corpus.position, kind="stable")
    return docs[tails[docs] > 0]


def tail_tokens(corpus: Corpus, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) int64: what is left of each document when whole windows are taken off it, at least a piece; 0 if nothing is.

    A window holds two tails of long documents at most, one that begins it and one that ends it. Of a group with more
    such tails than windows, no long document has one: they are laid one after another, cut where windows end.
    """
    long = lengths > corpus.capacity
    tails = np.where(long, lengths % corpus.capacity, lengths)
    tails = np.where(long & (tails > 0), np.maximum(tails, corpus.least), tails)
    n_long = np.bincount(corpus.groups, weights=long & (tails > 0))
    crowded = n_long * corpus.capacity > np.bincount(corpus.groups, weights=tails)
    return np.where(long & crowded[corpus.groups], 0, tails)


def fill_of_tails(corpus: Corpus, lengths: NDArray[np.int64], tails: NDArray[np.int64]) -> float:
    """How full the windows of the tails must be, since whole windows of long documents are quite full.

    Args:
        lengths: (n,) int64, tokens of each document with its specials.
        tails: (n,) int64, those of them that are left when whole windows are taken off.

    Returns: a share of a window, above 0 and at most 1.
    """
    tokens, of_tails = int(lengths.sum()), int(tails.sum())
    full = (tokens - of_tails) / corpus.capacity
    windows = tokens / (corpus.min_fill * corpus.capacity) - full
    if not of_tails:
        return 1.0
    return min(1.0, max(of_tails / (windows * corpus.capacity), min(LEAST_FILL, corpus.min_fill)))


def _in_one_piece(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64], threads: int) -> Pieces:
    """The best of some plans of few documents, which differ by chance; of more, one plan."""
    fill = corpus.min_fill
    wanted = max(1, int(tokens.sum() / (fill * corpus.capacity)))
    several = docs.size <= FEW_DOCS and not corpus.whole
    ways = [corpus, *(replace(corpus, dearer=dearer) for dearer in DEARER if several)]
    plans = _all_planned(ways, docs, tokens, threads)
    excess = n_windows(plans[0]) / wanted
    if docs.size <= rounds.STRETCH_DOCS and excess > 1 and fill < 1 and not corpus.groups.any():
        # what found no room took windows of its own: plan so many fewer, once; of many windows one more is nothing
        fuller = min(1.0, fill * excess)
        plans += _all_planned([replace(way, min_fill=fuller) for way in ways], docs, tokens, threads)
    return _best(corpus, plans, wanted)


def _best(corpus: Corpus, plans: list[Pieces], wanted: int) -> Pieces:
    """The plan that is worth most of those with the fewest windows; up to `wanted` of them are few enough."""
    counts = [max(n_windows(plan), wanted) for plan in plans]
    fewest = [plan for plan, count in zip(plans, counts, strict=True) if count == min(counts)]
    return max(fewest, key=partial(plan_worth, corpus)) if len(fewest) > 1 else fewest[0]


def _all_planned(
    ways: Sequence[Corpus], docs: NDArray[np.int64], tokens: NDArray[np.int64], threads: int
) -> list[Pieces]:
    """A plan for each way, as many at a time as there are threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda way: _planned(way, docs, tokens, threads), ways))


def _planned(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64], threads: int) -> Pieces:
    return finish_windows(corpus, begin_windows(corpus, docs, tokens, threads), threads)
