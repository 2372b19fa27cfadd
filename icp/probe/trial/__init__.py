"""`icp probe --train`: does a tiny model that reads this pack's windows learn to use related text?

In: a run with a finished pack. Out: figures and lines. Trunks learn from windows of random documents; from each trunk
branches go on with the same new documents in windows of different kinds; all are scored on the same held-out tokens
after four contexts. Training each kind from nothing would mislead: when a model begins to copy differs from start to
start.
"""

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icp.choices import PACK_METHODS
from icp.errors import ConfigError
from icp.run.context import Context
from icp.run.texts import TextReader

if TYPE_CHECKING:
    from icp.probe.trial.branches import Material
    from icp.probe.trial.held_out import HeldOut, Target
    from icp.probe.trial.verdict import Outcome

log = logging.getLogger(__name__)

_Trunk = tuple[dict[str, Any], NDArray[np.float32], float]
"""Weights, scores, and the mean loss of its last tenth."""
BRANCH_RATE = 0.35
"""Of the peak rate, for branches."""
INSTALL = "pip install '.[probe]' in the clone, or torch alone"
LEAST_TARGETS = 16


@dataclass(frozen=True, slots=True)
class Budget:
    """What is trained, in tokens, so that the same is trained on a slow machine and on a busy one.

    Attributes:
        trunk_tokens: of each trunk. branch_tokens: of each branch. trunks: how many, each with other documents.
        targets: held-out documents that are scored.
        batch: windows of a step.
        seed: of all that is drawn.
        processes: each trains on one thread; the figures do not depend on them.
    """

    trunk_tokens: int = 600_000
    branch_tokens: int = 200_000
    trunks: int = 3
    targets: int = 128
    batch: int = 2
    seed: int = 0
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Trial:
    """What was trained and found.

    Attributes:
        budget: as wanted. parameters: of the model.
        held: what was held out. materials: what each trunk and its branches read.
        training_losses: by trunk, of the trunk and each branch: the mean of its last tenth, nats a token.
        outcome: the scores.
    """

    budget: Budget
    parameters: int
    held: "HeldOut"
    materials: "tuple[Material, ...]"
    training_losses: tuple[dict[str, float], ...]
    outcome: "Outcome"

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        from icp.probe.trial.lines import lines_of

        return lines_of(self)

    def tree(self) -> dict[str, object]:
        """For a file, as plain values."""
        from icp.probe.trial.lines import tree_of

        return tree_of(self)


def require_torch() -> None:
    """Raises: ConfigError where torch is not installed."""
    if find_spec("torch") is None:
        raise ConfigError(f"--train trains tiny models with torch, which is not installed: {INSTALL}")


def train_run(context: Context, reader: TextReader, budget: Budget) -> Trial:
    """Train trunks and branches on the documents of a run.

    Raises: ConfigError where torch is missing, or the run has too few documents to hold some out and train on the rest.
    Cost: about a second of one core for 11,000 tokens that are trained on.
    """
    require_torch()
    from icp.probe.trial.branches import draw_material
    from icp.probe.trial.held_out import clusters_of, hold_out
    from icp.probe.trial.model import Shape, n_parameters, new_weights
    from icp.probe.trial.pool import open_pool
    from icp.probe.trial.scoring import classes_of, nats_by_frequency
    from icp.probe.trial.verdict import LEAST_CLUSTERS, Outcome

    if PACK_METHODS[context.config.pack.method].repeats:
        raise ConfigError(
            f"pack.method is {context.config.pack.method!r}, whose windows repeat documents; --train compares windows "
            "that hold each document once"
        )
    shape = Shape()
    pool = open_pool(context, reader, vocabulary=shape.vocabulary, seed=budget.seed)
    held = hold_out(pool, budget.targets, seed=budget.seed)
    if len(held.targets) < LEAST_TARGETS:
        raise ConfigError(
            f"{len(held.targets)} documents with related ones could be held out, {LEAST_TARGETS} are needed; "
            "--train wants a run of some thousand documents of a hundred words and more"
        )
    wanted = budget.trunk_tokens, budget.branch_tokens
    materials = [draw_material(pool, held, wanted, trunk=n, seed=budget.seed) for n in range(budget.trunks)]
    log.info("%d targets, %d documents held out; training %d trunks", len(held.targets), held.rows.size, budget.trunks)
    trunks, branches = _trained([_Task(shape, budget, held.targets, n) for n in range(budget.trunks)], materials)
    clusters, by_source = clusters_of(held, LEAST_CLUSTERS)
    outcome = Outcome(
        tuple({name: scores for name, (scores, _) in found.items()} for found in branches),
        tuple(scores for _, scores, _ in trunks),
        tuple(classes_of(held.targets, scores) for _, scores, _ in trunks),
        clusters,
        by_source,
        budget.seed,
        nats_by_frequency(held.targets),
    )
    losses = tuple(
        {"trunk": trunk, **{name: loss for name, (_, loss) in found.items()}}
        for (_, _, trunk), found in zip(trunks, branches, strict=True)
    )
    return Trial(budget, n_parameters(new_weights(shape, 0)), held, tuple(materials), losses, outcome)


def _trained(
    tasks: "list[_Task]", materials: "list[Material]"
) -> "tuple[list[_Trunk], list[dict[str, tuple[NDArray[np.float32], float]]]]":
    """Trunks, and of each its branches' scores and last losses by name."""
    names = list(materials[0].branches)
    jobs = [(n, name) for n in range(len(tasks)) for name in names]
    with _mapping(tasks[0].budget.processes) as run:
        trunks = list(run(_train_trunk, tasks, [material.trunk for material in materials]))
        log.info("trunks are trained; training %d branches of each", len(names))
        found = run(
            _train_branch,
            [tasks[n] for n, _ in jobs],
            [name for _, name in jobs],
            [trunks[n][0] for n, _ in jobs],
            [materials[n].branches[name] for n, name in jobs],
        )
        done = dict(zip(jobs, found, strict=True))
    return trunks, [{name: done[n, name] for name in names} for n in range(len(tasks))]


@dataclass(frozen=True, slots=True)
class _Task:
    shape: Any
    budget: Budget
    targets: "list[Target]"
    trunk: int


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Any]]:
    if processes < 2:
        yield map
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def _train_trunk(task: _Task, rows: Any) -> "_Trunk":
    from icp.probe.trial.model import new_weights
    from icp.probe.trial.scoring import score
    from icp.probe.trial.training import Pace, repeatable, trained

    with repeatable():
        fresh = new_weights(task.shape, 1000 * task.budget.seed + task.trunk)
        weights, loss = trained(fresh, task.shape, rows, Pace(task.budget.batch, 1.0, 30))
        scores = score(weights, task.shape, task.targets)
    return {name: tensor.numpy() for name, tensor in weights.items()}, scores, loss


def _train_branch(
    task: _Task, name: str, trunk: dict[str, NDArray[np.float32]], rows: Any
) -> tuple[NDArray[np.float32], float]:
    import torch

    from icp.probe.trial.branches import MASKED
    from icp.probe.trial.scoring import score
    from icp.probe.trial.training import Pace, repeatable, trained

    with repeatable():
        weights = {key: torch.tensor(array) for key, array in trunk.items()}
        pace = Pace(task.budget.batch, BRANCH_RATE, 5)
        weights, loss = trained(weights, task.shape, rows, pace, masked=name in MASKED)
        return score(weights, task.shape, task.targets), loss
