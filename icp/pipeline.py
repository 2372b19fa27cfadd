"""The order of the steps: `build_graph` makes the document graph, `pack` makes shards of it."""

import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

from icp.config import Config
from icp.embed import check_model, embedder_of, rest_of
from icp.engine import basis_of, differences, run_slice, run_step
from icp.engine.basis import made_otherwise, other_tokenizer, refuse_other
from icp.engine.executor import Executor
from icp.engine.fresh import Fresh, removals
from icp.engine.step import Progress, Step
from icp.errors import ArtifactError, ConfigError
from icp.export import check_exports, export_all
from icp.knn.faiss_index import check_method
from icp.report.card import write_card
from icp.run import records
from icp.run.claim import check_apart, check_folder, claim, leave_config, remove_leftovers
from icp.run.context import Context
from icp.run.extended import check_extended
from icp.run.lock import lock_of
from icp.run.log import kept_log
from icp.run.names import (
    BUILD_STEPS,
    PACK_FOLDERS,
    PACK_STEPS,
    STEPS,
    TOKENIZER,
    check_pack_name,
    step_folders,
    tokens_folder,
)  # fmt: skip
from icp.run.opening import open_folder
from icp.run.records import Manifest
from icp.run.removed import emptied_tokens
from icp.run.stats import step_summary, write_stats
from icp.run.storage import address_of, mirror_of, run_folder

log = logging.getLogger("icp")


def build_graph(
    config: Config,
    executor: Executor,
    progress: Progress,
    *,
    until: str = BUILD_STEPS[-1],
    fresh: Fresh | bool = False,
) -> dict[str, Manifest]:
    """Documents -> dedup -> embeddings -> neighbors -> graph, as far as `until`; what is done is not done again.

    With `fresh`, what was made otherwise is removed first, with all that follows from it, and so is what is damaged.
    """
    if until not in BUILD_STEPS:
        raise ConfigError(f"--until {until}: no such step; use one of {', '.join(BUILD_STEPS)}")
    wanted = BUILD_STEPS[: BUILD_STEPS.index(until) + 1]
    open_folder(config.run)
    check_extended(config, lambda step: load_step(step).format)
    if "embeddings" in wanted:
        check_model(config.embed.model)
    if "neighbors" in wanted:
        check_method(config.graph.method)
    for name in [step for step in ("dedup", "embeddings", "neighbors", "graph") if step in wanted]:
        _check_own_files(load_step(name), context_of(config))
    with _locked(config, "build-graph"):
        return _run(wanted, context_of(config), executor, progress, fresh)


def pack(
    config: Config, executor: Executor, progress: Progress, *, name: str = "main", fresh: Fresh | bool = False
) -> dict[str, Manifest]:
    """Tokens -> order -> windows -> shards, into ``RUN/packs/<name>/``, from a finished graph; `fresh` as there."""
    check_exports(config)
    context = context_of(config, name)
    open_folder(config.run)
    _require_graph(context)
    with _locked(config, "pack"):
        manifests = _run(PACK_STEPS, context, executor, progress, fresh)
        write_card(config, name)
        export_all(config, pack=name)
        return manifests


def check_tokenizer(config: Config) -> None:
    """Refuse a tokenizer that cannot be used, before hours of work are done for it.

    Raises: ConfigError, InputError, as `icp.tokenizer.tokenizer.load_tokenizer` does.
    """
    from icp.tokenizer.byte_level import trained_ids
    from icp.tokenizer.tokenizer import load_tokenizer

    if trained_ids(config.tokenizer.name) is None:
        load_tokenizer(config.tokenizer).check()


def run_part(
    config: Config, step: str, index: int, n_slices: int, executor: Executor, *, name: str = "main"
) -> tuple[str, int] | None:
    """One slice of one step without a coordinating process; see `icp.engine.run_slice`."""
    context = context_of(config, name)
    run = open_folder(config.run)
    check_folder(run)
    check_apart(run, config.corpus.input)
    lock_of(run, f"step {step}").check()
    claim(run)
    if step == "tokens" or step in PACK_FOLDERS:
        context = with_tokens(context)
    if not _is_done(load_step(step), context):
        leave_config(run, config, name if step in PACK_FOLDERS else None)
    with kept_log(run, f"step {step}"):
        missing = run_slice(load_step(step), context, index, n_slices, executor)
    if missing is None:
        write_stats(run)
        if step == "shards":
            write_card(config, name)
    return missing


def load_step(name: str) -> Step:
    """The `Step` of a stage, by its name."""
    if name not in STEPS:
        raise ConfigError(f"{name}: no such step; use one of {', '.join(STEPS)}")
    step: Step = import_module(f"icp.steps.{name}.step").STEP
    return step


def context_of(config: Config, pack: str = "main") -> Context:
    """Where each step of a run works; the tokens folder is known once the graph is there."""
    check_pack_name(pack, "--name")
    return Context(config, "", step_folders(pack), pack=pack)


