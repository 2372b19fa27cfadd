"""How far a run is: who works on it, which steps are done, which parts failed and why.

In: manifests, records and the lock of a run. Out: lines.
"""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

from icp.config import Config, load_config
from icp.engine.step import ALL, Step
from icp.errors import IcpError
from icp.plurals import counted
from icp.run.context import Context
from icp.run.lock import RunLock, is_alive
from icp.run.names import (
    BUILD_STEPS,
    CONFIG,
    DOCUMENTS,
    LOCK,
    NEIGHBORS,
    NODES,
    ORDER,
    PACK_FOLDERS,
    PACKS,
    PATH_RANK,
    SHARDS,
    SURVIVORS,
    TOKEN_IDS,
    TOKENS,
    VECTORS,
    pack_config,
    step_folders,
    subfolders,
    tokens_folder,
)  # fmt: skip
from icp.run.reader import require_run
from icp.run.records import MANIFEST, RECORDS, Manifest, read_manifest, read_mapping
from icp.run.storage import address_of, mirror_of, run_folder
from icp.steps.documents.telling import paragraph_lines

ROWS = {
    "documents": (DOCUMENTS, "document"),
    "dedup": (SURVIVORS, "survivor"),
    "embeddings": (VECTORS, "vector"),
    "neighbors": (NEIGHBORS, "row"),
    "graph": (NODES, "node"),
    "tokens": (TOKEN_IDS, "token"),
    "order": (ORDER, "node"),
    "windows": (PATH_RANK, "window"),
    "shards": (SHARDS, "window"),
}
"""Files whose rows tell how much a step gave."""


def show_status(run: Path) -> Iterator[str]:
    """Lines for a run: its lock, its steps, its packs.

    Raises: ArtifactError if the folder is no run.
    """
    run = run_folder(run)
    require_run(run)
    yield f"run         {address_of(run)}"
    yield f"lock        {_lock_line(run)}"
    folders = {step: step for step in BUILD_STEPS}
    config = _config(run / CONFIG)
    for step in BUILD_STEPS:
        yield from _step_lines(run, step, run / step, (config, folders, "main"))
    for folder in subfolders(run, TOKENS):
        yield f"tokenizer   {folder.name}"
        where = folders | {"tokens": tokens_folder(folder.name)}
        yield from _step_lines(run, "tokens", folder, (config, where, "main"))
    for pack in (path.name for path in subfolders(run, PACKS)):
        yield f"pack        {pack}"
        own, folders = _config(run / pack_config(pack)), step_folders(pack)
        for step in PACK_FOLDERS:
            yield from _step_lines(run, step, run / folders[step], (own, folders, pack))


def _lock_line(run: Path) -> str:
    holder = RunLock.holder(run / LOCK)
    if holder is None:
        return "free"
    who = f"process {holder.get('pid')} on {holder.get('host')} ({holder.get('command')})"
    if holder.get("host") != socket.gethostname():
        return f"held by {who}, on another machine: whether that process still runs is not known here"
    return f"held by {who}, " + ("running" if is_alive(holder) else "gone: the next command goes on")


def _config(path: Path) -> Config | None:
    """The configuration, None if it cannot be used: how far a run is can be told without it."""
    try:
        return load_config(path)
    except IcpError:
        return None


def _step_lines(
    run: Path, step: str, folder: Path, where: tuple[Config | None, Mapping[str, str], str]
) -> Iterator[str]:
    manifest = read_manifest(folder, check_sizes=False) if (folder / MANIFEST).exists() else None
    if manifest is not None:
        yield f"{step:<11} done, {_rows(step, manifest)}{manifest.seconds:,.1f} s"
        yield from paragraph_lines(manifest.info.get("merge", {}).get(ALL, {}).get("paragraphs"))
        missing = [name for name in manifest.files if not (folder / name).exists()] if _is_here(run) else []
        if missing:
            more = f" and {counted(len(missing) - 1, 'other')}" if len(missing) > 1 else ""
            yield f"{'':<11} missing: {missing[0]}{more}; restore it, or redo the step with --fresh"
        return
    records = folder / RECORDS
    if not records.is_dir():
        yield f"{step:<11} not started"
        return
    yield f"{step:<11} started: {_progress(run, step, records, where)}"
    for path in sorted(records.glob("*.failed")):
        failure = read_mapping(path, what="record of a failure")
        yield f"{'':<11} failed: {failure.get('phase')} {failure.get('part')}: {failure.get('error')}"


def _is_here(run: Path) -> bool:
    """Whether all files of the run should lie here: those of a run on a server come when they are opened."""
    return mirror_of(address_of(run)) is None


def _rows(step: str, manifest: Manifest) -> str:
    pattern, word = ROWS[step]
    n_rows = [
        record.rows
        for name, record in manifest.files.items()
        if "/" not in name and fnmatchcase(name, pattern) and record.rows is not None
    ]
    return f"{counted(sum(n_rows), word)}, " if n_rows else ""


def _progress(run: Path, step: str, records: Path, where: tuple[Config | None, Mapping[str, str], str]) -> str:
    """The first phase that is not done, and how far it is."""
    config, folders, pack = where
    definition: Step = import_module(f"icp.steps.{step}.step").STEP
    context = None
    if config is not None:
        config = config.model_copy(update={"run": address_of(run)})
        context = definition.narrowed(Context(config, step, {**folders, **_tokens(run, folders)}, pack=pack))
    for phase in definition.phases:
        done = len(list(records.glob(f"{phase.name}.*.json")))
        try:
            n_parts = len(phase.parts(replace(context, phase=phase.name))) if context is not None else None
        except (IcpError, OSError, LookupError):
            n_parts = None
        if n_parts is None:
            return f"{done:,} parts of phase {phase.name} done"
        if done < n_parts:
            return f"{done:,} of {n_parts:,} parts done (phase {phase.name})"
    return "all parts done, the manifest is not written"


def _tokens(run: Path, folders: Mapping[str, str]) -> dict[str, str]:
    """Where the tokens lie, if there is no choice."""
    found = [path.name for path in subfolders(run, TOKENS)]
    return {"tokens": tokens_folder(found[0])} if "tokens" not in folders and len(found) == 1 else {}
