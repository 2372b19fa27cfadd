"""Run a step: phase by phase, part by part, each part once, and fold the records into its manifest.

A part with a record is not done again. A step whose manifest or records carry another basis (configuration, inputs,
format) than is asked for is refused, with the differences named.
"""

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from icp import artifacts
from icp.artifacts import FileRecord, Manifest, PartRecord
from icp.costs import phase_cost
from icp.errors import ArtifactError, ConfigError, IcpError, PartsFailedError
from icp.executor import Executor, Failure
from icp.machine import forget_peak, host_name, library_versions, peak_mib
from icp.steps import Context, PartOutput, Phase, Progress, Step
from icp.storage.server import UnreachableError

SEEN_SECONDS = 90.0
log = logging.getLogger("icp")


def basis_of(step: Step, context: Context) -> dict[str, Any]:
    """All that the bytes of a step depend on, as plain values."""
    return {
        "format": step.format,
        "config": context.config.values(step.keys(context.config)),
        "inputs": {name: context.manifest(name).digest for name in step.inputs},
        "sources": dict(step.sources(context.config)) if step.sources else {},
    }


def differences(step: Step, context: Context, basis: Mapping[str, Any]) -> list[str]:
    """How a folder's basis differs from the one asked for, a phrase each; empty if it is done or can go on."""
    folder = context.folder(step.name)
    manifest = artifacts.read_manifest(folder, check_sizes=False)
    started = folder / artifacts.RECORDS / "basis.json"
    if manifest is not None:
        found = manifest.basis
    elif started.exists():
        try:
            found = artifacts.read_json(started, what="record of a started step")
        except ArtifactError:
            manifest = artifacts.read_manifest(folder, check_sizes=False)
            if manifest is None:  # it was not finished a moment ago by another slice
                raise
            found = manifest.basis
    else:
        return []
    rows = []
    for section, word in (("config", ""), ("sources", "file "), ("inputs", "step ")):
        old, new = found.get(section, {}), basis[section]
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                change = f" was {old.get(key)!r}, is {new.get(key)!r}" if section == "config" else " has changed"
                rows.append(f"{word}{key}{change}")
    if found.get("format") != basis["format"]:
        rows.append(f"its format was {found.get('format')}, is {basis['format']}")
    return rows


def run_step(step: Step, context: Context, executor: Executor, progress: Progress) -> Manifest:
    """Do what is left of a step and return its manifest.

    Raises: ConfigError if the folder was made with another basis; PartsFailedError; what a task raises of ours.
    """
    context = replace(context, step=step.name)
    context.exchange.begin()
    folder, basis = context.folder(step.name), basis_of(step, context)
    done = check_basis(step, context, basis)
    if done is not None:
        return done
    _clean(step, context, folder)
    for caution in step.cautions(context.config) if step.cautions else ():
        log.warning("%s", caution)
    started = time.monotonic()
    artifacts.write_json(folder / artifacts.RECORDS / "basis.json", basis)
    context.exchange.push(f"{artifacts.RECORDS}/basis.json")
    for phase in step.phases:
        _run_phase(_Work(step, phase, context, basis), executor, progress)
    return _fold(step, context, basis, time.monotonic() - started)


def check_basis(step: Step, context: Context, basis: Mapping[str, Any]) -> Manifest | None:
    """The manifest if the step is done already; raises ConfigError if its folder was made otherwise."""
    folder = context.folder(step.name)
    changed = differences(step, context, basis)
    if changed and all(phrase.startswith("file ") for phrase in changed) and not (folder / artifacts.MANIFEST).exists():
        log.warning("%s: %s; the step was not finished and starts anew", step.name, "; ".join(changed[:3]))
        context.exchange.remove_tree()
    elif changed:
        raise ConfigError(
            f"{folder}: step {step.name} was made otherwise: {'; '.join(changed[:8])}; "
            "change it back, use another run folder, or redo this step and all after it with --fresh"
        )
    manifest = artifacts.read_manifest(folder, check_sizes=not context.exchange.remote)
    if manifest is not None and (folder / artifacts.RECORDS).exists():
        _tidy(context, manifest)
    if manifest is not None:
        context.exchange.settle(manifest)
    return manifest


def run_slice(step: Step, context: Context, index: int, n_slices: int, executor: Executor) -> tuple[str, int] | None:
    """Do every `n_slices`-th part, from `index` on, of each phase; None when the step is done.

    Returns: otherwise the phase that waits for other slices, and how many of its parts are missing.
    """
    context = replace(context, step=step.name)
    context.exchange.begin()
    basis = basis_of(step, context)
    if check_basis(step, context, basis) is not None:
        return None
    folder = context.folder(step.name)
    try:
        (folder / artifacts.RECORDS).mkdir(parents=True, exist_ok=True)
        artifacts.write_json(folder / artifacts.RECORDS / "basis.json", basis, replace=False)
        context.exchange.push(f"{artifacts.RECORDS}/basis.json", replace=False)
        for phase in step.phases:
            missing = _run_phase(_Work(step, phase, context, basis), executor, _silent, (index, n_slices))
            if missing:
                return phase.name, missing
    except Exception:
        context.exchange.begin()
        if (folder / artifacts.MANIFEST).exists():  # another slice was last, and has put the records away
            return None
        raise
    if index == 0:
        _fold(step, context, basis, 0.0)
        return None
    context.exchange.begin()
    return None if (folder / artifacts.MANIFEST).exists() else ("manifest", 1)


