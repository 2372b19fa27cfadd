"""A trial as lines for a terminal, and as plain values for a file."""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from icp.probe.arms import OURS, RANDOM
from icp.probe.trial import Trial
from icp.probe.trial.held_out import CONTEXT_NAMES
from icp.probe.trial.scoring import CLASSES
from icp.probe.trial.verdict import ALL, BEYOND, GAIN, LEAST, MEASURES, Difference, Outcome


def lines_of(trial: Trial) -> Iterator[str]:
    """The verdict first, then the tables it rests on."""
    outcome, budget = trial.outcome, trial.budget
    yield f"trained: {outcome.verdict()}"
    yield ""
    yield from _set_up(trial)
    for number, ready in enumerate(outcome.readiness()):
        material = trial.materials[number]
        yield (
            f"  trunk {number}: {material.documents[0]:,} documents, {material.tokens[0]:,} tokens; branches "
            f"{material.documents[1]:,}, {material.tokens[1]:,}; {material.copies} copies of held-out documents left "
            f"out; related less random context {ready:+.4f}"
        )
    yield ""
    yield "primary, fixed beforehand, nats a token (mean of trunks, interval over trunks and targets; each trunk)"
    yield f"  {'gain, this pack less random':52} {_shown(outcome.primary[GAIN])}"
    yield f"  {'related beyond same source, this pack less ' + outcome.control:52} {_shown(outcome.primary[BEYOND])}"
    for tokens in CLASSES:
        yield f"  {f'gain, {tokens} tokens ({_share(outcome, tokens):.1%} of all)':52} " + _shown(
            outcome.difference(GAIN, OURS, RANDOM, tokens)
        )
    yield f"what must not differ; nothing: the interval lies within {LEAST} of zero"
    for name, null in outcome.nulls.items():
        yield f"  {name:52} {_shown(null)}  {_word(null)}"
    yield "what is left of the gain under masks: its pieces in other steps, and fewer cuts"
    for name, part in outcome.under_masks.items():
        yield f"  {name:52} {_shown(part)}"
    yield ""
    yield "loss after each context, mean of trunks; gain and closed book less those of random windows"
    yield f"{'':20} " + " ".join(f"{name:>11}" for name in CONTEXT_NAMES) + f" {GAIN:>28} {'closed book':>28}"
    for name in outcome.scores[0]:
        losses = (np.mean([outcome.loss(name, c, n) for n in range(budget.trunks)]) for c in CONTEXT_NAMES)
        gain, cost = outcome.difference(GAIN, name, RANDOM), outcome.closed_book(name)
        more = "" if name == RANDOM else f" {_interval(gain):>28} {_interval(cost):>28}"
        yield f"{name:20} " + " ".join(f"{loss:11.4f}" for loss in losses) + more


def tree_of(trial: Trial) -> dict[str, object]:
    """All figures as plain values."""
    outcome = trial.outcome
    return {
        "verdict": outcome.verdict(),
        "budget": {name: value for name, value in asdict(trial.budget).items() if name != "processes"},
        "parameters": trial.parameters,
        "threads_a_process": 1,
        "held_out": {"documents": int(trial.held.rows.size), "targets": len(trial.held.targets)},
        "intervals_by_source": outcome.by_source,
        "control": outcome.control,
        "trunks": [_trunk(trial, number, ready) for number, ready in enumerate(outcome.readiness())],
        "primary": {name: _plain(found) for name, found in outcome.primary.items()},
        "nulls": {name: _plain(found) for name, found in outcome.nulls.items()},
        "under_masks": {name: _plain(found) for name, found in outcome.under_masks.items()},
        "less_random": {name: _less_random(outcome, name) for name in outcome.scores[0] if name != RANDOM},
        "tokens": {name: _share(outcome, name) for name in CLASSES},
    }


def _trunk(trial: Trial, number: int, ready: float) -> dict[str, object]:
    material, outcome = trial.materials[number], trial.outcome
    return {
        "documents": material.documents,
        "tokens": material.tokens,
        "copies_left_out": material.copies,
        "windows": {name: len(rows.ids) for name, rows in material.branches.items()},
        "training_losses": trial.training_losses[number],
        "related_less_random": ready,
        "losses": {
            branch: {context: outcome.loss(branch, context, number) for context in CONTEXT_NAMES}
            for branch in outcome.scores[0]
        },
    }


def _less_random(outcome: Outcome, branch: str) -> dict[str, object]:
    by_class: dict[str, object] = {
        measure: {tokens: _plain(outcome.difference(measure, branch, RANDOM, tokens)) for tokens in (ALL, *CLASSES)}
        for measure in MEASURES
    }
    costs = {"closed_book": outcome.closed_book(branch), "after_related": outcome.after_related(branch)}
    return {**{name: _plain(found) for name, found in costs.items()}, **by_class}


def _set_up(trial: Trial) -> Iterator[str]:
    outcome, budget = trial.outcome, trial.budget
    drawn = "sources" if outcome.by_source else "documents: the targets have few sources"
    yield (
        f"a model of {trial.parameters / 1e6:.2f} million parameters, {budget.trunks} trunks on windows of random "
        f"documents, {len(outcome.scores[0])} branches of each, seed {budget.seed}, one thread a process"
    )
    yield (
        f"{len(trial.held.targets)} targets, {trial.held.rows.size} documents held out; intervals hold 99 of 100 draws "
        f"of trunks and of {drawn}"
    )


def _share(outcome: Outcome, tokens: str) -> float:
    real = float((~np.isnan(outcome.trunks[0][0])).sum())
    return float(np.mean([classes[tokens].sum() / real for classes in outcome.classes]))


def _word(null: Difference) -> str:
    if null.sign:
        return "DIFFERS"
    return "nothing" if null.is_nothing else "not resolved"


def _plain(found: Difference) -> dict[str, object]:
    return {**asdict(found), "sign": found.sign}


def _interval(found: Difference) -> str:
    return f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _shown(found: Difference) -> str:
    return f"{_interval(found)}   {' '.join(f'{value:+.4f}' for value in found.trunks)}"
