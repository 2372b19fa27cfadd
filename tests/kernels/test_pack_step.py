import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import (
    changed,
    filled_of,
    may_enter,
    pairs_of,
    plan_of,
    price_of,
    problem,
    rules,
    running,
    search_of,
    worth_of,
)

from icp.kernels import pack_step, pack_worth
from icp.kernels.pack_step import FORBIDDEN, Rules, keep_best, penalty

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def plain_python():
    """These kernels count no references, so only other kernels can call them when they are compiled."""
    with running("python"):
        yield


def made_rules(hard=False, two_sided=False):
    return Rules(10, np.full(1, 2.0), hard, 0.5, two_sided, 8, 3, False, 0.0, 0)


@pytest.mark.parametrize(("filled", "hard", "two_sided", "cost"), [
    (10, False, True, 0.0),
    (15, False, False, 2 * (0.5 * 0.5 + 0.25)),
    (5, False, False, 0.0),
    (5, False, True, 2 * (0.5 * 0.5 + 0.25)),
    (10, True, False, 0.0),
    (11, True, False, FORBIDDEN),
])  # fmt: skip
def test_a_window_costs_what_it_overflows(filled, hard, two_sided, cost):
    assert penalty.py_func(made_rules(hard, two_sided), filled) == cost


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_what_leaves_and_what_joins_is_that_of_the_definition(seed):
    given_one = problem(seed)
    allowed = rules(given_one)
    items, state = given_one.start()
    search, plan = search_of(items, state, allowed), plan_of(given_one)
    for i in range(given_one.n):
        a = given_one.window[i]
        out = changed(given_one, plan, {i: -1})
        leave = pack_step.leave_of(search, i)
        assert (leave.item, leave.window) == (i, a)
        price = price_of(allowed, filled_of(plan, a))
        expected = [worth_of(given_one, plan, a), worth_of(given_one, out, a), pairs_of(given_one, out, a), price]
        assert list(leave[2:]) == pytest.approx(expected, abs=1e-9)
        for b in range(len(given_one.window_group)):
            if b == a or not may_enter(given_one, plan, i, b):
                continue
            scratch = search.scratch
            scratch.window[2] = b
            scratch.toward[2], scratch.grows[2] = pack_worth.pull(items, state, i, b)
            join = pack_step.join_of(search, 2)
            after = changed(given_one, plan, {i: b})
            assert (join.window, join.grows) == (b, 1 - after.joined)
            expected = [worth_of(given_one, plan, b), pairs_of(given_one, after, b)]
            assert [join.worth, join.pairs] == pytest.approx(expected, abs=1e-9)
            assert join.paid == pytest.approx(price_of(allowed, filled_of(plan, b)))


def test_only_a_better_step_is_kept():
    items, state = problem(0).start()
    scratch = search_of(items, state, made_rules()).scratch
    for gain, first, onward in ((1.0, (2, 3), (4, 5)), (1.0, (9, 9), (9, 9)), (0.5, (8, 8), (8, 8))):
        keep_best.py_func(scratch, gain, first, onward)
        assert (scratch.gain[0], scratch.step.tolist()) == (1.0, [2, 3, 4, 5])
    keep_best.py_func(scratch, 1.5, (1, -1), (-1, -1))
    assert (scratch.gain[0], scratch.step.tolist()) == (1.5, [1, -1, -1, -1])
