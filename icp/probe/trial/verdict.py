"""What the losses of all branches say: differences with their intervals, and a verdict fixed before any was seen.

In: nats of each token, by trunk, branch and context. Out: figures. *Gain* is what a related context takes off the loss
of the same tokens after nothing. Two figures are primary, over all tokens: how much larger the gain of this pack's
branch is than that of the branch of random windows; and, of *related beyond same source* (loss after documents of the
same source less loss after related ones), how much larger it is than that of the same-source branch.

What must not differ: this pack from itself in another order of steps; and under document masks, where no token sees
another document, this pack from best-fit. A difference under `LEAST` is none, whichever way it goes and whosever it is:
three trunks that agree by chance, as every fourth three do, would else make a difference of any size.

What is left under masks has two parts. *Steps*: this pack less its own pieces in windows by size alone, the same texts,
so that only what a step reads together differs. *Cuts*: those pieces less best-fit, which cuts less: a piece that lost
its beginning has less of its own document before it, and a model that read fewer long documents uses any context less.

`LEAST` and the parts were added in December 2026, after trials that had shown -.005 against best-fit, both masked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.probe.arms import OURS, RANDOM, SAME_SOURCE
from icp.probe.trial.branches import AGAIN, BEST_FIT_MASKED, OURS_MASKED, PIECES_MASKED
from icp.probe.trial.held_out import ANY, CONTEXT_NAMES, NOTHING, OWN_SOURCE, RELATED
from icp.streams import PROBE

ITSELF = "itself again"
GAIN, BEYOND, DISTRACTION = "gain", "related beyond same source", "distraction"
MEASURES: dict[str, tuple[str, str]] = {
    GAIN: (NOTHING, RELATED),
    BEYOND: (OWN_SOURCE, RELATED),
    DISTRACTION: (ANY, NOTHING),
}
"""Loss after the first context less loss after the second."""
ALL = "all"
READY = 0.04
"""Nats by which a trunk must expect tokens better after related documents than after random ones: it copies."""
LEAST = READY / 4
"""Nats, the smallest difference of two branches that counts."""
DRAWS, SURE, DRAWS_BY = 2000, (0.5, 99.5), 16
LEAST_CLUSTERS = 10
"""Sources that targets must have to be drawn by source."""

Scores = Mapping[str, NDArray[np.float32]]
"""By branch: (contexts, targets, tokens) nats, NaN where there is no token."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of one branch less that of another.

    Attributes:
        value: nats a token, the mean over trunks.
        low, high: between which it lies in 99 of 100 draws of trunks and, in each, of clusters of targets.
        trunks: of each.
    """

    value: float
    low: float
    high: float
    trunks: tuple[float, ...]

    @property
    def sign(self) -> int:
        """1 or -1 if the interval is on one side of zero, all trunks agree, and it is `LEAST` or more; else 0."""
        sign = int(self.low > 0) - int(self.high < 0)
        return sign if all(sign * value > 0 for value in self.trunks) and abs(self.value) >= LEAST else 0

    @property
    def is_nothing(self) -> bool:
        """Whether the whole interval lies within `LEAST` of zero."""
        return max(-self.low, self.high) < LEAST


@dataclass(frozen=True, slots=True)
class Outcome:
    """The scores of all branches, ready to be compared.

    Attributes:
        scores: by trunk, by branch.
        trunks: the scores of the trunks themselves.
        classes: by trunk, (targets, tokens) bool by class.
        clusters: (targets,) int64, which are drawn together. by_source: whether those are sources.
        seed: of the draws.
        by_frequency: nats a token of the targets, coded by how frequent each token is in them.
    """

    scores: tuple[Scores, ...]
    trunks: tuple[NDArray[np.float32], ...]
    classes: tuple[Mapping[str, NDArray[np.bool_]], ...]
    clusters: NDArray[np.int64]
    by_source: bool
    seed: int
    by_frequency: float

    @property
    def control(self) -> str:
        """The branch of the second primary figure."""
        return SAME_SOURCE if SAME_SOURCE in self.scores[0] else RANDOM

    @property
    def primary(self) -> dict[str, Difference]:
        """The figures that the verdict rests on."""
        return {
            GAIN: self.difference(GAIN, OURS, RANDOM),
            BEYOND: self.difference(BEYOND, OURS, self.control),
        }

    @property
    def nulls(self) -> dict[str, Difference]:
        """What must not differ, see above."""
        pairs = {ITSELF: (AGAIN, OURS), "best-fit, both masked": (OURS_MASKED, BEST_FIT_MASKED)}
        return {
            f"{measure}, {name}": self.difference(measure, *pair)
            for name, pair in pairs.items()
            for measure in (GAIN, BEYOND)
        }

    @property
    def under_masks(self) -> dict[str, Difference]:
        """What is left of the gain under masks, in its parts, see above."""
        pairs = {"steps": (OURS_MASKED, PIECES_MASKED), "cuts": (PIECES_MASKED, BEST_FIT_MASKED)}
        return {name: self.difference(GAIN, *pair) for name, pair in pairs.items()}

    def readiness(self) -> list[float]:
        """Of each trunk: loss after random documents less loss after related ones."""
        return [_mean(_contrast(trunk, ANY, RELATED)) for trunk in self.trunks]

    def loss_of_trunk(self, context: str, trunk: int) -> float:
        """Nats a token."""
        return _mean(self.trunks[trunk][CONTEXT_NAMES.index(context)])

    def loss(self, branch: str, context: str, trunk: int) -> float:
        """Nats a token."""
        return _mean(self.scores[trunk][branch][CONTEXT_NAMES.index(context)])

    def closed_book(self, branch: str) -> Difference:
        """Loss after nothing, less that of the branch of random windows: above zero, it knows less by heart."""
        return self._of([one[branch][0] - one[RANDOM][0] for one in self.scores], ALL)

    def after_related(self, branch: str) -> Difference:
        """Loss after related documents, less that of the branch of random windows."""
        at = CONTEXT_NAMES.index(RELATED)
        return self._of([one[branch][at] - one[RANDOM][at] for one in self.scores], ALL)

    def difference(self, measure: str, branch: str, other: str, tokens: str = ALL) -> Difference:
        """A measure of one branch less that of another, over a class of tokens."""
        more, less = MEASURES[measure]
        return self._of(
            [_contrast(one[branch], more, less) - _contrast(one[other], more, less) for one in self.scores], tokens
        )

    def verdict(self) -> str:
        """What may be said: never that a model will be better."""
        if max(self.loss_of_trunk(NOTHING, n) for n in range(len(self.trunks))) > self.by_frequency:
            young = "a trunk is too young, it expects tokens no better than by how frequent they are"
            return f"not resolved: {young}; give --trunk-tokens more"
        if min(self.readiness()) < READY:
            young = f"a trunk is too young, it gains less than {READY} nats by related documents"
            return f"not resolved: {young}; give --trunk-tokens more"
        nulls = self.nulls.items()
        if any(null.sign for name, null in nulls if name.endswith(ITSELF)):
            return "not resolved: the pack differs from itself under another order of training"
        if any(null.sign > 0 for name, null in nulls if not name.endswith(ITSELF)):
            return (
                "not resolved: a gain over best-fit is left under document masks, where no token sees another document"
            )
        gain, beyond = (self.primary[name].sign for name in (GAIN, BEYOND))
        if gain < 0 or beyond < 0:
            return "a model of this size uses related text less after this pack's windows"
        if not gain:
            more = f"no more than random ones, or by less than {LEAST} nats a token"
            return f"not resolved: this pack's windows teach the use of related text {more}"
        if not beyond:
            return f"uses related text more than after random windows; beyond {self.control} windows: not resolved"
        cost = "" if self.after_related(OURS).sign < 0 else ", but the loss after related text is not resolved to fall"
        more = f"uses related text more than after random and {self.control} windows{cost}"
        return f"{more}; this is no promise of a better model"

    def _of(self, nats: list[NDArray[np.float32]], tokens: str) -> Difference:
        both = [self._by_cluster(nat, tokens, trunk) for trunk, nat in enumerate(nats)]
        sums, counts = (np.stack([pair[which] for pair in both]) for which in (0, 1))
        values = sums.sum(axis=1) / np.maximum(1.0, counts.sum(axis=1))
        generator = PROBE.generator(self.seed, DRAWS_BY)
        trunk = generator.integers(0, len(nats), (DRAWS, len(nats), 1))
        rows = generator.integers(0, sums.shape[1], (DRAWS, len(nats), sums.shape[1]))
        drawn = sums[trunk, rows].sum(axis=2) / np.maximum(1.0, counts[trunk, rows].sum(axis=2))
        low, high = np.percentile(drawn.mean(axis=1), SURE)
        return Difference(float(values.mean()), float(low), float(high), tuple(values.tolist()))

    def _by_cluster(
        self, nats: NDArray[np.float32], tokens: str, trunk: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        chosen = ~np.isnan(nats)
        if tokens != ALL:
            chosen &= self.classes[trunk][tokens]
        size = int(self.clusters.max(initial=-1)) + 1
        by_target = np.where(chosen, nats, 0).sum(axis=1, dtype=np.float64), chosen.sum(axis=1, dtype=np.float64)
        sums, counts = (np.bincount(self.clusters, column, minlength=size).astype(np.float64) for column in by_target)
        return sums, counts


def _contrast(scores: NDArray[np.float32], more: str, less: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = scores[CONTEXT_NAMES.index(more)] - scores[CONTEXT_NAMES.index(less)]
    return found


def _mean(nats: NDArray[np.float32]) -> float:
    return float(np.nanmean(nats, dtype=np.float64))
