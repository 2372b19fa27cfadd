"""Intervals of differences: equals are called equal, unequals are told apart, documents and windows both count."""

import math

import numpy as np
import pytest

from icp.probe.coder import UNIT
from icp.probe.gains import N_GRAM, Gains
from icp.probe.intervals import SURE, estimate


def gains(doc, bits, window=None):
    """Pieces of a hundred bytes that save so many bits a byte; without windows each has its own."""
    n = len(doc)
    saved = {N_GRAM: np.round(np.asarray(bits) * UNIT * 100).astype(np.int64)}
    window = np.arange(n) if window is None else np.asarray(window)
    return Gains(np.asarray(doc), np.full(n, 100), np.zeros(n, dtype=np.int64), window, saved)


def nulls_of(draw):
    random = np.random.default_rng(3)
    return sum(
        estimate({"one": draw(random), "two": draw(random)}, N_GRAM).difference("one", "two").sign == 0
        for _ in range(100)
    )


def test_equals_are_called_equal_in_95_of_100_samples():
    assert nulls_of(lambda random: gains(random.permutation(400)[:200], random.gamma(1.0, 0.1, 200))) >= 95


def test_equals_whose_windows_are_of_one_matter_are_called_equal_too():
    window = np.repeat(np.arange(40), 30)

    def draw(random):
        own = random.gamma(1.0, 0.1, 40)[window] + random.gamma(1.0, 0.02, window.size)
        return gains(random.permutation(4000)[: window.size], own, window)

    assert nulls_of(draw) >= 95
    # what the same numbers say where windows do not count
    assert nulls_of(lambda random: gains((found := draw(random)).doc, found.saved[N_GRAM] / UNIT / 100)) < 80


def test_equals_that_hold_documents_in_several_pieces_are_called_equal_too():
    doc = np.repeat(np.arange(60), 8)

    def draw(random):
        own = random.gamma(1.0, 0.1, 60)[doc] + random.gamma(1.0, 0.02, doc.size)
        return gains(doc + 1000 * random.integers(0, 10**6), own)

    assert nulls_of(draw) >= 95


def test_what_documents_are_like_cancels_where_both_plans_hold_them():
    random = np.random.default_rng(4)
    docs, own = np.arange(300), random.gamma(1.0, 0.5, 300)
    better = gains(docs, own + random.normal(0.02, 0.05, 300))
    found = estimate({"better": better, "base": gains(docs, own)}, N_GRAM)
    difference, alone = found.difference("better", "base"), found.of("better")
    assert difference.sign == 1
    assert difference.low < 0.02 < difference.high
    assert difference.high - difference.low < (alone.high - alone.low) / 4


def test_interval_by_hand():
    # two windows of two pieces, four documents: sums over windows are +-.05, over documents +-.025
    found = estimate({"one": gains([0, 1, 2, 3], [0.2, 0.2, 0.0, 0.0], [0, 0, 1, 1])}, N_GRAM).of("one")
    by_doc = 4 * 0.025**2 * 4 / 3
    by_window, by_piece = 2 * 0.05**2 * 2, 4 * 0.025**2
    assert found.value == pytest.approx(0.1, abs=1e-4)
    assert found.high - found.value == pytest.approx(SURE * math.sqrt(by_doc + by_window - by_piece), rel=1e-3)


def test_value_is_the_ratio_of_sums():
    saved = {N_GRAM: np.array([UNIT, 7 * UNIT])}
    found = Gains(np.array([0, 1]), np.array([10, 30]), np.zeros(2), np.array([0, 1]), saved)
    assert estimate({"one": found}, N_GRAM).of("one").value == 8 / 40


def test_a_plan_does_not_differ_from_itself():
    found = estimate({"one": gains(np.arange(9), np.linspace(0, 1, 9))}, N_GRAM).difference("one", "one")
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_share_of_a_gain_that_is_not_there_is_nan():
    same = gains(np.arange(50), np.zeros(50))
    half = gains(np.arange(50), np.full(50, 0.5))
    whole = gains(np.arange(50), np.ones(50))
    found = estimate({"whole": whole, "half": half, "none": same, "again": same}, N_GRAM)
    assert found.share("half", "whole", "none").value == 0.5
    assert math.isnan(found.share("half", "again", "none").value)


def test_share_has_the_interval_of_its_parts():
    random = np.random.default_rng(5)
    docs, own = np.arange(4000), random.gamma(1.0, 0.5, 4000)
    plans = {
        "whole": gains(docs, own + random.normal(0.4, 0.1, 4000)),
        "part": gains(docs, own + random.normal(0.1, 0.1, 4000)),
        "none": gains(docs, own),
    }
    found = estimate(plans, N_GRAM).share("part", "whole", "none")
    assert found.low < 0.25 < found.high
    # of the ratio of two means of 4,000 by their own variances
    assert found.high - found.value == pytest.approx(SURE * 0.1 * math.hypot(1, 0.25) / 0.4 / math.sqrt(4000), rel=0.1)