def with_tokens(context: Context) -> Context:
    """The context with the folder of the tokens: ``tokens/<name>-<hash of all that they depend on>``.

    Tokens from which documents were removed stay in their folder, though they depend on something else since.
    """
    basis = basis_of(load_step("tokens"), replace(context, step="tokens"))
    name = context.config.tokenizer.name.rstrip("/").removesuffix(f"/{TOKENIZER}").rpartition("/")[2]
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "tokenizer"
    fingerprint = records.hash_json(basis)
    folder = emptied_tokens(run_folder(context.config.run), fingerprint)
    folder = folder or tokens_folder(f"{slug}-{fingerprint[:8]}")
    return replace(context, folders={**context.folders, "tokens": folder})


def _require_graph(context: Context) -> None:
    run = run_folder(context.config.run)
    for name in BUILD_STEPS:
        if not (run / name / records.MANIFEST).exists():
            where = address_of(run)
            raise ArtifactError(f"{where}: step {name} is not finished; run `icp build-graph` with this configuration")


def _run(
    names: Sequence[str], context: Context, executor: Executor, progress: Progress, fresh: Fresh | bool
) -> dict[str, Manifest]:
    """Do the steps of a command; nothing is written, the configuration neither, before one of them is refused."""
    run, pack = run_folder(context.config.run), None
    if "shards" in names:
        _check_graph(context)
        context, pack = with_tokens(context), context.pack
    steps = [load_step(name) for name in names]
    if fresh:
        _start_anew(steps, context, fresh if isinstance(fresh, Fresh) else Fresh())
    unfinished = [step for step in steps if not _is_done(step, context)]
    if unfinished:
        leave_config(run, context.config, pack)
    manifests = {}
    for step in steps:
        manifests[step.name] = run_step(step, context, executor, progress)
        if step in unfinished:
            _tell_done(manifests[step.name])
    if not unfinished:
        log.info("nothing to do: %s", "step is done" if len(steps) == 1 else f"all {len(steps)} steps are done")
    write_stats(run)
    return manifests


def _tell_done(manifest: Manifest) -> None:
    fields = {"step": manifest.step, "seconds": round(manifest.seconds, 1)}
    log.info("%s: %.1f s; %s", manifest.step, manifest.seconds, step_summary(manifest), extra=fields)


def _is_done(step: Step, context: Context) -> bool:
    """Whether a step is finished; raises ConfigError if it was made, or begun, otherwise."""
    here = replace(context, step=step.name)
    if all((context.folder(needed) / records.MANIFEST).exists() for needed in step.inputs):
        refuse_other(step, here, basis_of(step, here))
    elif changed := other_tokenizer(step, here):
        raise made_otherwise(step, here.folder(step.name), [changed])
    return (context.folder(step.name) / records.MANIFEST).exists()


def _check_own_files(step: Step, context: Context) -> None:
    """Raise InputError for a model, vectors or links that are not there: before hours of work for steps in front."""
    if step.sources is not None and not (context.folder(step.name) / records.MANIFEST).exists():
        step.sources(context.config)
        if step.name == "embeddings" and embedder_of(model := context.config.embed.model).has_transformer:
            from icp.embed.model_source import check_hub

            check_hub(rest_of(model))


def _check_graph(context: Context) -> None:
    """A pack must not be made from a graph of another configuration; the files of the corpus are not needed for it."""
    for name in BUILD_STEPS:
        step = load_step(name)
        changed = differences(step, context, basis_of(step, context, look_outside=False))
        if changed:
            raise ConfigError(
                f"{context.folder(name)}: step {name} was made otherwise: {'; '.join(changed[:8])}; "
                "change it back, use another run folder, or redo it with `icp build-graph --fresh`"
            )


def _start_anew(steps: Sequence[Step], context: Context, fresh: Fresh) -> None:
    """Remove what was made otherwise or is damaged, once that is agreed to; later steps go first."""
    going = removals(steps, context, redo=fresh.redo)
    if not going:
        log.info("--fresh: nothing differs from this configuration and no file is missing, so nothing is removed")
        return
    if not fresh.confirm([removal.line for removal in going]):
        raise ConfigError("--fresh: nothing was removed; leave it out, or agree to what it removes")
    mirror, run = mirror_of(context.config.run), run_folder(context.config.run)
    for removal in going:
        if mirror is not None:
            mirror.remove_tree(removal.folder)
        elif (run / removal.folder).exists():
            gone = run / f"{records.TEMPORARY}fresh-{uuid.uuid4().hex}"
            (run / removal.folder).rename(gone)  # at once, whenever the command is killed
            records.remove_tree(gone)


@contextmanager
def _locked(config: Config, command: str) -> Iterator[None]:
    """Hold the lock of a run in a folder that is its own."""
    run = run_folder(config.run)
    check_folder(run)
    check_apart(run, config.corpus.input)
    with lock_of(run, command):
        claim(run)
        remove_leftovers(run)
        with kept_log(run, command):
            yield
