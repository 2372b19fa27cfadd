"""Pour the overflow of windows into the room of others, as documents or pieces of them.

In: a state whose windows may be too full. Out: pieces; no window is too full unless tokens found no place, which is
told. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.pack_state import WEIGHT_UNIT, Items, State, join_pieces, piece_in, put_in, refresh, take_out
from icp.kernels.pack_worth import clashes, dot_sums, dot_window, tie, value

N_FAR = 12  # windows near by number that are tried where the neighbours' windows offer nothing good
MAX_DISTANCE = 4096
GOOD = -0.35  # a score from which on nothing further is looked for
REST_COST = 0.2  # for the share of the overflow that a piece leaves
MAX_PIECES_OF_WINDOW = 4096
MAX_SHEDDERS = 512  # members of a window that are weighed against one another


class Poured(NamedTuple):
    """Pieces while they are made.

    Attributes:
        item, window, tokens: (most,) int64, pieces cut off items.
        count: (1,) int64, how many.
        far: (N_FAR,) int64, scratch.
        best: (3,) int64, item, window and tokens of the best piece so far.
        score: (1,) float64, its score.
    """

    item: NDArray[np.int64]
    window: NDArray[np.int64]
    tokens: NDArray[np.int64]
    count: NDArray[np.int64]
    far: NDArray[np.int64]
    best: NDArray[np.int64]
    score: NDArray[np.float64]


class Task(NamedTuple):
    """A window that is too full.

    Attributes:
        window: its number.
        seq_len: tokens of a window.
        least: fewest tokens of a piece.
        cut_cost: for a piece that is cut off, and gained where one is joined to another of its document.
    """

    window: int
    seq_len: int
    least: int
    cut_cost: float


@kernel
def pour_overflow(
    items: Items, state: State, seq_len: int, leasts: NDArray[np.int64], cut_cost: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Move items, whole or in part, until windows fit: fullest window first, what loses least first.

    Args:
        items: their tokens and weights are changed.
        state: changed.
        seq_len: tokens of a window.
        leasts: (rounds,) int64, fewest tokens of a piece: later rounds place what earlier ones could not. An item with
            conflicts moves whole or not at all.
        cut_cost: similarity that a piece must be worth.

    Returns:
        item, window, tokens: (pieces,) int64 each, what was cut off items.
        left: (windows,) int64, tokens by which a window is still too full.
    Cost: O(windows * documents of a window * k * dim).
    """
    most = leasts.size * (state.window.size + 2 * state.count.size)
    poured = Poured(
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.zeros(1, np.int64),
        np.empty(N_FAR, np.int64),
        np.empty(3, np.int64),
        np.empty(1),
    )
    for least in leasts:
        for window in np.argsort(-state.filled, kind="mergesort"):
            task = Task(window, seq_len, least, cut_cost)
            for _ in range(MAX_PIECES_OF_WINDOW):
                if state.filled[window] <= seq_len or not _shed(items, state, poured, task):
                    break
    left = np.maximum(state.filled - seq_len, 0)
    count = poured.count[0]
    return poured.item[:count].copy(), poured.window[:count].copy(), poured.tokens[:count].copy(), left


@bare_kernel
def _shed(items: Items, state: State, poured: Poured, task: Task) -> bool:
    """Move the best piece out of a window; False if there is none."""
    poured.score[0] = -1e300
    poured.best[0] = -1
    for n_far in (-1, 0):
        if n_far == 0:
            if poured.score[0] > GOOD:
                break
            n_far = _find_room(state, poured.far, task)
        i = state.first[task.window]
        for _ in range(MAX_SHEDDERS):
            if i < 0:
                break
            if n_far < 0:
                for near in items.neighbors[i]:
                    if near >= 0 and state.window[near] >= 0:
                        _weigh(items, state, poured, task, (i, state.window[near]))
            else:
                for place in range(n_far):
                    _weigh(items, state, poured, task, (i, poured.far[place]))
            i = state.after[i]
    if poured.best[0] < 0:
        return False
    _send(items, state, poured, task.window)
    return True


