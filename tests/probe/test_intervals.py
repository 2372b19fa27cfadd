"""Intervals of differences: equals are called equal, unequals are told apart, the same draws for all."""

import math

import numpy as np

from icp.probe.coder import UNIT
from icp.probe.gains import N_GRAM, Gains
from icp.probe.intervals import draw_again


def gains(doc, bits):
    n = len(doc)
    saved = {N_GRAM: np.round(np.asarray(bits) * UNIT * 100).astype(np.int64)}
    return Gains(np.asarray(doc), np.full(n, 100), np.zeros(n, dtype=np.int64), saved)


def test_equals_are_called_equal_in_95_of_100_samples():
    random, null = np.random.default_rng(3), 0
    for seed in range(100):
        docs = random.permutation(400)
        one, two = (gains(docs[half], random.gamma(1.0, 0.1, 200)) for half in (slice(200), slice(200, 400)))
        null += draw_again({"one": one, "two": two}, N_GRAM, seed=seed).difference("one", "two").sign == 0
    assert null >= 95


def test_what_documents_are_like_cancels_where_both_plans_hold_them():
    random = np.random.default_rng(4)
    docs, own = np.arange(300), random.gamma(1.0, 0.5, 300)
    better = gains(docs, own + random.normal(0.02, 0.05, 300))
    draws = draw_again({"better": better, "base": gains(docs, own)}, N_GRAM, seed=0)
    found = draws.difference("better", "base")
    assert found.sign == 1
    assert found.low < 0.02 < found.high
    apart = draws.of("better").high - draws.of("better").low
    assert found.high - found.low < apart / 4


def test_value_is_the_ratio_of_sums():
    found = Gains(np.array([0, 1]), np.array([10, 30]), np.zeros(2), {N_GRAM: np.array([UNIT, 7 * UNIT])})
    assert draw_again({"one": found}, N_GRAM, seed=0).of("one").value == 8 / 40


def test_share_of_a_gain_that_is_not_there_is_nan():
    same = gains(np.arange(50), np.zeros(50))
    half = gains(np.arange(50), np.full(50, 0.5))
    whole = gains(np.arange(50), np.ones(50))
    draws = draw_again({"whole": whole, "half": half, "none": same, "again": same}, N_GRAM, seed=0)
    assert draws.share("half", "whole", "none").value == 0.5
    assert math.isnan(draws.share("half", "again", "none").value)
