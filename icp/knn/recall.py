"""How much must be searched to reach a recall, and the recall reached: both from samples whose neighbours are known.

In: cells or lists of sampled rows and of their true neighbours. Out: the least overlap of cells, or number of lists, at
which the lower side of the sample's own 99% interval reaches the target: then one corpus in 200 misses it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ERRORS_95, ERRORS_99 = 1.96, 2.576
"""Standard errors from the middle of an interval to its sides."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Which cells a row joins.

    Attributes:
        margin: its nearest, and those at most this less similar than the nearest; infinite: however much less.
        ranks: so many at most.
        share: of the sample's true neighbours, those that share a cell with their row.
        enough: whether the lower side of the sample's interval of that share reaches the target.
    """

    margin: float
    ranks: int
    share: float
    enough: bool = True


Assigned = tuple[NDArray[np.int32], NDArray[np.float16]]
"""Cells of rows (n, ranks), nearest first, -1 for none, and how much less similar each is than the first."""


def interval(shares: NDArray[np.float64], errors: float = ERRORS_95) -> tuple[float, float, float]:
    """Mean of a figure over sampled rows, and its interval, not clipped; ones if there is no row."""
    if not shares.size:
        return 1.0, 1.0, 1.0
    mean = float(shares.mean())
    half = errors * float(shares.std(ddof=1)) / float(np.sqrt(shares.size)) if shares.size > 1 else 0.0
    return mean, mean - half, mean + half


def recall_interval(
    found: NDArray[np.int32], similarities: NDArray[np.float16], exact: NDArray[np.int32], best: NDArray[np.float16]
) -> tuple[float, float, float]:
    """Mean share of the true nearest that was found, ties counted, and its 95% interval over rows.

    Args:
        found, similarities: (n, k) int32 and float16, what was found; -1 for none.
        exact, best: (n, k) int32 and float16, the true nearest; a row without any does not count.

    Returns: recall, its lower and its upper bound; ones if no row counts.
    """
    mean, low, high = interval(shares_found(found, similarities, exact, best))
    return mean, max(0.0, low), min(1.0, high)


def shares_found(
    found: NDArray[np.int32], similarities: NDArray[np.float16], exact: NDArray[np.int32], best: NDArray[np.float16]
) -> NDArray[np.float64]:
    """Share of the true nearest of each row that was found, of those that have any; see `recall_interval`."""
    n_true = (exact >= 0).sum(axis=1)
    counts = n_true > 0
    least = np.where(exact >= 0, best, np.float16(2)).min(axis=1, initial=2)[:, None]
    return np.asarray(((found >= 0) & (similarities >= least)).sum(axis=1)[counts] / n_true[counts])


def enough_found(shares: NDArray[np.float64], target_recall: float) -> bool:
    """Whether the lower side of the 99% interval of a sample's shares reaches the target."""
    return interval(shares, ERRORS_99)[1] >= target_recall


def choose_overlap(
    mine: Assigned, others: Assigned, *, target_recall: float, most_joined: float = float("inf")
) -> Overlap:
    """The overlap with the fewest cells a row at which enough of the true neighbours of a sample share a cell with it.

    Args:
        mine: cells of the rows of the sample, (n, ranks).
        others: cells of their neighbours, (n * k, ranks), by row; no cells where there is no neighbour.
        most_joined: cells that a row may join on average. Where that is not enough, the overlap within it that brings
            most neighbours together, of two ranks or more: cells without overlap have no way into one another.

    Returns: without `most_joined` or a second rank, all ranks and an infinite margin if no overlap reaches the target.
    """
    n_rows, most = mine[0].shape
    there = (others[0] >= 0).any(axis=1).reshape(n_rows, -1) if n_rows else np.zeros((0, 1), dtype=np.bool_)
    counts = there.any(axis=1)
    if not counts.any():
        return Overlap(0.0, 1, 1.0)
    gaps = np.where(mine[0] >= 0, mine[1].astype(np.float32), np.inf)[counts]
    sample = _Sample(_needed_margins(mine, others)[:, counts], there[counts], gaps)
    reached = [one for ranks in range(1, most + 1) for one in sample.least(ranks, target_recall)]
    within = [one for one in reached if sample.joined(one) <= most_joined]
    if within:
        return min(within, key=lambda one: (sample.joined(one), one.ranks))
    if most < 2 or not np.isfinite(most_joined):
        return sample.overlap(np.float32(np.inf), most, enough=False)
    return max((sample.widest(ranks, most_joined) for ranks in range(2, most + 1)), key=lambda one: one.share)


