"""What a step is made of: phases of independent parts, the folder they fill, the folders they read.

A step reads folders of earlier steps and fills one folder. Its phases follow one another; the parts of a phase are
independent tasks, each of which writes under temporary names that `PartOutput` gives out.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from icp.config import Config, declared
from icp.run.context import Context
from icp.run.records import TEMPORARY, FileRecord, hash_file


@dataclass
class PartOutput:
    """Where a task leaves what it makes; files get their final names when it returns."""

    folder: Path
    staged: dict[str, Path] = field(default_factory=dict)
    row_counts: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    known: dict[str, FileRecord] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """A temporary file to write, which becomes `name` (relative to the step's folder)."""
        if name not in self.staged:
            final = self.folder / name
            final.parent.mkdir(parents=True, exist_ok=True)
            self.staged[name] = final.with_name(f"{TEMPORARY}{uuid.uuid4().hex}-{final.name}")
        return self.staged[name]

    def carry(self, name: str, source: Path, record: FileRecord) -> None:
        """Leave a finished file of another run, which never changes, under a second name, or a copy of it."""
        temporary = self.path(name)
        try:
            os.link(source, temporary)
        except OSError:  # another disk, or a file system that knows no links
            shutil.copyfile(source, temporary)
        self.known[name] = record

    def rows(self, name: str, n_rows: int) -> None:
        """Keep the number of rows of a file in its record."""
        self.row_counts[name] = n_rows

    def count(self, name: str, n: int = 1) -> None:
        """Add to a count; counts are summed over parts."""
        self.counts[name] = self.counts.get(name, 0) + int(n)

    def records(self) -> dict[str, FileRecord]:
        """Sizes, hashes and rows of the files written."""
        return {
            name: self.known.get(name) or FileRecord(path.stat().st_size, hash_file(path), self.row_counts.get(name))
            for name, path in sorted(self.staged.items())
        }

    def discard(self) -> None:
        """Remove what is still under a temporary name."""
        for path in self.staged.values():
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Phase:
    """Independent parts of work. Files of a scratch phase are removed when the step is done."""

    name: str
    parts: Callable[[Context], Sequence[str]]
    work: Callable[[Context, str, PartOutput], None]
    scratch: bool = False


@dataclass(frozen=True)
class Step:
    """A step: what it reads, which configuration keys change its bytes, and its phases.

    Its phases can read the configuration under `keys` and `reads`, and no more: `keys` change bytes; `reads` do not, or
    only where `keys` names them too. `sources` gives ``(name, identity)`` of files outside the run that it reads;
    `cautions` what a user should know of these settings before the step starts, a line each.
    """

    name: str
    format: int
    inputs: tuple[str, ...]
    keys: Callable[[Config], tuple[str, ...]]
    phases: tuple[Phase, ...]
    sources: Callable[[Config], Sequence[tuple[str, str]]] | None = None
    cautions: Callable[[Config], Sequence[str]] | None = None
    reads: tuple[str, ...] = ()

    def narrowed(self, context: Context) -> Context:
        """The context as phases of this step get it: with the declared configuration alone."""
        keys = ("run", *self.keys(context.config), *self.reads)
        return replace(context, step=self.name, config=declared(context.config, keys, step=self.name))


ALL = "all"
"""The part of a phase that is one task."""

Progress = Callable[[str, int, int], None]
"""Called as ``progress(label, done, total)``."""


def one_part(context: Context) -> list[str]:
    """The parts of a phase that is one task."""
    return [ALL]
