"""Steps that could make a plan better: a move, a swap of two, a chain through three windows, one item for two.

In: a `Search`, the item that leaves. Out: the best step so far, in ``search.best``. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel
from icp.kernels.plan_state import Items, State, attraction, clashes, cosine, value

FORBIDDEN = 1e300
UNKNOWN = -1e9
SWAP_COST = 0.35  # steps that cost more in penalty than this hardly ever gain
PAIR_COST = 0.2
CHAIN_GAIN = 0.02  # a chain begins with a move that is at least so good
CHAIN_NEIGHBORS = 8
MAX_MEMBERS = 48  # of a window are tried in swaps; bounds the work where documents are tiny


class Rules(NamedTuple):
    """What a search may do.

    Attributes:
        seq_len: tokens of a window.
        penalty: (1,) float64, what a window's overflow of its own size costs; set by the schedule.
        hard: no step may make a window fuller than `seq_len`; the penalty is not used.
        linear: share of the penalty that is linear in the overflow; the square of it is always there.
        two_sided: room left costs the same as overflow.
        swap_windows, chain_windows: how many of the best windows around an item are tried for swaps and for chains.
        pairs: try one item for two as well.
    """

    seq_len: int
    penalty: NDArray[np.float64]
    hard: bool
    linear: float
    two_sided: bool
    swap_windows: int
    chain_windows: int
    pairs: bool


class Scratch(NamedTuple):
    """Room for one visit: windows around an item (k,) and members of one of them (MAX_MEMBERS,).

    Attributes:
        window, toward: int32 and float64, windows, best first, and the item's attraction to them.
        member: int32, members of the window at hand.
        to_leaver, to_left: float64, cosine of each to the item, attraction to the item's window; UNKNOWN = not yet.
        stamp: (windows,) int64, last visit that saw the window.
        gain: (1,) float64 and step (4,) int64: the best step: window, member, second member, third window; -1 = none.
    """

    window: NDArray[np.int32]
    toward: NDArray[np.float64]
    member: NDArray[np.int32]
    to_leaver: NDArray[np.float64]
    to_left: NDArray[np.float64]
    stamp: NDArray[np.int64]
    gain: NDArray[np.float64]
    step: NDArray[np.int64]


class Search(NamedTuple):
    """All that a search looks at."""

    items: Items
    state: State
    rules: Rules
    scratch: Scratch


class Leave(NamedTuple):
    """An item and its window: value now and without it, pairs without it, penalty now and without it."""

    item: int
    window: int
    worth: float
    left: float
    pairs: float
    paid: float
    less: float


class Join(NamedTuple):
    """A window that the item may enter: value now, pairs with it, penalty now."""

    window: int
    worth: float
    pairs: float
    paid: float


@kernel
def penalty(rules: Rules, filled: int) -> float:
    """What a window of so many tokens costs."""
    if rules.hard:
        return FORBIDDEN if filled > rules.seq_len else 0.0
    over = (filled - rules.seq_len) / rules.seq_len
    if over < 0:
        if not rules.two_sided:
            return 0.0
        over = -over
    return rules.penalty[0] * (rules.linear * over + over * over)


@kernel
def leave_of(search: Search, i: int) -> Leave:
    """What it means that item `i` leaves its window."""
    items, state, rules = search.items, search.state, search.rules
    a, weight = state.window[i], items.weight[i]
    pairs = state.pairs[a] - 2 * weight * state.affinity[i]
    return Leave(
        i,
        a,
        value(state.pairs[a], state.mass[a], state.square[a]),
        value(pairs, state.mass[a] - weight, state.square[a] - weight * weight),
        pairs,
        penalty(rules, state.filled[a]),
        penalty(rules, state.filled[a] - items.tokens[i]),
    )


@kernel
def join_of(search: Search, i: int, window: int, toward: float) -> Join:
    """What it means that item `i` enters a window, `toward` being its attraction."""
    state = search.state
    return Join(
        window,
        value(state.pairs[window], state.mass[window], state.square[window]),
        state.pairs[window] + 2 * search.items.weight[i] * toward,
        penalty(search.rules, state.filled[window]),
    )


@kernel
def keep_best(search: Search, gain: float, window: int, member: int, second: int, third: int) -> None:
    """Note a step that gains more than the best so far."""
    scratch = search.scratch
    if gain > scratch.gain[0]:
        scratch.gain[0] = gain
        scratch.step[0] = window
        scratch.step[1] = member
        scratch.step[2] = second
        scratch.step[3] = third


@kernel
def propose_move(search: Search, leave: Leave, join: Join) -> float:
    """Try to move the item; returns what the move gains before penalties."""
    items, state, rules = search.items, search.state, search.rules
    b, weight = join.window, items.weight[leave.item]
    grown = value(join.pairs, state.mass[b] + weight, state.square[b] + weight * weight)
    gain = leave.left + grown - leave.worth - join.worth
    cost = leave.less + penalty(rules, state.filled[b] + items.tokens[leave.item]) - leave.paid - join.paid
    keep_best(search, gain - cost, b, -1, -1, -1)
    return gain


@kernel
def list_members(search: Search, window: int) -> int:
    """Put up to MAX_MEMBERS members into the scratch; returns how many."""
    state, scratch = search.state, search.scratch
    n_members = 0
    j = state.first[window]
    while j >= 0 and n_members < MAX_MEMBERS:
        scratch.member[n_members] = j
        scratch.to_leaver[n_members] = UNKNOWN
        scratch.to_left[n_members] = UNKNOWN
        n_members += 1
        j = state.after[j]
    return n_members


@kernel
def know_member(search: Search, leave: Leave, place: int) -> None:
    """Work out a member's cosine to the leaving item and its attraction to the window left, once."""
    scratch = search.scratch
    j = scratch.member[place]
    if scratch.to_leaver[place] == UNKNOWN:
        scratch.to_leaver[place] = cosine(search.items, leave.item, j)
    if scratch.to_left[place] == UNKNOWN:
        scratch.to_left[place] = attraction(search.items, search.state, j, leave.window)


