import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import (
    BOND,
    CAPACITY,
    Problem,
    both,
    cosine,
    filled_of,
    may_enter,
    members_of,
    plan_in,
    plan_of,
    problem,
    running,
)

from icp.kernels import pack_pour, pack_pour_step
from icp.kernels.pack_pour_step import MOST_MEMBERS, Best, Pair, Prices, Task
from icp.kernels.pack_state import LONG, MOST_LOOSE, PIECE, WHOLE

LEAST = 2
PRICES = Prices(0.05, 0.2, 1.0, 0.5, -0.25)
seeds = st.integers(0, 2**32 - 1)


def poured(problem, least=LEAST):
    items, state = problem.start()
    item, window, tokens = pack_pour.pour_overflow(items, state, CAPACITY, least, PRICES)
    return items, state, list(zip(item.tolist(), window.tolist(), tokens.tolist(), strict=True))


def line(tokens, window, n_windows, foes=(), long=()):
    """Documents that are all alike."""
    n = len(tokens)
    near = [[j for j in range(n) if j != i] for i in range(n)]
    vectors = np.tile(np.array([3, 0, 0], np.int8), (n, 1))
    args = (list(range(n)), vectors, tokens, [1.0] * n, near, set(foes), [0] * n, window, [0] * n_windows)
    return Problem(*args, long=set(long))


@both
def test_a_document_that_fits_elsewhere_goes_whole(mode):
    with running(mode):
        _, state, pieces = poured(line([6, 6, 4, 5, 3], [0, 0, 0, 1, 1], 2))
    assert (state.window.tolist(), pieces) == ([0, 0, 1, 1, 1], [])


@both
def test_one_that_does_not_is_cut(mode):
    with running(mode):
        items, state, pieces = poured(line([10, 6, 5, 3], [0, 0, 1, 1], 2))
    assert state.filled.tolist() == [12, 12]
    [(item, window, tokens)] = pieces
    assert window != state.window[item]
    whole = [10, 6, 5, 3][item]
    assert items.tokens[item] == whole - tokens
    assert items.weight[item] == round(256 * (1 - tokens / whole)) / 256
    assert (items.kind[item], state.loose.tolist()) == (PIECE, [1, 1])


@both
def test_documents_change_places_where_no_piece_is_small_enough(mode):
    with running(mode):
        _, state, pieces = poured(line([8, 5, 4, 7], [0, 0, 1, 1], 2), least=3)
    assert (sorted(state.filled.tolist()), pieces) == ([12, 12], [])


@both
def test_a_window_takes_no_third_piece(mode):
    made = line([10, 6, 3, 3, 2], [0, 0, 1, 1, 1], 2, long=(2, 3))
    with running(mode):
        _, state, pieces = poured(made)
    assert state.loose.max() <= MOST_LOOSE
    assert not [piece for piece in pieces if piece[1] == 1]


@both
def test_a_document_in_conflict_is_not_cut(mode):
    foes = {frozenset((0, 3)), frozenset((1, 3))}
    with running(mode):
        _, state, pieces = poured(line([10, 6, 8, 1], [0, 0, 1, 1], 2, foes))
    assert (state.window.tolist(), pieces) == ([0, 0, 1, 1], [])


@both
@settings(max_examples=60, deadline=None)
@given(seeds)
def test_tokens_are_kept_and_every_piece_has_a_place(mode, seed):
    given_one = problem(seed, n_docs=8)
    with running(mode):
        items, state, pieces = poured(given_one)
    plan = plan_in(items, state)
    for one in set(given_one.doc):
        mine = [i for i in range(given_one.n) if given_one.doc[i] == one]
        cut_off = [tokens for item, _, tokens in pieces if item in mine]
        held = [plan.tokens[i] for i in mine if plan.window[i] >= 0]
        assert sum(held) + sum(cut_off) == sum(given_one.tokens[i] for i in mine)
        assert len(held) + len(cut_off) <= 2
    for window in range(state.count.size):
        came = [(item, tokens) for item, where, tokens in pieces if where == window]
        assert state.filled[window] == filled_of(plan, window) + sum(tokens for _, tokens in came)
        here = [*members_of(plan, window), *(item for item, _ in came)]  # what came counts like a whole document
        loose = sum(items.kind[i] != WHOLE for i in members_of(plan, window)) + len(came)
        assert (state.count[window], state.loose[window]) == (len(here), loose)
        assert loose <= MOST_LOOSE
        assert state.sums[window].tolist() == given_one.vectors[here].astype(int).sum(axis=0).tolist()
        weights = [plan.weight[i] for i in members_of(plan, window)] + [1.0] * len(came)
        assert state.mass[window] == pytest.approx(sum(weights), abs=1e-12)
        for i in set(here):
            assert given_one.group[i] == given_one.window_group[window]
            assert not any(given_one.clash(i, j) for j in set(here))
    for item, _, tokens in pieces:
        assert tokens >= LEAST
        assert plan.tokens[item] >= LEAST
        assert items.kind[item] == (LONG if given_one.doc[item] in given_one.long else PIECE)
        assert given_one.doc[item] not in {doc for pair in given_one.foes for doc in pair}
    before = plan_of(given_one)
    for window in range(state.count.size):
        if filled_of(before, window) <= CAPACITY:
            assert state.filled[window] <= CAPACITY


def size_of(tokens, need, slack, least, in_conflict):
    """The fewest that are enough, else the most there is room for; no piece that goes or stays is below the least."""
    if tokens <= slack and (in_conflict or tokens - need < least):
        return tokens
    sizes = [] if in_conflict else range(least, min(tokens - least, slack) + 1)
    return min((part for part in sizes if part >= need), default=max(sizes, default=0))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 9), st.integers(1, 5), st.booleans())
