"""Tasks that go wrong in known ways, for workers to import: they are sent to other processes by name."""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from icp.errors import InputError


def refuse(item):
    if item == "bad":
        raise InputError(f"{item}: not a file")
    return item


def fail_and_count(folder):
    """Fails always; leaves a file for every attempt."""
    attempt = len(list(Path(folder).iterdir()))
    (Path(folder) / str(attempt)).touch()
    raise ValueError(f"attempt {attempt}")


def kill_executor_always(item):
    if item == "bad":
        kill_executor()
    return item


def kill_executor():
    """SIGKILL for the JVM that is above this process."""
    pid = os.getppid()
    while b"CoarseGrainedExecutorBackend" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if pid <= 1:
            raise RuntimeError("no executor above this process")
    os.kill(pid, signal.SIGKILL)
    signal.pause()


@dataclass(frozen=True)
class KillOnce:
    """A part's work that is done, but whose executor dies before it can be kept: once for every marker."""

    work: object
    marker: Path

    def __call__(self, context, part, output):
        self.work(context, part, output)
        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return
        kill_executor()


@dataclass
class KillingExecutor:
    """Loses an executor of the engine behind it once in every step, in the middle of a part."""

    engine: object
    folder: Path
    one_machine = False

    def threads(self, n_parts):
        return self.engine.threads(n_parts)

    def map(self, task, items):
        marked = []
        for item in items:
            work = KillOnce(item.phase.work, self.folder / item.context.step)
            marked.append(replace(item, phase=replace(item.phase, work=work)))
        yield from self.engine.map(task, marked)
