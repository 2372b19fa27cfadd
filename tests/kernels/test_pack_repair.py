import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import (
    CAPACITY,
    Problem,
    both,
    check_state,
    cosine,
    filled_of,
    may_enter,
    members_of,
    plan_in,
    plan_of,
    problem,
    running,
)

from icp.kernels import pack_repair
from icp.kernels.pack_repair import REST_COST, Offer
from icp.kernels.pack_step import MAX_MEMBERS

seeds = st.integers(0, 2**32 - 1)


def line(tokens, window, n_windows, foes=()):
    """Documents that are all alike."""
    n = len(tokens)
    vectors = np.tile(np.array([3, 0, 0], np.int8), (n, 1))
    near = [[j for j in range(n) if j != i] for i in range(n)]
    return Problem(list(range(n)), vectors, tokens, [1.0] * n, near, set(foes), [0] * n, window, [0] * n_windows)


@both
@pytest.mark.parametrize(("tokens", "window", "found"), [
    ([9, 5, 2, 3], [0, 0, 1, 1], [0, 1, 1, 1]),  # a move
    ([9, 8, 6, 6], [0, 0, 1, 1], [0, 0, 1, 1]),  # there is no room
    ([8, 6, 5, 4], [0, 0, 1, 1], [0, 1, 1, 0]),  # one for one
    ([8, 8, 1, 3, 1, 3], [0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 0, 0]),  # one for two
])  # fmt: skip
def test_overflow_goes_by_a_move_or_an_exchange(mode, tokens, window, found):
    made = line(tokens, window, 2)
    with running(mode):
        items, state = made.start()
        failed = pack_repair.repair_windows(items, state, CAPACITY)
    assert (state.window.tolist(), failed) == (found, int(found == window))
    check_state(made, items, state)


@both
@settings(max_examples=80, deadline=None)
@given(seeds)
def test_repair_keeps_what_must_be_kept_and_tells_what_failed(mode, seed):
    given_one = problem(seed, n_docs=8, pieces=False)
    before = plan_of(given_one)
    with running(mode):
        items, state = given_one.start()
        failed = pack_repair.repair_windows(items, state, CAPACITY)
    plan = plan_in(items, state)
    check_state(given_one, items, state)
    assert failed == np.count_nonzero(state.filled > CAPACITY)
    assert plan.tokens == given_one.tokens
    for i in range(given_one.n):
        assert may_enter(given_one, plan, i, plan.window[i])
    over = [sum(max(filled_of(one, w) - CAPACITY, 0) for w in range(state.count.size)) for one in (before, plan)]
    assert over[1] < over[0] or plan == before
    for window in range(state.count.size):
        assert filled_of(plan, window) <= max(CAPACITY, filled_of(before, window))


def mean_of(problem, plan, i, window):
    """Mean cosine of an item to the others of a window."""
    mates = [j for j in members_of(plan, window) if j != i]
    return sum(cosine(problem, i, j) for j in mates) / max(len(mates), 1)


def best_exchange(problem, plan, a, b):
    """The best score of all moves and exchanges of window a with window b, tried one by one; None if there is none."""
    need, slack = filled_of(plan, a) - CAPACITY, CAPACITY - filled_of(plan, b)
    scores = []
    backs = [(), *((j,) for j in members_of(plan, b))]
    backs += [(j, h) for j in members_of(plan, b) for h in members_of(plan, b) if j < h]
    for i in members_of(plan, a):
        for back in backs if may_enter(problem, plan, i, b) else ():
            net = plan.tokens[i] - sum(plan.tokens[j] for j in back)
            if 0 < net <= slack and all(may_enter(problem, plan, j, a) for j in back):
                score = mean_of(problem, plan, i, b) - mean_of(problem, plan, i, a)
                score += sum(mean_of(problem, plan, j, a) - mean_of(problem, plan, j, b) for j in back)
                scores.append(score - REST_COST * (1 - min(1.0, net / need)))
    return max(scores, default=None)


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_the_best_of_all_exchanges_is_found(seed):
    given_one = problem(seed, n_docs=8, pieces=False)
    plan = plan_of(given_one)
    with running("python"):
        items, state = given_one.start()
        for a in np.flatnonzero(state.filled > CAPACITY).tolist():
            for b in np.flatnonzero((state.filled < CAPACITY) & (state.group == state.group[a])).tolist():
                member, loss = np.empty(MAX_MEMBERS, np.int32), np.empty(MAX_MEMBERS)
                offer = Offer(member, loss, np.full(1, pack_repair.NEVER), np.full(4, -1, np.int64))
                offered = pack_repair._weigh_window(items, state, offer, (a, b, CAPACITY))
                best = best_exchange(given_one, plan, a, b)
                assert offered == (best is not None)
                assert not offered or offer.score[0] == pytest.approx(best, abs=1e-9)


@both
def test_evicted_is_the_smallest_that_suffices_and_it_goes_where_there_is_room(mode):
    made = line([3, 4, 9, 5], [0, 0, 0, 1], 2)
    with running(mode):
        items, state = made.start()
        left = pack_repair.evict(items, state, CAPACITY)
    assert (state.window.tolist(), left.tolist()) == ([0, 1, 0, 1], [])
    check_state(made, items, state)


@both
@settings(max_examples=80, deadline=None)
@given(seeds)
def test_after_eviction_windows_fit_and_who_is_left_has_no_place(mode, seed):
    given_one = problem(seed, n_docs=8, pieces=False)
    before = plan_of(given_one)
    with running(mode):
        items, state = given_one.start()
        left = pack_repair.evict(items, state, CAPACITY).tolist()
    plan = plan_in(items, state)
    check_state(given_one, items, state)
    assert state.filled.max() <= CAPACITY
    assert sorted(left) == members_of(plan, -1)
    assert [plan.tokens[i] for i in left] == sorted((plan.tokens[i] for i in left), reverse=True)
    for i in range(given_one.n):
        assert plan.window[i] < 0 or may_enter(given_one, plan, i, plan.window[i])
        assert plan.window[i] == before.window[i] or filled_of(before, before.window[i]) > CAPACITY
    if len(left) == 1:  # the last to be placed: nothing came after it
        [i] = left
        rooms = {plan.window[near] for near in given_one.neighbors[i] if near >= 0} - {-1}
        fits = [b for b in rooms if filled_of(plan, b) + plan.tokens[i] <= CAPACITY]
        assert not any(may_enter(given_one, plan, i, b) for b in fits)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 9))
def test_what_is_shed_suffices_and_is_small_or_is_the_largest(tokens, need):
    best = tokens[0]
    for one in tokens[1:]:
        best = one if pack_repair._sheds_better.py_func(one, best, need) else best
    assert best == min((one for one in tokens if one >= need), default=max(tokens))


def test_compiled_and_plain_repairs_have_the_same_bits():
    states = []
    for mode in ("compiled", "python"):
        with running(mode):
            items, state = problem(5, n_docs=60, n_windows=15, largest=90, foes=20, pieces=False).start()
            failed = pack_repair.repair_windows(items, state, CAPACITY)
            left = pack_repair.evict(items, state, CAPACITY)
            states.append((*state, left, np.array([failed])))
    for one, two in zip(*states, strict=True):
        assert one.tobytes() == two.tobytes()