def test_sizes_match_the_reference(tokens, need, more, least, in_conflict):
    foes = {frozenset((0, 1))} if in_conflict else ()
    with running("python"):
        items = line([tokens, 1], [0, 1], 2, foes).items()
        for slack in (need + more, max(need - more, 1)):
            found = pack_pour_step._size(items, 0, (need, slack, least))
            assert found == size_of(tokens, need, slack, least, in_conflict)


def waste_of(task, slack):
    if slack < 0:
        return PRICES.over * (1 - slack / task.seq_len)
    return PRICES.waste * min(1.0, slack / (2 * task.least))


def mean_to(problem, plan, i, window):
    mates = [j for j in members_of(plan, window) if j != i]
    return sum(cosine(problem, i, j) for j in mates) / max(len(mates), 1)


def bond_in(problem, plan, i, window):
    return BOND * max((problem.like(i, j) for j in members_of(plan, window) if j != i), default=0.0)


def steps_of(problem, plan, task, b):
    """Every step between the window that is too full and b, and its score, by the definition."""
    a, slack = task.window, CAPACITY - filled_of(plan, b)
    for side, (source, target) in enumerate(((a, b), (b, a))):
        for i in members_of(plan, source):
            backs = [j for j in members_of(plan, target) if problem.kind(j, plan.weight) == WHOLE]
            backs = [j for j in backs if may_enter(problem, plan, j, source)]
            for j in [None, *backs] if side == 0 else [j for j in backs if plan.tokens[j] > slack]:
                back = 0 if j is None else plan.tokens[j]
                room = (task.need + back, slack + back) if side == 0 else (back - slack, back - task.need)
                in_conflict = any(problem.doc[i] in pair for pair in problem.foes)
                part = room[1] > 0 and size_of(plan.tokens[i], max(room[0], 1), room[1], LEAST, in_conflict)
                moved = part - back if side == 0 else back - part
                if not part or not 0 < moved <= slack or not may_enter(problem, plan, i, target):
                    continue
                cut = part < plan.tokens[i]
                twins = [k for k in members_of(plan, target) if problem.doc[k] == problem.doc[i]]
                loose = [
                    sum(problem.kind(k, plan.weight) != WHOLE for k in members_of(plan, w)) for w in (source, target)
                ]
                places = loose[1] < 2 and loose[0] + (problem.kind(i, plan.weight) == WHOLE) <= 2
                if cut and not (twins if plan.weight[i] != 1 else places):
                    continue
                gain = mean_to(problem, plan, i, target) - mean_to(problem, plan, i, source)
                score = plan.weight[i] * part / plan.tokens[i] * gain
                if not cut:
                    score += bond_in(problem, plan, i, target) - bond_in(problem, plan, i, source)
                if j is not None:
                    score += bond_in(problem, plan, j, source) - bond_in(problem, plan, j, target)
                    score += mean_to(problem, plan, j, source) - mean_to(problem, plan, j, target)
                if cut:
                    score -= PRICES.cut + PRICES.root * np.sqrt(min(part, plan.tokens[i] - part) / 1000)
                score += waste_of(task, slack) - waste_of(task, slack - moved) - waste_of(task, moved - task.need)
                yield (i, b, part, -1 if j is None else j, side), score + PRICES.cut * bool(twins and not cut)


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_the_best_step_is_that_of_the_definition(seed):
    given_one = problem(seed, n_docs=8)
    plan = plan_of(given_one)
    with running("python"):
        items, state = given_one.start()
        for a, b in np.ndindex(state.count.size, state.count.size):
            need = int(state.filled[a]) - CAPACITY
            if need <= 0 or state.filled[b] >= CAPACITY or a == b or state.group[a] != state.group[b]:
                continue
            pair = Pair(
                np.empty((2, MOST_MEMBERS), np.int64),
                *np.empty((2, 2, MOST_MEMBERS)),
                np.empty((2, MOST_MEMBERS), np.bool_),
                np.zeros(2, np.int64),
            )
            best, task = Best(np.full(1, -1e300), np.zeros(5, np.int64)), Task(a, CAPACITY, LEAST, PRICES, need)
            pack_pour_step.weigh_steps(items, state, pair, best, task, b)
            steps = dict(steps_of(given_one, plan, task, b))
            if not steps:
                assert best.score[0] == -1e300
                continue
            assert best.score[0] == pytest.approx(max(steps.values()), abs=1e-9)
            assert steps[tuple(best.step.tolist())] == pytest.approx(best.score[0], abs=1e-9)


def test_room_enough_is_found_near_by_number_first():
    with running("python"):
        made = line([14, 11, 5, 12, 3], [2, 1, 0, 3, 4], 5)
        _, state = made.start()
        found = pack_pour.Poured(*np.zeros((5, 40), np.int64), np.full(5, -1, np.int64))
        for need, rooms in ((1, [1, 0, 4]), (2, [0, 4]), (8, [4])):
            task = Task(2, CAPACITY, 1, PRICES, need)
            assert found.around[: pack_pour._find_room(state, found, task, 0)].tolist() == rooms


def test_compiled_and_plain_pours_have_the_same_bits():
    results = []
    for mode in ("compiled", "python"):
        with running(mode):
            items, state, pieces = poured(problem(3, n_docs=60, n_windows=20, largest=90, foes=3))
            results.append((*state[:-1], items.tokens, items.weight, items.kind, np.array(pieces)))
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()
