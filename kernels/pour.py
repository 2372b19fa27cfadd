"""Pour the overflow of windows into the room of others, as pieces of documents.

In: a state whose windows may be too full. Out: pieces; no window is too full unless tokens found no place, which is
told. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel
from icp.kernels.plan_state import Items, State, clashes, count_in, pull, refresh

N_FAR = 12  # windows near by number that are tried where the neighbours' windows offer nothing good
MAX_DISTANCE = 4096
GOOD = -0.35  # a score from which on nothing further is looked for
REST_COST = 0.2  # for the share of the overflow that a piece leaves
MAX_PIECES_OF_WINDOW = 4096
MAX_SHEDDERS = 512  # members of a window that are weighed against one another


class Poured(NamedTuple):
    """Pieces while they are made.

    Attributes:
        home: (n,) int64, tokens of a document still in its window.
        doc, window, tokens: (most,) int64, pieces that went elsewhere.
        count: (1,) int64, how many.
        bounds, members: int64, CSR, the documents that stood in each window at the start.
        far: (N_FAR,) int64, scratch.
        best: (3,) int64, document, window and tokens of the best piece so far.
    """

    home: NDArray[np.int64]
    doc: NDArray[np.int64]
    window: NDArray[np.int64]
    tokens: NDArray[np.int64]
    count: NDArray[np.int64]
    bounds: NDArray[np.int64]
    members: NDArray[np.int64]
    far: NDArray[np.int64]
    best: NDArray[np.int64]


@kernel
def pour_overflow(
    items: Items, state: State, seq_len: int, leasts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pieces so that windows fit: fullest window first, the piece that loses least first.

    Args:
        items: n documents of weight 1.
        state: used up.
        seq_len: tokens of a window.
        leasts: (rounds,) int64, fewest tokens of a piece: later rounds place what earlier ones could not. A document
            with conflicts moves whole or not at all.

    Returns:
        doc, window, tokens: (pieces,) int64 each.
        left: (windows,) int64, tokens by which a window is still too full.
    Cost: O(windows * documents of a window * k * dim).
    """
    n, n_windows = state.window.size, state.count.size
    members = np.argsort(state.window, kind="mergesort")
    most = leasts.size * (n + 2 * n_windows) + n
    poured = Poured(
        items.tokens.copy(),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.zeros(1, np.int64),
        np.searchsorted(state.window[members], np.arange(n_windows + 1)),
        members,
        np.empty(N_FAR, np.int64),
        np.empty(3, np.int64),
    )
    for least in leasts:
        for window in np.argsort(-state.filled, kind="mergesort"):
            for _ in range(MAX_PIECES_OF_WINDOW):
                if state.filled[window] <= seq_len or not _shed(items, state, poured, (window, seq_len, least)):
                    break
    for i in range(n):
        if poured.home[i] > 0:
            _note(poured, i, state.window[i], poured.home[i])
    left = np.maximum(state.filled - seq_len, 0)
    count = poured.count[0]
    return poured.doc[:count].copy(), poured.window[:count].copy(), poured.tokens[:count].copy(), left


@kernel
def _note(poured: Poured, doc: int, window: int, tokens: int) -> None:
    place = poured.count[0]
    poured.doc[place] = doc
    poured.window[place] = window
    poured.tokens[place] = tokens
    poured.count[0] = place + 1


@kernel
def _shed(items: Items, state: State, poured: Poured, task: tuple[int, int, int]) -> bool:
    """Move the best piece out of a window; False if there is none. `task`: window, seq_len, least tokens."""
    a = task[0]
    best = -1e300
    poured.best[0] = -1
    last = min(poured.bounds[a + 1], poured.bounds[a] + MAX_SHEDDERS)
    for member in range(poured.bounds[a], last):
        i = poured.members[member]
        for near in items.neighbors[i]:
            if near < 0 or poured.home[i] == 0:
                break
            best = _weigh(items, state, poured, task, (i, state.window[near]), best)
    if best <= GOOD:
        n_far = _find_room(state, poured.far, task)
        for member in range(poured.bounds[a], last):
            i = poured.members[member]
            for place in range(n_far if poured.home[i] > 0 else 0):
                best = _weigh(items, state, poured, task, (i, poured.far[place]), best)
    if poured.best[0] < 0:
        return False
    _send(items, state, poured, a)
    return True


@kernel
def _weigh(
    items: Items, state: State, poured: Poured, task: tuple[int, int, int], pair: tuple[int, int], best: float
) -> float:
    """Score of sending a piece of document pair[0] to window pair[1]; notes it if it beats `best`."""
    a, seq_len, least = task
    i, b = pair
    if b == a or seq_len - state.filled[b] < 1:
        return best
    need = state.filled[a] - seq_len
    part = _size(items, poured, i, (need, seq_len - state.filled[b], least))
    if part == 0:
        return best
    share = part / items.tokens[i]
    count_a, count_b = state.count[a], state.count[b]
    own = (pull(items, state, i, a) / 2 - items.length2[i]) / max(count_a - 1, 1)
    there = pull(items, state, i, b) / (2 * max(count_b, 1))
    # the members of b get one more that is a full member for them; those of a lose one only if nothing stays
    score = there - _mean_pair(state, b) + share * (there - own) - REST_COST * (1 - min(1.0, part / need))
    if part == poured.home[i]:
        score += _mean_pair(state, a) - own
    if score > best and not clashes(items, state, i, b):
        poured.best[0] = i
        poured.best[1] = b
        poured.best[2] = part
        return score
    return best


@kernel
def _mean_pair(state: State, window: int) -> float:
    count = state.count[window]
    return state.pairs[window] / (count * (count - 1)) if count > 1 else 0.0


@kernel
def _size(items: Items, poured: Poured, i: int, room: tuple[int, int, int]) -> int:
    """Tokens of document `i` that should go, 0 for none; `room`: tokens to lose, to gain, and the least of a piece."""
    need, slack, least = room
    home = poured.home[i]
    if home <= min(slack, need):
        return home
    if items.conflict_bounds[i] < items.conflict_bounds[i + 1]:
        return home if home <= slack and home == items.tokens[i] else 0
    part = min(min(home, slack), max(need, least))
    if 0 < home - part < least:
        part = home - least
    return part if part >= least or part == home else 0


@kernel
def _find_room(state: State, far: NDArray[np.int64], task: tuple[int, int, int]) -> int:
    """Windows of the same group near by number that have room; returns how many stand in `far`."""
    a, seq_len, least = task
    n_found, n_windows = 0, state.count.size
    for side_distance in range(2, 2 * min(n_windows, MAX_DISTANCE)):
        distance = side_distance // 2
        b = a - distance if side_distance % 2 == 0 else a + distance
        if b < 0 or b >= n_windows or state.group[b] != state.group[a] or seq_len - state.filled[b] < least:
            continue
        far[n_found] = b
        n_found += 1
        if n_found == far.size:
            break
    return n_found


@kernel
def _send(items: Items, state: State, poured: Poured, a: int) -> None:
    i, b, part = poured.best[0], poured.best[1], poured.best[2]
    whole = part == items.tokens[i]
    poured.home[i] -= part
    state.filled[a] -= part
    state.filled[b] += part
    count_in(items, state, i, b, 1)  # a piece is a full member of its new window
    refresh(items, state, b)
    if poured.home[i] == 0:
        count_in(items, state, i, a, -1)
        refresh(items, state, a)
    if whole:
        state.window[i] = b
    _note(poured, i, b, part)
