"""Windows and the items in them while a plan is searched: sums, tokens, members.

In: items with quantised vectors, and a window for each. Out: a `State` that moves keep up to date. Nothing is checked.

All vector sums are integers; what remains are single float64 operations in a written order. So every processor makes
the same plan. What windows are worth is computed from the state in `icp.kernels.pack_worth`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel

WEIGHT_UNIT = 256
WHOLE, PIECE, LONG = 0, 1, 2  # of an item: a document, a piece of one, what is left of one longer than a window
MOST_LOOSE = 2  # items of a window that are not WHOLE: one begins it in mid-document, one is left open at its end
SCALED_LONGEST = 32_000  # length of a scaled sum: its components fit int16, its dot products with int8 rows int32


class Items(NamedTuple):
    """What is put into windows: documents, or pieces of them.

    Attributes:
        vectors: (n, dim) int8, quantised with one scale.
        doc: (n,) int64, document; pieces of one document follow one another.
        tokens: (n,) int64; changed where pieces are joined.
        weight: (n,) float64, multiples of ``1 / WEIGHT_UNIT``, above 0: what the item counts itself: 1, for a piece its
            share of the document. Each is a full member for the others. Changed with `tokens`.
        length2: (n,) float64, squared length of a vector: about 1, or 0.
        neighbors: (n, k) int32, items most similar first, then -1.
        like: (n, k) float32, cosine to each neighbour that lists the item too, 0 for others and for those below it.
        bond: (1,) float64, what the largest of these in a window counts.
        conflict_bounds: (n + 1,) int64, CSR row bounds of `conflicts`.
        conflicts: (m,) int32, items that must not share a window with the item.
        group: (n,) int32, a window holds one group.
        kind: (n,) int8, `WHOLE`, `PIECE` or `LONG`; all but the first are loose: a window holds `MOST_LOOSE`. Changed
            with `tokens`; what is `LONG` stays it.
        scale2: (1,) float64, squared factor by which unit vectors were multiplied.
        longest: (1,) float64, the largest length of a quantised vector.
    """

    vectors: NDArray[np.int8]
    doc: NDArray[np.int64]
    tokens: NDArray[np.int64]
    weight: NDArray[np.float64]
    length2: NDArray[np.float64]
    neighbors: NDArray[np.int32]
    like: NDArray[np.float32]
    bond: NDArray[np.float64]
    conflict_bounds: NDArray[np.int64]
    conflicts: NDArray[np.int32]
    group: NDArray[np.int32]
    kind: NDArray[np.int8]
    scale2: NDArray[np.float64]
    longest: NDArray[np.float64]


class State(NamedTuple):
    """Windows and their members.

    Attributes:
        window: (n,) int32, the window of each item; -1 for a piece that was joined to another.
        sums: (windows, dim) int32, sum of the members' vectors.
        scaled: (windows, dim) int16, sum of the members' vectors times 1 + weight, shifted and rounded.
        unit: (windows,) float64, what 1 in ``vector . scaled`` means in cosine.
        pairs: (windows,) float64, sum over the members of weight times the cosines to the others.
        mass: (windows,) float64, sum of the weights.
        own: (windows,) float64, sum of weight times `length2`.
        count, light, loose: (windows,) int64, members, those whose weight is not 1, and those that are not `WHOLE`.
        filled: (windows,) int64, tokens.
        group: (windows,) int32.
        first: (windows,) int32, head of the list of members, -1 = empty.
        after, before: (n,) int32, next and previous member, -1 = none.
        tie: (n,) float64, the item's part of `pairs`, both ways, if `tie_version` is the window's `version`.
        tie_version: (n,) int64; version: (windows,) int64, counts changes.
        best, second, partner: (n,) float64 and int32, largest cosines to two of the window (0: none), and the nearest.
        lean: (n,) float64, what the sum of the window's `best` loses when the item goes.
        bonds: (windows,) float64, that sum; see `icp.kernels.pack_bonds`.
        total: (dim,) int64, scratch.
    """

    window: NDArray[np.int32]
    sums: NDArray[np.int32]
    scaled: NDArray[np.int16]
    unit: NDArray[np.float64]
    pairs: NDArray[np.float64]
    mass: NDArray[np.float64]
    own: NDArray[np.float64]
    count: NDArray[np.int64]
    light: NDArray[np.int64]
    loose: NDArray[np.int64]
    filled: NDArray[np.int64]
    group: NDArray[np.int32]
    first: NDArray[np.int32]
    after: NDArray[np.int32]
    before: NDArray[np.int32]
    tie: NDArray[np.float64]
    tie_version: NDArray[np.int64]
    version: NDArray[np.int64]
    best: NDArray[np.float64]
    second: NDArray[np.float64]
    partner: NDArray[np.int32]
    lean: NDArray[np.float64]
    bonds: NDArray[np.float64]
    total: NDArray[np.int64]


@bare_kernel
def put_in(items: Items, state: State, i: int, window: int) -> None:
    """Make `i`, which is in no list, a member; `refresh` the window afterwards."""
    state.window[i] = window
    state.tie_version[i] = -1  # versions are counted window by window: that of another says nothing here
    head = state.first[window]
    state.after[i] = head
    state.before[i] = -1
    if head >= 0:
        state.before[head] = i
    state.first[window] = i
    state.filled[window] += items.tokens[i]
    count_in(items, state, i, window, 1)


@bare_kernel
def take_out(items: Items, state: State, i: int) -> None:
    """Unlink `i` from its window, whose number it keeps until it is put elsewhere."""
    window, ahead, behind = state.window[i], state.before[i], state.after[i]
    if ahead >= 0:
        state.after[ahead] = behind
    else:
        state.first[window] = behind
    if behind >= 0:
        state.before[behind] = ahead
    state.filled[window] -= items.tokens[i]
    count_in(items, state, i, window, -1)


@bare_kernel
def count_in(items: Items, state: State, i: int, window: int, sign: int) -> None:
    """Add the item to a window's sums (`sign` 1) or take it off (-1)."""
    weight = items.weight[i]
    state.count[window] += sign
    state.light[window] += sign * (weight != 1)
    state.loose[window] += sign * (items.kind[i] != WHOLE)
    state.mass[window] += sign * weight
    state.own[window] += sign * weight * items.length2[i]
    vector, total = items.vectors[i], state.sums[window]
    for d in range(vector.size):
        total[d] = np.int32(total[d] + np.int32(vector[d]) * np.int32(sign))


