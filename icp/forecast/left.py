"""How long a run will still take, told while it runs.

In: the rates that `icp plan` measured on this machine, else those of another one; what was done so far, and how long it
took here. Out: seconds. Rates give the proportions of the phases; the time that finished phases took gives the speed.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files

from icp.config import Config
from icp.errors import IcpError
from icp.forecast.calibration import speed_settings, stored_rates
from icp.forecast.estimate import STRETCH_DOCS, THREADED, Size, phase_seconds
from icp.forecast.rates import Rates
from icp.forecast.sizes import corpus_size
from icp.pipeline import context_of
from icp.steps.documents.read_tasks import PARTS, SMALLEST_PART

MIB = 2**20
PRIOR = 0.1
"""Share of all that is expected that counts as seen at the expected speed; so much less is trusted to first phases."""
OWN_PRIOR = 0.2
"""Share of the phase at work that counts as done in the time expected of it."""
OVERRUN = 0.3
"""A phase that has taken longer than expected takes this share of its time again."""
TRAINING = (("tokens", "sample"), ("tokens", "train"))
"""Phases that have nothing to do where a tokenizer is given."""
PHASE_SECONDS = 0.1
"""What the engine takes for a phase beside its tasks."""


@dataclass
class TimeLeft:
    """What is expected of the phases of some steps, and how that fits what they took.

    Phases in which one process works and those in which all do slow down by factors of their own: on a busy machine
    the latter lose more.

    Attributes:
        phases: (step, phase) -> seconds on this machine; steps in the order in which they run.
        size: of the corpus; None if it is not known.
        alone: phases in which one process works.
    """

    phases: dict[tuple[str, str], float]
    size: Size | None = None
    alone: frozenset[tuple[str, str]] = frozenset()
    _at: tuple[str, str] = ("", "")
    _began: float = 0.0
    _spent: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    _expected: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _in_parts: bool = False

    def begin(self, step: str, phase: str) -> None:
        """Note that a phase begins, and the one before it is done."""
        now, name = time.monotonic(), self._known(step, phase)
        self._in_parts = name != (step, phase)
        if name == self._at:
            return
        if self._at[0] in self._steps:
            self._spent[self._at in self.alone] += now - self._began
            self._expected[self._at in self.alone] += self.phases.get(self._at, 0.0)
        self._at, self._began = name, now
        self._seen.add(self._at)

    def seconds(self, share: float) -> float | None:
        """Seconds that are left when `share` of the phase at work is done; None if nothing is known of its step."""
        if self._at[0] not in self._steps:
            return None
        took, own = time.monotonic() - self._began, self.phases.get(self._at, 0.0)
        here = own * self._speed(self._at in self.alone)
        if share and not self._in_parts:
            left, done = (1 - share) * (took + OWN_PRIOR * here) / (share + OWN_PRIOR), share * own
        elif took > here:
            left, done = OVERRUN * took, own
        else:
            left, took, done = here - took, 0.0, 0.0
        later = [name for name in self.phases if name not in self._seen and not self._is_before(name)]
        return left + sum(self.phases[name] * self._speed(name in self.alone, took, done) for name in later)

    def _speed(self, alone: bool, took: float = 0.0, done: float = 0.0) -> float:
        """Seconds that a phase takes for each second expected; `took` and `done` are of the phase at work."""
        spent, expected = dict(self._spent), dict(self._expected)
        spent[self._at in self.alone] += took
        expected[self._at in self.alone] += done
        prior = PRIOR * sum(self.phases.values())
        of_all = (sum(spent.values()) + prior) / (sum(expected.values()) + prior)
        return (spent[alone] + prior * of_all) / (expected[alone] + prior)

    def _known(self, step: str, phase: str) -> tuple[str, str]:
        """The phase that a phase is expected as: of a large corpus, the longest one of a step is done in several."""
        of_step = [name for name in self.phases if name[0] == step]
        longest = max(of_step, key=lambda name: self.phases[name], default=(step, phase))
        is_new = (step, phase) not in self.phases and (longest not in self._seen or longest == self._at)
        return longest if is_new else (step, phase)

    def _is_before(self, name: tuple[str, str]) -> bool:
        """Whether a phase is of a step before the one at work."""
        return self._steps.index(name[0]) < self._steps.index(self._at[0])

    @cached_property
    def _steps(self) -> list[str]:
        return list(dict.fromkeys(step for step, _ in self.phases))


def time_left(config: Config, steps: Sequence[str], workers: int) -> TimeLeft:
    """What is expected of these steps; nothing if the size of the corpus cannot be told."""
    try:
        known = corpus_size(context_of(config))
    except (IcpError, OSError, ValueError):
        known = None
    if known is None:
        return TimeLeft({})
    n_docs, n_bytes = known
    rates = stored_rates(config, n_docs) or usual_rates(speed_settings(config, n_docs)["graph.method"])
    part = min(round(config.corpus.part_mib * MIB), max(SMALLEST_PART, n_bytes // PARTS))
    size = Size(n_docs, n_bytes, round(n_bytes / rates.bytes_per_token), max(1, -(-n_bytes // part)))
    expected = phase_seconds(rates, size, workers=workers, threads=workers)
    alone = {(phase.step, phase.phase) for phase in rates.phases if phase.serial}
    alone -= THREADED if n_docs > STRETCH_DOCS else set()
    phases = {name: seconds + PHASE_SECONDS for name, seconds in expected.items() if name[0] in steps}
    if not config.tokenizer.name.startswith("train:"):
        phases = {name: seconds for name, seconds in phases.items() if name not in TRAINING}
    return TimeLeft(phases, size, frozenset(alone))


@lru_cache(maxsize=2)
def usual_rates(method: str) -> Rates:
    """Rates of a machine that was measured once, for machines that were not: `method` of the search for neighbours."""
    tree = json.loads(files("icp.forecast").joinpath("data/usual_rates.json").read_text(encoding="utf-8"))
    return Rates.from_json(tree["exact" if method in ("exact", "auto") else "cells"])
