import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import changed, cosine, may_enter, members_of, pairs_of, plan_of, problem, running, worth_of

from icp.kernels import pack_worth

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def plain_python():
    """These kernels count no references, so only other kernels can call them when they are compiled."""
    with running("python"):
        yield


def test_a_window_is_worth_its_pairs_over_the_others_of_a_member():
    assert pack_worth.value(6.0, 3) == 3.0
    assert (pack_worth.value(0.0, 1), pack_worth.value(0.0, 0)) == (0.0, 0.0)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_value_and_products_are_those_of_the_definition(seed):
    given_one = problem(seed)
    items, state = given_one.start()
    plan = plan_of(given_one)
    for window in range(len(given_one.window_group)):
        found = pack_worth.value(state.pairs[window], state.count[window])
        assert found == pytest.approx(worth_of(given_one, plan, window), abs=1e-9)
        for i in range(given_one.n):
            alike = sum(cosine(given_one, i, j) for j in members_of(plan, window))
            dot = pack_worth.dot_sums(items.vectors, i, state.sums, window)
            assert dot / given_one.scale2 == pytest.approx(alike)
            both_ways = sum((1 + plan.weight[j]) * cosine(given_one, i, j) for j in members_of(plan, window))
            scaled = pack_worth.dot_window(items.vectors, i, state.scaled, window) * state.unit[window]
            assert scaled == pytest.approx(both_ways, abs=1e-9)
    for i, j in np.ndindex(given_one.n, given_one.n):
        assert pack_worth.dot_items(items.vectors, i, j) / given_one.scale2 == cosine(given_one, i, j)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_pull_is_what_the_pairs_of_a_window_gain(seed):
    given_one = problem(seed)
    items, state = given_one.start()
    plan = plan_of(given_one)
    for i in range(given_one.n):
        for window in set(range(len(given_one.window_group))) - {given_one.window[i]}:
            after = changed(given_one, plan, {i: window})
            gained, grows = pack_worth.pull(items, state, i, window)
            expected = pairs_of(given_one, after, window) - pairs_of(given_one, plan, window)
            assert gained == pytest.approx(expected, abs=1e-9)
            assert grows == len(members_of(after, window)) - len(members_of(plan, window))


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_tie_is_what_the_pairs_of_a_window_lose(seed):
    given_one = problem(seed)
    items, state = given_one.start()
    plan = plan_of(given_one)
    for i in range(given_one.n):
        window = given_one.window[i]
        after = changed(given_one, plan, {i: -1})
        expected = pairs_of(given_one, plan, window) - pairs_of(given_one, after, window)
        for _ in range(2):  # computed, then remembered
            assert pack_worth.tie(items, state, i) == pytest.approx(expected, abs=1e-9)


def test_a_tie_is_computed_anew_when_the_window_has_changed():
    given_one = problem(3)
    items, state = given_one.start()
    before = pack_worth.tie(items, state, 0)
    state.scaled[state.window[0]] += 5
    assert pack_worth.tie(items, state, 0) == before
    state.version[state.window[0]] += 1
    assert pack_worth.tie(items, state, 0) != before


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_windows_are_closed_by_groups_conflicts_and_loose_ones(seed):
    given_one = problem(seed, foes=4)
    items, state = given_one.start()
    plan = plan_of(given_one)
    for i in range(given_one.n):
        for window in range(len(given_one.window_group)):
            if window != given_one.window[i]:
                assert pack_worth.clashes(items, state, i, window) != may_enter(given_one, plan, i, window)
