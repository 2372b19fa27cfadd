import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import (
    CAPACITY,
    Problem,
    both,
    changed,
    check_plan,
    check_state,
    cost_of,
    filled_of,
    gain_of,
    may_enter,
    members_of,
    pairs_of,
    plan_in,
    plan_of,
    problem,
    rules,
    running,
    search_of,
    total_of,
)

from icp.kernels import pack_search
from icp.kernels.pack_moves import CHAIN_GAIN, PAIR_COST, SWAP_COST
from icp.kernels.pack_search import LEAST_GAIN
from icp.kernels.pack_state import WHOLE

seeds = st.integers(0, 2**32 - 1)


def around(problem, plan, i):
    """The open windows of the item's neighbours."""
    windows = dict.fromkeys(plan.window[near] for near in problem.neighbors[i] if near >= 0)
    return [b for b in windows if b not in (-1, plan.window[i]) and may_enter(problem, plan, i, b)]


def steps(problem, plan, rules, i):
    """Every step around an item that a search may take, as the windows to which items go."""
    a = plan.window[i]
    for b in around(problem, plan, i):
        yield {i: b}
        bare = gain_of(problem, plan, rules._replace(hard=False, penalty=np.zeros(1)), {i: b})
        others = [j for j in members_of(plan, b) if problem.doc[j] != problem.doc[i]]
        back = [j for j in others if may_enter(problem, plan, j, a)]
        yield from ({i: b, j: a} for j in back if cost_of(problem, plan, rules, {i: b, j: a}) < SWAP_COST)
        for j in others if bare > CHAIN_GAIN else ():
            yield from ({i: b, j: c} for c in around(problem, plan, j) if c != a)
        whole = [j for j in back if problem.kind(j, plan.weight) == WHOLE]
        whole = whole if problem.kind(i, plan.weight) == WHOLE else []
        for moves in ({i: b, j: a, h: a} for j in whole for h in whole if h < j):
            if cost_of(problem, plan, rules, moves) < PAIR_COST:
                yield moves


@pytest.mark.parametrize("hard", [False, True])
@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_best_of_all_steps_around_an_item_is_taken(hard, seed):
    given_one = problem(seed)
    allowed, plan = rules(given_one, hard=hard), plan_of(given_one)
    with running("python"):
        for i in range(given_one.n):
            items, state = given_one.start()
            search = search_of(items, state, allowed)
            gains = [gain_of(given_one, plan, allowed, moves) for moves in steps(given_one, plan, allowed, i)]
            best = max(gains, default=-1)
            found = pack_search._visit(search, i, 1)
            if abs(best - LEAST_GAIN) > 1e-9:
                assert found == (best > LEAST_GAIN)
            if not found:
                continue
            assert search.scratch.gain[0] == pytest.approx(best, abs=1e-9)
            seen = np.zeros(state.count.size, np.int64)
            windows = {plan.window[i], search.scratch.step[0], search.scratch.step[3]} - {-1}
            pack_search._take_step(search, i, seen, 5)
            assert set(np.flatnonzero(seen == 5).tolist()) == windows
            check_state(given_one, items, state)
            assert total_in(given_one, items, state, allowed) - total_of(given_one, plan, allowed) == pytest.approx(
                best, abs=1e-9
            )


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_windows_around_an_item_come_by_falling_mean_cosine(seed):
    given_one = problem(seed, n_windows=3)
    plan = plan_of(given_one)
    with running("python"):
        items, state = given_one.start()
        search = search_of(items, state, rules(given_one))
        for i in range(given_one.n):
            n_near = pack_search._look_around(search, i, i + 1)
            windows = search.scratch.window[:n_near].tolist()
            assert sorted(windows) == sorted(around(given_one, plan, i))
            means = [search.scratch.toward[at] / state.count[window] for at, window in enumerate(windows)]
            assert means == sorted(means, reverse=True)
            for at, window in enumerate(windows):
                after = changed(given_one, plan, {i: window})
                gained = pairs_of(given_one, after, window) - pairs_of(given_one, plan, window)
                assert search.scratch.toward[at] == pytest.approx(gained, abs=1e-9)
                assert search.scratch.grows[at] == 1 - after.joined


def test_two_that_are_alike_come_together():
    made = Problem(
        [0, 1, 2],
        np.array([[3, 0, 0], [0, 3, 0], [3, 0, 0]], np.int8),
        [4, 4, 4],
        [1.0] * 3,
        [[2, 1], [0, 2], [0, 1]],
        set(),
        [0] * 3,
        [0, 0, 1],
        [0, 0],
    )
    items, state = made.start()
    stats = pack_search.search_windows(items, state, rules(made, hard=True), np.zeros(2))
    assert state.window.tolist() == [1, 0, 1]
    assert stats[:, 1].tolist() == [1, 0]


def test_an_item_around_which_nothing_changed_is_not_visited_again():
    made = problem(5, pieces=False)
    items, state = made.start()
    stats = pack_search.search_windows(items, state, rules(made, hard=True), np.zeros(6))
    assert stats[0, 0] == made.n
    assert stats[-1].tolist() == [0, 0]


def total_in(problem, items, state, rules):
    plan = plan_in(items, state)
    plan.joined = sum(window < 0 for window in plan.window)
    return total_of(problem, plan, rules)


