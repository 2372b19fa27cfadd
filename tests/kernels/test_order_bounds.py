from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.order_bounds import Schedule, descend_prices, listed_pairs

LONG = Schedule(400, 0.05, 0.985)
both = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])


def impl(kernel, compiled):
    return kernel if compiled else kernel.py_func


def test_a_pair_that_both_list_comes_once():
    neighbors = np.array([[1, 2], [0, -1], [1, -1]], np.int32)
    similarities = np.array([[0.5, 0.25], [0.5, 0], [0.125, 0]], np.float32)
    heads, tails, weights = listed_pairs(neighbors, similarities, np.zeros(3))
    assert list(zip(heads.tolist(), tails.tolist(), weights.tolist(), strict=True)) == [
        (0, 1, 0.5),
        (0, 2, 0.25),
        (2, 1, 0.125),
    ]


def test_pairs_within_their_floors_are_left_out():
    neighbors, similarities = np.array([[1], [0]], np.int32), np.array([[0.5], [0.5]], np.float32)
    assert listed_pairs(neighbors, similarities, np.array([0.25, 0.25]))[0].size == 0
    assert listed_pairs(neighbors, similarities, np.array([0.25, 0.125]))[0].size == 1


def test_bound_of_a_single_pair_is_its_weight():
    pairs = (np.array([0], np.int32), np.array([1], np.int32), np.array([0.5], np.float32))
    assert descend_prices(pairs, np.zeros(2), np.zeros(2), LONG) == pytest.approx(0.5)


@both
@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_no_path_of_the_complete_graph_exceeds_the_bound_from_k_neighbours(compiled, n, k, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    gram = (rows @ rows.T).astype(np.float32)
    neighbors = np.full((n, k), -1, np.int32)
    similarities = np.zeros((n, k), np.float32)
    for row in range(n):
        near = sorted((other for other in range(n) if other != row), key=lambda other: -gram[row, other])[:k]
        neighbors[row, : len(near)], similarities[row, : len(near)] = near, gram[row, near]
    floors = np.maximum(similarities[:, -1], 0).astype(np.float64) / 2
    if k >= n:
        floors[:] = 0
    pairs = impl(listed_pairs, compiled)(neighbors, similarities, floors)
    bound = impl(descend_prices, compiled)(pairs, floors, floors.copy(), Schedule(100, 0.05, 0.95))
    best = max(sum(gram[a, b] for a, b in pairwise(path)) for path in permutations(range(n)))
    assert best <= bound + 1e-6


def test_descent_comes_below_half_of_the_two_largest():
    # a star of 5: only two of its rays can be taken
    pairs = (np.zeros(5, np.int32), np.arange(1, 6, dtype=np.int32), np.full(5, 0.5, np.float32))
    prices = np.zeros(6)
    bound = descend_prices(pairs, np.zeros(6), prices, LONG)
    assert 1.0 <= bound < 1.01  # half of the two largest of each: .5 + 5 * .25
    assert prices[0] > 0.4 > 0.1 > prices[1:].max()  # the places beside the middle are what is scarce
