"""Make a plan better by steps that each gain: softly, when windows may overflow at a price, or hard.

In: items, windows, rules. Out: windows changed in place. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.pack_bonds import look_for_bonds, new_bonds
from icp.kernels.pack_moves import CHAIN_GAIN, list_members, propose_chains, propose_move, propose_pairs, propose_swaps
from icp.kernels.pack_pieces import join_pieces
from icp.kernels.pack_reach import find_reach, new_reach, pass_on
from icp.kernels.pack_state import Items, State, put_in, refresh, take_out
from icp.kernels.pack_step import MAX_MEMBERS, Rules, Scratch, Search, join_of, leave_of
from icp.kernels.pack_worth import clashes, dot_window, is_free, pull

LEAST_GAIN = 1e-4


@kernel
def search_windows(items: Items, state: State, rules: Rules, schedule: NDArray[np.float64]) -> NDArray[np.int64]:
    """Visit every item once for each penalty of the schedule, and take the best step around it if it gains.

    Args:
        items: n items.
        state: changed.
        rules: what is allowed; its penalty is set from the schedule.
        schedule: (sweeps,) float64, penalties, one a sweep. An item around which nothing has changed since its last
            visit under the same penalty is passed over.

    Returns: (sweeps, 2) int64: items visited, steps taken.
    Cost: O(sweeps * n * k * dim); falling, as ever fewer items see a change.
    Source: research/windows.md, "soft plan" and "hard search".
    """
    n, k = items.neighbors.shape
    n_windows = state.count.size
    scratch = Scratch(
        np.empty(k, np.int32),
        np.empty(k, np.float64),
        np.empty(k, np.int64),
        np.empty(MAX_MEMBERS, np.int32),
        np.empty(MAX_MEMBERS, np.float64),
        np.empty(MAX_MEMBERS, np.float64),
        np.empty(MAX_MEMBERS, np.float64),
        np.full(n_windows, -1, np.int64),
        np.empty(1, np.float64),
        np.empty(4, np.int64),
    )
    search = Search(items, state, rules, scratch, new_bonds(n, n_windows), new_reach(n_windows))
    changed = np.zeros(n_windows, np.int64)
    visited = np.full(n, -1, np.int64)
    stats = np.zeros((schedule.size, 2), np.int64)
    clock = 0
    for sweep in range(schedule.size):
        same = sweep > 0 and schedule[sweep] == schedule[sweep - 1]
        rules.penalty[0] = schedule[sweep]
        for i in range(n):
            if state.window[i] < 0 or (same and not _has_news(items, state, changed, i, visited[i])):
                continue
            clock += 1
            visited[i] = clock
            stats[sweep, 0] += 1
            if _visit(search, i, clock):
                stats[sweep, 1] += 1
                _take_step(search, i, changed, clock + 1)
    return stats


@bare_kernel
def _has_news(items: Items, state: State, changed: NDArray[np.int64], i: int, seen: int) -> bool:
    if changed[state.window[i]] > seen:
        return True
    for near in items.neighbors[i]:
        if near < 0:
            break
        window = state.window[near]
        if window >= 0 and changed[window] > seen:
            return True
    return False


@bare_kernel
def _visit(search: Search, i: int, clock: int) -> bool:
    """Look for the best step of item `i`; True if it gains."""
    rules, scratch = search.rules, search.scratch
    n_near = _look_around(search, i, clock)
    scratch.gain[0] = LEAST_GAIN
    scratch.step[:] = -1
    if n_near == 0:
        return False
    look_for_bonds(search.items, search.state, search.bonds, i)
    search.reach.count[0] = 0
    if rules.hard and rules.least > 0:
        find_reach(search.items, search.state, search.reach, search.state.window[i], rules.least)
    leave = leave_of(search, i)
    for place in range(n_near):
        join = join_of(search, place)
        gain = propose_move(search, leave, join)
        if place >= rules.swap_windows:
            continue
        n_members = list_members(search, join.window)
        propose_swaps(search, leave, join, n_members)
        if place < rules.chain_windows and gain > CHAIN_GAIN:
            propose_chains(search, leave, join, n_members)
        if rules.pairs:
            propose_pairs(search, leave, join, n_members)
    return scratch.step[0] >= 0


@bare_kernel
def _look_around(search: Search, i: int, clock: int) -> int:
    """The open windows of the item's neighbours, largest mean cosine first; returns how many."""
    items, state, scratch = search.items, search.state, search.scratch
    # taken out of their tuples once: doing so in the loop costs more than a dot product
    vectors, scaled, stamp, group = items.vectors, state.scaled, scratch.stamp, state.group
    found, toward, count = scratch.window, scratch.toward, state.count
    free = is_free(items, i)
    stamp[state.window[i]] = clock
    n_near = 0
    for near in items.neighbors[i]:
        if near < 0:
            break
        window = state.window[near]
        if window < 0:  # a piece that was joined to another
            continue
        if stamp[window] == clock or group[window] != items.group[i]:
            continue
        stamp[window] = clock
        if not free and clashes(items, state, i, window):
            continue
        strength, grows = dot_window(vectors, i, scaled, window) * state.unit[window], 1
        if items.weight[i] != 1:
            strength, grows = pull(items, state, i, window)
        place = n_near
        while place > 0 and strength * count[found[place - 1]] > toward[place - 1] * count[window]:
            found[place] = found[place - 1]
            toward[place] = toward[place - 1]
            scratch.grows[place] = scratch.grows[place - 1]
            place -= 1
        found[place] = window
        toward[place] = strength
        scratch.grows[place] = grows
        n_near += 1
    return n_near


