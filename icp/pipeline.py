"""The order of the steps: `build_graph` makes the document graph, `pack` makes shards of it."""

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from icp.config import Config, dump_config
from icp.embed import check_model
from icp.engine import basis_of, differences, run_slice, run_step
from icp.engine.executor import Executor
from icp.engine.step import Progress, Step
from icp.errors import ArtifactError, ConfigError
from icp.export import check_exports, export_all
from icp.run import records
from icp.run.context import Context
from icp.run.lock import lock_of
from icp.run.names import (
    BUILD_STEPS,
    CONFIG,
    PACK_FOLDERS,
    PACK_STEPS,
    PACKS,
    STEPS,
    TOKENIZER,
    TOKENS,
    pack_config,
    step_folders,
    tokens_folder,
)  # fmt: skip
from icp.run.opening import open_folder
from icp.run.records import Manifest
from icp.run.stats import write_stats
from icp.run.storage import address_of, mirror_of, push_small, run_folder

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def build_graph(
    config: Config, executor: Executor, progress: Progress, *, until: str = BUILD_STEPS[-1], fresh: bool = False
) -> dict[str, Manifest]:
    """Documents -> dedup -> embeddings -> neighbors -> graph, as far as `until`; what is done is not done again."""
    if until not in BUILD_STEPS:
        raise ConfigError(f"--until {until}: no such step; use one of {', '.join(BUILD_STEPS)}")
    wanted = BUILD_STEPS[: BUILD_STEPS.index(until) + 1]
    check_model(config.embed.model)
    open_folder(config.run)
    with _locked(config, "build-graph"):
        return _run(wanted, context_of(config), executor, progress, fresh)


def pack(
    config: Config, executor: Executor, progress: Progress, *, name: str = "main", fresh: bool = False
) -> dict[str, Manifest]:
    """Tokens -> order -> windows -> shards, into ``RUN/packs/<name>/``, from a finished graph."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"--name {name}: a pack is named with letters, digits, dots, dashes and underscores")
    check_exports(config)
    context = context_of(config, name)
    open_folder(config.run)
    _require_graph(context)
    with _locked(config, "pack", name):
        manifests = _run(PACK_STEPS, context, executor, progress, fresh)
        export_all(config, pack=name)
        return manifests


def check_tokenizer(config: Config) -> None:
    """Refuse a tokenizer that cannot be used, before hours of work are done for it.

    Raises: ConfigError, InputError, as `icp.tokenizer.tokenizer.load_tokenizer` does.
    """
    from icp.tokenizer.tokenizer import load_tokenizer, trained_ids

    if trained_ids(config.tokenizer.name) is None:
        load_tokenizer(config.tokenizer).roles()


def run_part(
    config: Config, step: str, index: int, n_slices: int, executor: Executor, *, name: str = "main"
) -> tuple[str, int] | None:
    """One slice of one step without a coordinating process; see `icp.engine.run_slice`."""
    context = context_of(config, name)
    run = open_folder(config.run)
    _claim(run, config)
    lock_of(run, f"step {step}").check()
    if step == "tokens" or step in PACK_FOLDERS:
        context = with_tokens(context)
    missing = run_slice(load_step(step), context, index, n_slices, executor)
    if missing is None:
        write_stats(run)
    return missing


def load_step(name: str) -> Step:
    """The `Step` of a stage, by its name."""
    if name not in STEPS:
        raise ConfigError(f"{name}: no such step; use one of {', '.join(STEPS)}")
    step: Step = import_module(f"icp.steps.{name}.step").STEP
    return step


def context_of(config: Config, pack: str = "main") -> Context:
    """Where each step of a run works; the tokens folder is known once the graph is there."""
    return Context(config, "", step_folders(pack), pack=pack)


def with_tokens(context: Context) -> Context:
    """The context with the folder of the tokens: ``tokens/<name>-<hash of all that they depend on>``."""
    basis = basis_of(load_step("tokens"), replace(context, step="tokens"))
    name = context.config.tokenizer.name.rstrip("/").removesuffix(f"/{TOKENIZER}").rpartition("/")[2]
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "tokenizer"
    folder = tokens_folder(f"{slug}-{records.hash_json(basis)[:8]}")
    return replace(context, folders={**context.folders, "tokens": folder})


def _require_graph(context: Context) -> None:
    run = run_folder(context.config.run)
    for name in BUILD_STEPS:
        if not (run / name / records.MANIFEST).exists():
            where = address_of(run)
            raise ArtifactError(f"{where}: step {name} is not finished; run `icp build-graph` with this configuration")


def _run(
    names: Sequence[str], context: Context, executor: Executor, progress: Progress, fresh: bool
) -> dict[str, Manifest]:
    if "shards" in names:
        _check_graph(context)
        context = with_tokens(context)
    if fresh:
        _start_anew(names, context)
    manifests = {name: run_step(load_step(name), context, executor, progress) for name in names}
    write_stats(run_folder(context.config.run))
    return manifests


def _check_graph(context: Context) -> None:
    """A pack must not be made from a graph of another configuration."""
    for name in BUILD_STEPS:
        step = load_step(name)
        changed = differences(step, context, basis_of(step, context))
        if changed:
            raise ConfigError(
                f"{context.folder(name)}: step {name} was made otherwise: {'; '.join(changed[:8])}; "
                "change it back, use another run folder, or redo it with `icp build-graph --fresh`"
            )


def _start_anew(names: Sequence[str], context: Context) -> None:
    """Remove the first step that was made otherwise, and all after it; all of the command's steps if none was."""
    first = next((name for name in names if _differs(name, context)), names[0])
    for name in names[names.index(first) :]:
        if name != "tokens":
            _remove(context, context.folders[name])
    if first in BUILD_STEPS:
        for later in (*BUILD_STEPS[BUILD_STEPS.index(first) :], TOKENS, PACKS):
            _remove(context, later)


