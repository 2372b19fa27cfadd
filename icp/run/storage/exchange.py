"""What the tasks of one step exchange with the server that holds their run; nothing for a run of this machine.

A task's inputs are the files that manifests of earlier steps and records of earlier phases name. Its own files go to
the server, each under its final name if nobody has it, then its record: whose record is first has done the part.
When all parts of a phase have records, one file (``.parts/<phase>.records``) holds them for the tasks that follow.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from icp.run import records
from icp.run.records import Manifest, PartRecord


class Exchange:
    """The exchange of a run on this machine, where nothing needs to be sent."""

    remote = False

    def begin(self) -> None:
        """Fetch the step's manifest and basis as they are now."""

    def settle(self, manifest: Manifest) -> None:
        """A finished step: its files are there, and may be used."""

    def forget_failures(self) -> None:
        """Remove what earlier commands noted of failed parts."""

    def recall_scratch(self) -> None:
        """Before the phases of a command whose tasks all run here: see what this machine kept of an earlier one."""

    def pull_records(self, phase: str, parts: Sequence[str], *, resuming: bool = False) -> None:
        """Have the records of a phase, and no others; with `resuming` only of parts whose files are there."""

    def finish_phase(self, phase: str, parts: Sequence[str], *, publish: bool) -> None:
        """All parts of a phase have records: later tasks may use its files; with `publish` those elsewhere are told."""

    def prepare(self, fingerprint: str, record: str, phases: Sequence[str], inputs: Mapping[str, str]) -> None:
        """Before a task: fetch its record if it is done already, and learn which files it may use."""

    def commit(self, staged: Mapping[str, Path], path: Path, record: PartRecord) -> None:
        """After a task: its files get their names, then its record."""
        records.commit(path.parents[1], staged, path, record)

    def push(self, name: str, *, replace: bool = True) -> None:
        """A small file of the step was written."""

    def tidy(self, manifest: Manifest) -> None:
        """Only the files of the manifest stay."""

    def remove_tree(self) -> None:
        """The step's folder goes."""


class LocalExchange(Exchange):
    """The exchange of a step of a run on this machine; it needs the folder only to remove it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def remove_tree(self) -> None:
        """See `Exchange`."""
        records.remove_tree(self._folder)
