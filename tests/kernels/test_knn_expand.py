from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.knn_expand import OLD, list_candidates, mark_old, score_candidates
from icp.kernels.knn_topk import NO_KEY, score_keys


def both(kernel):
    return pytest.mark.parametrize("impl", [kernel, kernel.py_func], ids=["compiled", "python"])


def listed(impl, rows, near, joined, old=()):
    """Candidates of each row, given the neighbours of all rows, lists of lists; `old`: pairs known for long."""
    near, rows = np.array(near, dtype=np.int64), np.array(rows, dtype=np.int64)
    for row, place in old:
        near[row, place] |= OLD
    mine, bounds = near[rows], np.full(rows.size + 1, -7)
    places = np.maximum(mine & 0xFF, 0).astype(np.int32) % len(near)
    found = impl(rows, mine, places, near, np.array(joined, dtype=np.int32), bounds)
    return [found[begin:end].tolist() for begin, end in pairwise(bounds)]


@both(list_candidates)
def test_candidates_are_the_neighbours_neighbours(impl):
    near = [[1, 2], [3, 0], [4, 3], [-1, -1], [0, 1]]
    apart = [[0], [1], [2], [3], [4]]
    assert listed(impl, [0, 3, 4], near, apart) == [[3, 4], [], [2, 3]]
    # 0 and 3 were compared in cell 9; a row is never its own candidate, nor one of its neighbours
    assert listed(impl, [0, 4], near, [[0, 9], [1, -1], [2, -1], [9, -1], [4, -1]]) == [[4], [2, 3]]


@both(list_candidates)
def test_ways_of_two_old_steps_are_not_gone_again(impl):
    near, apart = [[1, 2], [3, 0], [4, 3], [-1, -1], [0, 1]], [[0], [1], [2], [3], [4]]
    assert listed(impl, [0], near, apart, old=[(0, 0), (1, 0), (0, 1), (2, 0)]) == [[3]]  # by the new step from 2 to 3
    assert listed(impl, [0], near, apart, old=[(0, 0), (1, 0), (0, 1), (2, 0), (2, 1)]) == [[]]
    assert listed(impl, [0], near, apart, old=[(1, 0), (2, 0), (2, 1)]) == [[3, 4]]


def reference(rows, near, joined, old):
    found = []
    for row in rows:
        mine, seen = [], {int(row), *near[row].tolist(), -1}
        for place, first in enumerate(near[row]):
            for step, other in enumerate(near[first]) if first >= 0 else ():
                if other not in seen and not ((row, place) in old and (first, step) in old):
                    seen.add(int(other))
                    if not {*joined[row].tolist()} & {*joined[other].tolist()} - {-1}:
                        mine.append(int(other))
        found.append(mine)
    return found


@both(list_candidates)
@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(1, 5), st.integers(1, 3), st.integers(0, 999))
def test_candidates_are_those_of_plain_sets(impl, n, fan, ranks, seed):
    rng = np.random.default_rng(seed)
    near = rng.integers(-1, n, (n, fan))
    joined = np.array([rng.permutation(8)[:ranks] for _ in range(n)])
    joined[rng.random(n) < 0.5, 1:] = -1
    rows = rng.permutation(n)[: rng.integers(1, n + 1)]
    old = {(int(a), int(b)) for a, b in np.argwhere((near >= 0) & (rng.random(near.shape) < 0.5))}
    assert listed(impl, rows, near, joined, old) == reference(rows, near, joined, old)


@both(mark_old)
def test_keys_that_were_there_before_are_old(impl):
    keys = np.array([[3 << 32 | 7, 4 << 32 | 2, 9 << 32 | 5, NO_KEY], [NO_KEY] * 4])
    before = np.array([[4 << 32 | 2, 5 << 32 | 1, 9 << 32 | 5, NO_KEY], [NO_KEY] * 4])
    assert impl(keys, before, 3).tolist() == [[7, 2 | OLD, 5 | OLD], [-1, -1, -1]]
    assert impl(keys, np.full_like(keys, NO_KEY), 4).tolist() == [[7, 2, 5, -1], [-1] * 4]


@both(score_candidates)
def test_candidates_get_the_keys_of_their_similarities(impl):
    rng = np.random.default_rng(3)
    base, queries = rng.standard_normal((7, 9)).astype(np.float16), rng.standard_normal((3, 9)).astype(np.float32)
    keys, expected = np.full((3, 2), NO_KEY), np.full((3, 2), NO_KEY)
    impl(keys, np.array([0, 3, 3, 5]), np.array([6, 1, 2, 0, 4]), queries, base.view(np.uint16), np.arange(10, 17))
    proposed = np.array([[6, 1, 2], [-1, -1, -1], [0, 4, -1]])
    score_keys.py_func(expected, proposed, queries, np.full(3, -1), base.astype(np.float32), np.arange(10, 17))
    assert keys.tolist() == expected.tolist()
    assert (keys[1] == NO_KEY).all()
    assert (keys[0] & 0xFFFFFFFF).max() <= 16
