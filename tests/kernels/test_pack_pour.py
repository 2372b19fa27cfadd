import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import (
    CAPACITY,
    Problem,
    both,
    cosine,
    filled_of,
    may_enter,
    members_of,
    pairs_of,
    plan_in,
    plan_of,
    problem,
    running,
    worth_of,
)

from icp.kernels import pack_pour
from icp.kernels.pack_pour import REST_COST, Poured, Task

LEASTS = np.array([3, 1])
CUT_COST = 0.15
seeds = st.integers(0, 2**32 - 1)


def poured(problem, leasts=LEASTS):
    items, state = problem.start()
    item, window, tokens, left = pack_pour.pour_overflow(items, state, CAPACITY, leasts, CUT_COST)
    return items, state, list(zip(item.tolist(), window.tolist(), tokens.tolist(), strict=True)), left


def line(tokens, window, n_windows, foes=(), near=None):
    """Documents that are all alike."""
    n = len(tokens)
    near = near or [[j for j in range(n) if j != i] for i in range(n)]
    vectors = np.tile(np.array([3, 0, 0], np.int8), (n, 1))
    return Problem(list(range(n)), vectors, tokens, [1.0] * n, near, set(foes), [0] * n, window, [0] * n_windows)


@both
def test_a_document_that_fits_elsewhere_goes_whole(mode):
    with running(mode):
        _, state, pieces, left = poured(line([6, 6, 4, 8], [0, 0, 0, 1], 2))
    assert (state.window.tolist(), pieces, left.tolist()) == ([0, 0, 1, 1], [], [0, 0])


@both
def test_one_that_does_not_is_cut(mode):
    with running(mode):
        items, state, pieces, left = poured(line([10, 6, 8], [0, 0, 1], 2))
    assert (left.tolist(), state.filled.tolist()) == ([0, 0], [12, 12])
    [(item, window, tokens)] = pieces
    assert (item in (0, 1), window, tokens) == (True, 1, 4)
    assert items.tokens[item] == [10, 6][item] - 4
    assert items.weight[item] == round(256 * (1 - 4 / [10, 6][item])) / 256


@both
def test_what_finds_no_room_is_told(mode):
    with running(mode):
        _, state, pieces, left = poured(line([10, 9, 11], [0, 0, 1], 2))
    assert state.filled.tolist() == [18, 12]
    assert sum(tokens for _, _, tokens in pieces) == 1
    assert left.tolist() == [6, 0]


@both
def test_a_document_in_conflict_is_not_cut(mode):
    foes = {frozenset((0, 3)), frozenset((1, 3))}
    with running(mode):
        _, state, pieces, left = poured(line([10, 6, 8, 1], [0, 0, 1, 1], 2, foes))
    assert (state.window.tolist(), pieces, left.tolist()) == ([0, 0, 1, 1], [], [4, 0])


@both
@settings(max_examples=80, deadline=None)
@given(seeds)
def test_tokens_are_kept_and_windows_fit_or_are_told(mode, seed):
    given_one = problem(seed, n_docs=8)
    with running(mode):
        items, state, pieces, left = poured(given_one)
    plan = plan_in(items, state)
    assert left.tolist() == [max(filled - CAPACITY, 0) for filled in state.filled.tolist()]
    for one in set(given_one.doc):
        mine = [i for i in range(given_one.n) if given_one.doc[i] == one]
        cut_off = sum(tokens for item, _, tokens in pieces if item in mine)
        held = sum(plan.tokens[i] for i in mine if plan.window[i] >= 0)
        assert held + cut_off == sum(given_one.tokens[i] for i in mine)
    for window in range(state.count.size):
        came = [(item, tokens) for item, where, tokens in pieces if where == window]
        assert state.filled[window] == filled_of(plan, window) + sum(tokens for _, tokens in came)
        here = [*members_of(plan, window), *(item for item, _ in came)]  # what came counts like a whole document
        assert state.count[window] == len(here)
        assert state.sums[window].tolist() == given_one.vectors[here].astype(int).sum(axis=0).tolist()
        weights = [plan.weight[i] for i in members_of(plan, window)] + [1.0] * len(came)
        assert state.mass[window] == pytest.approx(sum(weights), abs=1e-12)
        own = sum(weight * cosine(given_one, i, i) for weight, i in zip(weights, here, strict=True))
        assert state.own[window] == pytest.approx(own, abs=1e-9)
        members = set(here)
        for i in members:
            assert given_one.group[i] == given_one.window_group[window]
            assert not any(given_one.clash(i, j) for j in members)
    for item, _, tokens in pieces:
        assert tokens >= LEASTS.min()
        assert plan.tokens[item] >= LEASTS.min()
        assert given_one.doc[item] not in {doc for pair in given_one.foes for doc in pair}
    before = plan_of(given_one)
    for window in range(state.count.size):
        if filled_of(before, window) <= CAPACITY:
            assert state.filled[window] <= CAPACITY


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_a_window_that_is_left_too_full_had_nowhere_to_pour(seed):
    given_one = problem(seed, n_docs=8, pieces=False, foes=0)
    _, state, _, left = poured(given_one)
    for window in np.flatnonzero(left).tolist():
        mates = [b for b, group in enumerate(given_one.window_group) if group == given_one.window_group[window]]
        assert all(state.filled[b] >= CAPACITY for b in mates if b != window)


