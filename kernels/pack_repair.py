"""Make windows fit without cutting a document: exchanges of least loss, and at last room of its own for what is over.

In: a state whose windows may be too full. Out: windows changed in place. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.pack_state import WHOLE, Items, State, put_in, refresh, take_out
from icp.kernels.pack_step import MAX_MEMBERS, UNKNOWN
from icp.kernels.pack_worth import clashes, pull

ENOUGH_OFFERS = 24  # windows near by number that offer a step before the best is taken
MAX_DISTANCE = 4000
MAX_STEPS = 60  # of one window
MAX_LEAVERS = 128  # members of a window that are weighed against one another
REST_COST = 0.5  # for the share of the overflow that a step leaves
NEVER = -1e6  # a score that no step may have


class Offer(NamedTuple):
    """Scratch of a repair.

    Attributes:
        member, loss: (MAX_MEMBERS,) int32 and float64, members of the other window, and what each would gain in mean
            cosine by coming over; UNKNOWN = not yet.
        score: (1,) float64 and step (4,) int64: the best step: leaver, window, first and second member that come back.
    """

    member: NDArray[np.int32]
    loss: NDArray[np.float64]
    score: NDArray[np.float64]
    step: NDArray[np.int64]


@kernel
def repair_windows(items: Items, state: State, seq_len: int) -> int:
    """Empty overflow by a move, an exchange of one for one or of one for two; returns the windows still too full.

    Args:
        items: n documents of weight 1.
        state: changed.
        seq_len: tokens of a window.

    Source: research/windows.md, "whole".
    """
    offer = Offer(np.empty(MAX_MEMBERS, np.int32), np.empty(MAX_MEMBERS), np.empty(1), np.empty(4, np.int64))
    failed = 0
    for window in np.argsort(-state.filled, kind="mergesort"):
        for _ in range(MAX_STEPS):
            if state.filled[window] <= seq_len or not _repair_step(items, state, offer, window, seq_len):
                break
        failed += state.filled[window] > seq_len
    return failed


@bare_kernel
def _repair_step(items: Items, state: State, offer: Offer, a: int, seq_len: int) -> bool:
    offer.score[0] = NEVER
    offer.step[:] = -1
    n_offers, n_windows = 0, state.count.size
    for side_distance in range(2, 2 * min(n_windows, MAX_DISTANCE)):
        distance = side_distance // 2
        b = a - distance if side_distance % 2 == 0 else a + distance
        if b < 0 or b >= n_windows or state.group[b] != state.group[a] or state.filled[b] >= seq_len:
            continue
        n_offers += _weigh_window(items, state, offer, (a, b, seq_len))
        if n_offers >= ENOUGH_OFFERS:
            break
    i = offer.step[0]
    if i < 0:
        return False
    take_out(items, state, i)
    put_in(items, state, i, offer.step[1])
    for back in offer.step[2:]:
        if back >= 0:
            take_out(items, state, back)
            put_in(items, state, back, a)
    refresh(items, state, a)
    refresh(items, state, offer.step[1])
    return True


@bare_kernel
def _weigh_window(items: Items, state: State, offer: Offer, task: tuple[int, int, int]) -> bool:
    """Whether window task[1] can relieve window task[0]; notes the step if it is the best."""
    a, b, _ = task
    n_members = 0
    j = state.first[b]
    while j >= 0 and n_members < MAX_MEMBERS:
        offer.member[n_members] = j
        offer.loss[n_members] = UNKNOWN
        n_members += 1
        j = state.after[j]
    offered = False
    i = state.first[a]
    for _ in range(MAX_LEAVERS):
        if i < 0:
            break
        if not clashes(items, state, i, b):
            offered = _weigh_leaver(items, state, offer, task, (i, n_members)) or offered
        i = state.after[i]
    return offered


@bare_kernel
def _weigh_leaver(
    items: Items, state: State, offer: Offer, task: tuple[int, int, int], leaver: tuple[int, int]
) -> bool:
    a, b, seq_len = task
    i, n_members = leaver
    need, slack = state.filled[a] - seq_len, seq_len - state.filled[b]
    move, offered = UNKNOWN, False
    for u in range(-1, n_members):
        first = items.tokens[offer.member[u]] if u >= 0 else 0
        for v in range(u, n_members if u >= 0 else 0):  # v == u: nothing second comes back
            net = items.tokens[i] - first - (items.tokens[offer.member[v]] if v > u else 0)
            if net <= 0 or net > slack or (v > u and _is_loose(items, offer, u) and _is_loose(items, offer, v)):
                continue
            if move == UNKNOWN:
                move = _mean(items, state, i, b, 0) - _mean(items, state, i, a, 1)
            score = move - REST_COST * (1 - min(1.0, net / need))
            if u >= 0:
                score += _loss(items, state, offer, u, (a, b))
            if v > u:
                score += _loss(items, state, offer, v, (a, b))
            offered = offered or score > NEVER
            if score > offer.score[0]:
                offer.score[0] = score
                offer.step[0] = i
                offer.step[1] = b
                offer.step[2] = offer.member[u] if u >= 0 else -1
                offer.step[3] = offer.member[v] if v > u else -1
    return offered


@bare_kernel
def _is_loose(items: Items, offer: Offer, place: int) -> bool:
    return place >= 0 and items.kind[offer.member[place]] != WHOLE


@bare_kernel
def _loss(items: Items, state: State, offer: Offer, place: int, pair: tuple[int, int]) -> float:
    if offer.loss[place] == UNKNOWN:
        j = offer.member[place]
        if clashes(items, state, j, pair[0]):
            offer.loss[place] = 2 * NEVER
        else:
            offer.loss[place] = _mean(items, state, j, pair[0], 0) - _mean(items, state, j, pair[1], 1)
    return offer.loss[place]


@bare_kernel
def _mean(items: Items, state: State, i: int, window: int, inside: int) -> float:
    """Mean cosine of item `i` to the members of a window, itself excepted if `inside` is 1."""
    total = pull(items, state, i, window)[0] / 2 - inside * items.length2[i]
    return total / max(state.count[window] - inside, 1)


@kernel
def evict(items: Items, state: State, seq_len: int) -> NDArray[np.int64]:
    """Take documents out of windows that are too full, the smallest that is enough, else the largest.

    They go to the window of a neighbour that has room, or are left over.

    Returns: (n_left,) int64, documents that stand in no window, largest first; ``state.window`` of them is -1.
    """
    out = np.empty(state.window.size, np.int64)
    n_out = 0
    for a in range(state.count.size):
        while state.filled[a] > seq_len:
            need, best = state.filled[a] - seq_len, -1
            i = state.first[a]
            while i >= 0:
                if best < 0 or _sheds_better(items.tokens[i], items.tokens[best], need):
                    best = i
                i = state.after[i]
            take_out(items, state, best)
            state.window[best] = -1
            out[n_out] = best
            n_out += 1
        refresh(items, state, a)
    found = out[:n_out]
    found = found[np.argsort(-items.tokens[found], kind="mergesort")]
    n_left = 0
    for i in found:
        if not _place(items, state, seq_len, i):
            found[n_left] = i
            n_left += 1
    return found[:n_left].copy()


@bare_kernel
def _place(items: Items, state: State, seq_len: int, i: int) -> bool:
    best, best_window = UNKNOWN, -1
    for near in items.neighbors[i]:
        if near < 0:
            break
        b = state.window[near]
        if b >= 0 and state.filled[b] + items.tokens[i] <= seq_len and not clashes(items, state, i, b):
            score = _mean(items, state, i, b, 0)
            if score > best:
                best, best_window = score, b
    if best_window >= 0:
        put_in(items, state, i, best_window)
        refresh(items, state, best_window)
    return best_window >= 0


@bare_kernel
def _sheds_better(tokens: int, best: int, need: int) -> bool:
    if tokens >= need:
        return best < need or tokens < best
    return best < need and tokens > best
