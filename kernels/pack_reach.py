"""Windows that share documents which are cut: what one holds too much goes to another, since a cut may lie anywhere.

In: `Items` and `State`. Out: which windows a window reaches so, and tokens passed on. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.pack_state import WEIGHT_UNIT, WHOLE, Items, State, put_in, refresh, take_out

MOST_REACHED = 6  # windows, nearest first: three to either side


class Reach(NamedTuple):
    """The windows that the window of one visit reaches.

    Attributes:
        clock: (1,) int64, visits so far.
        stamp, place: (windows,) int64, the visit that reached the window, and its place in what follows.
        window, parent: (MOST_REACHED,) int64, and the place of the one through which it is reached, -1 for the first.
        near, far: (MOST_REACHED,) int64, the pieces of the document that both share, in the parent and in this one.
        give, take: (MOST_REACHED,) int64, most tokens that can be passed from it to the first window, and to it.
        count: (1,) int64, how many are reached.
    """

    clock: NDArray[np.int64]
    stamp: NDArray[np.int64]
    place: NDArray[np.int64]
    window: NDArray[np.int64]
    parent: NDArray[np.int64]
    near: NDArray[np.int64]
    far: NDArray[np.int64]
    give: NDArray[np.int64]
    take: NDArray[np.int64]
    count: NDArray[np.int64]


@kernel
def new_reach(n_windows: int) -> Reach:
    """Scratch for so many windows."""
    return Reach(
        np.zeros(1, np.int64),
        np.full(n_windows, -1, np.int64),
        np.zeros(n_windows, np.int64),
        np.zeros(MOST_REACHED, np.int64),
        np.zeros(MOST_REACHED, np.int64),
        np.zeros(MOST_REACHED, np.int64),
        np.zeros(MOST_REACHED, np.int64),
        np.zeros(MOST_REACHED, np.int64),
        np.zeros(MOST_REACHED, np.int64),
        np.zeros(1, np.int64),
    )


@bare_kernel
def find_reach(items: Items, state: State, reach: Reach, a: int, least: int) -> None:
    """Note the windows that share a cut document with window `a`, and those that share one with these."""
    reach.clock[0] += 1
    reach.count[0] = 0
    reach.stamp[a] = reach.clock[0]
    _reach_from(items, state, reach, a, -1, least)
    at = 0
    while at < reach.count[0] < MOST_REACHED:
        _reach_from(items, state, reach, reach.window[at], at, least)
        at += 1


@bare_kernel
def _reach_from(items: Items, state: State, reach: Reach, here: int, at: int, least: int) -> None:
    left, clock = state.loose[here], reach.clock[0]
    i = state.first[here]
    while i >= 0 and left > 0 and reach.count[0] < MOST_REACHED:
        if items.kind[i] != WHOLE:
            left -= 1
            twin = _twin(items, state, i)
            b = state.window[twin] if twin >= 0 else here
            if reach.stamp[b] != clock:
                place = reach.count[0]
                reach.stamp[b] = clock
                reach.place[b] = place
                reach.window[place] = b
                reach.parent[place] = at
                reach.near[place] = i
                reach.far[place] = twin
                give, take = items.tokens[twin] - least, items.tokens[i] - least
                reach.give[place] = give if at < 0 else min(give, reach.give[at])
                reach.take[place] = take if at < 0 else min(take, reach.take[at])
                reach.count[0] = place + 1
        i = state.after[i]


@bare_kernel
def _twin(items: Items, state: State, i: int) -> int:
    """The other piece of an item's document, -1 if there is none here."""
    if i > 0 and items.doc[i - 1] == items.doc[i] and state.window[i - 1] >= 0:
        return i - 1
    if i + 1 < items.doc.size and items.doc[i + 1] == items.doc[i] and state.window[i + 1] >= 0:
        return i + 1
    return -1


@bare_kernel
def fits(reach: Reach, b: int, filled: tuple[int, int], seq_len: int) -> bool:
    """Whether the first window and window `b`, of so many tokens each, can be made to fit by passing some on."""
    if reach.stamp[b] != reach.clock[0] or filled[0] + filled[1] > 2 * seq_len:
        return False
    place = reach.place[b]
    return filled[1] - seq_len <= reach.give[place] and filled[0] - seq_len <= reach.take[place]


@bare_kernel
def pass_on(
    items: Items, state: State, reach: Reach, b: int, seq_len: int, changed: NDArray[np.int64], clock: int
) -> None:
    """Pass on what the first window, or window `b`, holds too much, along the windows between them."""
    place = reach.place[b]
    top = place
    while reach.parent[top] >= 0:
        top = reach.parent[top]
    a = state.window[reach.near[top]]
    more = max(0, state.filled[b] - seq_len) - max(0, state.filled[a] - seq_len)
    while place >= 0 and more != 0:
        i, j = reach.near[place], reach.far[place]
        _set_cut(items, state, i, j, more)
        for window in (state.window[i], state.window[j]):
            refresh(items, state, window)
            changed[window] = clock
        place = reach.parent[place]


@bare_kernel
def _set_cut(items: Items, state: State, i: int, j: int, more: int) -> None:
    """Give so many tokens of piece `j` to piece `i`."""
    unit, weight = 1 / WEIGHT_UNIT, items.weight[i] + items.weight[j]
    total = items.tokens[i] + items.tokens[j]
    size = items.tokens[i] + more
    share = min(max(np.rint(weight * size / total * WEIGHT_UNIT) / WEIGHT_UNIT, unit), weight - unit)
    for item, tokens, part in ((i, size, share), (j, total - size, weight - share)):
        window = np.int64(state.window[item])
        take_out(items, state, item)
        items.tokens[item] = tokens
        items.weight[item] = part
        put_in(items, state, item, window)
