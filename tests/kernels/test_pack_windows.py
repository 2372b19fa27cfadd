from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.pack_windows import _largest_dots, member_similarities, share_a_window

both = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])


def impl(kernel, compiled):
    return kernel if compiled else kernel.py_func


def reference_similarities(vectors, bounds):
    mean, largest, rows = [], [], vectors.astype(np.float64)
    for begin, end in pairwise(bounds):
        for i in range(begin, end):
            others = [float(np.dot(rows[i], rows[j])) for j in range(begin, end) if j != i]
            mean.append(sum(others) / len(others) if others else 0.0)
            largest.append(max(others, default=0.0))
    return mean, largest


def test_mean_and_largest_of_three_and_of_one():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0]], dtype=np.float32)
    mean, largest = member_similarities(vectors, np.array([0, 3, 4], dtype=np.int64), 8)
    assert mean.tolist() == pytest.approx([0.3, 0.7, 0.4, 0.0])
    assert largest.tolist() == pytest.approx([0.6, 0.8, 0.8, 0.0])


def test_largest_may_be_negative_but_not_of_a_lonely_member():
    vectors = np.array([[1, 0], [-1, 0], [1, 0]], dtype=np.float32)
    mean, largest = member_similarities(vectors, np.array([0, 2, 3], dtype=np.int64), 8)
    assert (mean.tolist(), largest.tolist()) == ([-1, -1, 0], [-1, -1, 0])


def test_zero_vector_is_a_member_with_cosine_zero():
    vectors = np.array([[1, 0], [0, 0], [1, 0]], dtype=np.float32)
    mean, largest = member_similarities(vectors, np.array([0, 3], dtype=np.int64), 8)
    assert (mean.tolist(), largest.tolist()) == ([0.5, 0, 0.5], [1, 0, 1])


def test_largest_looks_only_within_reach():
    vectors = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    bounds = np.array([0, 3], dtype=np.int64)
    assert member_similarities(vectors, bounds, 1)[1].tolist() == [0, 0, 0]
    assert member_similarities(vectors, bounds, 2)[1].tolist() == [1, 0, 1]


@both
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_similarities_match_reference(compiled, sizes, dim, seed):
    bounds = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    vectors = np.random.default_rng(seed).normal(size=(bounds[-1], dim)).astype(np.float32)
    mean, largest = impl(member_similarities, compiled)(vectors, bounds, 100)
    expected_mean, expected_largest = reference_similarities(vectors, bounds)
    assert mean.tolist() == pytest.approx(expected_mean, abs=1e-9)
    assert largest.tolist() == pytest.approx(expected_largest, abs=1e-5)


def test_compiled_and_uncompiled_sums_have_the_same_bits():
    vectors = np.random.default_rng(0).normal(size=(40, 67)).astype(np.float32)
    bounds = np.array([0, 17, 40], dtype=np.int64)
    mean, largest = member_similarities(vectors, bounds, 5)
    assert mean.tobytes() == member_similarities.py_func(vectors, bounds, 5)[0].tobytes()
    expected = np.empty_like(largest)
    for begin, end in ((0, 17), (17, 40)):
        _largest_dots.py_func(vectors[begin:end], 5, expected[begin:end])
    assert largest.tobytes() == expected.tobytes()


@both
@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5), max_size=4), min_size=2, max_size=6), st.data())
def test_pairs_that_share_a_window_match_reference(compiled, windows, data):
    docs = st.integers(0, len(windows) - 1)
    pairs = data.draw(st.lists(st.tuples(docs, docs), max_size=5))
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in windows]))).astype(np.int64)
    flat = np.array([window for row in windows for window in sorted(row)], dtype=np.int64)
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    shared = impl(share_a_window, compiled)(indptr, flat, rows)
    assert shared.tolist() == [bool(windows[a] & windows[b]) for a, b in pairs]
