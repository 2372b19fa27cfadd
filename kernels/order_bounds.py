"""What no path can exceed, by the dual of the 2-matching, and what each document adds to that.

In: neighbour lists of all documents. Out: the pairs that can matter, prices and a bound. Nothing is checked.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel


@kernel
def listed_pairs(
    neighbors: NDArray[np.int32], similarities: NDArray[np.float32], floors: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Each pair of which one lists the other, once, if it is more similar than the sum of the two floors.

    Args:
        neighbors: (n, k) int32, -1 where there is none.
        similarities: (n, k) float32, the same for both directions of a pair.
        floors: (n,) float64, least price of each row.

    Returns: the two rows of each pair, int32, and their similarity, float32; by the row that lists the other.
    """
    heads = np.empty(0, dtype=np.int32)
    tails = np.empty(0, dtype=np.int32)
    weights = np.empty(0, dtype=np.float32)
    for fill in (False, True):
        count = 0
        for row in range(neighbors.shape[0]):
            for position in range(neighbors.shape[1]):
                other = neighbors[row, position]
                value = similarities[row, position]
                if other < 0 or value <= floors[row] + floors[other]:
                    continue
                if other < row and _lists(neighbors, other, row):
                    continue
                if fill:
                    heads[count] = row
                    tails[count] = other
                    weights[count] = value
                count += 1
        if not fill:
            heads = np.empty(count, dtype=np.int32)
            tails = np.empty(count, dtype=np.int32)
            weights = np.empty(count, dtype=np.float32)
    return heads, tails, weights


@kernel
def _lists(neighbors, row, other):
    found = False
    for position in range(neighbors.shape[1]):
        found |= neighbors[row, position] == other
    return found


class Schedule(NamedTuple):
    """A descent: how many steps, the length of the first, and by what each is shorter than the one before."""

    steps: int
    stride: float
    decay: float


@kernel
def descend_prices(
    pairs: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]],
    floors: NDArray[np.float64],
    prices: NDArray[np.float64],
    schedule: Schedule,
) -> float:
    """The least of ``2 * sum(prices) + sum over pairs of max(0, weight - price - price)`` on a subgradient descent.

    Args:
        pairs: as `listed_pairs` gives them.
        floors: (n,) float64, at least 0; a pair that is not listed is no more similar than the floors of its two rows
            together: then the value holds for all pairs.
        prices: (n,) float64, where to start, none below its floor; changed in place. In the end: what a row's place
            beside another is worth.
        schedule: of the descent.

    Returns: a bound on the sum of similarities of any set of pairs in which each row stands at most twice.
    Cost: O(steps * (n + pairs)); sums in the order of rows and pairs.
    Source: weak duality of linear programs; Held and Karp 1971 for the descent.
    """
    heads, tails, weights = pairs
    least = np.inf
    stride = schedule.stride
    missing = np.empty(prices.size, dtype=np.int32)
    for _ in range(schedule.steps):
        value = 0.0
        for row in range(prices.size):
            missing[row] = 2
            value += 2 * prices[row]
        for pair in range(heads.size):
            surplus = np.float64(weights[pair]) - prices[heads[pair]] - prices[tails[pair]]
            if surplus > 0:
                value += surplus
                missing[heads[pair]] -= 1
                missing[tails[pair]] -= 1
        least = min(least, value)
        for row in range(prices.size):
            prices[row] = max(floors[row], prices[row] - stride * missing[row])
        stride *= schedule.decay
    return least
