"""Whether a corpus may be used: how much of it was refused, and whether its fields are there at all."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from icp.config import CorpusConfig
from icp.errors import InputError
from icp.failures import too_many
from icp.run.records import PartRecord


def check_seen(config: CorpusConfig, seen: set[str]) -> None:
    """Raise InputError if a kept field, or an id or source that was asked for, stands in no file."""
    defaults = CorpusConfig.model_fields
    asked = {"keep": config.keep}
    for key in ("id", "source"):
        if getattr(config, key) not in (None, defaults[key].default):
            asked[key] = (getattr(config, key),)
    for key, names in asked.items():
        for name in names:
            if name not in seen:
                raise InputError(f"corpus.{key}: no input file has a field {name!r}; correct the name or leave it out")


_HOSTILE = {"too long", "nested too deep", "number too long"}
"""Reasons that say nothing of how the corpus is configured: a file of a few such rows stops no run."""
_NOT_HELD_AGAINST = ("rejected.excluded", "rejected.removed", "rejected.empty line")


def reasons_of(counts: Mapping[str, int]) -> Counter[str]:
    """Why rows were refused, of the counts of a record; excluded ones and blank lines are not refused."""
    return Counter(
        {
            name.removeprefix("rejected."): n
            for name, n in counts.items()
            if name.startswith("rejected.") and name not in _NOT_HELD_AGAINST
        }
    )


def ranked(reasons: Counter[str]) -> str:
    """Reasons with their counts, the most frequent first."""
    return ", ".join(f"{n:,} {reason}" for reason, n in sorted(reasons.items(), key=lambda r: (-r[1], r[0])))


@dataclass
class _Tally:
    """Rows of one file, or of all text files together; excluded ones and blank lines are not refused."""

    rows: int = 0
    documents: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, counts: Mapping[str, int]) -> None:
        self.rows += counts.get("read", 0)
        self.documents += counts.get("documents", 0)
        self.reasons += reasons_of(counts)

    def is_bad(self, most: float) -> bool:
        """Whether more was refused than may be; a few rows may be if a document is left."""
        is_odd = self.documents == 0 and not self.reasons.keys() <= _HOSTILE
        return too_many(self.reasons.total(), self.rows, most, is_none_left=is_odd)

    def __str__(self) -> str:
        return f"{self.reasons.total():,} of {self.rows:,} rows ({ranked(self.reasons)})"


def _stands_in(key: str, tallies: Iterable[_Tally]) -> bool:
    return any(key in reason.split() for tally in tallies for reason in tally.reasons)


def check_refused(config: CorpusConfig, records: Iterable[PartRecord]) -> None:
    """Raise InputError if a file, or all together, lost more rows than `corpus.max_rejected`, or no document is left.

    Args:
        records: of the read tasks: counts by reason, `info` with ``rows`` (file -> rows) and ``text_files``.
    """
    total = _Tally()
    files: dict[str, _Tally] = {}
    for record in records:
        name = "text files" if record.info["text_files"] else next(iter(record.info["rows"]))
        for tally in (files.setdefault(name, _Tally()), total):
            tally.add(record.counts)
    bad = {name: tally for name, tally in files.items() if tally.is_bad(config.max_rejected)}
    if not bad and total.is_bad(config.max_rejected):
        bad = {name: tally for name, tally in files.items() if tally.reasons}
    if bad:
        worst = sorted(bad, key=lambda name: -bad[name].reasons.total() / max(1, bad[name].rows))[:5]
        raise InputError(
            f"too many rows refused (corpus.max_rejected is {config.max_rejected}): "
            + "; ".join(f"{name}: {bad[name]}" for name in worst)
            + (f"; and {len(bad) - 5} more files" if len(bad) > 5 else "")
            + "".join(
                f"; corpus.{key}: null uses no {key}" for key in ("id", "source") if _stands_in(key, bad.values())
            )
            + ("; make them UTF-8, e.g. iconv -f WINDOWS-1252 -t UTF-8" if _stands_in("UTF-8", bad.values()) else "")
            + "; mend the files, leave them out (corpus.ignore), or raise corpus.max_rejected"
        )
    if not total.documents:
        raise InputError(f"{', '.join(config.input)}: no documents in {total.rows:,} rows; check corpus.input")
