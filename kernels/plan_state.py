"""Windows and the items in them while a plan is searched: sums, tokens, members, and what a window is worth.

In: items with quantised vectors, and a window for each. Out: a `State` that moves keep up to date. Nothing is checked.

All vector sums are integers: a dot product of an int8 vector with an int16 window sum is made in int32, exactly, in any
order. Weights are multiples of 1/`WEIGHT_UNIT`, so masses and squares are exact in float64, too; what remains are single
float64 operations in a written order. So every processor makes the same plan.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel

WEIGHT_UNIT = 256
SCALED_LONGEST = 32_000  # length of a scaled sum: its components fit int16, its dot products with int8 rows int32


class Items(NamedTuple):
    """What is put into windows: documents, or pieces of them.

    Attributes:
        vectors: (n, dim) int8, quantised with one scale.
        tokens: (n,) int64.
        weight: (n,) float64, positive multiples of ``1 / WEIGHT_UNIT``, mean about 1.
        length2: (n,) float64, squared length of a vector: about 1, or 0.
        neighbors: (n, k) int32, items most similar first, then -1.
        conflict_bounds: (n + 1,) int64, CSR row bounds of `conflicts`.
        conflicts: (m,) int32, items that must not share a window with the item.
        group: (n,) int32, a window holds one group.
        scale2: (1,) float64, squared factor by which unit vectors were multiplied.
        longest: (1,) float64, the largest length of a quantised vector.
    """

    vectors: NDArray[np.int8]
    tokens: NDArray[np.int64]
    weight: NDArray[np.float64]
    length2: NDArray[np.float64]
    neighbors: NDArray[np.int32]
    conflict_bounds: NDArray[np.int64]
    conflicts: NDArray[np.int32]
    group: NDArray[np.int32]
    scale2: NDArray[np.float64]
    longest: NDArray[np.float64]


class State(NamedTuple):
    """Windows and their members. A window's value is its mass times the weighted mean cosine of its pairs.

    Attributes:
        window: (n,) int32, the window of each item.
        sums: (windows, dim) int32, sum of the members' vectors times weight * WEIGHT_UNIT.
        scaled: (windows, dim) int16, `sums` shifted to 15 bits and rounded.
        unit: (windows,) float64, what 1 in ``vector . scaled`` means in cosine times weight.
        mass, square: (windows,) float64, sums of weights and of squared weights.
        own: (windows,) float64, sum of squared weight times `length2`.
        pairs: (windows,) float64, sum over ordered pairs of members of both weights times the cosine.
        affinity: (n,) float64, weighted sum of the cosines to the other members of the item's window.
        count, filled: (windows,) int64, members and tokens.
        group: (windows,) int32.
        first: (windows,) int32, head of the list of members, -1 = empty.
        after, before: (n,) int32, next and previous member, -1 = none.
    """

    window: NDArray[np.int32]
    sums: NDArray[np.int32]
    scaled: NDArray[np.int16]
    unit: NDArray[np.float64]
    mass: NDArray[np.float64]
    square: NDArray[np.float64]
    own: NDArray[np.float64]
    pairs: NDArray[np.float64]
    affinity: NDArray[np.float64]
    count: NDArray[np.int64]
    filled: NDArray[np.int64]
    group: NDArray[np.int32]
    first: NDArray[np.int32]
    after: NDArray[np.int32]
    before: NDArray[np.int32]


@kernel
def cosine(items: Items, i: int, j: int) -> float:
    """Cosine of two items."""
    left, right = items.vectors[i], items.vectors[j]
    total = np.int32(0)
    for d in range(left.size):
        total = np.int32(total + np.int32(left[d]) * np.int32(right[d]))
    return total / items.scale2[0]


@kernel
def attraction(items: Items, state: State, i: int, window: int) -> float:
    """Sum of the item's cosines to the members of a window times their weights; itself included if it is one."""
    left, right = items.vectors[i], state.scaled[window]
    total = np.int32(0)
    for d in range(left.size):
        total = np.int32(total + np.int32(left[d]) * np.int32(right[d]))
    return total * state.unit[window]


