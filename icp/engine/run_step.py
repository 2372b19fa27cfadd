"""A whole step, or a slice of it: finished parts are kept, parts of another basis refused, the rest done."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from icp.engine.basis import basis_of, refuse_other
from icp.engine.executor import Executor
from icp.engine.fold import clean, fold, tidy
from icp.engine.phase import Work, run_phase
from icp.engine.step import Progress, Step
from icp.run import records
from icp.run.context import Context
from icp.run.records import Manifest

log = logging.getLogger("icp")


def run_step(step: Step, context: Context, executor: Executor, progress: Progress) -> Manifest:
    """Do what is left of a step and return its manifest.

    Raises: ConfigError if the folder was made with another basis; PartsFailedError; any `IcpError` of a task.
    """
    context = replace(context, step=step.name)
    context.exchange.begin()
    folder, basis = context.folder(step.name), basis_of(step, context)
    done = check_basis(step, context, basis)
    if done is not None:
        return done
    clean(step, context, folder)
    for caution in step.cautions(context.config) if step.cautions else ():
        log.warning("%s", caution)
    started = time.monotonic()
    records.write_json(folder / records.BASIS, basis)
    context.exchange.push(records.BASIS)
    if executor.one_machine:
        context.exchange.recall_scratch()
    narrowed = step.narrowed(context)
    for phase in step.phases:
        here = replace(narrowed, stays=phase.scratch and executor.one_machine)
        run_phase(Work(step, phase, here, basis), executor, progress)
    return fold(step, context, basis, time.monotonic() - started)


def check_basis(step: Step, context: Context, basis: Mapping[str, Any]) -> Manifest | None:
    """The manifest if the step is done already; raises ConfigError if its folder was made otherwise."""
    folder = context.folder(step.name)
    changed = refuse_other(step, context, basis)
    if changed:
        log.warning("%s: %s; the step was not finished and starts anew", step.name, "; ".join(changed[:3]))
        context.exchange.remove_tree()
    manifest = records.read_manifest(folder, check_sizes=not context.exchange.remote)
    if manifest is not None and (folder / records.RECORDS).exists():
        tidy(context, manifest)
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
        (folder / records.RECORDS).mkdir(parents=True, exist_ok=True)
        records.write_json(folder / records.BASIS, basis, replace=False)
        context.exchange.push(records.BASIS, replace=False)
        narrowed = step.narrowed(context)
        for phase in step.phases:
            missing = run_phase(Work(step, phase, narrowed, basis), executor, _silent, (index, n_slices))
            if missing:
                return phase.name, missing
    except Exception:
        context.exchange.begin()
        if (folder / records.MANIFEST).exists():  # another slice was last, and has put the records away
            return None
        raise
    if index == 0:
        fold(step, context, basis, 0.0)
        return None
    context.exchange.begin()
    return None if (folder / records.MANIFEST).exists() else ("manifest", 1)


def _silent(label: str, done: int, total: int) -> None:
    pass
