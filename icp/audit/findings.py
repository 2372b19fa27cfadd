"""The findings of an audit: one for each promise, with the first few places of each kind of breach."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PLACES = 3
"""Places that are named of each kind of breach."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: a promise of docs/design.md that is kept, or one kind of breach of it.

    Attributes:
        promise: 1 to 9.
        kept: False for a breach.
        text: what was compared, or what is wrong, where, and how often.
    """

    promise: int
    kept: bool
    text: str

    def line(self) -> str:
        """The finding as it is printed."""
        return f"{self.promise} {'holds' if self.kept else 'BROKEN':<6}  {self.text}"


@dataclass(slots=True)
class Breaches:
    """The breaches of one promise, by kind: how often, and the first few places."""

    promise: int
    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str = "", n: int = 1) -> None:
        """Note `n` breaches of a kind, the first of them at `place`."""
        self.counts[kind] = self.counts.get(kind, 0) + n
        noted = self.places.setdefault(kind, [])
        if place and len(noted) < PLACES:
            noted.append(place)

    def add_all(self, kind: str, where: NDArray[np.integer], describe: Callable[[int], str]) -> None:
        """Note a breach for every element of `where`; `describe` is asked for the first few only."""
        if where.size:
            self.counts[kind] = self.counts.get(kind, 0) + int(where.size)
            noted = self.places.setdefault(kind, [])
            noted += [describe(int(index)) for index in where[: max(0, PLACES - len(noted))]]

    def __bool__(self) -> bool:
        return bool(self.counts)

    def findings(self, kept: str) -> Iterator[Finding]:
        """One finding for each kind of breach; the text `kept` if there is none."""
        if not self.counts:
            yield Finding(self.promise, True, kept)
        for kind, count in self.counts.items():
            shown = "; ".join(self.places[kind])
            more = "; ..." if count > len(self.places[kind]) > 0 else ""
            yield Finding(self.promise, False, f"{kind}: {count:,}" + (f" ({shown}{more})" if shown else ""))
