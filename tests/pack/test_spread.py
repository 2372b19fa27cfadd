import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.pack.spread import DISTANCES, WORTH, best_stride, stride_gaps, strided, window_path
from icp.pack.training_order import training_order


def measured_gaps(path_rank):
    """Least steps between windows at most so far apart on the path, from the order alone."""
    step = np.empty_like(path_rank)
    step[path_rank] = np.arange(path_rank.size)
    reach = [min(distance, path_rank.size - 1) for distance in DISTANCES]
    return [min(int(np.abs(step[apart:] - step[:-apart]).min()) for apart in range(1, most + 1)) for most in reach]


def circle(n, seed):
    angles = np.linspace(0, 3, n)[np.random.default_rng(seed).permutation(n)]
    return np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)


def spread_order(centroids):
    """The window trained at each step."""
    return window_path(centroids)[training_order(len(centroids), shuffle="spread")]


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 3000), st.integers(0, 3000))
def test_stated_gaps_hold_for_every_offset(n, offset):
    stride, gaps = best_stride(n)
    assert np.gcd(stride, n) == 1
    assert all(found >= stated for found, stated in zip(measured_gaps(strided(n, stride, offset)), gaps, strict=True))


@pytest.mark.parametrize("n", [100, 1983, 2037])
def test_stated_gaps_are_reached(n):
    stride, gaps = best_stride(n)
    assert min(measured_gaps(strided(n, stride, offset))[0] for offset in range(n)) == gaps[0]


@pytest.mark.parametrize("n", [1983, 2037, 20_000])
def test_gaps_are_at_least_the_shares_measured_once(n):
    gaps = best_stride(n)[1]
    assert all(gap >= share * n for gap, share in zip(gaps, (0.25, 0.08, 0.04), strict=True))


def test_no_other_stride_near_the_golden_one_is_worth_more():
    n = 500
    gaps = best_stride(n)[1]
    score = min(worth * gap for worth, gap in zip(WORTH, gaps, strict=True))
    for stride in range(int(n * 0.618) - 32, int(n * 0.618) + 32):
        if np.gcd(stride, n) == 1:
            others = stride_gaps(n, stride)
            assert min(worth * gap for worth, gap in zip(WORTH, others, strict=True)) <= score


def test_windows_follow_their_path():
    centroids = 7 * circle(300, 1)
    path = window_path(centroids)
    assert sorted(path.tolist()) == list(range(300))
    steps = np.abs(np.diff(np.arctan2(centroids[path, 1], centroids[path, 0])))
    assert np.median(steps) < 0.011  # windows lie .01 apart


def test_order_is_the_path_in_strides():
    stride, gaps = best_stride(300)
    assert training_order(300, shuffle="spread").tolist() == [step * stride % 300 for step in range(300)]
    assert gaps == stride_gaps(300, stride)


def test_neighbours_in_training_are_less_alike_than_by_chance():
    centroids = circle(400, 3)
    found = spread_order(centroids)
    chance = np.random.default_rng(0).permutation(400)
    alike = [float((centroids[order[1:]] * centroids[order[:-1]]).sum(axis=1).mean()) for order in (found, chance)]
    assert alike[0] < alike[1]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17])
def test_few_windows(n):
    found = spread_order(circle(n, 0) if n else np.empty((0, 2), np.float32))
    assert sorted(found.tolist()) == list(range(n))
    gaps, path_rank = best_stride(n)[1], training_order(n, shuffle="spread")
    assert len(gaps) == len(DISTANCES)
    if n > 1:
        assert all(gap <= real for gap, real in zip(gaps, measured_gaps(path_rank), strict=True))


def test_windows_without_a_vector_have_a_place():
    centroids = circle(50, 0)
    centroids[::3] = 0
    assert sorted(spread_order(centroids).tolist()) == list(range(50))
