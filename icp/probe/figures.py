"""What a probe found, as plain figures: what is saved in all and by place, length and source, and what cuts leave.

In: plans, what their pieces save. Out: numbers and verdicts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.probe.arms import BEST_FIT, OURS, RANDOM, REDEALT, SAME_SOURCE, Arms
from icp.probe.coder import UNIT
from icp.probe.gains import CODERS, MASKED, N_GRAM, Gains
from icp.probe.intervals import Estimates, Interval, estimate

LENGTHS = (256, 1024, 4096)
"""Tokens of a document at which one class of lengths ends and the next begins."""
QUANTILES = (10, 25, 50, 75, 90)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a probe found.

    Attributes:
        sure: by coder, what each plan saves.
        by_place, by_length, by_source: bits a byte of the n-gram coder, by plan, then by class.
        headless: by plan, the share of tokens in pieces that do not begin their document.
        context: by plan, the quantiles `QUANTILES` of how many tokens before it a token can see, without document masks
            and with them.
    """

    sure: Mapping[str, Estimates]
    by_place: Mapping[str, Mapping[str, float]]
    by_length: Mapping[str, Mapping[str, float]]
    by_source: Mapping[str, Mapping[str, float]]
    headless: Mapping[str, float]
    context: Mapping[str, tuple[list[int], list[int]]]

    @property
    def verdict(self) -> str:
        """What may be said of the pack: never that a model will be better."""
        sure = self.sure[N_GRAM]
        control = SAME_SOURCE if SAME_SOURCE in sure.names else RANDOM
        if sure.difference(OURS, RANDOM).sign < 1:
            return "not resolved: what precedes a document helps no more than random documents do"
        if sure.difference(OURS, control).sign < 1:
            return "same source is enough: beyond it, nothing is saved that this sample can show"
        if sure.difference(OURS, REDEALT).sign < 1:
            return "the windows of a batch save as much when their documents are dealt again"
        beyond = "beyond same source" if control == SAME_SOURCE else "beyond random documents"
        return f"related text stands where a model could use it, {beyond}; this is no promise of a better model"

    @property
    def masked(self) -> Interval:
        """What the pack saves more than best-fit where no token sees another document: nothing, or less by its cuts."""
        return self.sure[MASKED].difference(OURS, BEST_FIT)


def figures_of(arms: Arms, gains: Mapping[str, Gains], source_names: Mapping[int, str]) -> Figures:
    """Figures of all plans; `source_names` of the sources that are told apart."""
    places = {name: _quarters(found, arms.capacity) for name, found in gains.items()}
    lengths = {name: _length_names(arms.lengths[found.doc]) for name, found in gains.items()}
    sources = {name: [source_names.get(int(n), "others") for n in arms.sources[g.doc]] for name, g in gains.items()}
    plans = arms.plans.items()
    return Figures(
        sure={coder: estimate(gains, coder) for coder in CODERS},
        by_place={name: _by_class(found, places[name]) for name, found in gains.items()},
        by_length={name: _by_class(found, lengths[name]) for name, found in gains.items()},
        by_source={name: _by_class(found, sources[name]) for name, found in gains.items()},
        headless={name: _headless(plan) for name, plan in plans},
        context={name: (_seen(_before(plan)[0], plan), _seen(_before(plan)[1], plan)) for name, plan in plans},
    )


def _by_class(gains: Gains, classes: list[str]) -> dict[str, float]:
    names, which = np.unique(np.array(classes, dtype=np.str_), return_inverse=True)
    saved = np.bincount(which, gains.saved[N_GRAM], minlength=names.size)
    n_bytes = np.bincount(which, gains.n_bytes, minlength=names.size)
    found = {name: float(bits) for name, bits in zip(names.tolist(), saved / n_bytes / UNIT, strict=True)}
    return dict(sorted(found.items(), key=lambda item: (len(item[0]) if "under " in item[0] else 99, item[0])))


def _quarters(gains: Gains, capacity: int) -> list[str]:
    quarter = np.minimum(gains.tokens_before * 4 // capacity, 3)
    return [f"quarter {number + 1}" for number in quarter.tolist()]


def _length_names(lengths: NDArray[np.int64]) -> list[str]:
    names = (*(f"under {bound:,}" for bound in LENGTHS), f"{LENGTHS[-1]:,} and more")
    return [names[at] for at in np.searchsorted(LENGTHS, lengths, side="right").tolist()]


def _headless(plan: PackPlan) -> float:
    tokens = plan.stop - plan.start
    return float(tokens[plan.start > 0].sum() / max(1, tokens.sum()))


def _before(plan: PackPlan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tokens that the first token of each piece sees: those in front of it in its window; under masks none."""
    tokens = plan.stop - plan.start
    ends = np.cumsum(tokens)
    firsts = np.searchsorted(plan.window, plan.window)
    return ends - tokens - (ends - tokens)[firsts], np.zeros_like(tokens)


def _seen(before: NDArray[np.int64], plan: PackPlan) -> list[int]:
    """Quantiles over tokens of how many tokens each can see: a piece of t tokens after b others has b to b + t - 1."""
    tokens = plan.stop - plan.start
    if not tokens.size:
        return [0] * len(QUANTILES)
    changes = np.zeros(int((before + tokens).max()) + 1, dtype=np.int64)
    np.add.at(changes, before, 1)
    np.add.at(changes, before + tokens, -1)
    reached = np.cumsum(np.cumsum(changes))
    return [int(np.searchsorted(reached, reached[-1] * share / 100)) for share in QUANTILES]
