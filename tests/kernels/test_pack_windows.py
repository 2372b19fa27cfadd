from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.pack_windows import _largest_dots, cut_path, member_similarities, share_a_window

both = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])


def impl(kernel, compiled):
    return kernel if compiled else kernel.py_func


def cut(kernel, order, lengths, capacity, n_bos=0, n_eos=0):
    arrays = np.array(order, dtype=np.int64), np.array(lengths, dtype=np.int64)
    return list(zip(*kernel(*arrays, capacity, n_bos, n_eos).tolist(), strict=True))


def reference_cut(order, lengths, capacity, n_bos, n_eos):
    """One token at a time: a token opens a window where it does not fit, with all that may not be parted from it."""
    pieces, window, room = [], 0, capacity
    for doc in (doc for doc in order if lengths[doc]):
        tokens = list(range(lengths[doc]))
        head, tail = tokens[: n_bos + 1], tokens[len(tokens) - n_eos - 1 :]
        units = [head, *([token] for token in tokens[len(head) : -len(tail)]), tail]
        if len(tokens) < len(head) + len(tail):  # the first token is the last
            units = [tokens]
        for unit in units:
            if len(unit) > room:
                window, room = window + 1, capacity
            if pieces and pieces[-1][0] == doc and pieces[-1][3] == window and pieces[-1][2] == unit[0]:
                pieces[-1] = (doc, pieces[-1][1], unit[-1] + 1, window)
            else:
                pieces.append((doc, unit[0], unit[-1] + 1, window))
            room -= len(unit)
    return pieces


def reference_similarities(vectors, bounds):
    mean, largest, rows = [], [], vectors.astype(np.float64)
    for begin, end in pairwise(bounds):
        for i in range(begin, end):
            others = [float(np.dot(rows[i], rows[j])) for j in range(begin, end) if j != i]
            mean.append(sum(others) / len(others) if others else 0.0)
            largest.append(max(others, default=0.0))
    return mean, largest


def test_documents_are_laid_along_the_order_and_cut():
    assert cut(cut_path, [2, 0, 1], [3, 5, 4], 4) == [
        (2, 0, 4, 0),
        (0, 0, 3, 1),
        (1, 0, 1, 1),
        (1, 1, 5, 2),
    ]


def test_document_longer_than_a_window_spans_windows():
    assert cut(cut_path, [0], [10], 4) == [(0, 0, 4, 0), (0, 4, 8, 1), (0, 8, 10, 2)]


def test_empty_document_takes_no_window():
    assert cut(cut_path, [0, 1, 2], [0, 4, 0], 4) == [(1, 0, 4, 0)]
    assert cut(cut_path, [0], [0], 4) == []
    assert cut(cut_path, [], [], 4) == []


def test_eos_is_not_cut_from_the_last_token():
    # 5 tokens + eos; after 5 only eos would be left, so the cut comes one token earlier
    assert cut(cut_path, [0], [6], 5, 0, 1) == [(0, 0, 4, 0), (0, 4, 6, 1)]
    # a document of one token and eos does not fit beside the first
    assert cut(cut_path, [0, 1], [4, 2], 5, 0, 1) == [(0, 0, 4, 0), (1, 0, 2, 1)]


def test_bos_does_not_stand_alone_at_the_end_of_a_window():
    assert cut(cut_path, [0, 1], [4, 4], 5, 1, 0) == [(0, 0, 4, 0), (1, 0, 4, 1)]
    assert cut(cut_path, [0, 1], [3, 4], 5, 1, 0) == [(0, 0, 3, 0), (1, 0, 2, 0), (1, 2, 4, 1)]


def test_one_token_with_both_specials_is_never_cut():
    assert cut(cut_path, [0, 1, 2], [3, 3, 3], 5, 1, 1) == [(0, 0, 3, 0), (1, 0, 3, 1), (2, 0, 3, 2)]


@both
@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(0, 1), st.integers(0, 1))
def test_cut_matches_reference(compiled, data, n_bos, n_eos):
    least = n_bos + 1 + n_eos
    lengths = data.draw(st.lists(st.one_of(st.just(0), st.integers(least, 20)), max_size=8))
    capacity = data.draw(st.integers(least, 12))
    order = data.draw(st.permutations(range(len(lengths))))
    pieces = cut(impl(cut_path, compiled), order, lengths, capacity, n_bos, n_eos)
    assert pieces == reference_cut(order, lengths, capacity, n_bos, n_eos)


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