@kernel
def value(pairs: float, mass: float, square: float) -> float:
    """What a window is worth; 0 with fewer than two members."""
    room = mass * mass - square  # exact: 0 for one member
    return mass * pairs / room if room > 0 else 0.0


@kernel
def clashes(items: Items, state: State, i: int, window: int) -> bool:
    """Whether the window is closed to the item: another group, or a conflict inside."""
    if state.group[window] != items.group[i]:
        return True
    for place in range(items.conflict_bounds[i], items.conflict_bounds[i + 1]):
        if state.window[items.conflicts[place]] == window:
            return True
    return False


@kernel
def put_in(items: Items, state: State, i: int, window: int) -> None:
    """Make `i`, which is in no list, a member; `refresh` the window afterwards."""
    state.window[i] = window
    head = state.first[window]
    state.after[i] = head
    state.before[i] = -1
    if head >= 0:
        state.before[head] = i
    state.first[window] = i
    _account(items, state, i, 1)


@kernel
def take_out(items: Items, state: State, i: int) -> None:
    """Unlink `i` from its window, whose number it keeps until it is put elsewhere."""
    window, ahead, behind = state.window[i], state.before[i], state.after[i]
    if ahead >= 0:
        state.after[ahead] = behind
    else:
        state.first[window] = behind
    if behind >= 0:
        state.before[behind] = ahead
    _account(items, state, i, -1)


@kernel
def _account(items: Items, state: State, i: int, sign: int) -> None:
    window, weight = state.window[i], items.weight[i]
    state.count[window] += sign
    state.filled[window] += sign * items.tokens[i]
    state.mass[window] += sign * weight
    state.square[window] += sign * weight * weight
    state.own[window] += sign * weight * weight * items.length2[i]
    times = np.int32(sign * np.int64(weight * WEIGHT_UNIT))
    vector, total = items.vectors[i], state.sums[window]
    for d in range(vector.size):
        total[d] = np.int32(total[d] + np.int32(vector[d]) * times)


@kernel
def refresh(items: Items, state: State, window: int) -> None:
    """Make what hangs on the members' sum new."""
    total, scaled = state.sums[window], state.scaled[window]
    bound = state.mass[window] * WEIGHT_UNIT * items.longest[0]  # no sum of members is longer
    shift = 0
    while bound >= SCALED_LONGEST:
        bound /= 2
        shift += 1
    half = np.int32((1 << shift) >> 1)
    norm2 = np.int64(0)
    for d in range(total.size):
        rounded = np.int32((total[d] + half) >> shift)
        scaled[d] = np.int16(rounded)
        norm2 += np.int64(rounded) * np.int64(rounded)
    # one in the dot product is 2**shift sums, each of 1 / (WEIGHT_UNIT * scale2)
    state.unit[window] = (1 << shift) / (WEIGHT_UNIT * items.scale2[0])
    state.pairs[window] = norm2 * state.unit[window] * state.unit[window] * items.scale2[0] - state.own[window]
    i = state.first[window]
    while i >= 0:
        state.affinity[i] = attraction(items, state, i, window) - items.weight[i] * items.length2[i]
        i = state.after[i]


@kernel
def new_state(items: Items, window: NDArray[np.int32], window_group: NDArray[np.int32]) -> State:
    """The state in which item i stands in ``window[i]``.

    Args:
        window: (n,) int32, changed with the state.
        window_group: (windows,) int32.
    """
    n, dim, n_windows = window.size, items.vectors.shape[1], window_group.size
    state = State(
        window,
        np.zeros((n_windows, dim), np.int32),
        np.zeros((n_windows, dim), np.int16),
        np.zeros(n_windows),
        np.zeros(n_windows),
        np.zeros(n_windows),
        np.zeros(n_windows),
        np.zeros(n_windows),
        np.zeros(n),
        np.zeros(n_windows, np.int64),
        np.zeros(n_windows, np.int64),
        window_group,
        np.full(n_windows, -1, np.int32),
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32),
    )
    for i in range(n):
        put_in(items, state, i, window[i])
    for each in range(n_windows):
        refresh(items, state, each)
    return state
