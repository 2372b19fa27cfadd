"""Pour the overflow of windows into the room of others, as documents or pieces of them.

In: a state whose windows may be too full. Out: pieces. A step brings a document, or a piece of one, from a window that
is too full to one that has room, and may bring back another; or a document goes and a piece comes back. What no step
can place is left where it is. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.pack_pieces import join_pieces, piece_in
from icp.kernels.pack_pour_step import MOST_MEMBERS, Best, Pair, Prices, Task, weigh_steps
from icp.kernels.pack_state import PIECE, WEIGHT_UNIT, Items, State, put_in, refresh, take_out

N_NEAR = 24  # windows of neighbours that are tried
N_FAR = 12  # windows near by number that are tried where those offer nothing good
MAX_DISTANCE = 4096
MAX_STEPS = 64  # of one window


class Poured(NamedTuple):
    """Pieces while they are made.

    Attributes:
        item, window, tokens: (most,) int64, pieces cut off items.
        count: (1,) int64, how many.
        around: (N_NEAR + N_FAR,) int64, scratch: windows that have room.
        stamp: (windows,) int64, scratch.
    """

    item: NDArray[np.int64]
    window: NDArray[np.int64]
    tokens: NDArray[np.int64]
    count: NDArray[np.int64]
    around: NDArray[np.int64]
    stamp: NDArray[np.int64]


@kernel
def pour_overflow(
    items: Items, state: State, seq_len: int, least: int, prices: Prices
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Move items, whole or in part, until windows fit: fullest window first, what loses least first.

    Args:
        items: their tokens, weights and kinds are changed.
        state: changed.
        seq_len: tokens of a window.
        least: fewest tokens of a piece. An item with conflicts moves whole or not at all; a document is cut once.
        prices: what steps cost.

    Returns: item, window, tokens: (pieces,) int64 each, what was cut off items. Some windows may still be too full.
    Cost: O(windows * (N_NEAR + N_FAR) * documents of a window * (dim + documents of a window)).
    """
    most, n_windows = state.window.size + 2 * state.count.size, state.count.size
    poured = Poured(
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.zeros(1, np.int64),
        np.empty(N_NEAR + N_FAR, np.int64),
        np.full(n_windows, -1, np.int64),
    )
    pair = Pair(
        np.empty((2, MOST_MEMBERS), np.int64),
        np.empty((2, MOST_MEMBERS)),
        np.empty((2, MOST_MEMBERS)),
        np.empty((2, MOST_MEMBERS), np.bool_),
        np.zeros(2, np.int64),
    )
    best = Best(np.zeros(1), np.zeros(5, np.int64))
    for window in np.argsort(-state.filled, kind="mergesort"):
        for _ in range(MAX_STEPS):
            need = state.filled[window] - seq_len
            if need <= 0 or not _shed(items, state, poured, pair, best, Task(window, seq_len, least, prices, need)):
                break
    count = poured.count[0]
    return poured.item[:count].copy(), poured.window[:count].copy(), poured.tokens[:count].copy()


@bare_kernel
def _shed(items: Items, state: State, poured: Poured, pair: Pair, best: Best, task: Task) -> bool:
    """Take the best step out of a window; False if there is none."""
    best.score[0] = -1e300
    n_near = _neighbor_windows(items, state, poured, task)
    for place in range(n_near):
        weigh_steps(items, state, pair, best, task, poured.around[place])
    if best.score[0] <= task.prices.good:
        for place in range(n_near, _find_room(state, poured, task, n_near)):
            weigh_steps(items, state, pair, best, task, poured.around[place])
    if best.score[0] <= -1e300:
        return False
    _take_step(items, state, poured, best, task.window)
    return True


@bare_kernel
def _neighbor_windows(items: Items, state: State, poured: Poured, task: Task) -> int:
    """Windows of the neighbours of the members that have room; returns how many stand in `around`."""
    poured.stamp[:] = -1
    n_found = 0
    i = state.first[task.window]
    while i >= 0 and n_found < N_NEAR:
        for near in items.neighbors[i]:
            if near < 0 or n_found == N_NEAR:
                break
            b = state.window[near]
            if b < 0 or b == task.window or state.filled[b] >= task.seq_len or poured.stamp[b] >= 0:
                continue
            poured.stamp[b] = 0
            poured.around[n_found] = b
            n_found += 1
        i = state.after[i]
    return n_found


@bare_kernel
def _find_room(state: State, poured: Poured, task: Task, n_found: int) -> int:
    """Add windows of the same group near by number that have room enough; returns how many stand in `around`."""
    a, most = task.window, n_found + N_FAR
    n_windows = state.count.size
    for side_distance in range(2, 2 * min(n_windows, MAX_DISTANCE)):
        distance = side_distance // 2
        b = a - distance if side_distance % 2 == 0 else a + distance
        if b < 0 or b >= n_windows or state.group[b] != state.group[a] or poured.stamp[b] >= 0:
            continue
        if state.filled[b] + task.need <= task.seq_len:
            poured.around[n_found] = b
            n_found += 1
            if n_found == most:
                break
    return n_found


@bare_kernel
def _take_step(items: Items, state: State, poured: Poured, best: Best, a: int) -> None:
    i, b, part, other = best.step[0], best.step[1], best.step[2], best.step[3]
    source, target = (a, b) if best.step[4] == 0 else (b, a)
    if other >= 0:
        take_out(items, state, other)
        put_in(items, state, other, source)
    take_out(items, state, i)
    if part == items.tokens[i]:
        put_in(items, state, i, target)
        if items.weight[i] != 1:
            join_pieces(items, state, i)
    else:
        least = 1 / WEIGHT_UNIT
        share = max(np.rint(items.weight[i] * part / items.tokens[i] * WEIGHT_UNIT) / WEIGHT_UNIT, least)
        items.tokens[i] -= part
        items.weight[i] = max(items.weight[i] - share, least)
        items.kind[i] = max(items.kind[i], PIECE)
        put_in(items, state, i, source)
        _put_piece(items, state, poured, (i, target, part), share)
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
    state.loose[b] += 1
    state.mass[b] += 1
    state.own[b] += items.length2[i]
    vector, total = items.vectors[i], state.sums[b]
    for d in range(vector.size):
        total[d] = np.int32(total[d] + np.int32(vector[d]))
