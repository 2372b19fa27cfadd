from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.kernels.knn_graph import (
    candidate_similarities,
    component_sizes,
    jaccard_pairs,
    keep_leaders,
    union_csr,
    union_rows,
)


def both(kernel):
    return pytest.mark.parametrize("impl", [kernel, kernel.py_func], ids=["compiled", "python"])


@st.composite
def neighbor_lists(draw):
    n = draw(st.integers(0, 9))
    k = draw(st.integers(1, 4))
    rows = st.lists(st.integers(-1, max(n - 1, -1)), min_size=k, max_size=k)
    halves = st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.5, 0.75, 1.0]), min_size=k, max_size=k)
    neighbors = np.array(draw(st.lists(rows, min_size=n, max_size=n)), dtype=np.int32).reshape(n, k)
    weights = np.array(draw(st.lists(halves, min_size=n, max_size=n)), dtype=np.float16).reshape(n, k)
    return neighbors, weights


def reference_union(neighbors, weights):
    edges = {}
    for row, others in enumerate(neighbors.tolist()):
        for other, weight in zip(others, weights[row].tolist(), strict=True):
            if other >= 0 and other != row:
                pair = (min(row, other), max(row, other))
                edges[pair] = max(edges.get(pair, -2), weight)
    lists = [[] for _ in neighbors]
    for (low, high), weight in edges.items():
        lists[low].append((-weight, high))
        lists[high].append((-weight, low))
    return [sorted(row) for row in lists]


def lists_of(indptr, indices, bits):
    weights = bits.view(np.float16)
    spans = pairwise(indptr.tolist())
    return [[(-float(weights[e]), int(indices[e])) for e in range(begin, end)] for begin, end in spans]


@both(union_csr)
def test_union_sorts_by_falling_weight_then_lower_row(impl):
    neighbors = np.array([[3, 1], [-1, -1], [0, 1], [1, -1]], dtype=np.int32)
    weights = np.array([[0.5, 0.5], [0, 0], [0.75, -0.5], [0.25, 0]], dtype=np.float16)
    indptr, indices, bits = impl(neighbors, weights.view(np.uint16))
    assert indptr.tolist() == [0, 3, 6, 8, 10]
    assert indices.tolist() == [2, 1, 3, 0, 3, 2, 0, 1, 0, 1]
    assert bits.view(np.float16).tolist() == [0.75, 0.5, 0.5, 0.5, 0.25, -0.5, 0.75, -0.5, 0.5, 0.25]


@both(union_csr)
@settings(max_examples=40, deadline=None)
@given(neighbor_lists())
def test_union_matches_reference(impl, graph):
    neighbors, weights = graph
    found = impl(neighbors, weights.view(np.uint16))
    assert lists_of(*found) == reference_union(neighbors, weights)


def test_union_is_symmetric_and_sorted_on_a_hub():
    n = 500
    neighbors = np.zeros((n, 1), dtype=np.int32)
    weights = np.random.default_rng(0).random((n, 1)).astype(np.float16)
    indptr, indices, bits = union_csr(neighbors, weights.view(np.uint16))
    assert indptr[1] == n - 1
    hub = bits[: n - 1].view(np.float16)
    order = np.lexsort((np.arange(1, n), -weights[1:, 0].astype(np.float64)))
    np.testing.assert_array_equal(indices[: n - 1], order + 1)
    assert (np.diff(hub.astype(np.float64)) <= 0).all()


@both(candidate_similarities)
@pytest.mark.parametrize("dim", [1, 63, 64, 65, 130])
def test_similarities_are_symmetric_and_near_the_true_ones(impl, dim):
    rng = np.random.default_rng(dim)
    rows = rng.standard_normal((5, dim)).astype(np.float32)
    everything = np.broadcast_to(np.arange(5), (5, 5)).copy()
    found = impl(rows, rows, everything)
    np.testing.assert_allclose(found, rows.astype(np.float64) @ rows.T.astype(np.float64), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found, found.T)
    everything[:, 2] = -1
    assert (impl(rows, rows, everything)[:, 2] == 0).all()


