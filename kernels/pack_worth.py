"""What windows are worth while a plan is searched, and what an item adds to one or takes from it.

In: `Items` and `State`. Out: numbers. Nothing is checked.

A window is worth the sum over its members of the member's weight times its mean cosine to the others. A dot product of
an int8 vector with an int16 window sum is made in int32, exactly, in any order; what remains are single float64
operations in a written order.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel
from icp.kernels.pack_pieces import piece_in
from icp.kernels.pack_state import MOST_LOOSE, WHOLE, Items, State


@bare_kernel
def dot_items(vectors: NDArray[np.int8], i: int, j: int) -> int:
    """Dot product of two rows, below 2**31."""
    left, right = vectors[i], vectors[j]
    total = np.int32(0)
    for d in range(left.size):
        total = np.int32(total + np.int32(left[d]) * np.int32(right[d]))
    return total


@bare_kernel
def dot_window(vectors: NDArray[np.int8], i: int, scaled: NDArray[np.int16], window: int) -> int:
    """Dot product of a row with a window's scaled sum, below 2**31."""
    left, right = vectors[i], scaled[window]
    total = np.int32(0)
    for d in range(left.size):
        total = np.int32(total + np.int32(left[d]) * np.int32(right[d]))
    return total


@bare_kernel
def dot_sums(vectors: NDArray[np.int8], i: int, sums: NDArray[np.int32], window: int) -> int:
    """Dot product of a row with a window's plain sum."""
    left, right = vectors[i], sums[window]
    total = np.int64(0)
    for d in range(left.size):
        total += np.int64(left[d]) * np.int64(right[d])
    return total


@bare_kernel
def pull(items: Items, state: State, i: int, window: int) -> tuple[float, int]:
    """What `pairs` of a window gains when the item, now elsewhere, enters it; and how many members: none if it joins
    another piece of its document."""
    if items.weight[i] == 1:
        return dot_window(items.vectors, i, state.scaled, window) * state.unit[window], 1
    near = dot_sums(items.vectors, i, state.sums, window) / items.scale2[0]
    if piece_in(items, state, i, window) >= 0:
        return items.weight[i] * (near - items.length2[i]), 0
    both = dot_window(items.vectors, i, state.scaled, window) * state.unit[window]
    return both - (1 - items.weight[i]) * near, 1


@bare_kernel
def tie(items: Items, state: State, i: int) -> float:
    """What `pairs` of its window loses when the item leaves."""
    window = state.window[i]
    if state.tie_version[i] != state.version[window]:
        state.tie_version[i] = state.version[window]
        both = dot_window(items.vectors, i, state.scaled, window) * state.unit[window]
        if items.weight[i] != 1:
            both -= (1 - items.weight[i]) * (dot_sums(items.vectors, i, state.sums, window) / items.scale2[0])
        state.tie[i] = both - 2 * items.weight[i] * items.length2[i]
    return state.tie[i]


@bare_kernel
def value(pairs: float, count: int) -> float:
    """What a window is worth; 0 with fewer than two members."""
    return pairs / (count - 1) if count > 1 else 0.0


@bare_kernel
def is_free(items: Items, i: int) -> bool:
    """Whether every window of its group is open to the item; if not, `clashes` tells."""
    return items.conflict_bounds[i] == items.conflict_bounds[i + 1] and items.kind[i] == WHOLE


@bare_kernel
def clashes(items: Items, state: State, i: int, window: int) -> bool:
    """Whether the window is closed to the item: another group, a conflict inside, or no place for a loose one."""
    if state.group[window] != items.group[i]:
        return True
    if items.kind[i] != WHOLE and state.loose[window] >= MOST_LOOSE and piece_in(items, state, i, window) < 0:
        return True
    for place in range(items.conflict_bounds[i], items.conflict_bounds[i + 1]):
        if state.window[items.conflicts[place]] == window:
            return True
    return False
