"""Bonds: each document and the one of its window that it is most like.

In: `Items` and `State`. Out: what bonds gain or lose when items change places, exactly. A window's bonds are the sum of
its members' largest cosines to another member that is their neighbour, 0 where there is none, times ``items.bond``.
Where a largest cosine moves on to the second, or to one that comes, it is found in what the state keeps.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.pack_state import Items, State


class Bonds(NamedTuple):
    """Scratch for the visit of one item of a window: what bonds gain where. What bears another stamp counts nothing.

    Attributes:
        clock: (1,) int64, the stamp of this visit.
        seen, nearest, first, second, lifted: (windows,) int64, int32, and float64: stamp; the member that the item is
            most like, its cosine and that of the second; by how much those of members grow when the item comes.
        met, lift, eased: (n,) int64, and float64: stamp; the member's own part of `lifted`; by how much less those of
            others, which are nearest to this member, fall when it goes while the item comes.
        held, hold, back: (n,) int64, and float64, of items elsewhere: stamp; the largest cosine to a member of the
            item's window but the item; by how much theirs grow when this one comes while the item goes.
    """

    clock: NDArray[np.int64]
    seen: NDArray[np.int64]
    nearest: NDArray[np.int32]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    lifted: NDArray[np.float64]
    met: NDArray[np.int64]
    lift: NDArray[np.float64]
    eased: NDArray[np.float64]
    held: NDArray[np.int64]
    hold: NDArray[np.float64]
    back: NDArray[np.float64]


@kernel
def new_bonds(n: int, n_windows: int) -> Bonds:
    """Scratch for `n` items in so many windows."""
    return Bonds(
        np.zeros(1, np.int64),
        np.zeros(n_windows, np.int64),
        np.zeros(n_windows, np.int32),
        np.zeros(n_windows),
        np.zeros(n_windows),
        np.zeros(n_windows),
        np.zeros(n, np.int64),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, np.int64),
        np.zeros(n),
        np.zeros(n),
    )


@bare_kernel
def look_for_bonds(items: Items, state: State, bonds: Bonds, i: int) -> None:
    """Note what bonds gain when item `i` goes anywhere, and when anything comes to its window instead."""
    bonds.clock[0] += 1
    if items.bond[0] == 0:
        return
    a, clock = state.window[i], bonds.clock[0]
    for place in range(items.neighbors.shape[1]):
        j = items.neighbors[i, place]
        if j < 0:
            break
        b, like = state.window[j], np.float64(items.like[i, place])
        if like == 0 or b < 0 or b == a:
            continue
        if bonds.seen[b] != clock:
            bonds.seen[b] = clock
            bonds.nearest[b] = j
            bonds.first[b] = like
            bonds.second[b] = 0.0
            bonds.lifted[b] = 0.0
        elif bonds.second[b] == 0:
            bonds.second[b] = like
        lift = max(0.0, like - state.best[j])
        bonds.lifted[b] += lift
        _meet(bonds, j)
        bonds.lift[j] = lift
        if state.partner[j] >= 0:
            _meet(bonds, state.partner[j])
            bonds.eased[state.partner[j]] += max(0.0, like - state.second[j]) - lift
    _look_back(items, state, bonds, i)


@bare_kernel
def _meet(bonds: Bonds, j: int) -> None:
    if bonds.met[j] != bonds.clock[0]:
        bonds.met[j] = bonds.clock[0]
        bonds.lift[j] = 0.0
        bonds.eased[j] = 0.0


@bare_kernel
def _look_back(items: Items, state: State, bonds: Bonds, i: int) -> None:
    a, clock = state.window[i], bonds.clock[0]
    member = state.first[a]
    while member >= 0:
        left = state.second[member] if state.partner[member] == i else state.best[member]
        for place in range(items.neighbors.shape[1] if member != i else 0):
            j = items.neighbors[member, place]
            if j < 0:
                break
            like = np.float64(items.like[member, place])
            if like == 0 or state.window[j] == a:
                continue
            if bonds.held[j] != clock:
                bonds.held[j] = clock
                bonds.hold[j] = 0.0
                bonds.back[j] = 0.0
            bonds.hold[j] = max(bonds.hold[j], like)
            bonds.back[j] += max(0.0, like - left)
        member = state.after[member]


@bare_kernel
def joins(items: Items, state: State, bonds: Bonds, i: int, b: int) -> float:
    """What bonds gain when the item goes to a window."""
    gain = bonds.first[b] + bonds.lifted[b] if bonds.seen[b] == bonds.clock[0] else 0.0
    return items.bond[0] * (gain - state.lean[i])


@bare_kernel
def replaces(items: Items, state: State, bonds: Bonds, i: int, j: int) -> float:
    """What bonds gain when the item goes to the window of `j`, and `j` goes; where it goes to is not counted."""
    b, clock = state.window[j], bonds.clock[0]
    gain = -state.lean[i] - state.lean[j]
    if bonds.seen[b] == clock:
        gain += bonds.lifted[b] + (bonds.second[b] if bonds.nearest[b] == j else bonds.first[b])
    if bonds.met[j] == clock:
        gain += bonds.eased[j] - bonds.lift[j]
    return items.bond[0] * gain


@bare_kernel
def comes(items: Items, bonds: Bonds, j: int) -> float:
    """What bonds gain by `j` in the window of the item, which is gone; where it comes from is not counted."""
    return items.bond[0] * (bonds.hold[j] + bonds.back[j]) if bonds.held[j] == bonds.clock[0] else 0.0


@bare_kernel
def nearest(items: Items, state: State, j: int, window: int) -> float:
    """What the item's own bond would count in a window; of that of another, those of the members are not counted."""
    for place in range(items.neighbors.shape[1]):
        near = items.neighbors[j, place]
        if near < 0:
            break
        if items.like[j, place] > 0 and state.window[near] == window:
            return items.bond[0] * items.like[j, place]
    return 0.0