@bare_kernel
def _weigh(items: Items, state: State, poured: Poured, task: Task, pair: tuple[int, int]) -> None:
    """Note the piece of item pair[0] that fits window pair[1] if it is the best so far."""
    a, (i, b) = task.window, pair
    if b == a or state.filled[b] >= task.seq_len:
        return
    need = state.filled[a] - task.seq_len
    part = _size(items, i, (need, task.seq_len - state.filled[b], task.least))
    score = -REST_COST * (1 - min(1.0, part / need))
    if part == 0 or score + 1 + items.weight[i] <= poured.score[0] or clashes(items, state, i, b):
        return
    share = items.weight[i] * part / items.tokens[i]
    there = dot_sums(items.vectors, i, state.sums, b) / items.scale2[0]
    if items.weight[i] != 1 and piece_in(items, state, i, b) >= 0:
        score += share * (there - items.length2[i]) / max(state.count[b] - 1, 1) + task.cut_cost
    else:
        both = dot_window(items.vectors, i, state.scaled, b) * state.unit[b]
        score += value(state.pairs[b] + both - (1 - share) * there, state.count[b] + 1)
        score -= value(state.pairs[b], state.count[b])
    if part == items.tokens[i]:
        score += value(state.pairs[a] - tie(items, state, i), state.count[a] - 1)
    else:
        here = dot_sums(items.vectors, i, state.sums, a) / items.scale2[0]
        score += value(state.pairs[a] - share * (here - items.length2[i]), state.count[a]) - task.cut_cost
    score -= value(state.pairs[a], state.count[a])
    if score > poured.score[0]:
        poured.score[0] = score
        poured.best[0] = i
        poured.best[1] = b
        poured.best[2] = part


@bare_kernel
def _size(items: Items, i: int, room: tuple[int, int, int]) -> int:
    """Tokens of item `i` that should go, 0 for none; `room`: tokens to lose, to gain, and the least of a piece."""
    need, slack, least = room
    tokens = items.tokens[i]
    if tokens <= min(slack, need):
        return tokens
    if items.conflict_bounds[i] < items.conflict_bounds[i + 1]:
        return tokens if tokens <= slack else 0
    part = min(min(tokens, slack), max(need, least))
    if 0 < tokens - part < least:
        part = tokens - least
    return part if part >= least or part == tokens else 0


@bare_kernel
def _find_room(state: State, far: NDArray[np.int64], task: Task) -> int:
    """Windows of the same group near by number that have room; returns how many stand in `far`."""
    a = task.window
    n_found, n_windows = 0, state.count.size
    for side_distance in range(2, 2 * min(n_windows, MAX_DISTANCE)):
        distance = side_distance // 2
        b = a - distance if side_distance % 2 == 0 else a + distance
        if b < 0 or b >= n_windows or state.group[b] != state.group[a]:
            continue
        if task.seq_len - state.filled[b] >= task.least:
            far[n_found] = b
            n_found += 1
            if n_found == far.size:
                break
    return n_found


@bare_kernel
def _send(items: Items, state: State, poured: Poured, a: int) -> None:
    i, b, part = poured.best[0], poured.best[1], poured.best[2]
    take_out(items, state, i)
    if part == items.tokens[i]:
        put_in(items, state, i, b)
        if items.weight[i] != 1:
            join_pieces(items, state, i)
    else:
        least = 1 / WEIGHT_UNIT
        share = max(np.rint(items.weight[i] * part / items.tokens[i] * WEIGHT_UNIT) / WEIGHT_UNIT, least)
        items.tokens[i] -= part
        items.weight[i] = max(items.weight[i] - share, least)
        put_in(items, state, i, a)
        _put_piece(items, state, poured, (i, b, part), share)
    refresh(items, state, a)
    refresh(items, state, b)


@bare_kernel
def _put_piece(items: Items, state: State, poured: Poured, piece: tuple[int, int, int], share: float) -> None:
    """Add a piece cut off an item to a window: to another piece of its document there, else as one of its own."""
    i, b, part = piece
    other = piece_in(items, state, i, b)
    if other >= 0:
        take_out(items, state, other)
        items.tokens[other] += part
        items.weight[other] = min(1.0, items.weight[other] + share)
        put_in(items, state, other, b)
        return
    place = poured.count[0]
    poured.item[place] = i
    poured.window[place] = b
    poured.tokens[place] = part
    poured.count[0] = place + 1
    # it stands in no list; until the next search it counts like a whole document
    state.filled[b] += part
    state.count[b] += 1
    state.mass[b] += 1
    state.own[b] += items.length2[i]
    vector, total = items.vectors[i], state.sums[b]
    for d in range(vector.size):
        total[d] = np.int32(total[d] + np.int32(vector[d]))
