"""What a step is made of: phases of independent parts, the folder they fill, the folders they read.

A step reads folders of earlier steps and fills one folder. Its phases follow one another; the parts of a phase are
independent tasks, each of which writes under temporary names that `PartOutput` gives out.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp import artifacts
from icp.artifacts import FileRecord, Manifest, PartRecord
from icp.config import Config
from icp.errors import ArtifactError
from icp.storage import Exchange, StagedPath, exchange_of, run_folder

BUILD_STEPS = ("documents", "dedup", "embeddings", "neighbors", "graph")
PACK_STEPS = ("tokens", "order", "windows", "shards")
PACK_FOLDERS = {"order": "order", "windows": "plan", "shards": "shards"}
"""Where the steps of a pack lie, under ``packs/<name>/``."""


@dataclass(frozen=True)
class Context:
    """Where a task works: the configuration, the run's folders, and how many threads it may use.

    `stays`: what it makes is read on this machine alone, and need not go to a server that holds the run.
    """

    config: Config
    step: str
    folders: Mapping[str, str]
    phase: str = ""
    threads: int = 1
    pack: str = "main"
    stays: bool = False

    def folder(self, step: str) -> Path:
        """The folder of a step."""
        return run_folder(self.config.run) / self.folders[step]

    @property
    def exchange(self) -> Exchange:
        """What the tasks of this step exchange with the server that holds the run, if one does."""
        return exchange_of(self.config.run, self.folders[self.step], self.folder(self.step), stays=self.stays)

    def manifest(self, step: str) -> Manifest:
        """What a finished step left; raises ArtifactError if it is not finished."""
        found = _manifest(self.folder(step))
        if found is None:
            raise ArtifactError(f"{self.folder(step)}: step {step} is not finished; run it first")
        return found

    def records(self, phase: str) -> dict[str, PartRecord]:
        """The records of a phase of this step, by part."""
        folder = self.folder(self.step) / artifacts.RECORDS
        found = {}
        for path in sorted(folder.glob(f"{phase}.*.json")):
            record = artifacts.read_record(path)
            if record is not None:
                found[path.name[len(phase) + 1 : -len(".json")]] = record
        return found

    def doc_bounds(self) -> NDArray[np.int64]:
        """First `doc` of each documents part, and their number at the end: (n_parts + 1,) int64."""
        files = self.manifest("documents").files
        rows = [files[f"{part}.parquet"].rows or 0 for part in document_parts(self)]
        return np.concatenate(([0], np.cumsum(rows, dtype=np.int64))).astype(np.int64)


@lru_cache(maxsize=64)
def _manifest_at(folder: Path, stamp: int) -> Manifest | None:
    # files of a mirror come when they are opened: their sizes are compared then
    return artifacts.read_manifest(folder, check_sizes=not isinstance(folder, StagedPath))


def _manifest(folder: Path) -> Manifest | None:
    path = folder / artifacts.MANIFEST
    return _manifest_at(folder, path.stat().st_mtime_ns) if path.exists() else None


@dataclass
class PartOutput:
    """Where a task leaves what it makes; files get their final names when it returns."""

    folder: Path
    staged: dict[str, Path] = field(default_factory=dict)
    row_counts: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """A temporary file to write, which becomes `name` (relative to the step's folder)."""
        if name not in self.staged:
            final = self.folder / name
            final.parent.mkdir(parents=True, exist_ok=True)
            self.staged[name] = final.with_name(f"{artifacts.TEMPORARY}{uuid.uuid4().hex}-{final.name}")
        return self.staged[name]

    def rows(self, name: str, n_rows: int) -> None:
        """Keep the number of rows of a file in its record."""
        self.row_counts[name] = n_rows

    def count(self, name: str, n: int = 1) -> None:
        """Add to a count; counts are summed over parts."""
        self.counts[name] = self.counts.get(name, 0) + int(n)

    def records(self) -> dict[str, FileRecord]:
        """Sizes, hashes and rows of the files written."""
        return {
            name: FileRecord(path.stat().st_size, artifacts.hash_file(path), self.row_counts.get(name))
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

    `sources` gives ``(name, identity)`` of files outside the run that it reads; `cautions` what a user should know of
    these settings before the step starts, a line each.
    """

    name: str
    format: int
    inputs: tuple[str, ...]
    keys: Callable[[Config], tuple[str, ...]]
    phases: tuple[Phase, ...]
    sources: Callable[[Config], Sequence[tuple[str, str]]] | None = None
    cautions: Callable[[Config], Sequence[str]] | None = None


ALL = "all"
"""The part of a phase that is one task."""

Progress = Callable[[str, int, int], None]
"""Called as ``progress(label, done, total)``."""


def one_part(context: Context) -> list[str]:
    """The parts of a phase that is one task."""
    return [ALL]


def document_parts(context: Context) -> list[str]:
    """The names of the documents parts: part-00000, part-00001, ..."""
    names = context.manifest("documents").files
    return sorted(name.removesuffix(".parquet") for name in names if "/" not in name and name.startswith("part-"))
