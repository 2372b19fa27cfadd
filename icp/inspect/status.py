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
from icp.engine.step import Step
from icp.errors import ArtifactError, IcpError
from icp.run.context import BUILD_STEPS, PACK_FOLDERS, Context
from icp.run.lock import RunLock, is_alive
from icp.run.records import MANIFEST, RECORDS, Manifest, read_json, read_manifest
from icp.run.storage import address_of, run_folder

ROWS = {
    "documents": ("part-*.parquet", "documents"),
    "dedup": ("survivors.npy", "survivors"),
    "embeddings": ("part-*.npy", "vectors"),
    "neighbors": ("part-*.neighbors.npy", "rows"),
    "graph": ("nodes.npy", "nodes"),
    "tokens": ("part-*.bin", "tokens"),
    "order": ("order.npy", "nodes"),
    "windows": ("path_rank.npy", "windows"),
    "shards": ("shard-*.bin", "windows"),
}
"""Files whose rows tell how much a step gave."""


def show_status(run: Path) -> Iterator[str]:
    """Lines for a run: its lock, its steps, its packs.

    Raises: ArtifactError if the folder is no run.
    """
    run = run_folder(run)
    if not (run / "config.yaml").is_file():
        raise ArtifactError(f"{run}: holds no run of icp (no config.yaml); give the folder that `run:` names")
    yield f"run         {address_of(run)}"
    yield f"lock        {_lock_line(run)}"
    folders = {step: step for step in BUILD_STEPS}
    config = _config(run / "config.yaml")
    for step in BUILD_STEPS:
        yield from _step_lines(run, step, run / step, (config, folders, "main"))
    for folder in sorted(path for path in (run / "tokens").glob("*") if path.is_dir()):
        yield f"tokenizer   {folder.name}"
        yield from _step_lines(run, "tokens", folder, (config, folders | {"tokens": f"tokens/{folder.name}"}, "main"))
    for pack in sorted(path for path in (run / "packs").glob("*") if path.is_dir()):
        yield f"pack        {pack.name}"
        own = _config(pack / "config.yaml")
        folders |= {step: f"packs/{pack.name}/{name}" for step, name in PACK_FOLDERS.items()}
        for step, name in PACK_FOLDERS.items():
            yield from _step_lines(run, step, pack / name, (own, folders, pack.name))


def _lock_line(run: Path) -> str:
    holder = RunLock.holder(run / ".lock")
    if holder is None:
        return "free"
    who = f"process {holder.get('pid')} on {holder.get('host')} ({holder.get('command')})"
    if holder.get("host") != socket.gethostname():
        return f"held by {who}: another machine, whether it lives is not known here"
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
        return
    records = folder / RECORDS
    if not records.is_dir():
        yield f"{step:<11} not started"
        return
    yield f"{step:<11} started: {_progress(run, step, records, where)}"
    for path in sorted(records.glob("*.failed")):
        failure = read_json(path, what="record of a failure")
        yield f"{'':<11} failed: {failure.get('phase')} {failure.get('part')}: {failure.get('error')}"


def _rows(step: str, manifest: Manifest) -> str:
    pattern, word = ROWS[step]
    n_rows = [
        record.rows
        for name, record in manifest.files.items()
        if "/" not in name and fnmatchcase(name, pattern) and record.rows is not None
    ]
    return f"{sum(n_rows):,} {word}, " if n_rows else ""


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
    found = [path.name for path in (run / "tokens").glob("*") if path.is_dir()]
    return {"tokens": f"tokens/{found[0]}"} if "tokens" not in folders and len(found) == 1 else {}
