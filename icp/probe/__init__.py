"""`icp probe`: what the documents of a window save one another, measured without a model, beside cheap controls.

In: a run with a finished pack. Out: figures and lines. No file of the run is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from icp.errors import ArtifactError, ConfigError
from icp.probe.arms import Arms, plan_arms
from icp.probe.coder import warm_coder
from icp.probe.figures import Figures, figures_of
from icp.probe.gains import gains_of
from icp.probe.lines import lines_of, tree_of
from icp.probe.sample import Sample, draw_sample
from icp.probe.trial import Budget, Trial, require_torch, train_run
from icp.run.context import Context
from icp.run.names import STEPS
from icp.run.reader import Run, WrongForm, open_run
from icp.run.storage import run_folder
from icp.run.texts import TextReader

__all__ = ["Budget", "Probe", "Trial", "Wanted", "probe_run", "require_torch", "train_on"]
MOST_SOURCES = 8
LEAST_WINDOWS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a run is probed.

    Attributes:
        sample_mib: text of the windows of each plan that is coded.
        batch: windows of a step of training, for the control *redealt in batches*.
        seed: of samples and controls.
        threads: the figures do not depend on them.
    """

    sample_mib: float = 8.0
    batch: int = 32
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of one pack.

    Attributes:
        wanted: how it was made.
        arms: the plans.
        sample: what was coded.
        figures: what was found.
    """

    wanted: Wanted
    arms: Arms
    sample: Sample
    figures: Figures

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        return lines_of(self.figures, self.arms, self.sample)

    def tree(self) -> dict[str, object]:
        """For a file, as plain values."""
        return tree_of(self.figures, self.arms, self.sample)


def probe_run(folder: Path, wanted: Wanted, *, pack: str = "main") -> Probe:
    """Code a sample of the windows of a pack, and of its documents in other windows.

    Raises: ArtifactError for a pack that is not finished; ConfigError for one of a single window.
    """
    run = open_run(run_folder(folder), pack=pack)
    run.require(STEPS)
    try:
        arms = plan_arms(_context(run, wanted.threads), batch=wanted.batch, seed=wanted.seed)
        _check(arms, run)
        sample = draw_sample(arms, TextReader(run), round(wanted.sample_mib * 2**20), seed=wanted.seed)
    except WrongForm as error:
        raise ArtifactError(f"{run.folder}: {error}; `icp verify {run.folder}` tells what is wrong") from None
    coder = warm_coder(sample.texts[row] for row in sample.warm.tolist())

    def bytes_per_window(row: int) -> int:
        return max(1, arms.capacity * len(sample.texts[row]) // max(1, int(arms.lengths[row])))

    gains = gains_of(sample, coder, bytes_per_window, threads=wanted.threads)
    return Probe(wanted, arms, sample, figures_of(arms, gains, _source_names(arms, run)))


def train_on(folder: Path, budget: Budget, *, pack: str = "main") -> Trial:
    """Train tiny models on the documents of a run, in windows of each kind.

    Raises: as `probe_run`; ConfigError where torch is missing or documents are too few.
    """
    require_torch()
    run = open_run(run_folder(folder), pack=pack)
    run.require(STEPS)
    try:
        return train_run(_context(run, budget.processes), TextReader(run), budget)
    except WrongForm as error:
        raise ArtifactError(f"{run.folder}: {error}; `icp verify {run.folder}` tells what is wrong") from None


def _context(run: Run, threads: int) -> Context:
    folders = {step: path.relative_to(run.folder).as_posix() for step, path in run.folders.items()}
    config = run.config.model_copy(update={"run": str(run.folder)})
    return Context(config, "windows", folders, pack=run.pack, threads=threads)


def _check(arms: Arms, run: Run) -> None:
    n_windows = min(plan.n_windows for plan in arms.plans.values())
    if n_windows < LEAST_WINDOWS:
        raise ConfigError(
            f"{run.folder}: pack {run.pack} has {n_windows} windows, too few to compare; probe a pack of more "
            "documents, or of a smaller pack.seq_len"
        )


def _source_names(arms: Arms, run: Run) -> dict[int, str]:
    """The sources of most documents, by number."""
    numbers, counts = np.unique(arms.sources, return_counts=True)
    largest = numbers[np.argsort(-counts, kind="stable")[:MOST_SOURCES]]
    firsts = {int(n): int(arms.nodes[np.flatnonzero(arms.sources == n)[0]]) for n in largest}
    rows = TextReader(run).rows(np.array(sorted(firsts.values()), dtype=np.int64), ("source",))
    return {n: str(rows[doc]["source"] or "no source") for n, doc in firsts.items()}
