"""Which piece of a document that is cut is its head and which its rest, so that a window holds one of each at most.

In: the windows of pieces, two a document or one. Out: which of them are heads. Nothing is checked.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel


@kernel
def orient(first: NDArray[np.int64], second: NDArray[np.int64], n_windows: int) -> NDArray[np.bool_]:
    """Heads and rests: windows that share documents make paths and rings, and all documents of one point one way.

    Args:
        first, second: (m,) int64, the windows of the two pieces of a document, which differ; ``second`` is -1 for one
            that has a single piece here. A window stands in them twice at most.
        n_windows: more than the largest of them.

    Returns: (m,) bool, True where the piece in ``first`` is the head: it is left open and ends its window, the other
        one begins its own. Paths begin at their end of lower number. A single piece is a rest unless its window begins
        with another.
    Cost: O(m + n_windows).
    """
    m = first.size
    slots = np.full((n_windows, 2), -1, np.int64)
    begun = np.zeros(n_windows, np.bool_)
    heads = np.zeros(m, np.bool_)
    done = np.zeros(m, np.bool_)
    for cut in range(m):
        if second[cut] >= 0:
            _put(slots, first[cut], cut)
            _put(slots, second[cut], cut)
    for rings in range(2):
        for window in range(n_windows):
            if rings == 0 and slots[window, 1] >= 0:
                continue  # not the end of a path
            here, cut = window, slots[window, 0]
            while cut >= 0 and not done[cut]:
                done[cut] = True
                heads[cut] = first[cut] == here
                here = second[cut] if heads[cut] else first[cut]
                begun[here] = True
                cut = slots[here, 1] if slots[here, 0] == cut else slots[here, 0]
    for cut in range(m):
        if second[cut] < 0:
            heads[cut] = begun[first[cut]]
            begun[first[cut]] = True
    return heads


@bare_kernel
def _put(slots: NDArray[np.int64], window: int, cut: int) -> None:
    if slots[window, 0] < 0:
        slots[window, 0] = cut
    else:
        slots[window, 1] = cut