@bare_kernel
def _find_bonds(items: Items, state: State, window: int) -> None:
    total = 0.0
    i = state.first[window] if items.bond[0] > 0 else -1
    while i >= 0:
        state.best[i] = state.second[i] = 0.0
        state.partner[i] = -1
        for place in range(items.neighbors.shape[1]):
            j = items.neighbors[i, place]
            if j < 0:
                break
            if items.like[i, place] > 0 and state.window[j] == window:
                if state.partner[i] >= 0:
                    state.second[i] = items.like[i, place]
                    break
                state.partner[i] = j
                state.best[i] = items.like[i, place]
        state.lean[i] = state.best[i]
        total += state.best[i]
        i = state.after[i]
    i = state.first[window] if items.bond[0] > 0 else -1
    while i >= 0:
        if state.partner[i] >= 0:
            state.lean[state.partner[i]] += state.best[i] - state.second[i]
        i = state.after[i]
    state.bonds[window] = total


@bare_kernel
def refresh(items: Items, state: State, window: int) -> None:
    """Make what hangs on the members' sum new: after members came or went."""
    state.version[window] += 1
    _find_bonds(items, state, window)
    plain, total, scaled = state.sums[window], state.total, state.scaled[window]
    for d in range(total.size):
        total[d] = 2 * WEIGHT_UNIT * np.int64(plain[d])
    i = state.first[window] if state.light[window] > 0 else -1
    while i >= 0:
        less = np.int64(items.weight[i] * WEIGHT_UNIT) - WEIGHT_UNIT
        if less != 0:
            vector = items.vectors[i]
            for d in range(total.size):
                total[d] += less * np.int64(vector[d])
        i = state.after[i]
    bound = (state.mass[window] + state.count[window]) * WEIGHT_UNIT * items.longest[0]  # no sum is longer
    shift = 0
    while bound >= SCALED_LONGEST:
        bound /= 2
        shift += 1
    half = np.int64((1 << shift) >> 1)
    pairs = 0.0
    for d in range(total.size):
        scaled[d] = np.int16((total[d] + half) >> shift)
        pairs += np.float64(total[d] - WEIGHT_UNIT * np.int64(plain[d])) * plain[d]
    state.unit[window] = (1 << shift) / (WEIGHT_UNIT * items.scale2[0])
    state.pairs[window] = pairs / (WEIGHT_UNIT * items.scale2[0]) - state.own[window]


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
        np.zeros(n_windows, np.int64),
        np.zeros(n_windows, np.int64),
        np.zeros(n_windows, np.int64),
        np.zeros(n_windows, np.int64),
        window_group,
        np.full(n_windows, -1, np.int32),
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32),
        np.zeros(n),
        np.full(n, -1, np.int64),
        np.zeros(n_windows, np.int64),
        np.zeros(n),
        np.zeros(n),
        np.full(n, -1, np.int32),
        np.zeros(n),
        np.zeros(n_windows),
        np.zeros(dim, np.int64),
    )
    for i in range(n):
        put_in(items, state, i, window[i])
    for each in range(n_windows):
        refresh(items, state, each)
    return state
