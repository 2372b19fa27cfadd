"""What every kind of step gains, as computed from what is kept, against both plans valued anew."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import (
    Problem,
    cost_of,
    gain_of,
    may_enter,
    members_of,
    plan_of,
    problem,
    rules,
    running,
    search_of,
)

from icp.kernels import pack_bonds, pack_moves, pack_step, pack_worth
from icp.kernels.pack_moves import PAIR_COST, SWAP_COST
from icp.kernels.pack_step import UNKNOWN

NOTHING = -1e30
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def plain_python():
    """These kernels count no references, so only other kernels can call them when they are compiled."""
    with running("python"):
        yield


def situations(seed, **options):
    """An item and an open window, as the search has them at hand, for all of them."""
    given_one = problem(seed, **options)
    items, state = given_one.start()
    search, plan = search_of(items, state, rules(given_one)), plan_of(given_one)
    for i in range(given_one.n):
        leave = pack_step.leave_of(search, i)
        pack_bonds.look_for_bonds(items, state, search.bonds, i)
        for b in range(len(given_one.window_group)):
            if b != given_one.window[i] and may_enter(given_one, plan, i, b):
                search.scratch.window[0] = b
                search.scratch.toward[0], search.scratch.grows[0] = pack_worth.pull(items, state, i, b)
                yield given_one, plan, search, leave, pack_step.join_of(search, 0)


def proposed(propose, search, leave, join, members):
    """Gain and step of the best proposal with these members of the window alone."""
    scratch = search.scratch
    scratch.gain[0], scratch.step[:] = NOTHING, -1
    scratch.member[: len(members)] = members
    scratch.to_leaver[: len(members)] = scratch.to_left[: len(members)] = UNKNOWN
    propose(search, leave, join, len(members))
    return scratch.gain[0], scratch.step.tolist()


def test_a_document_leaves_one_that_is_unlike_for_two_that_are_alike():
    vectors = np.array([[2, 0, 0], [0, 2, 0], [2, 0, 0], [2, 0, 0]], np.int8)
    made = Problem([0, 1, 2, 3], vectors, [3] * 4, [1.0] * 4, [[2]] * 4, set(), [0] * 4, [0, 0, 1, 1], [0, 0])
    items, state = made.start()
    search = search_of(items, state, rules(made, penalty=0.0))
    search.scratch.window[0], search.scratch.grows[0] = 1, 1
    search.scratch.toward[0] = pack_worth.pull(items, state, 0, 1)[0]
    gain = pack_moves.propose_move(search, pack_step.leave_of(search, 0), pack_step.join_of(search, 0))
    # before: 0 and two cosines of 1 over one other each, which is 2; after: six cosines over two others, which is 3
    assert gain == search.scratch.gain[0] == pytest.approx(1.0)
    assert search.scratch.step.tolist() == [1, -1, -1, -1]


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_moves(seed):
    for given_one, plan, search, leave, join in situations(seed):
        search.scratch.gain[0] = NOTHING
        moves = {leave.item: join.window}
        gain = pack_moves.propose_move(search, leave, join)
        assert search.scratch.gain[0] == pytest.approx(gain_of(given_one, plan, search.rules, moves), abs=1e-9)
        cost = cost_of(given_one, plan, search.rules, moves)
        assert gain == pytest.approx(search.scratch.gain[0] + cost, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_swaps(seed):
    for given_one, plan, search, leave, join in situations(seed):
        i, a, b = leave.item, leave.window, join.window
        for j in members_of(plan, b):
            gain, step = proposed(pack_moves.propose_swaps, search, leave, join, [j])
            moves = {i: b, j: a}
            cost = cost_of(given_one, plan, search.rules, moves)
            if given_one.doc[i] == given_one.doc[j] or not may_enter(given_one, plan, j, a):
                assert gain == NOTHING
            elif abs(cost - SWAP_COST) > 1e-9:
                assert (gain != NOTHING) == (cost < SWAP_COST)
            if gain != NOTHING:
                assert step == [b, j, -1, -1]
                assert gain == pytest.approx(gain_of(given_one, plan, search.rules, moves), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_chains(seed):
    for given_one, plan, search, leave, join in situations(seed, n_docs=7):
        i, a, b = leave.item, leave.window, join.window
        for j in members_of(plan, b):
            gain, step = proposed(pack_moves.propose_chains, search, leave, join, [j])
            windows = {given_one.window[near] for near in given_one.neighbors[j] if near >= 0} - {a, b}
            gains = {
                c: gain_of(given_one, plan, search.rules, {i: b, j: c})
                for c in windows
                if may_enter(given_one, plan, j, c)
            }
            if given_one.doc[i] == given_one.doc[j] or not gains:
                assert gain == NOTHING
                continue
            assert gain == pytest.approx(max(gains.values()), abs=1e-9)
            assert step[:3] == [b, j, -1]
            assert gains[step[3]] == pytest.approx(gain, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_pairs(seed):
    for given_one, plan, search, leave, join in situations(seed, n_docs=7):
        i, a, b = leave.item, leave.window, join.window
        members = members_of(plan, b)
        for j, h in ((j, h) for j in members for h in members if h < j):
            gain, step = proposed(pack_moves.propose_pairs, search, leave, join, [h, j])
            moves = {i: b, j: a, h: a}
            cost = cost_of(given_one, plan, search.rules, moves)
            whole = all(given_one.kind(each, plan.weight) == 0 for each in moves)
            if not whole or not all(may_enter(given_one, plan, each, a) for each in (j, h)):
                assert gain < pack_moves.NEVER / 100
            elif abs(cost - PAIR_COST) > 1e-9:
                assert (gain != NOTHING) == (cost < PAIR_COST)
                if gain != NOTHING:
                    assert step == [b, j, h, -1]
                    assert gain == pytest.approx(gain_of(given_one, plan, search.rules, moves), abs=1e-9)


def test_members_are_listed_up_to_a_limit():
    items, state = problem(1, n_docs=2, foes=0).start()
    search = search_of(items, state, rules(problem(1, n_docs=2)))
    window = int(state.window[0])
    members = members_of(plan_of(problem(1, n_docs=2, foes=0)), window)
    n_members = pack_moves.list_members(search, window)
    assert sorted(search.scratch.member[:n_members].tolist()) == members
    assert np.all(search.scratch.to_leaver[:n_members] == UNKNOWN)
