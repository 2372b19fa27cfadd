"""The unfinished parts of one phase: handed to an executor, awaited, their failures reported."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icp.engine.executor import Executor, Failure
from icp.engine.step import Phase, Progress, Step
from icp.engine.task import Task, do_task
from icp.errors import ArtifactError, IcpError, PartsFailedError
from icp.machine import host_name
from icp.plurals import counted
from icp.run import records
from icp.run.context import Context

SEEN_SECONDS = 90.0
log = logging.getLogger("icp")


@dataclass(frozen=True, slots=True)
class Work:
    """A phase of a step, and what the step's bytes depend on."""

    step: Step
    phase: Phase
    context: Context
    basis: Mapping[str, Any]

    def tasks(self, parts: Sequence[str], threads: int) -> list[Task]:
        """One for each part."""
        context = replace(self.context, phase=self.phase.name, threads=threads)
        earlier = self._earlier()
        inputs = {context.folders[name]: digest for name, digest in self._inputs().items()}
        fingerprint = records.hash_json(self.basis)
        return [Task(self.phase, context, part, fingerprint, earlier, inputs) for part in parts]

    def _earlier(self) -> tuple[str, ...]:
        """The phases before that have parts, for tasks that do not see their records; else none."""
        if not self.context.exchange.remote:
            return ()
        before = self.step.phases[: [phase.name for phase in self.step.phases].index(self.phase.name)]
        return tuple(phase.name for phase in before if phase.parts(self.context))

    def _inputs(self) -> dict[str, str]:
        """Digests of the input steps, and of theirs, for tasks that do not see their manifests; else none."""
        found: dict[str, str] = {}
        left = dict(self.basis["inputs"]) if self.context.exchange.remote else {}
        while left:
            name, digest = left.popitem()
            found[name] = digest
            earlier = self.context.manifest(name).basis["inputs"]
            left |= {key: value for key, value in earlier.items() if key not in found}
        return found


def run_phase(work: Work, executor: Executor, progress: Progress, slice_of: tuple[int, int] | None = None) -> int:
    """Do the parts of a phase that have no record; returns how many parts of other slices are missing."""
    phase, context = work.phase, work.context
    parts = list(phase.parts(context))
    if not parts:
        return 0
    index, n_slices = slice_of or (0, 1)
    tasks = work.tasks(parts, executor.threads(len(parts)))
    context.exchange.pull_records(phase.name, parts, resuming=True)
    mine = [task for task in tasks[index::n_slices] if not task.record_path().exists()]
    done = len(tasks[index::n_slices]) - len(mine)
    failures: list[tuple[str, Failure]] = []
    label = f"{context.step}: {phase.name}"
    progress(label, done, len(tasks))
    for position, outcome in executor.map(do_task, mine):
        if isinstance(outcome, Failure):
            if outcome.error is not None:
                raise outcome.error
            failures.append((mine[position].part, outcome))
            _note_failure(mine[position], outcome)
        done += 1
        progress(label, done, len(tasks))
    if failures:
        raise _failed(tasks[0].context, len(parts), failures)
    context.exchange.pull_records(phase.name, parts)
    _await_records([task.record_path() for task in mine])
    missing = sum(not task.record_path().exists() for task in tasks)
    if not missing:
        context.exchange.finish_phase(phase.name, parts, publish=slice_of is None)
    return missing


def _await_records(paths: Sequence[Path]) -> None:
    """Wait for what another machine wrote: a network file system may show it only after a while."""
    deadline = time.monotonic() + SEEN_SECONDS
    while missing := [path for path in paths if not path.exists()]:
        folder = missing[0].parent
        if (folder.parent / records.MANIFEST).exists():  # another slice was last, and has put the records away
            return
        if time.monotonic() > deadline:
            raise ArtifactError(
                f"{missing[0]}: not seen on {host_name()} {SEEN_SECONDS:.0f} s after its part was done; "
                "the run must lie on storage that all machines share"
            )
        time.sleep(0.1)
        sum(1 for _ in folder.iterdir())  # makes the file system ask again


def _failed(context: Context, n_parts: int, failures: Sequence[tuple[str, Failure]]) -> IcpError:
    part, first = min(failures, key=lambda row: row[0])
    for name, failure in failures:
        log.debug("%s %s: %s", context.step, name, failure.detail)
    return PartsFailedError(
        f"{context.step}: {len(failures)} of {counted(n_parts, 'part')} of phase {context.phase} failed; "
        f"{part}: {first.message}; the others are kept, run the same command to go on (icp status shows each error)"
    )


def _note_failure(task: Task, failure: Failure) -> None:
    path = task.record_path().with_suffix(".failed")
    try:
        records.write_json(path, {"part": task.part, "phase": task.phase.name, "error": failure.message})
        task.context.exchange.push(f"{records.RECORDS}/{path.name}")
    except (OSError, ArtifactError) as error:  # a full disk, or a server that fails, is what failed the part
        log.debug("%s: cannot be written: %s", path, error)