def score_of(problem, plan, i, b, part):
    """What a plan gains when `part` tokens of item i go to window b, by the definition, less the price of a rest."""
    a, need = plan.window[i], filled_of(plan, plan.window[i]) - CAPACITY
    share = plan.weight[i] * part / plan.tokens[i]
    others_a = [j for j in members_of(plan, a) if j != i]
    here, there = members_of(plan, a), members_of(plan, b)
    to_a = sum(cosine(problem, i, j) for j in others_a)
    to_b = sum(cosine(problem, i, j) for j in there)
    gain = -REST_COST * (1 - min(1.0, part / need)) - worth_of(problem, plan, a)
    twins = [j for j in there if problem.doc[j] == problem.doc[i]]
    if twins:
        gain += share * (to_b - cosine(problem, i, i)) / max(len(there) - 1, 1) + CUT_COST
    else:
        enters = pairs_of(problem, plan, b) + sum((share + plan.weight[j]) * cosine(problem, i, j) for j in there)
        gain += enters / max(len(there), 1) - worth_of(problem, plan, b)
    if part == plan.tokens[i]:
        tied = sum((plan.weight[i] + plan.weight[j]) * cosine(problem, i, j) for j in others_a)
        return gain + (pairs_of(problem, plan, a) - tied) / max(len(here) - 2, 1)
    return gain + (pairs_of(problem, plan, a) - share * to_a) / max(len(here) - 1, 1) - CUT_COST


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_a_piece_is_weighed_as_the_definition_says(seed):
    given_one = problem(seed, n_docs=8)
    plan = plan_of(given_one)
    with running("python"):
        items, state = given_one.start()
        for i in range(given_one.n):
            need = int(state.filled[given_one.window[i]]) - CAPACITY
            for b in range(len(given_one.window_group)) if need > 0 else ():
                found = Poured(*np.empty((5, 1), np.int64), np.full(3, -1, np.int64), np.full(1, -1e300))
                task = Task(given_one.window[i], CAPACITY, 2, CUT_COST)
                pack_pour._weigh(items, state, found, task, (i, b))
                part = pack_pour._size(items, i, (need, CAPACITY - int(state.filled[b]), 2))
                slack = CAPACITY - state.filled[b]
                if b == given_one.window[i] or slack <= 0 or not part or not may_enter(given_one, plan, i, b):
                    assert found.best[0] == -1
                    continue
                assert found.best.tolist() == [i, b, part]
                assert found.score[0] == pytest.approx(score_of(given_one, plan, i, b, part), abs=1e-9)


def size_of(tokens, need, slack, least, in_conflict):
    """The most that may go of what there is room and need for; no piece that goes or stays is below the least."""
    if tokens <= min(slack, need) or (in_conflict and tokens <= slack):
        return tokens
    sizes = range(1, 0 if in_conflict else min(tokens, slack, max(need, least)) + 1)
    return max((part for part in sizes if part == tokens or least <= part <= tokens - least), default=0)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), st.booleans())
def test_sizes_match_the_reference(tokens, need, slack, least, in_conflict):
    foes = {frozenset((0, 1))} if in_conflict else ()
    with running("python"):
        items = line([tokens, 1], [0, 1], 2, foes).items()
        assert pack_pour._size(items, 0, (need, slack, least)) == size_of(tokens, need, slack, least, in_conflict)


def test_room_is_found_near_by_number_first():
    with running("python"):
        made = line([12, 11, 5, 12, 3], [2, 1, 0, 3, 4], 5)
        _, state = made.start()
        far = np.empty(pack_pour.N_FAR, np.int64)
        assert far[: pack_pour._find_room(state, far, Task(2, CAPACITY, 1, 0.0))].tolist() == [1, 0, 4]
        assert far[: pack_pour._find_room(state, far, Task(2, CAPACITY, 2, 0.0))].tolist() == [0, 4]


def test_compiled_and_plain_pours_have_the_same_bits():
    results = []
    for mode in ("compiled", "python"):
        with running(mode):
            items, state, pieces, left = poured(problem(3, n_docs=60, n_windows=20, largest=90, foes=3))
            results.append((*state[:-1], items.tokens, items.weight, np.array(pieces), left))
    assert len(results[0][-2]) > 1
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()
