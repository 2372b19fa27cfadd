"""Plan windows for one stretch of the path: what needs the documents' vectors, so the stretch has a bounded size.

In: documents with their tokens, vectors, graph. Out: pieces, and the window of each.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels import pack_fit, pack_near, pack_pour, pack_repair
from icp.kernels.pack_pour_step import Prices
from icp.kernels.pack_search import fill_empty, search_windows
from icp.kernels.pack_state import WHOLE, Items, State, new_state
from icp.kernels.pack_step import Rules
from icp.pack.first_plan import sized
from icp.pack.problem import Corpus, Pieces, make_items, merged, remaining

SOFT_SCHEDULES = (np.array([1.0, 1.0, 2.0, 2.0, 4.0, 4.0]), np.array([2.0, 4.0]))
"""The soft plan of pieces, at first and again: windows that overflow, or have room, cost this times the share of a
window, sweep by sweep; where they hold `USUAL_DOCS` documents. Windows of more are worth more, and cost more."""

USUAL_DOCS = 7

WHOLE_SCHEDULE = ((0.6, 2), (1.0, 2), (2.0, 2), (4.0, 2), (8.0, 2), (16.0, 1), (32.0, 1), (64.0, 1))
AGAIN_SCHEDULE = ((8.0, 1), (16.0, 1), (32.0, 1), (64.0, 1))
"""Penalties of the soft plan of whole documents, and sweeps with each: at first, and to get out of a dead end."""

PRICES = Prices(cut=0.0, root=0.15, over=1.0, waste=0.5, good=-0.4)
"""What steps cost that pour overflow into other windows; cuts cost nothing where `Corpus.cut_cost` is 0, and more where
the nearest of a window counts beside the mean."""

MORE_POURS = 4
"""Times that windows which were opened for what found no room are dissolved and poured again."""

HARD_SWEEPS = 8

NARROW_FILL = 0.98
"""From this `min_fill` on, whole documents leave so little room that room is not punished."""


def plan_stretch(
    corpus: Corpus, pieces: Pieces, counts: dict[int, int] | None = None, *, again: bool = False
) -> Pieces:
    """Better windows for documents of windows that stand near one another; none is too full.

    Args:
        pieces: their windows numbered so that like ones stand near one another, a group's one after another.
        counts: how many windows each group may have; None: as many as there are.
        again: this is not the first round, when pieces are whole documents and windows may be too full.
    """
    pieces = merged(corpus, pieces)
    pieces, group = sized(corpus, pieces, counts) if counts else (pieces, group_of_windows(corpus, pieces))
    if corpus.whole:
        return _whole_round(corpus, pieces, group, AGAIN_SCHEDULE if again else WHOLE_SCHEDULE)
    items, state = _started(corpus, pieces, group)
    fill_empty(items, state, corpus.capacity)
    rules = Rules(corpus.capacity, np.zeros(1), False, 0.3, True, 8, 3, False, corpus.cut_cost, 0)
    search_windows(items, state, rules, SOFT_SCHEDULES[again] * pieces.doc.size / (USUAL_DOCS * group.size))
    pieces = _fit_pieces(corpus, items, state)
    for _ in range(MORE_POURS):
        if not counts or _n_windows(pieces) <= sum(counts.values()):
            break
        fewer, group = sized(corpus, merged(corpus, pieces), counts)
        fewer = _fit_pieces(corpus, *_started(corpus, fewer, group))
        if _n_windows(fewer) >= _n_windows(pieces):
            break
        pieces = fewer
    return search_pieces(corpus, pieces)


def _n_windows(pieces: Pieces) -> int:
    return int(np.unique(pieces.window).size)


def _whole_round(
    corpus: Corpus, pieces: Pieces, group: NDArray[np.int32], schedule: tuple[tuple[float, int], ...]
) -> Pieces:
    items, state = _started(corpus, pieces, group)
    fill_empty(items, state, corpus.capacity)
    _plan_whole(corpus, items, state, schedule)
    return search_pieces(corpus, _fit_whole(corpus, items, state))


def _started(corpus: Corpus, pieces: Pieces, window_group: NDArray[np.int32]) -> tuple[Items, State]:
    """Items of the pieces in their windows, but that those in conflict are moved apart."""
    items, window = make_items(corpus, pieces.doc, pieces.tokens), pieces.window.copy()
    extra = pack_near.separate(window, window_group, items.kind, items.conflict_bounds, items.conflicts)
    return items, new_state(items, window, np.concatenate((window_group, extra)))


def _plan_whole(corpus: Corpus, items: Items, state: State, schedule: tuple[tuple[float, int], ...]) -> None:
    two_sided = corpus.min_fill < NARROW_FILL
    rules = Rules(corpus.capacity, np.zeros(1), False, 1.0, two_sided, 8, 3, False, 0.0, 0)
    for penalty, sweeps in schedule:
        search_windows(items, state, rules, np.full(sweeps, penalty))
        if penalty < AGAIN_SCHEDULE[0][0]:
            fill_empty(items, state, corpus.capacity)


def search_pieces(corpus: Corpus, pieces: Pieces) -> Pieces:
    """Better windows by steps that keep them from overflowing; pieces of one document that meet become one.

    Args:
        pieces: whose windows fit.
    """
    items = make_items(corpus, pieces.doc, pieces.tokens)
    window = pieces.window.copy()
    window_group = group_of_windows(corpus, pieces)
    swaps, chains = (20, 6) if corpus.whole else (12, 3)
    rules = Rules(
        corpus.capacity, np.zeros(1), True, 0.0, False, swaps, chains, corpus.whole, corpus.cut_cost, corpus.least
    )
    search_windows(items, new_state(items, window, window_group), rules, np.zeros(HARD_SWEEPS))
    return remaining(corpus, items, window)


def group_of_windows(corpus: Corpus, pieces: Pieces) -> NDArray[np.int32]:
    """(windows,) int32: group of the documents of each window, 0 for an empty one."""
    group = np.zeros(int(pieces.window.max()) + 1, np.int32)
    group[pieces.window] = corpus.groups[pieces.doc]
    return group


def _fit_whole(corpus: Corpus, items: Items, state: State) -> Pieces:
    pack_repair.repair_windows(items, state, corpus.capacity)
    return Pieces(items.doc, items.tokens, _fitted(corpus, items, state))


def _fit_pieces(corpus: Corpus, items: Items, state: State) -> Pieces:
    prices = PRICES._replace(root=PRICES.root * corpus.dearer * (1 + 2 * items.bond[0]) if corpus.cut_cost else 0.0)
    item, window, tokens = pack_pour.pour_overflow(items, state, corpus.capacity, corpus.least, prices)
    fitted = _fitted(corpus, items, state)
    rows = np.flatnonzero(fitted >= 0)  # those that were joined to others stand in none
    return merged(
        corpus,
        Pieces(
            np.concatenate((items.doc[rows], items.doc[item])),
            np.concatenate((items.tokens[rows], tokens)),
            np.concatenate((fitted[rows], window.astype(np.int32))),
        ),
    )


def _fitted(corpus: Corpus, items: Items, state: State) -> NDArray[np.int32]:
    """Windows of the items; what is still too much goes to neighbours that have room, or to windows of its own."""
    left = pack_repair.evict(items, state, corpus.capacity)
    closed = pack_fit.Closed(items.group, items.conflict_bounds, items.conflicts, items.kind != WHOLE)
    left = left[np.argsort(items.group[left], kind="stable")]
    opened = pack_fit.best_fit(items.tokens, left, corpus.capacity, closed)
    return np.where(opened >= 0, opened + state.count.size, state.window).astype(np.int32)