def lanes_dot(left, right):
    """The sum of products in the order that the kernel promises, in float32."""
    lanes = np.zeros(64, dtype=np.float32)
    for start in range(0, left.size, 64):
        products = left[start : start + 64] * right[start : start + 64]
        lanes[: products.size] += products
    for half in (32, 16, 8, 4, 2, 1):
        lanes[:half] += lanes[half : 2 * half]
    return lanes[0]


@pytest.mark.parametrize("dim", [1, 2, 63, 64, 65, 127, 128, 150, 384])
def test_similarities_have_the_bits_of_python(dim):
    rows = np.random.default_rng(dim).standard_normal((4, dim)).astype(np.float32)
    found = candidate_similarities(rows, rows, np.broadcast_to(np.arange(4), (4, 4)).copy())
    assert found.tolist() == [[lanes_dot(left, right) for right in rows] for left in rows]


@both(union_rows)
@settings(max_examples=30, deadline=None)
@given(neighbor_lists())
def test_rows_joined_from_edges_at_either_end_are_those_of_the_union(impl, graph):
    neighbors, weights = graph
    edges = {}
    for row, others in enumerate(neighbors.tolist()):
        for other, weight in zip(others, weights[row].tolist(), strict=True):
            if other >= 0 and other != row:
                pair = (min(row, other), max(row, other))
                edges[pair] = max(edges.get(pair, -2), weight)
    # every edge at both ends, and once more
    listed = [(a, b, w) for (a, b), w in edges.items()] + [(b, a, w) for (a, b), w in edges.items()]
    listed += listed[::2]
    owners, others, halves = (np.array([edge[i] for edge in listed]) for i in range(3))
    bits = halves.astype(np.float16).view(np.uint16)
    found = impl(len(neighbors), owners.astype(np.int64), others.astype(np.int32), bits)
    assert lists_of(*found) == reference_union(neighbors, weights)


@both(component_sizes)
def test_components_by_lowest_row(impl):
    neighbors = np.array([[4], [-1], [3], [-1], [0], [4]], dtype=np.int32)
    indptr, indices, _ = union_csr(neighbors, np.zeros((6, 1), np.uint16))
    assert impl(indptr, indices).tolist() == [3, 1, 2]
    assert impl(np.zeros(1, np.int64), np.zeros(0, np.int32)).tolist() == []


@both(keep_leaders)
def test_a_chain_is_not_removed_as_one(impl):
    # 1 is a copy of 0; 2 is like 1 only, which is gone, so 2 stays; 3 is like 0 and, better, 2
    pairs = np.array([[0, 1], [1, 2], [0, 3], [2, 3]])
    removing = impl(pairs, np.array([0.9, 0.9, 0.8, 0.9]), 0.7, 4)
    assert pairs[removing].tolist() == [[0, 1], [2, 3]]
    assert impl(pairs, np.array([0.5, 0.9, 0.8, 0.8]), 0.7, 4).tolist() == [1, 2]


@both(keep_leaders)
@settings(max_examples=30, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1])), st.data())
def test_every_removed_row_has_a_kept_leader_and_no_kept_pair_is_alike(impl, chosen, data):
    pairs = np.array(sorted(chosen, key=lambda pair: (pair[1], pair[0])), dtype=np.int64).reshape(-1, 2)
    jaccards = np.array([data.draw(st.sampled_from([0.1, 0.7, 0.9])) for _ in chosen], dtype=np.float64)
    removing = impl(pairs, jaccards, 0.7, 8)
    removed = set(pairs[removing, 1].tolist())
    assert len(removed) == removing.size
    assert all(jaccards[at] >= 0.7 and pairs[at, 0] not in removed for at in removing)
    for (low, high), jaccard in zip(pairs.tolist(), jaccards, strict=True):
        assert jaccard < 0.7 or low in removed or high in removed


@both(jaccard_pairs)
def test_jaccard_of_pairs_of_sets(impl):
    sets, bounds = np.array([1, 2, 3, 5], np.uint32), np.array([0, 3, 4, 4])
    others, other_bounds = np.array([2, 3, 4, 4_000_000_000], np.uint32), np.array([0, 3, 4, 4])
    pairs = np.array([[0, 0], [1, 1], [2, 2], [2, 0]])
    assert impl(sets, bounds, others, other_bounds, pairs).tolist() == [0.5, 0, 0, 0]