@dataclass(frozen=True, slots=True)
class _Sample:
    """For sampled rows, the margins at which they meet their neighbours and join cells.

    Attributes:
        needed: (ranks, n, k) float32, of `_needed_margins`.
        there: (n, k) bool, where there is a neighbour; each row has one.
        gaps: (n, ranks) float32, of the cells of each row; infinite where there are no more.
    """

    needed: NDArray[np.float32]
    there: NDArray[np.bool_]
    gaps: NDArray[np.float32]

    def joined(self, one: Overlap) -> float:
        """Cells of a row, on average."""
        return float((self.gaps[:, : one.ranks] <= one.margin).sum(axis=1).mean())

    def overlap(self, margin: np.float32, ranks: int, *, enough: bool) -> Overlap:
        """An overlap with its share."""
        share = float(_shares(self.needed[ranks - 1], self.there, np.minimum(margin, np.float32(2))).mean())
        return Overlap(float(margin), ranks, share, enough)

    def least(self, ranks: int, target_recall: float) -> list[Overlap]:
        """The overlap of the least margin whose share reaches the target at its lower bound; none if no margin does."""
        needed = self.needed[ranks - 1]
        margins = np.unique(needed[self.there & np.isfinite(needed)])
        # the share rises with the margin, and its lower side all but does
        low, high = 0, margins.size
        while low < high:
            middle = (low + high) // 2
            enough = enough_found(_shares(needed, self.there, margins[middle]), target_recall)
            low, high = (low, middle) if enough else (middle + 1, high)
        return [self.overlap(margins[low], ranks, enough=True)] if low < margins.size else []

    def widest(self, ranks: int, most_joined: float) -> Overlap:
        """The overlap of the largest margin at which rows join no more than so many cells."""
        joined = np.sort(self.gaps[:, 1:ranks], axis=None)
        joined = joined[np.isfinite(joined)]
        room = int((most_joined - 1) * len(self.gaps))
        within = joined if room >= joined.size else joined[joined < joined[max(0, room)]]
        return self.overlap(np.float32(float(within.max(initial=0))), ranks, enough=False)


def _needed_margins(mine: Assigned, others: Assigned) -> NDArray[np.float32]:
    """The least margin at which a row and each neighbour share a cell by up to so many ranks: (ranks, n, k)."""
    n_rows, most = mine[0].shape
    cells, gaps = others[0].reshape(n_rows, -1, most), others[1].astype(np.float32).reshape(n_rows, -1, most)
    needed = np.full((most, n_rows, cells.shape[1]), np.inf, dtype=np.float32)
    for one in range(most):
        for two in range(most):
            same = (mine[0][:, one, None] == cells[:, :, two]) & (cells[:, :, two] >= 0)
            gap = np.maximum(mine[1][:, one, None].astype(np.float32), gaps[:, :, two])
            level = needed[max(one, two)]
            np.minimum(level, np.where(same, gap, np.inf), out=level)
    return np.minimum.accumulate(needed, axis=0)


def _shares(needed: NDArray[np.float32], there: NDArray[np.bool_], margin: np.float32) -> NDArray[np.float64]:
    """Share of the neighbours of each row that a margin brings together with it."""
    return np.asarray(((needed <= margin) & there).sum(axis=1) / there.sum(axis=1))


def choose_nprobe(probed: NDArray[np.int32], neighbor_lists: NDArray[np.int32], *, target_recall: float) -> int:
    """How many lists must be searched to find enough of a sample's true neighbours; all lists if fewer never suffice.

    Args:
        probed: (n, ranks) int32, the lists nearest to each row of the sample.
        neighbor_lists: (n, k) int32, the list in which each true neighbour stands; -1: no neighbour.
    """
    there = neighbor_lists >= 0
    counts = there.any(axis=1)
    same = probed[:, None, :] == neighbor_lists[:, :, None]
    found_at = np.where(same.any(axis=2), same.argmax(axis=2), probed.shape[1]).astype(np.float32)[counts]
    for nprobe in range(1, probed.shape[1]):
        if enough_found(_shares(found_at, there[counts], np.float32(nprobe - 1)), target_recall):
            return nprobe
    return probed.shape[1] if counts.any() else 1
