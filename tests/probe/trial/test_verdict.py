"""What scores are taken to say: planted gains are found, equals are called equal, every rule of the verdict is met."""

import numpy as np
import pytest

from icp.probe.arms import BEST_FIT, OURS, RANDOM, SAME_SOURCE
from icp.probe.trial.branches import AGAIN, BEST_FIT_MASKED, OURS_MASKED
from icp.probe.trial.held_out import ANY, CONTEXT_NAMES, NOTHING, RELATED
from icp.probe.trial.verdict import BEYOND, GAIN, Outcome

N_TARGETS, N_TOKENS = 60, 40
BRANCHES = (RANDOM, OURS, SAME_SOURCE, BEST_FIT, AGAIN, OURS_MASKED, BEST_FIT_MASKED)


def planted(effects, *, seed=0, ready=0.1, n_trunks=3, noise=0.02, only=None):
    """Scores whose branches differ from that of random windows by `effects`: {(branch, context): nats}."""
    random = np.random.default_rng(seed)
    scores, trunks = [], []
    for trunk in range(n_trunks):
        own = random.gamma(2.0, 1.0, (1, N_TARGETS, N_TOKENS)).astype(np.float32)
        base = np.repeat(own, len(CONTEXT_NAMES), axis=0)
        base[CONTEXT_NAMES.index(RELATED)] -= ready
        trunks.append(base)
        found = {}
        for name in BRANCHES:
            here = base + random.normal(0, noise, base.shape).astype(np.float32)
            for context in CONTEXT_NAMES:
                if only is None or trunk in only:
                    here[CONTEXT_NAMES.index(context)] += effects.get((name, context), 0.0)
            here[:, :, -5:] = np.nan
            found[name] = here
        scores.append(found)
    classes = tuple({"copied": np.arange(N_TOKENS)[None] % 2 == np.zeros((N_TARGETS, 1))} for _ in range(n_trunks))
    return Outcome(tuple(scores), tuple(trunks), classes, np.arange(N_TARGETS) // 3, True, 0)


GAINED = {(branch, RELATED): -0.05 for branch in (OURS, AGAIN)}


def test_planted_gain_is_found_to_its_size():
    outcome = planted(GAINED)
    found = outcome.primary[GAIN]
    assert found.value == pytest.approx(0.05, abs=0.003)
    assert found.low < 0.05 < found.high
    assert found.sign == outcome.primary[BEYOND].sign == 1
    assert "no promise" in outcome.verdict()
    assert outcome.verdict().startswith("uses related text more than after random and same source windows;")
    assert outcome.closed_book(OURS).sign == 0


def test_a_mean_is_over_tokens_that_are_there_and_over_trunks():
    outcome = planted(GAINED)
    by_hand = []
    for one in outcome.scores:
        gains = [one[name][CONTEXT_NAMES.index(NOTHING)] - one[name][CONTEXT_NAMES.index(RELATED)] for name in BRANCHES]
        by_hand.append(np.nanmean(gains[1] - gains[0]))
    assert outcome.primary[GAIN].trunks == pytest.approx(by_hand, abs=1e-6)
    assert outcome.primary[GAIN].value == pytest.approx(np.mean(by_hand), abs=1e-6)


def test_equals_are_called_equal_in_95_of_100_trials():
    equal = 0
    for seed in range(100):
        outcome = planted({}, seed=seed, noise=0.5)
        equal += not any(null.sign for null in outcome.nulls.values())
    assert equal >= 95


def test_what_one_trunk_alone_shows_is_not_resolved():
    outcome = planted({(branch, RELATED): -0.5 for branch in (OURS, AGAIN)}, only=[1])
    assert outcome.primary[GAIN].value > 0.1
    assert outcome.primary[GAIN].sign == 0
    assert outcome.verdict().startswith("not resolved: this pack's windows")


def test_young_trunks_give_no_verdict():
    assert planted(GAINED, ready=0.01).verdict().startswith("not resolved: a trunk is too young")


def test_a_pack_that_differs_from_itself_gives_no_verdict():
    assert "differs from itself" in planted({(OURS, RELATED): -0.05}).verdict()


def test_gain_that_same_source_has_too():
    effects = {**GAINED, (SAME_SOURCE, RELATED): -0.05}
    assert planted(effects).verdict().endswith("beyond same source windows: not resolved")


def test_less_use_is_said():
    effects = {(branch, RELATED): 0.05 for branch in (OURS, AGAIN)}
    assert "less after this pack" in planted(effects).verdict()


def test_gain_by_a_worse_start_alone_is_told_apart():
    worse = {(branch, context): 0.05 for branch in (OURS, AGAIN) for context in CONTEXT_NAMES if context != RELATED}
    outcome = planted(worse)
    assert outcome.primary[GAIN].sign == 1
    assert outcome.closed_book(OURS).sign == 1
    assert "not resolved to fall" in outcome.verdict()


def test_classes_of_tokens():
    outcome = planted({})
    one = outcome.scores[0][OURS]
    one[CONTEXT_NAMES.index(RELATED), :, ::2] -= 0.3
    found = outcome.difference(GAIN, OURS, RANDOM, "copied").trunks[0]
    assert found == pytest.approx(0.3, abs=0.01)
    assert outcome.difference("distraction", OURS, RANDOM).trunks[0] == pytest.approx(0, abs=0.01)
    assert ANY in CONTEXT_NAMES
