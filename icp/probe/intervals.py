"""How sure differences between plans are: intervals that know of documents and of windows.

In: what pieces save. Out: bits per byte with their intervals. Pieces of a window save alike, since a window is of one
matter, and so do pieces of a document, in one plan as in another. The variance of a figure is therefore that of sums
over documents, those that two plans share counted together so that what they are like by themselves cancels, plus that
of sums over windows, less that of single pieces, which both hold. Documents alone would call a pack different from
itself in 39 of 100 comparisons where windows hold thirty related documents (arxiv-abstracts); see
`tests/bench/bench_probe.py`.

Source: A. Cameron, J. Gelbach, D. Miller, Robust inference with multiway clustering, J. Bus. Econ. Stat. 29 (2011).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.probe.coder import UNIT
from icp.probe.gains import Gains

SURE = 2.5758
"""Standard deviations to either side: 99%, so that of a hundred comparisons of equals one seems to differ."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and where it lies with 99% certainty if documents and windows were drawn again.

    Attributes:
        value, low, high: bits a byte, or a share.
    """

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 if the interval is above or below zero, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Bits a byte of every plan, and what moves them.

    Attributes:
        names: of the plans.
        values: (plans,) float64.
        by_doc: (docs, plans) float64, how much the pieces of each document add to the figure of each plan above what is
            usual.
        by_window, by_piece: (plans,) float64, variances of sums over windows, and of pieces.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    by_doc: NDArray[np.float64]
    by_window: NDArray[np.float64]
    by_piece: NDArray[np.float64]

    def of(self, name: str) -> Interval:
        """What one plan saves."""
        return self._interval({name: 1.0})

    def difference(self, name: str, other: str) -> Interval:
        """What one plan saves more than another."""
        return self._interval({name: 1.0, other: -1.0} if name != other else {})

    def share(self, part: str, whole: str, base: str) -> Interval:
        """How much of what `whole` saves more than `base` is saved by `part`; NaN where `whole` saves no more."""
        gain = self.difference(whole, base)
        if gain.sign < 1:
            return Interval(*3 * (float("nan"),))
        value = self.difference(part, base).value / gain.value
        half = self._half({part: 1.0, whole: -value, base: value - 1.0}) / gain.value
        return Interval(value, value - half, value + half)

    def _interval(self, shares: Mapping[str, float]) -> Interval:
        value = float(sum(share * self.values[self.names.index(name)] for name, share in shares.items()))
        half = self._half(shares)
        return Interval(value, value - half, value + half)

    def _half(self, shares: Mapping[str, float]) -> float:
        """Half an interval of the sum of figures, each times its share."""
        of_plan = np.array([shares.get(name, 0.0) for name in self.names])
        by_doc = _variance(self.by_doc @ of_plan)
        by_window, by_piece = (float(of_plan**2 @ single) for single in (self.by_window, self.by_piece))
        # pieces of a window may seem to differ more than by chance: never narrower than by documents
        return SURE * float(np.sqrt(max(by_doc + by_window - by_piece, by_doc)))


def estimate(gains: Mapping[str, Gains], coder: str) -> Estimates:
    """Bits a byte that each plan saves by one coder, and how sure they are."""
    docs = np.unique(np.concatenate([found.doc for found in gains.values()]))
    values, by_doc, by_window, by_piece = [], np.zeros((docs.size, len(gains))), [], []
    for at, found in enumerate(gains.values()):
        saved, n_bytes = found.saved[coder] / UNIT, max(1.0, float(found.n_bytes.sum()))
        values.append(float(saved.sum()) / n_bytes)
        moved = (saved - values[-1] * found.n_bytes) / n_bytes
        by_doc[:, at] = np.bincount(np.searchsorted(docs, found.doc), moved, minlength=docs.size)
        by_window.append(
            _variance(np.bincount(np.unique(found.window, return_inverse=True)[1], moved).astype(np.float64))
        )
        by_piece.append(float((moved**2).sum()))
    return Estimates(tuple(gains), np.array(values), by_doc, np.array(by_window), np.array(by_piece))


def _variance(sums: NDArray[np.float64]) -> float:
    """Of the sum of independent parts whose mean is nothing; parts that are nothing do not count."""
    n = int(np.count_nonzero(sums))
    return float((sums**2).sum()) * n / max(1, n - 1)