def _silent(label: str, done: int, total: int) -> None:
    pass


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
        return folder / artifacts.RECORDS / f"{self.phase.name}.{self.part}.json"

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
    if record_path.exists() or (folder / artifacts.MANIFEST).exists():  # records go when the manifest is there
        return {}
    if not (folder / artifacts.RECORDS / "basis.json").exists():
        raise ArtifactError(
            f"{folder}: not seen from {host_name()}; the run and its input must lie on storage that all machines share"
        )
    output = PartOutput(folder)
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


@dataclass(frozen=True, slots=True)
class _Work:
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
        fingerprint = artifacts.hash_json(self.basis)
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


def _run_phase(work: _Work, executor: Executor, progress: Progress, slice_of: tuple[int, int] | None = None) -> int:
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
    """A network file system may show what another machine wrote only after a while; nothing may go on without it."""
    deadline = time.monotonic() + SEEN_SECONDS
    while missing := [path for path in paths if not path.exists()]:
        folder = missing[0].parent
        if (folder.parent / artifacts.MANIFEST).exists():  # another slice was last, and has put the records away
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
        f"{context.step}: {len(failures)} of {n_parts} parts of phase {context.phase} failed; {part}: {first.message}; "
        "the others are kept, run the same command to go on (icp status shows each error)"
    )


def _note_failure(task: Task, failure: Failure) -> None:
    path = task.record_path().with_suffix(".failed")
    try:
        artifacts.write_json(path, {"part": task.part, "phase": task.phase.name, "error": failure.message})
        task.context.exchange.push(f"{artifacts.RECORDS}/{path.name}")
    except (OSError, ArtifactError) as error:  # a full disk, or a server that fails, is what failed the part
        log.debug("%s: cannot be written: %s", path, error)


def _clean(step: Step, context: Context, folder: Path) -> None:
    records = folder / artifacts.RECORDS
    records.mkdir(parents=True, exist_ok=True)
    if context.exchange.remote:  # damage is looked for where the files are, when a phase begins
        context.exchange.forget_failures()
        return
    for path in records.glob("*.failed"):
        path.unlink()
    _forget_damaged(step, context, folder)
    known = [name for phase in step.phases for record in context.records(phase.name).values() for name in record.files]
    artifacts.remove_strangers(folder, known)


def _forget_damaged(step: Step, context: Context, folder: Path) -> None:
    """Drop the records of parts whose files are not as they were left: those parts are done again, no other."""
    for phase in step.phases:
        for part, record in context.records(phase.name).items():
            try:
                for name, file in record.files.items():
                    artifacts.check_size(folder / name, file)
            except ArtifactError as error:
                log.warning("%s: %s; its part is done again", step.name, str(error).partition(";")[0])
                (folder / artifacts.RECORDS / f"{phase.name}.{part}.json").unlink()


def _tidy(context: Context, manifest: Manifest) -> None:
    if context.exchange.remote:
        context.exchange.tidy(manifest)
        return
    folder = context.folder(context.step)
    with contextlib.suppress(OSError):  # other slices may be tidying too
        artifacts.remove_strangers(folder, manifest.files)
        artifacts.remove_tree(folder / artifacts.RECORDS)
        artifacts.remove_strangers(folder, manifest.files)


def _fold(step: Step, context: Context, basis: dict[str, Any], seconds: float) -> Manifest:
    """Records of all phases -> manifest.json; then scratch files and records go."""
    folder = context.folder(step.name)
    files: dict[str, FileRecord] = {}
    counts: dict[str, int] = {}
    info: dict[str, dict[str, dict[str, Any]]] = {}
    facts: dict[str, Any] = {}
    costs: dict[str, dict[str, float]] = {}
    for phase in step.phases:
        records = context.records(phase.name)
        if records:
            costs[phase.name] = phase_cost(records)
        for part, record in records.items():
            for line in record.info.get("warnings", ()):  # told here, as workers have no log of ours
                log.warning("%s", line)
            if record.info:
                info.setdefault(phase.name, {})[part] = record.info
            if phase.name == "facts":
                facts |= record.info
            for name, value in record.counts.items():
                counts[name] = counts.get(name, 0) + value
            if not phase.scratch:
                files |= record.files
    manifest = Manifest(
        step.name,
        step.format,
        artifacts.hash_json(basis),
        basis,
        dict(sorted(files.items())),
        dict(sorted(counts.items())),
        info,
        facts,
        round(seconds or sum(cost["seconds"] for cost in costs.values()), 3),
        max((cost["peak_rss_mib"] for cost in costs.values()), default=0.0),
        library_versions(),
        costs,
    )
    artifacts.write_json(folder / artifacts.MANIFEST, {**facts, **asdict(manifest)})
    context.exchange.push(artifacts.MANIFEST, replace=False)
    _tidy(context, manifest)
    return manifest