def _remove(context: Context, folder: str) -> None:
    mirror = mirror_of(context.config.run)
    if mirror is not None:
        mirror.remove_tree(folder)
    else:
        records.remove_tree(run_folder(context.config.run) / folder)


def _differs(name: str, context: Context) -> bool:
    step = load_step(name)
    unfinished = [needed for needed in step.inputs if not (context.folder(needed) / records.MANIFEST).exists()]
    return not unfinished and bool(differences(step, context, basis_of(step, context)))


@contextmanager
def _locked(config: Config, command: str, pack: str | None = None) -> Iterator[None]:
    """Hold the lock of a run, with its configuration written into the folder."""
    run = run_folder(config.run)
    _refuse_foreign(run)
    with lock_of(run, command):
        _claim(run, config)
        if pack:
            _write_text(run, pack_config(pack), dump_config(config))
        yield


def _refuse_foreign(run: Path) -> None:
    ours = [*BUILD_STEPS, TOKENS, PACKS]
    if run.is_file():
        raise ArtifactError(f"{run}: is a file; a run needs a folder of its own")
    mirror = mirror_of(address_of(run))
    there = mirror.server.folders("") if mirror is not None else [name for name in ours if (run / name).exists()]
    taken = [name for name in ours if name in there]
    claimed = (run / CONFIG).exists()
    if taken and not claimed and mirror is not None:  # another slice may have come since the mirror was filled
        claimed = mirror.server.read(CONFIG) is not None
    if taken and not claimed:
        raise ConfigError(
            f"{address_of(run)}: holds {', '.join(taken)} but is no run of icp; give a new or empty folder"
        )


def _claim(run: Path, config: Config) -> None:
    """Leave the resolved configuration in the run folder."""
    _refuse_foreign(run)
    _write_text(run, CONFIG, dump_config(config))


def _write_text(run: Path, name: str, text: str) -> None:
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{records.TEMPORARY}{uuid.uuid4().hex}-{path.name}")  # slices start at one time
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    push_small(run, name)
