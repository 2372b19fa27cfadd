"""Plan windows for one stretch of the path: what needs the documents' vectors, so the stretch has a bounded size.

In: documents with their tokens, vectors, graph. Out: pieces, and the window of each.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels import fit, near, pour, repair
from icp.kernels.plan_search import fill_empty, search_windows
from icp.kernels.plan_state import Items, State, new_state
from icp.kernels.plan_step import Rules
from icp.packing.items import Corpus, Pieces, item_conflicts, make_items, merged

POUR_SCHEDULE = ((0.3, 2), (0.6, 2), (1.0, 4))
WHOLE_SCHEDULE = ((0.3, 2), (0.6, 2), (1.0, 2), (2.0, 2), (4.0, 2), (8.0, 2), (16.0, 1), (32.0, 1), (64.0, 1))
"""Penalties of the soft plan, and sweeps with each."""

HARD_SWEEPS = 8

LAST_FILLED = 2.0
"""Up to this penalty, windows that were left empty are given half of one that overflows."""

LEAST_PIECES = (32, 8)
"""Fewest tokens of a piece, in the first rounds of pouring."""

NARROW_FILL = 0.98
"""From this `min_fill` on, whole documents leave so little room that room is not punished."""


def plan_stretch(corpus: Corpus, docs: NDArray[np.int64], tokens: NDArray[np.int64]) -> Pieces:
    """Windows, numbered from 0, for documents that follow one another on the path.

    Args:
        docs: (n,) int64, in path order.
        tokens: (n,) int64, 1 to capacity.
    """
    items = make_items(corpus, docs, tokens)
    window, window_group = _start(tokens, items.group, corpus)
    extra = near.separate(window, window_group, items.conflict_bounds, items.conflicts)
    window_group = np.concatenate((window_group, extra))
    _plan_softly(corpus, items, new_state(items, window, window_group))
    state = new_state(items, window, window_group)
    fitted = (_fit_whole if corpus.whole else _fit_pieces)(corpus, docs, items, state)
    return search_pieces(corpus, fitted, items)


def _plan_softly(corpus: Corpus, items: Items, state: State) -> None:
    two_sided = not corpus.whole or corpus.min_fill < NARROW_FILL
    linear, schedule = (1.0, WHOLE_SCHEDULE) if corpus.whole else (0.3, POUR_SCHEDULE)
    rules = Rules(corpus.capacity, np.zeros(1), False, linear, two_sided, 8, 3, False)
    for penalty, sweeps in schedule:
        search_windows(items, state, rules, np.full(sweeps, penalty))
        if penalty <= LAST_FILLED:
            fill_empty(items, state, corpus.capacity)


def search_pieces(corpus: Corpus, pieces: Pieces, items: Items | None = None) -> Pieces:
    """Better windows by steps that keep them from overflowing; pieces of one document that meet become one.

    Args:
        pieces: whose windows fit.
        items: of the same documents, if at hand: whole ones, in path order.
    """
    pieces = merged(corpus, pieces)
    if items is None or items.tokens.size != pieces.doc.size:
        items = make_items(corpus, pieces.doc, pieces.tokens)
    window = pieces.window.copy()
    window_group = np.zeros(int(window.max()) + 1, np.int32)
    window_group[window] = items.group
    swaps, chains = (20, 6) if corpus.whole else (12, 3)
    rules = Rules(corpus.capacity, np.zeros(1), True, 0.0, False, swaps, chains, corpus.whole)
    search_windows(items, new_state(items, window, window_group), rules, np.zeros(HARD_SWEEPS))
    return merged(corpus, Pieces(pieces.doc, pieces.tokens, window))


def window_count(tokens: int, capacity: int, min_fill: float) -> int:
    """Windows for so many tokens: as many as `min_fill` lets, at least as many as must be."""
    return max(int(tokens / (min_fill * capacity)), -(-tokens // capacity))


def _start(
    tokens: NDArray[np.int64], group: NDArray[np.int32], corpus: Corpus
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Equal segments of the path: the window of each document, and the group of each window."""
    begins = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    totals = np.add.reduceat(tokens, begins)
    counts = np.array([window_count(total, corpus.capacity, corpus.min_fill) for total in totals.tolist()])
    run = np.repeat(np.arange(begins.size), np.diff(np.r_[begins, tokens.size]))
    twice_middle = 2 * (np.cumsum(tokens) - np.r_[0, np.cumsum(totals)[:-1]][run]) - tokens
    inside = np.minimum(twice_middle * counts[run] // (2 * totals[run]), counts[run] - 1)
    first = np.r_[0, np.cumsum(counts)[:-1]]
    return (first[run] + inside).astype(np.int32), np.repeat(group[begins], counts).astype(np.int32)


def _fit_whole(corpus: Corpus, docs: NDArray[np.int64], items: Items, state: State) -> Pieces:
    repair.repair_windows(items, state, corpus.capacity)
    left = repair.evict(items, state, corpus.capacity)
    closed = fit.Closed(items.group, items.conflict_bounds, items.conflicts)
    left = left[np.argsort(items.group[left], kind="stable")]
    opened = fit.best_fit(items.tokens, left, corpus.capacity, closed)
    window = np.where(opened >= 0, opened + state.count.size, state.window).astype(np.int32)
    return Pieces(docs, items.tokens, window)


def _fit_pieces(corpus: Corpus, docs: NDArray[np.int64], items: Items, state: State) -> Pieces:
    leasts = np.array([*(least for least in LEAST_PIECES if least > corpus.least), corpus.least])
    doc, window, tokens, left = pour.pour_overflow(items, state, corpus.capacity, leasts)
    pieces = merged(corpus, Pieces(docs[doc], tokens, window.astype(np.int32)))
    return _open_windows(corpus, pieces, left) if left.any() else pieces


def _open_windows(corpus: Corpus, pieces: Pieces, left: NDArray[np.int64]) -> Pieces:
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
