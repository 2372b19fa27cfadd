"""What ``--fresh`` removes: steps that were made otherwise, with all that follows from them, and damaged ones alone.

In: steps in their order, a context. Out: folders to remove, and lines that say what they hold and what it took to
make them. A damaged step is made again from the same basis and gives the same bytes, so that later steps stay.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icp.engine.basis import basis_of, differences, other_tokenizer
from icp.engine.step import Step
from icp.errors import ArtifactError
from icp.run import records
from icp.run.context import Context
from icp.run.names import BUILD_STEPS, PACK_FOLDERS, PACKS, TOKENS, TOMBSTONES, pack_folder, subfolders
from icp.run.records import MANIFEST, Manifest

log = logging.getLogger("icp")


def go_ahead(lines: Sequence[str]) -> bool:
    """Agree without asking, and log what goes: for callers that no user watches."""
    for line in lines:
        log.warning("--fresh removes %s", line)
    return True


@dataclass(frozen=True, slots=True)
class Fresh:
    """What ``--fresh`` asks for.

    Attributes:
        redo: a step to make again though nothing differs.
        confirm: is told what goes, a line a folder; nothing goes if it says no.
    """

    redo: str | None = None
    confirm: Callable[[Sequence[str]], bool] = go_ahead


@dataclass(frozen=True, slots=True)
class Removal:
    """One folder that goes.

    Attributes:
        folder: relative to the run.
        line: what it is, why it goes, what it took to make.
    """

    folder: str
    line: str


def removals(steps: Sequence[Step], context: Context, *, redo: str | None = None) -> list[Removal]:
    """The folders that go, those of later steps first.

    Args:
        steps: of the command, in their order.
        redo: a step to make again though nothing differs.
    """
    found: list[Removal] = []
    for position, step in enumerate(steps):
        reason = "asked for" if step.name == redo else _difference(step, context)
        if reason:
            return [*_from(steps[position:], context, f"{step.name}: {reason}"), *found]
        damage = _damage(step, context)
        if damage and (context.folder("documents").parent / TOMBSTONES).exists():
            # rows that are empty since `icp remove` are refused when they are read again: other bytes
            return [*_from(steps[position:], context, f"{damage}, and documents were removed since"), *found]
        if damage:
            found.append(_removal(context.folders[step.name], context, damage))
    return found[::-1]


def _from(steps: Sequence[Step], context: Context, reason: str) -> list[Removal]:
    """The folders of these steps and of what was made from them, those of later steps first."""
    folders = [context.folders[step.name] for step in steps]
    run = context.folder("documents").parent
    if steps[0].name in BUILD_STEPS:
        folders = list(BUILD_STEPS[BUILD_STEPS.index(steps[0].name) :])
        folders += [f"{TOKENS}/{path.name}" for path in subfolders(run, TOKENS)]
        for path in subfolders(run, PACKS):
            folders += [pack_folder(path.name, step) for step in PACK_FOLDERS] + [f"{PACKS}/{path.name}"]
    there = [folder for folder in dict.fromkeys(folders) if (run / folder).exists()]
    return [_removal(folder, context, reason) for folder in reversed(there)]


def _removal(folder: str, context: Context, reason: str) -> Removal:
    run = context.folder("documents").parent
    manifest = _manifest(run / folder)
    seconds = manifest.seconds if manifest else 0.0
    rows = sum(record.rows or 0 for name, record in manifest.files.items() if "/" not in name) if manifest else 0
    what = f"{rows:,} rows, " if rows and folder == "documents" else ""
    cost = f" ({what}{_duration(seconds)} of work)" if manifest else ""
    return Removal(folder, f"{folder}{cost}: {reason}")


def _difference(step: Step, context: Context) -> str:
    """How a step was made otherwise, as far as can be told: of missing inputs nothing is known."""
    if step.name not in context.folders:
        return ""
    here = replace(context, step=step.name)
    try:
        if all(_manifest(context.folder(needed)) for needed in step.inputs):
            changed = differences(step, here, basis_of(step, here))
        else:
            basis = {"config": context.config.values(step.keys(context.config)), "format": step.format}
            found = differences(step, here, {**basis, "inputs": {}, "sources": {}})
            changed = [phrase for phrase in found if not phrase.startswith(("file ", "step "))]
            changed += [phrase for phrase in (other_tokenizer(step, here),) if phrase]
    except ArtifactError:  # its own manifest, or basis, cannot be read: that is damage
        return ""
    return "; ".join(changed[:3])


def _damage(step: Step, context: Context) -> str:
    """What is wrong with the files of a finished step, or with its manifest."""
    folder = context.folder(step.name) if step.name in context.folders else None
    if folder is None or not (folder / MANIFEST).exists():
        return ""
    try:
        records.read_manifest(folder)
    except ArtifactError as error:
        return str(error).partition(";")[0]
    return ""


def _manifest(folder: Path) -> Manifest | None:
    try:
        return records.read_manifest(folder, check_sizes=False)
    except ArtifactError:
        return None


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
