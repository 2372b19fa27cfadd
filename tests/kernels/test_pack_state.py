import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import Problem, both, changed, check_state, members_of, plan_in, plan_of, problem, running

from icp.kernels import pack_pieces, pack_state

seeds = st.integers(0, 2**32 - 1)
UP, RIGHT = [0, 2, 0], [2, 0, 0]


def three(weight=(1.0, 1.0, 1.0), doc=(0, 1, 2)):
    vectors = np.array([UP, UP, RIGHT], np.int8)
    near = [[1, 2], [0, 2], [0, 1]]
    return Problem(list(doc), vectors, [3, 4, 5], list(weight), near, set(), [0] * 3, [0, 0, 1], [0, 0])


def test_a_window_holds_sums_counts_and_pairs():
    _, state = three().start()
    assert state.sums.tolist() == [[0, 4, 0], [2, 0, 0]]
    assert (state.count.tolist(), state.filled.tolist()) == ([2, 1], [7, 5])
    assert state.pairs.tolist() == [2.0, 0.0]  # two equal vectors, each one cosine of 1
    assert (state.first.tolist(), state.after.tolist(), state.before.tolist()) == ([1, 2], [-1, 0, -1], [1, -1, -1])


def test_a_piece_counts_itself_by_its_share_and_is_a_full_member_for_others():
    _, state = three(weight=(0.25, 1.0, 1.0)).start()
    assert state.pairs[0] == 1.25
    assert (state.light.tolist(), state.mass.tolist()) == ([1, 0], [1.25, 1.0])


@both
@settings(max_examples=60, deadline=None)
@given(seeds)
def test_a_new_state_is_that_of_the_definition(mode, seed):
    with running(mode):
        given_one = problem(seed)
        check_state(given_one, *given_one.start())


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_a_state_after_moves_is_the_one_made_anew(seed):
    given_one, rng = problem(seed), np.random.default_rng(seed)
    with running("python"):
        items, state = given_one.start()
        plan = plan_of(given_one)
        for _ in range(8):
            i = int(rng.choice([i for i in range(given_one.n) if plan.window[i] >= 0]))
            target = int(rng.integers(len(given_one.window_group)))
            a = int(state.window[i])
            pack_state.take_out(items, state, i)
            pack_state.put_in(items, state, i, target)
            pack_pieces.join_pieces(items, state, i)
            for window in {a, target}:
                pack_state.refresh(items, state, window)
            plan = changed(given_one, plan, {i: target})
            assert plan_in(items, state).window == plan.window
            assert plan_in(items, state).tokens == plan.tokens
            assert items.weight.tolist() == pytest.approx(plan.weight)
            check_state(given_one, items, state)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_another_piece_of_a_document_is_found_in_its_window_only(seed):
    given_one = problem(seed)
    with running("python"):
        items, state = given_one.start()
        for i in range(given_one.n):
            for window in range(len(given_one.window_group)):
                others = [
                    j
                    for j in members_of(plan_in(items, state), window)
                    if j != i and given_one.doc[j] == given_one.doc[i]
                ]
                assert pack_pieces.piece_in(items, state, i, window) == (others[0] if others else -1)


@both
def test_sums_of_long_vectors_are_scaled_until_int16_holds_them(mode):
    rng = np.random.default_rng(0)
    n = 300
    vectors = np.tile(np.array([100, -70, 35], np.int8), (n, 1)) + rng.integers(-9, 9, (n, 3)).astype(np.int8)
    weight = (rng.integers(1, 257, n) / 256).tolist()
    made = Problem(list(range(n)), vectors, [1] * n, weight, [[-1]] * n, set(), [0] * n, [0] * n, [0])
    with running(mode):
        _, state = made.start()
    exact = (vectors.astype(float) * (1 + np.array(weight))[:, None]).sum(axis=0) / made.scale2
    assert np.abs(state.scaled).max() > 8000
    assert np.abs(state.scaled[0] * state.unit[0] - exact).max() <= state.unit[0] / 2 + 1e-12


def test_compiled_and_plain_states_have_the_same_bits():
    states = []
    for mode in ("compiled", "python"):
        with running(mode):
            states.append(problem(7, largest=120, n_docs=40).start()[1])
    for one, two in zip(*states, strict=True):
        assert one.tobytes() == two.tobytes()
