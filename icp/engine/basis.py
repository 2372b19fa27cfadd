"""What the bytes of a step depend on, and how it differs from what a folder was made with."""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from icp.engine.step import Step
from icp.errors import ArtifactError, ConfigError, InputError
from icp.run import records
from icp.run.context import Context
from icp.run.forms import check_basis
from icp.run.names import CONFIG, PACK_FOLDERS

log = logging.getLogger("icp")


def refuse_other(step: Step, context: Context, basis: Mapping[str, Any]) -> list[str]:
    """Raise ConfigError if the folder of a step was made, or begun, with another basis.

    Returns: how the files it reads differ from those that an unfinished step began with; such a step starts anew.
    """
    folder = context.folder(step.name)
    changed = differences(step, context, basis)
    if changed and all(phrase.startswith("file ") for phrase in changed) and not (folder / records.MANIFEST).exists():
        return changed
    if changed:
        raise made_otherwise(step, folder, changed)
    return []


def made_otherwise(step: Step, folder: Path, changed: Sequence[str]) -> ConfigError:
    """The error of a step that was made with another basis: how that differs, and what can be done."""
    named = step.name in PACK_FOLDERS
    another = "make another pack beside it with `icp pack --name NAME`" if named else "use another run folder"
    return ConfigError(
        f"{folder}: step {step.name} was made otherwise: {'; '.join(changed[:8])}; "
        f"change it back, {another}, or redo this step and all after it with --fresh"
    )


def other_tokenizer(step: Step, context: Context) -> str:
    """How the tokenizer differs from that of a pack whose tokens are not there yet, as a phrase; empty if it does not.

    Each tokenizer has a folder of its own, so that tokens made otherwise look like tokens not made yet.
    """
    folder = context.folder(step.name)
    begun = (folder / records.MANIFEST).exists() or (folder / records.BASIS).exists()
    if "tokens" not in step.inputs or not begun:
        return ""
    try:
        before = yaml.safe_load((folder.parent / CONFIG).read_text(encoding="utf-8"))["tokenizer"]["name"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return ""
    now = context.config.tokenizer.name
    return f"tokenizer.name was {before!r}, is {now!r}" if before != now else ""


def basis_of(step: Step, context: Context, *, look_outside: bool = True) -> dict[str, Any]:
    """All that the bytes of a step depend on, as plain values.

    Files outside the run are needed until the step that reads them is finished. Once they are gone, or where
    `look_outside` is False, a finished step counts as made from the files that it was made from.
    """
    return {
        "format": step.format,
        "config": context.config.values(step.keys(context.config)),
        "inputs": {name: context.manifest(name).digest for name in step.inputs},
        "sources": _sources(step, context, look_outside),
    }


def _sources(step: Step, context: Context, look_outside: bool) -> dict[str, Any]:
    if step.sources is None:
        return {}
    folder = context.folder(step.name) if step.name in context.folders else None
    finished = records.read_manifest(folder, check_sizes=False) if folder else None
    if finished is not None and not look_outside:
        return dict(finished.basis["sources"])
    try:
        return dict(step.sources(context.config))
    except (InputError, OSError) as error:
        if finished is None:
            raise
        _tell_once(f"{error}; step {step.name} is finished ({folder}) and needs its input no more")
        return dict(finished.basis["sources"])


@cache
def _tell_once(message: str) -> None:
    log.warning("%s", message)


def differences(step: Step, context: Context, basis: Mapping[str, Any]) -> list[str]:
    """How a folder's basis differs from the one asked for, a phrase each; empty if it is done or can go on."""
    folder = context.folder(step.name)
    manifest = records.read_manifest(folder, check_sizes=False)
    started = folder / records.BASIS
    if manifest is not None:
        found = manifest.basis
    elif started.exists():
        try:
            found = check_basis(records.read_json(started, what="record of a started step"), started)
        except ArtifactError:
            manifest = records.read_manifest(folder, check_sizes=False)
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
