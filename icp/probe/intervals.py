"""How sure differences between plans are: intervals by drawing documents again, the same draws for every plan.

In: what pieces save. Out: bits per byte with their intervals. A document that two plans have in their samples counts in
both with the same weight, so that what it is like by itself cancels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.probe.coder import UNIT
from icp.probe.gains import Gains
from icp.streams import PROBE

DRAWS = 1000
SURE = (0.5, 99.5)
"""Percentiles between which a figure lies: 99%, so that of a hundred comparisons of equals one seems to differ."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and where it lies in 99 of 100 draws of documents.

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
class Draws:
    """Bits a byte of every plan: as measured, and in each draw.

    Attributes:
        names: of the plans.
        values: (plans,) float64.
        drawn: (DRAWS, plans) float64.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    drawn: NDArray[np.float64]

    def of(self, name: str) -> Interval:
        """What one plan saves."""
        at = self.names.index(name)
        return _interval(self.values[at], self.drawn[:, at])

    def difference(self, name: str, other: str) -> Interval:
        """What one plan saves more than another."""
        one, two = self.names.index(name), self.names.index(other)
        return _interval(self.values[one] - self.values[two], self.drawn[:, one] - self.drawn[:, two])

    def share(self, part: str, whole: str, base: str) -> Interval:
        """How much of what `whole` saves more than `base` is saved by `part`; NaN where `whole` saves no more."""
        one, all_, none = (self.names.index(name) for name in (part, whole, base))
        if self.difference(whole, base).sign < 1:
            return Interval(*3 * (float("nan"),))
        value = (self.values[one] - self.values[none]) / (self.values[all_] - self.values[none])
        gain = np.maximum(self.drawn[:, all_] - self.drawn[:, none], 1e-12)
        return _interval(value, (self.drawn[:, one] - self.drawn[:, none]) / gain)


def draw_again(gains: Mapping[str, Gains], coder: str, *, seed: int) -> Draws:
    """Bits a byte that each plan saves by one coder, in `DRAWS` draws of the documents of all plans."""
    docs = np.unique(np.concatenate([found.doc for found in gains.values()]))
    sums = np.zeros((docs.size, 2 * len(gains)))
    for at, found in enumerate(gains.values()):
        row = np.searchsorted(docs, found.doc)
        sums[:, 2 * at] = np.bincount(row, found.saved[coder], minlength=docs.size)
        sums[:, 2 * at + 1] = np.bincount(row, found.n_bytes, minlength=docs.size)
    generator = PROBE.generator(seed, 4)
    drawn = np.empty((DRAWS, 2 * len(gains)))
    for at in range(DRAWS):
        counts = np.bincount(generator.integers(0, docs.size, docs.size), minlength=docs.size)
        drawn[at] = counts @ sums
    return Draws(tuple(gains), _bits(sums.sum(axis=0)), _bits(drawn))


def _bits(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return sums[..., ::2] / np.maximum(1.0, sums[..., 1::2]) / UNIT


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(drawn, SURE)
    return Interval(float(value), float(low), float(high))
