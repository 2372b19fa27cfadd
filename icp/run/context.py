"""Where a task works: the folders of a run, and what finished steps left there."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icp.config import Config
from icp.errors import ArtifactError
from icp.run.names import DOCUMENTS, of_part, part_of
from icp.run.records import MANIFEST, RECORDS, Manifest, PartRecord, read_manifest, read_record
from icp.run.storage import Exchange, StagedPath, exchange_of, run_folder


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

    def path(self, step: str, name: str) -> Path:
        """Where a file of a step lies."""
        return self.folder(step) / name

    def part_path(self, step: str, name: str, part: str) -> Path:
        """Where the file of one part lies; `name` is one of `icp.run.names` with ``part-*``."""
        return self.path(step, of_part(name, part))

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
        folder = self.folder(self.step) / RECORDS
        found = {}
        for path in sorted(folder.glob(f"{phase}.*.json")):
            record = read_record(path)
            if record is not None:
                found[path.name[len(phase) + 1 : -len(".json")]] = record
        return found

    def doc_bounds(self) -> NDArray[np.int64]:
        """First `doc` of each documents part, and their number at the end: (n_parts + 1,) int64."""
        files = self.manifest("documents").files
        rows = [files[of_part(DOCUMENTS, part)].rows or 0 for part in document_parts(self)]
        return np.concatenate(([0], np.cumsum(rows, dtype=np.int64))).astype(np.int64)


@lru_cache(maxsize=64)
def _manifest_at(folder: Path, stamp: int) -> Manifest | None:
    # files of a mirror come when they are opened: their sizes are compared then
    return read_manifest(folder, check_sizes=not isinstance(folder, StagedPath))


def _manifest(folder: Path) -> Manifest | None:
    path = folder / MANIFEST
    return _manifest_at(folder, path.stat().st_mtime_ns) if path.exists() else None


def document_parts(context: Context) -> list[str]:
    """The names of the documents parts: part-00000, part-00001, ..."""
    files = context.manifest("documents").files
    return sorted(part_of(name, DOCUMENTS) for name in files if "/" not in name and fnmatchcase(name, DOCUMENTS))


def part_paths(context: Context, step: str, name: str) -> list[Path]:
    """The files of a step that has one for each documents part; `name` is one of `icp.run.names` with ``part-*``."""
    return [context.part_path(step, name, part) for part in document_parts(context)]


def document_paths(context: Context) -> list[Path]:
    """The files of the documents parts."""
    return part_paths(context, "documents", DOCUMENTS)
