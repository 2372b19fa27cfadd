"""Which document, or piece of one, goes from a window that is too full to one that has room, and what comes back.

In: a state, a pair of windows. Out: the best step so far. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel
from icp.kernels.pack_bonds import nearest
from icp.kernels.pack_pieces import piece_in
from icp.kernels.pack_state import MOST_LOOSE, WHOLE, Items, State
from icp.kernels.pack_worth import clashes, dot_sums

MOST_MEMBERS = 64  # members of a window that are weighed against one another


class Prices(NamedTuple):
    """What steps cost, in cosines.

    Attributes:
        cut: of a piece that is cut off, and gained where one is joined to another of its document.
        root: of a cut, times the root of the thousands of tokens of its smaller piece: as deflate grows by it.
        over: of a step after which the window is still too full.
        waste: of room that no piece fits: of two least pieces or more, else of its share of that.
        good: a score from which on nothing further is looked for.
    """

    cut: float
    root: float
    over: float
    waste: float
    good: float


class Task(NamedTuple):
    """A window that is too full.

    Attributes:
        window: its number.
        seq_len: tokens of a window.
        least: fewest tokens of a piece.
        prices: what steps cost.
        need: tokens by which it is too full.
    """

    window: int
    seq_len: int
    least: int
    prices: Prices
    need: int


class Pair(NamedTuple):
    """Scratch: members of two windows.

    Attributes:
        member: (2, MOST_MEMBERS) int64.
        gain: (2, MOST_MEMBERS) float64, by how much the mean cosine of each is larger in the other window.
        bond: (2, MOST_MEMBERS) float64, by how much its bond is larger there, if it goes whole.
        shut: (2, MOST_MEMBERS) bool, the other window is closed to it.
        count: (2,) int64.
    """

    member: NDArray[np.int64]
    gain: NDArray[np.float64]
    bond: NDArray[np.float64]
    shut: NDArray[np.bool_]
    count: NDArray[np.int64]


class Best(NamedTuple):
    """The best step so far: score (1,) float64, and step (5,) int64: item, the window with room, tokens of the item
    that go, an item that goes the other way (-1 = none), and 1 if that leaves the window that is too full."""

    score: NDArray[np.float64]
    step: NDArray[np.int64]


@bare_kernel
def weigh_steps(items: Items, state: State, pair: Pair, best: Best, task: Task, b: int) -> None:
    """Note the best step between the window that is too full and window b, if it is better than the best so far."""
    a, slack = task.window, task.seq_len - state.filled[b]
    if state.group[a] != state.group[b]:
        return
    _list_members(items, state, pair, 0, (a, b))
    _list_members(items, state, pair, 1, (b, a))
    for u in range(pair.count[0]):
        _weigh(items, state, pair, best, task, b, (0, u, -1), (task.need, slack))
        for v in range(pair.count[1]):
            if not _may_come(items, pair, 1, v):
                continue
            back = items.tokens[pair.member[1, v]]
            _weigh(items, state, pair, best, task, b, (0, u, v), (task.need + back, slack + back))
    for v in range(pair.count[0]):
        gone = items.tokens[pair.member[0, v]]
        if gone <= slack or not _may_come(items, pair, 0, v):
            continue
        for u in range(pair.count[1]):
            _weigh(items, state, pair, best, task, b, (1, u, v), (gone - slack, gone - task.need))


@bare_kernel
def _list_members(items: Items, state: State, pair: Pair, side: int, windows: tuple[int, int]) -> None:
    own, other = windows
    count = 0
    i = state.first[own]
    while i >= 0 and count < MOST_MEMBERS:
        here = dot_sums(items.vectors, i, state.sums, own) / items.scale2[0] - items.length2[i]
        there = dot_sums(items.vectors, i, state.sums, other) / items.scale2[0]
        pair.member[side, count] = i
        pair.gain[side, count] = there / max(state.count[other], 1) - here / max(state.count[own] - 1, 1)
        pair.bond[side, count] = nearest(items, state, i, other) - nearest(items, state, i, own)
        pair.shut[side, count] = clashes(items, state, i, other)
        count += 1
        i = state.after[i]
    pair.count[side] = count


@bare_kernel
def _may_come(items: Items, pair: Pair, side: int, place: int) -> bool:
    """Whether the item may go the other way."""
    return items.kind[pair.member[side, place]] == WHOLE and not pair.shut[side, place]


@bare_kernel
def _weigh(
    items: Items,
    state: State,
    pair: Pair,
    best: Best,
    task: Task,
    b: int,
    places: tuple[int, int, int],
    room: tuple[int, int],
) -> None:
    """Weigh that member `u` of one side goes, whole or in part, and `v` of the other side comes.

    Args:
        places: side of the member that goes, its place, and the place on the other side of the one that comes, or -1.
        room: fewest tokens that should go, and the most that may.
    """
    side, u, v = places
    i = pair.member[side, u]
    tokens = items.tokens[i]
    part = 0 if room[1] < 1 else _size(items, i, (max(room[0], 1), room[1], task.least))
    if part == 0:
        return
    other = pair.member[1 - side, v] if v >= 0 else -1
    back = items.tokens[other] if v >= 0 else 0
    moved = part - back if side == 0 else back - part
    slack, prices = task.seq_len - state.filled[b], task.prices
    if moved <= 0 or moved > slack:
        return
    score = items.weight[i] * part / tokens * pair.gain[side, u]
    score += _waste(task, slack) - _waste(task, slack - moved) - _waste(task, moved - task.need)
    if v >= 0:
        score += items.weight[other] * pair.gain[1 - side, v] + pair.bond[1 - side, v]
    score += pair.bond[side, u] if part == tokens else 0.0
    if part < tokens:
        score -= prices.cut + prices.root * np.sqrt(min(part, tokens - part) / 1000)
    if score + prices.cut <= best.score[0] or pair.shut[side, u]:
        return
    windows = (task.window, b) if side == 0 else (b, task.window)
    if part < tokens and not _may_cut(items, state, i, windows):
        return
    if part == tokens and items.weight[i] != 1 and piece_in(items, state, i, windows[1]) >= 0:
        score += prices.cut
    if score <= best.score[0]:
        return
    best.score[0] = score
    best.step[0] = i
    best.step[1] = b
    best.step[2] = part
    best.step[3] = other
    best.step[4] = side


@bare_kernel
def _waste(task: Task, slack: int) -> float:
    """What room left costs, or, below 0, what is still too much."""
    if slack < 0:
        return task.prices.over * (1 - slack / task.seq_len)
    return task.prices.waste * min(1.0, slack / (2 * task.least))


@bare_kernel
def _may_cut(items: Items, state: State, i: int, windows: tuple[int, int]) -> bool:
    """Whether a part of the item may go from a window to another: to another piece of its document, or as one of two,
    if both windows have a place for it."""
    if items.weight[i] != 1:
        return piece_in(items, state, i, windows[1]) >= 0
    more = items.kind[i] == WHOLE
    return state.loose[windows[1]] < MOST_LOOSE and state.loose[windows[0]] + more <= MOST_LOOSE


@bare_kernel
def _size(items: Items, i: int, room: tuple[int, int, int]) -> int:
    """Tokens of item `i` that should go, 0 for none; `room`: tokens to lose, to gain, and the least of a piece."""
    need, slack, least = room
    tokens = items.tokens[i]
    if tokens <= min(slack, need):
        return tokens
    if items.conflict_bounds[i] < items.conflict_bounds[i + 1]:
        return tokens if tokens <= slack else 0
    if tokens <= slack and tokens - need < least:
        return tokens
    part = min(min(tokens, slack), max(need, least))
    if 0 < tokens - part < least:
        part = tokens - least
    return part if part >= least or part == tokens else 0
