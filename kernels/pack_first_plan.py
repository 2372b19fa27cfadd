"""A first plan for any number of documents: each, one after another, moves to the best window of its neighbours.

In: documents with quantised vectors, a block at a time; sums of windows. Out: windows changed in place. Only the vector
of the document at hand and the windows' sums are looked at. All sums are integers. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.pack_worth import dot_sums, value

LEAST_GAIN = 1e-4
LINEAR = 0.3  # share of the penalty that is linear in the overflow; the square of it is always there


class Flow(NamedTuple):
    """Windows while documents move between them.

    Attributes:
        window: (all documents,) int32, window of each, -1 = in none.
        sums: (windows, dim) int32, sum of the members' vectors.
        squares, own: (windows,) int64, squared length of that sum; sum of the members' squared lengths.
        count, filled: (windows,) int64, members, tokens.
        group: (windows,) int32, a window holds one group.
        stamp: (windows,) int64, the visit that saw the window last.
        clock: (1,) int64, visits so far.
    """

    window: NDArray[np.int32]
    sums: NDArray[np.int32]
    squares: NDArray[np.int64]
    own: NDArray[np.int64]
    count: NDArray[np.int64]
    filled: NDArray[np.int64]
    group: NDArray[np.int32]
    stamp: NDArray[np.int64]
    clock: NDArray[np.int64]


class Block(NamedTuple):
    """Documents that are visited.

    Attributes:
        vectors: (n, dim) int8, all quantised with one scale.
        doc, tokens: (n,) int64.
        length2: (n,) int64, squared length of each vector.
    """

    vectors: NDArray[np.int8]
    doc: NDArray[np.int64]
    tokens: NDArray[np.int64]
    length2: NDArray[np.int64]


class Links(NamedTuple):
    """What ties documents: the graph, most similar first, and pairs that must not share a window; CSR over all.

    Attributes:
        indptr, indices: int64, int32, the graph.
        bounds, conflicts: int64, int32.
        most: (1,) int64, neighbours of a document that are looked at.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    bounds: NDArray[np.int64]
    conflicts: NDArray[np.int32]
    most: NDArray[np.int64]


@kernel
def settle(flow: Flow, block: Block) -> None:
    """Add documents to the sums of the windows they stand in; set `squares` anew."""
    for row in range(block.doc.size):
        window = flow.window[block.doc[row]]
        total, vector = flow.sums[window], block.vectors[row]
        for d in range(vector.size):
            total[d] += np.int32(vector[d])
        flow.own[window] += block.length2[row]
        flow.count[window] += 1
        flow.filled[window] += block.tokens[row]
    for window in range(flow.count.size):
        square = np.int64(0)
        total = flow.sums[window]
        for d in range(total.size):
            square += np.int64(total[d]) * np.int64(total[d])
        flow.squares[window] = square


@kernel
def drift(flow: Flow, block: Block, links: Links, seq_len: int, prices: tuple[float, float]) -> int:
    """Move each document of a block to the window of a neighbour that gains most, if one does.

    Args:
        flow: changed.
        block: visited in order.
        links: of all documents.
        seq_len: tokens of a window.
        prices: what a window costs that misses `seq_len` by its own size; the squared factor of the vectors.

    Returns: documents moved.
    Cost: O(n * k * dim).
    """
    moved = 0
    for row in range(block.doc.size):
        moved += _visit(flow, block, links, seq_len, prices, row)
    return moved


@bare_kernel
def _visit(flow: Flow, block: Block, links: Links, seq_len: int, prices: tuple[float, float], row: int) -> bool:
    doc, tokens, length2, scale2 = block.doc[row], block.tokens[row], block.length2[row], prices[1]
    a = flow.window[doc]
    flow.clock[0] += 1
    clock = flow.clock[0]
    flow.stamp[a] = clock
    here = dot_sums(block.vectors, row, flow.sums, a)
    left = (flow.squares[a] - 2 * here + 2 * length2 - flow.own[a]) / scale2
    base = value(left, flow.count[a] - 1) - _worth(flow, a, scale2)
    base += (_miss(flow.filled[a], seq_len) - _miss(flow.filled[a] - tokens, seq_len)) * prices[0]
    most, best, best_there = LEAST_GAIN, -1, np.int64(0)
    for edge in range(links.indptr[doc], min(links.indptr[doc + 1], links.indptr[doc] + links.most[0])):
        b = flow.window[links.indices[edge]]
        if b < 0 or flow.stamp[b] == clock:
            continue
        flow.stamp[b] = clock
        if flow.group[b] != flow.group[a] or _closed(flow, links, doc, b):
            continue
        there = dot_sums(block.vectors, row, flow.sums, b)
        gain = base + value((flow.squares[b] + 2 * there - flow.own[b]) / scale2, flow.count[b] + 1)
        gain -= _worth(flow, b, scale2)
        gain += (_miss(flow.filled[b], seq_len) - _miss(flow.filled[b] + tokens, seq_len)) * prices[0]
        if gain > most:
            most, best, best_there = gain, b, there
    if best >= 0:
        _move(flow, block, row, a, -1)
        _move(flow, block, row, best, 1)
        flow.squares[a] += length2 - 2 * here
        flow.squares[best] += length2 + 2 * best_there
        flow.window[doc] = best
    return best >= 0


@bare_kernel
def _worth(flow: Flow, window: int, scale2: float) -> float:
    return value((flow.squares[window] - flow.own[window]) / scale2, flow.count[window])


@bare_kernel
def _miss(filled: int, seq_len: int) -> float:
    over = abs(filled - seq_len) / seq_len
    return LINEAR * over + over * over


@bare_kernel
def _closed(flow: Flow, links: Links, doc: int, window: int) -> bool:
    for place in range(links.bounds[doc], links.bounds[doc + 1]):
        if flow.window[links.conflicts[place]] == window:
            return True
    return False


@bare_kernel
def _move(flow: Flow, block: Block, row: int, window: int, sign: int) -> None:
    flow.own[window] += sign * block.length2[row]
    flow.count[window] += sign
    flow.filled[window] += sign * block.tokens[row]
    total, vector = flow.sums[window], block.vectors[row]
    for d in range(vector.size):
        total[d] = np.int32(total[d] + np.int32(vector[d]) * np.int32(sign))
