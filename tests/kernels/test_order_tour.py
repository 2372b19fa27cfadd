import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.order_tour import greedy_path, greedy_path_by_open_degree, path_similarity, upper_bound

both = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])


def impl(kernel, compiled):
    return kernel if compiled else kernel.py_func


def csr(rows):
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return indptr, np.array([doc for row in rows for doc in row], dtype=np.int32)


def reference_path(rows, start_order):
    left, order, starts = set(start_order), [], []
    while left:
        doc, begins = next(start for start in start_order if start in left), True
        while doc is not None:
            order.append(doc)
            starts.append(begins)
            left.remove(doc)
            doc, begins = next((near for near in rows[doc] if near in left), None), False
    return order, starts


@st.composite
def graphs(draw):
    n = draw(st.integers(0, 12))
    docs = list(range(n))
    rows = [draw(st.permutations([d for d in docs if d != i])) for i in docs]
    rows = [row[: draw(st.integers(0, len(row)))] for row in rows]
    return rows, draw(st.permutations(docs))


def test_follows_most_similar_unvisited_neighbour():
    order, starts = greedy_path(*csr([[2, 1], [2, 0], [0, 1], []]), np.arange(4, dtype=np.int32))
    assert order.tolist() == [0, 2, 1, 3]  # strongest chain first, then the lonely document
    assert starts.tolist() == [True, False, False, True]
    assert (order.dtype, starts.dtype) == (np.int32, np.bool_)


def test_starts_again_at_the_next_unvisited_of_the_start_order():
    order, starts = greedy_path(*csr([[1], [0], [3], [2]]), np.array([3, 0, 1, 2], dtype=np.int32))
    assert order.tolist() == [3, 2, 0, 1]
    assert starts.tolist() == [True, False, True, False]


def test_no_document_gives_no_path():
    order, starts = greedy_path(*csr([]), np.empty(0, dtype=np.int32))
    assert order.size == starts.size == 0


@both
@settings(max_examples=60, deadline=None)
@given(graphs())
def test_path_matches_reference(compiled, graph):
    rows, start_order = graph
    order, starts = impl(greedy_path, compiled)(*csr(rows), np.array(start_order, dtype=np.int32))
    assert (order.tolist(), starts.tolist()) == reference_path(rows, start_order)
    assert sorted(order.tolist()) == list(range(len(rows)))


def reference_by_open_degree(rows):
    left, order, starts = set(range(len(rows))), [], []
    while left:
        doc, begins = min(left, key=lambda doc: (sum(near in left for near in rows[doc]), doc)), True
        while doc is not None:
            order.append(doc)
            starts.append(begins)
            left.remove(doc)
            doc, begins = next((near for near in rows[doc] if near in left), None), False
    return order, starts


def test_recomputed_degree_counts_unvisited_neighbours_only():
    rows = [[1], [0, 2, 5], [1], [4], [3], [1]]
    order, starts = greedy_path_by_open_degree(*csr(rows))
    assert order.tolist() == [0, 1, 2, 5, 3, 4]  # once 1 is visited 5 has nobody left
    assert starts.tolist() == [True, False, False, True, True, False]
    assert greedy_path(*csr(rows), np.array([0, 2, 3, 4, 5, 1], dtype=np.int32))[0].tolist() == [0, 1, 2, 3, 4, 5]


@both
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.data())
def test_recomputed_degree_matches_reference(compiled, n, data):
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    chosen = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    rows = [[b for pair in chosen for b in pair if doc in pair and b != doc] for doc in range(n)]
    order, starts = impl(greedy_path_by_open_degree, compiled)(*csr(rows))
    assert (order.tolist(), starts.tolist()) == reference_by_open_degree(rows)
    assert (order.dtype, starts.dtype) == (np.int32, np.bool_)


def test_path_similarity_adds_the_dot_products_of_successive_rows():
    rows = np.array([[1, 0], [0.6, 0.8], [0, 1], [0, 0]], dtype=np.float32)
    assert path_similarity(rows, 0.0) == pytest.approx(0.6 + 0.8 + 0.0)
    assert path_similarity(rows[:1], 5.0) == 5.0
    assert path_similarity(rows[:0], 5.0) == 5.0


@both
@settings(max_examples=30, deadline=None)
@given(st.integers(2, 20), st.integers(1, 9), st.integers(0, 2**32 - 1), st.data())
def test_path_similarity_has_the_same_bits_in_stretches(compiled, n, dim, seed, data):
    rows = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    cut = data.draw(st.integers(0, n - 1))
    whole = impl(path_similarity, compiled)(rows, 0.0)
    total = impl(path_similarity, compiled)(rows[: cut + 1], 0.0)
    assert impl(path_similarity, compiled)(rows[cut:], total) == whole
    exact = sum(float(np.dot(a, b)) for a, b in zip(rows.astype(float), rows[1:].astype(float), strict=False))
    assert whole == pytest.approx(exact, abs=1e-9)


def test_upper_bound_is_half_of_the_two_largest_of_each_row():
    indptr = np.array([0, 3, 4, 4], dtype=np.int64)
    similarities = np.array([0.25, 1.0, 0.5, 0.75], dtype=np.float32)
    assert upper_bound(indptr, similarities, 0.0) == (1.0 + 0.5) / 2 + 0.75 / 2
    assert upper_bound(indptr, similarities, 2.0) == 2.0 + (1.0 + 0.5) / 2 + 0.75 / 2


def test_negative_similarities_count_nothing_in_the_bound():
    assert upper_bound(np.array([0, 2], dtype=np.int64), np.array([-0.5, 0.5], dtype=np.float32), 0.0) == 0.25


@both
@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.125, 0.5, 1.0]), max_size=5), max_size=6))
def test_upper_bound_matches_reference(compiled, rows):
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    flat = np.array([value for row in rows for value in row], dtype=np.float32)
    expected = sum(sum(sorted([*row, 0.0, 0.0])[-2:]) / 2 for row in rows)
    assert impl(upper_bound, compiled)(indptr, flat, 0.0) == expected