@both
@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans(), st.booleans(), st.integers(0, 2))
def test_a_search_keeps_what_must_be_kept(mode, seed, hard, joins, least):
    given_one = problem(seed, n_docs=8)
    allowed = rules(given_one, hard=hard, whole_again=0.15 if joins else 0.0, least=least)
    with running(mode):
        items, state = given_one.start()
        for _ in range(4):
            before = plan_in(items, state)
            stats = pack_search.search_windows(items, state, allowed, np.ones(1))
            assert stats[0, 0] <= sum(window >= 0 for window in before.window)
            assert stats[0, 1] or plan_in(items, state) == before
            check_plan(given_one, plan_in(items, state))
            check_state(given_one, items, state)
            if hard:
                assert state.filled.max() <= allowed.seq_len
            for i, tokens in enumerate(given_one.tokens):
                assert items.tokens[i] >= min(tokens, least) or state.window[i] < 0


@both
def test_documents_of_unlike_size_change_places_where_windows_share_one_that_is_cut(mode):
    vectors = np.array([[3, 0, 0], [0, 3, 0], [1, 1, 1], [1, 1, 1], [3, 0, 0], [0, 3, 0]], np.int8)
    made = Problem(
        [0, 1, 2, 2, 3, 4],
        vectors,
        [5, 3, 8, 8, 6, 4],
        [1.0, 1.0, 0.5, 0.5, 1.0, 1.0],
        [[4, 2], [5, 3], [3, -1], [2, -1], [0, 2], [1, 3]],
        set(),
        [0] * 6,
        [0, 1, 0, 1, 1, 0],
        [0, 0],
    )  # 0 and 4 are alike, and 1 and 5; items 2 and 3 are a document that is cut; both windows are full
    with running(mode):
        for least, together in ((0, False), (2, True)):
            items, state = made.start()
            allowed = rules(made, hard=True, whole_again=0.0, least=least)._replace(seq_len=17)
            pack_search.search_windows(items, state, allowed, np.zeros(4))
            assert bool(state.window[0] == state.window[4]) is together
            assert bool(state.window[1] == state.window[5]) is together
            assert state.filled.tolist() == [17, 17]
            assert sorted(items.tokens[[2, 3]].tolist()) == ([6, 10] if together else [8, 8])


@settings(max_examples=100, deadline=None)
@given(seeds, st.booleans(), st.booleans())
def test_every_step_gains(seed, hard, joins):
    given_one = problem(seed, n_docs=8)
    allowed = rules(given_one, hard=hard, whole_again=0.15 if joins else 0.0)
    items, state = given_one.start()
    before = total_in(given_one, items, state, allowed)
    for _ in range(5):
        stats = pack_search.search_windows(items, state, allowed, np.ones(1))
        after = total_in(given_one, items, state, allowed)
        assert after - before >= stats[0, 1] * LEAST_GAIN - 1e-9
        before = after
    plan = plan_in(items, state)
    for i in range(given_one.n) if not stats[0, 1] else ():
        if plan.window[i] >= 0:
            gains = (gain_of(given_one, plan, allowed, {i: b}) for b in around(given_one, plan, i))
            assert max(gains, default=0) <= LEAST_GAIN + 1e-9, "a move that gains was left"


def test_compiled_and_plain_searches_have_the_same_bits():
    states = []
    for mode in ("compiled", "python"):
        with running(mode):
            made = problem(11, n_docs=60, n_windows=12, largest=90, foes=10)
            items, state = made.start()
            pack_search.fill_empty(items, state, CAPACITY)
            stats = pack_search.search_windows(items, state, rules(made), np.array([0.5, 1, 1, 4.0]))
            states.append((*state, items.tokens, items.weight, stats))
    assert states[0][-1][:, 1].sum() > 10
    for one, two in zip(*states, strict=True):
        assert one.tobytes() == two.tobytes()


@both
def test_an_empty_window_gets_the_later_half_of_the_fullest(mode):
    vectors = np.ones((5, 3), np.int8)
    made = Problem(
        list(range(5)), vectors, [5, 4, 4, 9, 8], [1.0] * 5, [[-1]] * 5, set(), [0] * 5, [0, 0, 0, 1, 1], [0] * 3
    )
    with running(mode):
        items, state = made.start()
        assert pack_search.fill_empty(items, state, CAPACITY) == 1
    assert state.window.tolist() == [0, 0, 0, 1, 2]
    check_state(made, items, state)


@both
@settings(max_examples=60, deadline=None)
@given(seeds)
def test_empty_windows_are_filled_from_those_that_overflow(mode, seed):
    given_one = problem(seed, foes=0, pieces=False, n_docs=8)
    with running(mode):
        items, state = given_one.start()
        before = plan_of(given_one)
        empty = np.flatnonzero(state.count == 0).tolist()
        n_filled = pack_search.fill_empty(items, state, CAPACITY)
    after = plan_in(items, state)
    check_state(given_one, items, state)
    check_plan(given_one, after)
    moved = [i for i in range(given_one.n) if after.window[i] != before.window[i]]
    assert {after.window[i] for i in moved} <= set(empty)
    assert len({after.window[i] for i in moved}) == n_filled
    for source in {before.window[i] for i in moved}:
        assert filled_of(before, source) > CAPACITY
        gone = [i for i in moved if before.window[i] == source]
        assert min(gone) > max(members_of(after, source))
        assert (
            filled_of(before, source) // 2 <= sum(given_one.tokens[i] for i in gone)
            or len(members_of(after, source)) == 1
        )
