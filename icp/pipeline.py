"""The order of the steps: `build_graph` makes the document graph, `pack` makes shards of it."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from icp import artifacts
from icp.artifacts import Manifest
from icp.config import Config, dump_config
from icp.embedders import check_model
from icp.errors import ArtifactError, ConfigError
from icp.executor import Executor
from icp.export import check_exports, export_all
from icp.lock import RunLock
from icp.runner import basis_of, differences, run_slice, run_step
from icp.stats import write_stats
from icp.steps import BUILD_STEPS, PACK_FOLDERS, PACK_STEPS, Context, Progress, Step

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def build_graph(
    config: Config, executor: Executor, progress: Progress, *, until: str = BUILD_STEPS[-1], fresh: bool = False
) -> dict[str, Manifest]:
    """Documents -> dedup -> embeddings -> neighbors -> graph, as far as `until`; what is done is not done again."""
    if until not in BUILD_STEPS:
        raise ConfigError(f"--until {until}: no such step; use one of {', '.join(BUILD_STEPS)}")
    wanted = BUILD_STEPS[: BUILD_STEPS.index(until) + 1]
    check_model(config.embed.model)
    with _Run(config, "build-graph"):
        return _run(wanted, context_of(config), executor, progress, fresh)


def pack(
    config: Config, executor: Executor, progress: Progress, *, name: str = "main", fresh: bool = False
) -> dict[str, Manifest]:
    """Tokens -> order -> windows -> shards, into ``RUN/packs/<name>/``, from a finished graph."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"--name {name}: a pack is named with letters, digits, dots, dashes and underscores")
    check_exports(config)
    context = context_of(config, name)
    _require_graph(context)
    with _Run(config, "pack", name):
        manifests = _run(PACK_STEPS, context, executor, progress, fresh)
        export_all(config, pack=name)
        return manifests


def check_tokenizer(config: Config) -> None:
    """Refuse a tokenizer that cannot be used, before hours of work are done for it.

    Raises: ConfigError, InputError, as `icp.tokens.tokenizer.load_tokenizer` does.
    """
    from icp.tokens.tokenizer import load_tokenizer, trained_ids

    if trained_ids(config.tokenizer.name) is None:
        load_tokenizer(config.tokenizer).roles()


def run_part(
    config: Config, step: str, index: int, n_slices: int, executor: Executor, *, name: str = "main"
) -> tuple[str, int] | None:
    """One slice of one step without a coordinating process; see `icp.steps.run_slice`."""
    context = context_of(config, name)
    _claim(Path(config.run), config)
    RunLock(Path(config.run), f"step {step}").check()
    if step == "tokens" or step in PACK_FOLDERS:
        context = with_tokens(context)
    missing = run_slice(load_step(step), context, index, n_slices, executor)
    if missing is None:
        write_stats(Path(config.run))
    return missing


def load_step(name: str) -> Step:
    """The `Step` of a stage, by its name."""
    if name not in (*BUILD_STEPS, *PACK_STEPS):
        raise ConfigError(f"{name}: no such step; use one of {', '.join((*BUILD_STEPS, *PACK_STEPS))}")
    step: Step = import_module(f"icp.stages.{name}").STEP
    return step


def context_of(config: Config, pack: str = "main") -> Context:
    """Where each step of a run works; the tokens folder is known once the graph is there."""
    folders = {name: name for name in BUILD_STEPS}
    folders |= {step: f"packs/{pack}/{folder}" for step, folder in PACK_FOLDERS.items()}
    return Context(config, "", folders, pack=pack)


def with_tokens(context: Context) -> Context:
    """The context with the folder of the tokens: ``tokens/<name>-<hash of all that they depend on>``."""
    basis = basis_of(load_step("tokens"), replace(context, step="tokens"))
    name = context.config.tokenizer.name.rstrip("/").removesuffix("/tokenizer.json").rpartition("/")[2]
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "tokenizer"
    folder = f"tokens/{slug}-{artifacts.hash_json(basis)[:8]}"
    return replace(context, folders={**context.folders, "tokens": folder})


def _require_graph(context: Context) -> None:
    run = Path(context.config.run)
    for name in BUILD_STEPS:
        if not (run / name / artifacts.MANIFEST).exists():
            raise ArtifactError(f"{run}: step {name} is not finished; run `icp build-graph` with this configuration")


def _run(
    names: Sequence[str], context: Context, executor: Executor, progress: Progress, fresh: bool
) -> dict[str, Manifest]:
    if "shards" in names:
        _check_graph(context)
        context = with_tokens(context)
    if fresh:
        _start_anew(names, context)
    manifests = {name: run_step(load_step(name), context, executor, progress) for name in names}
    write_stats(Path(context.config.run))
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
    run = Path(context.config.run)
    first = next((name for name in names if _differs(name, context)), names[0])
    for name in names[names.index(first) :]:
        if name != "tokens":
            artifacts.remove_tree(context.folder(name))
    if first in BUILD_STEPS:
        for later in BUILD_STEPS[BUILD_STEPS.index(first) :]:
            artifacts.remove_tree(run / later)
        artifacts.remove_tree(run / "tokens")
        artifacts.remove_tree(run / "packs")


def _differs(name: str, context: Context) -> bool:
    step = load_step(name)
    unfinished = [needed for needed in step.inputs if not (context.folder(needed) / artifacts.MANIFEST).exists()]
    return not unfinished and bool(differences(step, context, basis_of(step, context)))


class _Run(RunLock):
    """The lock of a run, with its configuration written into the folder."""

    def __init__(self, config: Config, command: str, pack: str | None = None) -> None:
        super().__init__(Path(config.run), command)
        self._config, self._pack = config, pack

    def __enter__(self) -> "_Run":
        run = Path(self._config.run)
        _refuse_foreign(run)
        super().__enter__()
        _claim(run, self._config)
        if self._pack:
            folder = run / "packs" / self._pack
            folder.mkdir(parents=True, exist_ok=True)
            _write_text(folder / "config.yaml", dump_config(self._config))
        return self


def _refuse_foreign(run: Path) -> None:
    if "://" in str(run):
        raise ConfigError(f"run: {run}: this version writes to local folders only; give a path")
    ours = [*BUILD_STEPS, "tokens", "packs"]
    if run.is_file():
        raise ArtifactError(f"{run}: is a file; a run needs a folder of its own")
    taken = [name for name in ours if (run / name).exists()]
    if taken and not (run / "config.yaml").exists():
        raise ConfigError(f"{run}: holds {', '.join(taken)} but is no run of icp; give a new or empty folder")


def _claim(run: Path, config: Config) -> None:
    """Leave the resolved configuration in the run folder."""
    _refuse_foreign(run)
    run.mkdir(parents=True, exist_ok=True)
    _write_text(run / "config.yaml", dump_config(config))


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f"{artifacts.TEMPORARY}{uuid.uuid4().hex}-{path.name}")  # slices start at one time
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
