"""Pieces of one document that meet in a window.

In: `Items` and `State`. Out: pieces found, and made one. Nothing is checked.
"""

from icp.kernels._jit import bare_kernel
from icp.kernels.pack_state import PIECE, WHOLE, Items, State, put_in, take_out


@bare_kernel
def piece_in(items: Items, state: State, i: int, window: int) -> int:
    """Another piece of the same document in the window, -1 if there is none."""
    doc = items.doc[i]
    other = i - 1
    while other >= 0 and items.doc[other] == doc:
        if state.window[other] == window:
            return other
        other -= 1
    other = i + 1
    while other < items.doc.size and items.doc[other] == doc:
        if state.window[other] == window:
            return other
        other += 1
    return -1


@bare_kernel
def join_pieces(items: Items, state: State, i: int) -> None:
    """If another piece of its document stands in the item's window, make them one: the lower item stays."""
    other = piece_in(items, state, i, state.window[i])
    if other < 0:
        return
    stays, goes = min(i, other), max(i, other)
    window = state.window[i]
    take_out(items, state, stays)
    take_out(items, state, goes)
    items.tokens[stays] += items.tokens[goes]
    items.weight[stays] = min(1.0, items.weight[stays] + items.weight[goes])
    items.tokens[goes] = 0
    if items.kind[stays] == PIECE and items.weight[stays] == 1:
        items.kind[stays] = WHOLE
    state.window[goes] = -1
    put_in(items, state, stays, window)