@bare_kernel
def enters(items: Items, state: State, j: int, window: int) -> float:
    """What bonds gain by any item in any other window; where it comes from is not counted."""
    first = gain = 0.0
    for place in range(items.neighbors.shape[1]):
        near = items.neighbors[j, place]
        if near < 0:
            break
        like = np.float64(items.like[j, place])
        if like > 0 and state.window[near] == window:
            first = max(first, like)
            gain += max(0.0, like - state.best[near])
    return items.bond[0] * (gain + first)


@bare_kernel
def enters_at_most(items: Items, state: State, j: int) -> float:
    """What `enters` gives for no window more than."""
    first = gain = 0.0
    for place in range(items.neighbors.shape[1]):
        near = items.neighbors[j, place]
        if near < 0:
            break
        first = max(first, np.float64(items.like[j, place]))
        gain += max(0.0, items.like[j, place] - state.best[near])
    return items.bond[0] * (gain + first)


@bare_kernel
def exchange(items: Items, state: State, i: int, pair: tuple[int, int]) -> float:
    """What bonds gain when an item and two of one other window change places."""
    a, b = state.window[i], state.window[pair[0]]
    into_a = _with(items, state, a, (i, -1), pair) - state.bonds[a]
    return items.bond[0] * (into_a + _with(items, state, b, pair, (i, -1)) - state.bonds[b])


@bare_kernel
def exchange_at_most(items: Items, state: State, bonds: Bonds, j: int) -> float:
    """What each of the two adds to `exchange` at most, beside what `joins` says of the item."""
    if bonds.held[j] != bonds.clock[0]:
        return 0.0
    return items.bond[0] * (max(0.0, bonds.hold[j] - state.best[j]) + bonds.back[j])


@bare_kernel
def _with(items: Items, state: State, window: int, gone: tuple[int, int], come: tuple[int, int]) -> float:
    """The largest cosines of a window's members, added up, if some of them are gone and others come; -1 is none."""
    total = 0.0
    i = state.first[window]
    while i >= 0:
        if i != gone[0] and i != gone[1]:
            total += _largest(items, state, (i, window), gone, come)
        i = state.after[i]
    for i in come:
        if i >= 0:
            total += _largest(items, state, (i, window), gone, come)
    return total


@bare_kernel
def _largest(items: Items, state: State, at: tuple[int, int], gone: tuple[int, int], come: tuple[int, int]) -> float:
    i, window = at
    for place in range(items.neighbors.shape[1]):
        j = items.neighbors[i, place]
        if j < 0:
            break
        if items.like[i, place] == 0 or j == gone[0] or j == gone[1]:
            continue
        if state.window[j] == window or j == come[0] or j == come[1]:
            return np.float64(items.like[i, place])
    return 0.0
