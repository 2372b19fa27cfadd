"""How long a run will still take, told while it runs.

In: the rates that `icp plan` measured on this machine, else those of another one; what was done so far, and how long it
took here. Out: seconds. Rates give the proportions of the phases; the time spent so far gives the speed.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

from icp.config import Config
from icp.errors import IcpError
from icp.forecast.calibration import speed_settings, stored_rates
from icp.forecast.estimate import Size, phase_seconds
from icp.forecast.rates import Rates
from icp.forecast.sizes import corpus_size
from icp.pipeline import context_of
from icp.steps.documents.read_tasks import PARTS, SMALLEST_PART

MIB = 2**20
TRUSTED_SECONDS = 8.0
"""Time that the expectation is trusted for, before this machine has shown its own speed."""
OVERRUN = 0.3
"""A phase that has taken longer than expected takes this share of its time again."""


@dataclass
class TimeLeft:
    """What is expected of the phases of some steps, and how that fits what they took.

    Attributes:
        phases: (step, phase) -> seconds on this machine, in the order in which they run.
        size: of the corpus; None if it is not known.
    """

    phases: dict[tuple[str, str], float]
    size: Size | None = None
    _at: tuple[str, str] = ("", "")
    _began: float = 0.0
    _spent: float = 0.0
    _expected: float = 0.0
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def begin(self, step: str, phase: str) -> None:
        """Note that a phase begins, and the one before it is done."""
        now = time.monotonic()
        if self._at in self.phases:
            self._spent += now - self._began
            self._expected += self.phases[self._at]
        self._seen.add(self._at)
        self._at, self._began = (step, phase), now

    def seconds(self, share: float) -> float | None:
        """Seconds that are left when `share` of the phase at work is done; None if nothing is known of it."""
        if self._at not in self.phases:
            return None
        took = time.monotonic() - self._began
        own = self.phases[self._at]
        whole = sum(self.phases.values())
        prior = min(TRUSTED_SECONDS, whole)
        speed = (self._spent + (took if share else 0.0) + prior) / (self._expected + share * own + prior)
        here = own * speed
        left = here * (1 - share) if share else max(here - took, OVERRUN * took if took > here else 0.0)
        return left + speed * sum(self._later())

    def _later(self) -> list[float]:
        names = list(self.phases)
        return [self.phases[name] for name in names[names.index(self._at) + 1 :]]


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
    return TimeLeft({name: seconds for name, seconds in expected.items() if name[0] in steps}, size)


@lru_cache(maxsize=2)
def usual_rates(method: str) -> Rates:
    """Rates of a machine that was measured once, for machines that were not: `method` of the search for neighbours."""
    tree = json.loads(files("icp.forecast").joinpath("data/usual_rates.json").read_text(encoding="utf-8"))
    return Rates.from_json(tree["exact" if method in ("exact", "auto") else "cells"])
