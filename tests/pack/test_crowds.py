"""Conflicts that windows have room for."""

import numpy as np
import pytest

from icp import plan_windows
from icp.data import DocGraph
from icp.pack.crowds import FEW_WINDOWS, _colored, bearable
from icp.pack.plan_windows import broken_conflicts

CAPACITY = 100


def crowd(n):
    return np.array([(low, high) for high in range(n) for low in range(high)], np.int64).reshape(-1, 2)


@pytest.mark.parametrize(("n_crowd", "n_docs"), [(16, 20), (40, 400), (0, 5)])
def test_conflicts_stay_where_there_are_windows_enough(n_crowd, n_docs):
    conflicts = crowd(n_crowd)
    assert bearable(conflicts, np.full(n_docs, 10), CAPACITY) is conflicts


def test_whoever_has_many_conflicts_keeps_them_if_those_have_none_with_one_another():
    star = np.array([(0, other) for other in range(1, 300)])
    assert bearable(star, np.full(300, 10), CAPACITY) is star  # two colours


def test_documents_without_tokens_are_no_crowd():
    lengths = np.zeros(60, np.int64)
    lengths[:10] = 10
    conflicts = crowd(60)
    assert bearable(conflicts, lengths, CAPACITY) is conflicts


def test_of_a_crowd_larger_than_there_are_windows_few_share_one():
    conflicts, lengths = crowd(200), np.full(400, 10)  # 40 windows
    kept = bearable(conflicts, lengths, CAPACITY)
    assert {tuple(pair) for pair in kept.tolist()} < {tuple(pair) for pair in conflicts.tolist()}
    degrees = np.bincount(kept.ravel(), minlength=200)
    assert degrees.tolist() == [19] * 200  # crowds of half as many as windows


@pytest.mark.parametrize("seed", range(5))
def test_no_two_in_conflict_are_of_one_colour(seed):
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, 50, (300, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    degrees = np.bincount(pairs.ravel(), minlength=50)
    colors = _colored(pairs, degrees)
    assert (colors[pairs[:, 0]] != colors[pairs[:, 1]]).all()
    assert colors.min() == 0
    assert colors.max() <= degrees.max()


def test_a_plan_of_look_alikes_is_full_and_spreads_them():
    """80 of 400 documents look alike; tokens ask for 40 windows."""
    n, rng = 400, np.random.default_rng(0)
    assert n * 10 // CAPACITY > 2 * FEW_WINDOWS
    vectors = rng.standard_normal((n, 8)).astype(np.float32)
    vectors[:80] = vectors[0] + 0.01 * vectors[:80]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = DocGraph(np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float16))
    plan = plan_windows(
        graph, vectors, np.arange(n), np.full(n, 10), seq_len=CAPACITY, conflicts=crowd(80), min_fill=0.9
    )
    assert plan.n_windows <= 45
    held = [int((plan.doc[plan.window == window] < 80).sum()) for window in range(plan.n_windows)]
    assert max(held) <= 4, "four crowds of twenty"
    assert len(broken_conflicts(plan, crowd(80))) > 0
