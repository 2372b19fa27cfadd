"""Stars over edges: the two operations that turn a graph into its connected components, round by round.

In: edges as sorted 64-bit numbers. Out: edges. Positions are below 2^32; no edge joins a position with itself.

Source: Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii, Connected Components in MapReduce and Beyond, SoCC 2014.
"""

import numpy as np
from numpy.typing import NDArray

SHIFT, LOW = np.uint64(32), np.uint64(2**32 - 1)


Edges = NDArray[np.uint64]
"""(n,) uint64, ascending, none twice: one end in the high 32 bits, by which the edges of a task are chosen, the other
in the low ones."""


def make_edges(highs: NDArray[np.int64], lows: NDArray[np.int64]) -> Edges:
    """Edges by both of their ends, (n,) int64 each."""
    return distinct((highs.astype(np.uint64) << SHIFT) | lows.astype(np.uint64))


def distinct(edges: NDArray[np.uint64]) -> Edges:
    """Edges in order, each once; `edges` is used up."""
    edges.sort()
    is_first = np.ones(edges.size, np.bool_)
    is_first[1:] = edges[1:] != edges[:-1]
    found: Edges = edges[is_first]
    return found


def both_ways(edges: Edges) -> Edges:
    """Every edge from either end."""
    return distinct(np.concatenate([edges, (edges << SHIFT) | (edges >> SHIFT)]))


def large_star(edges: Edges) -> tuple[Edges, int]:
    """Join the larger neighbours of each position to the smallest of its neighbours and itself.

    Args: all edges of some positions, from their side.

    Returns: edges, the larger end high; how many of them are not what they were.
    """
    center, other = edges >> SHIFT, edges & LOW
    least = np.minimum(_first_of_each(center, other), center)
    larger = other > center
    moved = int(np.count_nonzero(least[larger] != center[larger]))
    return distinct((other[larger] << SHIFT) | least[larger]), moved


def small_star(edges: Edges) -> tuple[Edges, int]:
    """Join each position and its smaller neighbours to the smallest of these.

    Args: all edges of some positions to smaller ones, the larger end high.

    Returns: edges from either end; how many of them are not what they were.
    """
    center, other = edges >> SHIFT, edges & LOW
    least = _first_of_each(center, other)
    others = other != least
    joined = [(center << SHIFT) | least, (other[others] << SHIFT) | least[others]]
    return both_ways(np.concatenate(joined)), int(np.count_nonzero(others))


def _first_of_each(center: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """For each edge the first one's low end of those with the same high end."""
    is_first = np.ones(center.size, np.bool_)
    is_first[1:] = center[1:] != center[:-1]
    firsts: NDArray[np.uint64] = other[is_first][np.cumsum(is_first) - 1]
    return firsts