@kernel
def propose_swaps(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to exchange the item with one member of the window."""
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    i, a, b = leave.item, leave.window, join.window
    own, tokens = items.weight[i], items.tokens[i]
    mass_a, square_a = state.mass[a] - own, state.square[a] - own * own
    mass_b, square_b = state.mass[b] + own, state.square[b] + own * own
    for place in range(n_members):
        j = scratch.member[place]
        more = items.tokens[j] - tokens
        cost = penalty(rules, state.filled[a] + more) + penalty(rules, state.filled[b] - more)
        cost -= leave.paid + join.paid
        if cost >= SWAP_COST or clashes(items, state, j, a):
            continue
        know_member(search, leave, place)
        w, shared = items.weight[j], own * scratch.to_leaver[place]
        pairs_a = leave.pairs + 2 * w * (scratch.to_left[place] - shared)
        pairs_b = join.pairs - 2 * w * (state.affinity[j] + shared)
        gain = value(pairs_a, mass_a + w, square_a + w * w) + value(pairs_b, mass_b - w, square_b - w * w)
        keep_best(search, gain - leave.worth - join.worth - cost, b, j, -1, -1)


@kernel
def propose_chains(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to move the item in, and a member on to a window of one of its own neighbours."""
    items, state, rules, scratch = search.items, search.state, search.rules, search.scratch
    i, b = leave.item, join.window
    own = items.weight[i]
    for place in range(n_members):
        j = scratch.member[place]
        w = items.weight[j]
        if scratch.to_leaver[place] == UNKNOWN:
            scratch.to_leaver[place] = cosine(items, i, j)
        cost = penalty(rules, state.filled[b] + items.tokens[i] - items.tokens[j]) + leave.less - leave.paid - join.paid
        pairs_b = join.pairs - 2 * w * (state.affinity[j] + own * scratch.to_leaver[place])
        base = value(pairs_b, state.mass[b] + own - w, state.square[b] + own * own - w * w)
        base += leave.left - leave.worth - join.worth - cost
        if base + 2 * w > scratch.gain[0]:  # hardly any window gains more than twice the weight of a new member
            _propose_onward(search, leave, j, b, base)


@kernel
def _propose_onward(search: Search, leave: Leave, j: int, b: int, base: float) -> None:
    items, state, rules = search.items, search.state, search.rules
    w, last = items.weight[j], -1
    for near in items.neighbors[j, :CHAIN_NEIGHBORS]:
        if near < 0:
            break
        c = state.window[near]
        if c == leave.window or c == b or c == last:
            continue
        last = c
        cost = penalty(rules, state.filled[c] + items.tokens[j]) - penalty(rules, state.filled[c])
        if base - cost + 2 * w <= search.scratch.gain[0] or clashes(items, state, j, c):
            continue
        pairs = state.pairs[c] + 2 * w * attraction(items, state, j, c)
        gain = value(pairs, state.mass[c] + w, state.square[c] + w * w)
        gain -= value(state.pairs[c], state.mass[c], state.square[c])
        keep_best(search, base + gain - cost, b, j, -1, c)


@kernel
def propose_pairs(search: Search, leave: Leave, join: Join, n_members: int) -> None:
    """Try to exchange the item for two members of the window."""
    items, state, rules, member = search.items, search.state, search.rules, search.scratch.member
    a, b = leave.window, join.window
    tokens = items.tokens[leave.item]
    for place in range(n_members):
        for second in range(place + 1, n_members):
            more = items.tokens[member[place]] + items.tokens[member[second]] - tokens
            cost = penalty(rules, state.filled[a] + more) + penalty(rules, state.filled[b] - more)
            if cost - leave.paid - join.paid < PAIR_COST:
                _propose_pair(search, leave, join, (place, second), cost - leave.paid - join.paid)


@kernel
def _propose_pair(search: Search, leave: Leave, join: Join, places: tuple[int, int], cost: float) -> None:
    items, state, scratch = search.items, search.state, search.scratch
    i, a, b, u, v = leave.item, leave.window, join.window, places[0], places[1]
    j, h = scratch.member[u], scratch.member[v]
    if clashes(items, state, j, a) or clashes(items, state, h, a):
        return
    know_member(search, leave, u)
    know_member(search, leave, v)
    own, w, x = items.weight[i], items.weight[j], items.weight[h]
    both = 2 * w * x * cosine(items, j, h)
    pairs_a = leave.pairs + both + 2 * w * (scratch.to_left[u] - own * scratch.to_leaver[u])
    pairs_a += 2 * x * (scratch.to_left[v] - own * scratch.to_leaver[v])
    pairs_b = join.pairs + both - 2 * w * (state.affinity[j] + own * scratch.to_leaver[u])
    pairs_b -= 2 * x * (state.affinity[h] + own * scratch.to_leaver[v])
    gone = w * w + x * x - own * own
    gain = value(pairs_a, state.mass[a] - own + w + x, state.square[a] + gone)
    gain += value(pairs_b, state.mass[b] + own - w - x, state.square[b] - gone)
    keep_best(search, gain - leave.worth - join.worth - cost, b, j, h, -1)