@bare_kernel
def _take_step(search: Search, i: int, changed: NDArray[np.int64], clock: int) -> None:
    items, state, step = search.items, search.state, search.scratch.step
    a, b, j, h, c = np.int64(state.window[i]), step[0], step[1], step[2], step[3]
    take_out(items, state, i)
    put_in(items, state, i, b)
    if j >= 0:
        take_out(items, state, j)
        put_in(items, state, j, c if c >= 0 else a)
    if h >= 0:
        take_out(items, state, h)
        put_in(items, state, h, a)
    for item in (i, j, h):
        if item >= 0 and items.weight[item] != 1:
            join_pieces(items, state, item)
    for window in (a, b, c):
        if window >= 0:
            refresh(items, state, window)
            changed[window] = clock
    if search.rules.hard and max(state.filled[a], state.filled[b]) > search.rules.seq_len:
        pass_on(items, state, search.reach, b, search.rules.seq_len, changed, clock)


@kernel
def fill_empty(items: Items, state: State, seq_len: int) -> int:
    """Give each empty window the later half of a window that overflows, fullest first; returns how many were filled.

    Members are halved by number, which is the order of the path.
    """
    empty = np.flatnonzero(state.count == 0)
    full = np.argsort(-state.filled, kind="mergesort")
    members = np.empty(items.tokens.size, np.int32)
    n_filled = at = 0
    for window in empty:
        while at < full.size and state.group[full[at]] != state.group[window]:
            at += 1
        if at == full.size or state.filled[full[at]] <= seq_len or state.count[full[at]] < 2:
            at = 0 if at == full.size else at
            continue
        count = 0
        i = state.first[full[at]]
        while i >= 0:
            members[count] = i
            count += 1
            i = state.after[i]
        inside = np.sort(members[:count])
        half, moved = state.filled[full[at]] // 2, 0
        for place in range(count - 1, 0, -1):
            if moved >= half:
                break
            moved += items.tokens[inside[place]]
            take_out(items, state, inside[place])
            put_in(items, state, inside[place], window)
        refresh(items, state, window)
        refresh(items, state, full[at])
        n_filled += 1
        at += 1
    return n_filled
