"""What bonds gain, against the largest cosines of both plans found anew; steps as a whole are in test_pack_moves.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import BOND, Problem, bonds_of, changed, plan_of, problem, rules, running, search_of

from icp.kernels import pack_bonds

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def plain_python():
    """These kernels count no references, so only other kernels can call them when they are compiled."""
    with running("python"):
        yield


def gained(problem, moves):
    """What bonds gain by moves of items that meet no piece of their own."""
    plan = plan_of(problem)
    after, windows = changed(problem, plan, moves), range(len(problem.window_group))
    return BOND * sum(bonds_of(problem, after, w) - bonds_of(problem, plan, w) for w in windows)


def test_a_document_that_leaves_lets_its_partner_fall_to_the_next():
    vectors = [[3, 0, 0], [3, 0, 0], [2, 2, 0]]
    near = [[1, 2], [0, 2], [0, 1]]
    made = Problem([0, 1, 2], np.array(vectors, np.int8), [4] * 3, [1.0] * 3, near, set(), [0] * 3, [0, 0, 0], [0, 0])
    _, state = made.start()
    alike, less = 1.0, pytest.approx(6 / 9)
    assert state.best.tolist() == [alike, alike, less]
    assert state.partner.tolist() == [1, 0, 0]
    # without 0, which has 1 itself, 1 has 2 left, and 2 has 1: as like it as 0
    assert state.lean.tolist() == [pytest.approx(alike + 1 - 6 / 9), pytest.approx(alike + 1 - 6 / 9), less]


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_bonds_of_an_item_that_goes_anywhere_and_of_one_that_comes_instead(seed):
    made = problem(seed, pieces=False)
    items, state = made.start()
    bonds = search_of(items, state, rules(made)).bonds
    for i in range(made.n):
        pack_bonds.look_for_bonds(items, state, bonds, i)
        a = made.window[i]
        for b in set(range(len(made.window_group))) - {a}:
            move = pack_bonds.joins(items, state, bonds, i, b)
            assert move == pytest.approx(gained(made, {i: b}), abs=1e-9)
            own = pack_bonds.nearest(items, state, i, b)
            assert own == BOND * max((made.like(i, j) for j in range(made.n) if made.window[j] == b), default=0)
            entering = pack_bonds.enters(items, state, i, b)
            assert entering - BOND * state.lean[i] == pytest.approx(move, abs=1e-9)
            assert entering <= pack_bonds.enters_at_most(items, state, i) + 1e-9
        for j in (j for j in range(made.n) if made.window[j] != a):
            swap = pack_bonds.replaces(items, state, bonds, i, j) + pack_bonds.comes(items, bonds, j)
            assert swap == pytest.approx(gained(made, {i: made.window[j], j: a}), abs=1e-9)
            for h in (h for h in range(j) if made.window[h] == made.window[j]):
                found = pack_bonds.exchange(items, state, i, (j, h))
                assert found == pytest.approx(gained(made, {i: made.window[j], j: a, h: a}), abs=1e-9)
                most = pack_bonds.joins(items, state, bonds, i, made.window[j])
                most += sum(pack_bonds.exchange_at_most(items, state, bonds, each) for each in (j, h))
                assert found <= most + 1e-9
