from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.order_improve import Near, along_path, edge_similarities, improve_path
from icp.kernels.order_moves import Limits, start_tour

both = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])


def impl(kernel, compiled):
    return kernel if compiled else kernel.py_func


def ints(values):
    return np.array(values, dtype=np.int32)


def complete(vectors):
    """All others of each row, most similar first, and the similarities."""
    n, gram = len(vectors), vectors.astype(np.int64) @ vectors.T.astype(np.int64)
    rows = [sorted((row for row in range(n) if row != one), key=lambda row: (-gram[one, row], row)) for one in range(n)]
    indptr = np.arange(n + 1, dtype=np.int64) * max(0, n - 1)
    indices = ints([row for near in rows for row in near])
    return Near(indptr, indices, edge_similarities(vectors, indptr, indices)), gram


def length(gram, path):
    return sum(int(gram[a, b]) for a, b in pairwise(path))


def circle(n, seed=None):
    """Vectors on a quarter of a circle: the best path goes along it."""
    angles = np.linspace(0, np.pi / 2, n)
    vectors = np.rint(1000 * np.stack((np.cos(angles), np.sin(angles)), axis=1)).astype(np.int16)
    return vectors if seed is None else vectors[np.random.default_rng(seed).permutation(n)]


def improved(vectors, path, compiled=True, reach=1000, visits=None, pinned=False):
    near, gram = complete(vectors)
    tour, queue = start_tour(vectors, ints(path))
    before = length(gram, tour.path.tolist())
    told = impl(improve_path, compiled)(tour, near, queue, Limits(reach, pinned), visits or 30 * len(path))
    after = length(gram, tour.path.tolist())
    assert sorted(tour.path.tolist()) == list(range(len(path)))
    assert told[2] == after - before >= 0
    assert tour.place[tour.path].tolist() == list(range(len(path)))
    steps = [int(gram[a, b]) for a, b in pairwise(tour.path)]
    assert tour.step.tolist() == [*steps, 0][: len(path)]
    return tour.path.tolist(), told


def test_crossed_and_misplaced_documents_are_put_right():
    assert improved(circle(6), [0, 1, 4, 3, 2, 5])[0] in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0])
    assert improved(circle(12), [0, 1, 2, 9, 3, 4, 5, 6, 7, 8, 10, 11])[0] == list(range(12))


def test_a_turn_reaches_the_ends_of_the_path():
    assert improved(circle(5), [2, 1, 0, 3, 4])[0] in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])
    assert improved(circle(5), [0, 1, 4, 3, 2])[0] in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])


def test_pinned_ends_keep_their_places():
    path = [2, 1, 5, 4, 0, 3]
    found = improved(circle(6), path, pinned=True)[0]
    assert (found[0], found[-1]) == (2, 3)
    assert found != path


def test_nothing_moves_further_than_the_reach():
    path = [*range(5), *range(14, 4, -1), *range(15, 20)]
    assert improved(circle(20), path, reach=0)[0] == path
    assert improved(circle(20), path)[0] == list(range(20))


def test_no_more_is_looked_at_than_visits():
    path = np.random.default_rng(0).permutation(20).tolist()
    assert sum(improved(circle(20), path, visits=3)[1][:2]) <= 3


@both
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 2**32 - 1), st.sampled_from([2, 1000]))
def test_gains_are_exact_and_lead_to_a_path_without_gaining_moves(compiled, n, dim, seed, reach):
    random = np.random.default_rng(seed)
    vectors = random.integers(-3, 4, (n, dim)).astype(np.int16)  # many ties, zero rows too
    path, told = random.permutation(n).tolist(), None
    while told != (
        0,
        0,
        0,
    ):  # a move wakes only the documents at its ends: another call may find more
        before, (path, told) = path, improved(vectors, path, compiled, reach)
        assert (path == before) == (told == (0, 0, 0))
    _, gram = complete(vectors)
    if reach >= n and n > 2:
        assert length(gram, path) >= max(length(gram, turned) for turned in turns_to_nearer(gram, path))


def turns_to_nearer(gram, path):
    """Every path one 2-opt move away whose new edge is more similar than the edge it takes from its first document."""
    yield path
    for at in range(len(path) - 1):
        for to in range(at + 2, len(path)):
            if gram[path[at], path[to]] > gram[path[at], path[at + 1]]:
                yield path[: at + 1] + path[at + 1 : to + 1][::-1] + path[to + 1 :]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_compiled_and_python_give_the_same_path(n, seed):
    random = np.random.default_rng(seed)
    vectors, path = random.integers(-3, 4, (n, 3)).astype(np.int16), random.permutation(n)
    assert improved(vectors, path, True) == improved(vectors, path, False)


def test_paths_come_near_the_best_of_all():
    shares = []
    for seed in range(20):
        path, _ = improved(circle(30, seed), np.random.default_rng(seed).permutation(30))
        gram = complete(circle(30, seed))[1]
        best = length(complete(circle(30))[1], list(range(30)))
        shares.append(length(gram, path) / best)
    assert min(shares) > 0.99


@both
def test_graph_is_renamed_along_the_path(compiled):
    indptr, indices = np.array([0, 2, 3, 4], np.int64), ints([2, 1, 0, 0])
    bounds, renamed = impl(along_path, compiled)(indptr, indices, ints([2, 0, 1]), 5)
    assert (bounds.tolist(), renamed.tolist()) == ([0, 1, 3, 4], [1, 0, 2, 1])
    bounds, renamed = impl(along_path, compiled)(indptr, indices, ints([2, 0, 1]), 1)
    assert (bounds.tolist(), renamed.tolist()) == ([0, 1, 2, 3], [1, 0, 1])


@both
def test_similarities_are_exact_sums_of_products(compiled):
    vectors = np.random.default_rng(0).integers(-240, 241, (5, 300)).astype(np.int16)
    found = impl(edge_similarities, compiled)(vectors, np.array([0, 2, 2, 3], np.int64), ints([4, 1, 0]))
    gram = vectors.astype(np.int64) @ vectors.T.astype(np.int64)
    assert found.tolist() == [gram[0, 4], gram[0, 1], gram[2, 0]]
