"""What a step of a search means: an item that leaves a window, a window that it joins, the best step so far.

In: items, state, rules. Out: values before and after. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel
from icp.kernels.pack_bonds import Bonds
from icp.kernels.pack_reach import Reach, fits
from icp.kernels.pack_state import WHOLE, Items, State
from icp.kernels.pack_worth import tie, value

FORBIDDEN = 1e300
UNKNOWN = -1e9
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
        whole_again: gain of each piece that is joined to another of its document.
        least: fewest tokens of a piece, where windows that share cut documents may pass on tokens; 0: they may not.
    """

    seq_len: int
    penalty: NDArray[np.float64]
    hard: bool
    linear: float
    two_sided: bool
    swap_windows: int
    chain_windows: int
    pairs: bool
    whole_again: float
    least: int


class Scratch(NamedTuple):
    """Room for one visit: windows around an item (k,) and members of one of them (MAX_MEMBERS,).

    Attributes:
        window, toward, grows: int32, float64, int64: windows, best first, what each gains in pairs and in members.
        member: int32, members of the window at hand.
        to_leaver, to_left, to_stay: float64, cosine of each to the item, what it adds to the pairs of the window left
            and to those of its own when it goes over; UNKNOWN = not yet.
        stamp: (windows,) int64, last visit that saw the window.
        gain: (1,) float64 and step (4,) int64: the best step: window, member, second member, third window; -1 = none.
    """

    window: NDArray[np.int32]
    toward: NDArray[np.float64]
    grows: NDArray[np.int64]
    member: NDArray[np.int32]
    to_leaver: NDArray[np.float64]
    to_left: NDArray[np.float64]
    to_stay: NDArray[np.float64]
    stamp: NDArray[np.int64]
    gain: NDArray[np.float64]
    step: NDArray[np.int64]


class Search(NamedTuple):
    """All that a search looks at."""

    items: Items
    state: State
    rules: Rules
    scratch: Scratch
    bonds: Bonds
    reach: Reach


class Leave(NamedTuple):
    """An item and its window: value now and without it, pairs without it, penalty now."""

    item: int
    window: int
    worth: float
    left: float
    pairs: float
    paid: float


class Join(NamedTuple):
    """A window that the item may enter: value now, pairs with it, members it gains (0 or 1), penalty now."""

    window: int
    worth: float
    pairs: float
    grows: int
    paid: float


@bare_kernel
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


@bare_kernel
def penalties(search: Search, leave: Leave, b: int, filled: tuple[int, int], j: int) -> float:
    """What the window left and window `b` cost when they hold so many tokens, after the item and `j`, or none, went."""
    rules, items = search.rules, search.items
    cost = penalty(rules, filled[0]) + penalty(rules, filled[1])
    if cost >= FORBIDDEN and search.reach.count[0] > 0:
        whole = items.kind[leave.item] == WHOLE and (j < 0 or items.kind[j] == WHOLE)
        if whole and fits(search.reach, b, filled, rules.seq_len):
            return 0.0
    return cost


@bare_kernel
def leave_of(search: Search, i: int) -> Leave:
    """What it means that item `i` leaves its window."""
    items, state, rules = search.items, search.state, search.rules
    a = state.window[i]
    pairs = state.pairs[a] - tie(items, state, i)
    return Leave(
        i,
        a,
        value(state.pairs[a], state.count[a]),
        value(pairs, state.count[a] - 1),
        pairs,
        penalty(rules, state.filled[a]),
    )


@bare_kernel
def join_of(search: Search, place: int) -> Join:
    """What it means that the item at hand enters the window at a place of the scratch."""
    state, scratch = search.state, search.scratch
    window = scratch.window[place]
    return Join(
        window,
        value(state.pairs[window], state.count[window]),
        state.pairs[window] + scratch.toward[place],
        scratch.grows[place],
        penalty(search.rules, state.filled[window]),
    )


@bare_kernel
def keep_best(scratch: Scratch, gain: float, first: tuple[int, int], onward: tuple[int, int]) -> None:
    """Note a step that gains more than the best so far: `first` window and member, `onward` second member, window."""
    if gain > scratch.gain[0]:
        scratch.gain[0] = gain
        scratch.step[0] = first[0]
        scratch.step[1] = first[1]
        scratch.step[2] = onward[0]
        scratch.step[3] = onward[1]
