"""One part of one phase as a worker does it: it leaves its files and its record, or nothing."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from icp.engine.shared import begin
from icp.engine.step import PartOutput, Phase
from icp.errors import ArtifactError
from icp.machine import forget_peak, host_name, peak_mib
from icp.run import records
from icp.run.context import Context
from icp.run.records import PartRecord
from icp.run.storage.server import UnreachableError


@dataclass(frozen=True)
class Task:
    """One part of one phase, as a worker gets it.

    Attributes:
        earlier: names of the phases before that have parts; `inputs`: folder of each input step -> digest of its
            files. Both only where the run lies on a server.
    """

    phase: Phase
    context: Context
    part: str
    fingerprint: str
    earlier: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)

    def record_path(self) -> Path:
        """Where the record of this part stands."""
        folder = self.context.folder(self.context.step)
        return folder / records.record_name(self.phase.name, self.part)

    def __str__(self) -> str:
        return f"{self.context.step}: {self.phase.name}"


def do_task(task: Task) -> dict[str, int]:
    """Do one part unless it has a record; leave its files and its record."""
    try:
        return _do(task)
    except UnreachableError as error:  # no fault of the user's: the executor tries again
        raise ConnectionError(str(error)) from error


def _do(task: Task) -> dict[str, int]:
    record_path, exchange = task.record_path(), task.context.exchange
    exchange.prepare(task.fingerprint, record_path.name, task.earlier, task.inputs)
    folder = task.context.folder(task.context.step)
    if record_path.exists() or (folder / records.MANIFEST).exists():  # records go when the manifest is there
        return {}
    if not (folder / records.BASIS).exists():
        raise ArtifactError(
            f"{folder}: not seen from {host_name()}; the run and its input must lie on storage that all machines share"
        )
    output = PartOutput(folder)
    begin((str(folder), task.phase.name, task.fingerprint))
    forget_peak()
    started, cpu = time.monotonic(), time.process_time()
    try:
        task.phase.work(task.context, task.part, output)
        record = PartRecord(
            task.fingerprint,
            output.records(),
            output.counts,
            output.info,
            round(time.monotonic() - started, 3),
            round(peak_mib(), 1),
            round(time.process_time() - cpu, 3),
        )
        exchange.commit(output.staged, record_path, record)
    finally:
        output.discard()
    return output.counts
