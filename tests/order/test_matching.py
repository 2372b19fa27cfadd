from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp import DocGraph, InputError
from icp.data import with_room
from icp.knn.search import search_neighbors, symmetrize
from icp.order import matching, stitching
from icp.order.matching import (
    DESCENT,
    PRICED,
    SCALE,
    Paths,
    improve_order,
    join_paths,
    match_fragments,
    matching_order,
    whole_rows,
)
from icp.order.visit_order import order_similarity, visit_order

NO_EDGES = DocGraph(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float16))


def without_edges(n):
    return DocGraph(np.zeros(n + 1, np.int64), NO_EDGES.indices, NO_EDGES.weights)


def unit_rows(n, dim=4, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def clusters(n, dim=16, seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n // 10 + 1, dim))[random.integers(0, n // 10 + 1, n)] + random.normal(size=(n, dim)) / 2
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def paths_of(*paths):
    flat = np.array([row for path in paths for row in path], dtype=np.int32)
    return Paths(flat, np.cumsum([0, *map(len, paths)]))


def graph_of(rows, k=5):
    return symmetrize(search_neighbors(rows, k=k, method="exact"))


def is_permutation(order, n):
    return order.dtype == np.int32 and np.array_equal(np.sort(order), np.arange(n))


def reference_prices(graph, listed):
    spans = list(pairwise(graph.indptr.tolist()))
    prices = [max(0.0, float(graph.weights[a + 1])) / 2 if b - a > 1 else 0.0 for a, b in spans]
    stride = DESCENT.stride
    for _ in range(DESCENT.steps):
        missing = [2] * len(prices)
        for a, b, weight in listed:
            if weight - prices[a] - prices[b] > 0:
                missing[a] -= 1
                missing[b] -= 1
        prices = [max(0.0, price - stride * left) for price, left in zip(prices, missing, strict=True)]
        stride *= DESCENT.decay
    return prices


def reference_key(value):
    return np.uint16(np.clip(np.float32(32767.5) * (1 - np.float32(value)), 0, 65535))


def reference_matching(rows, graph):
    """The same by sets and plain sorting, for as few documents as one round of stitching joins."""
    n, whole = len(rows), np.rint(rows.astype(np.float32) * SCALE).astype(np.int64)
    listed = [
        (row, int(graph.indices[edge]), float(graph.weights[edge]))
        for row in range(n)
        for edge in range(graph.indptr[row], graph.indptr[row + 1])
        if graph.indices[edge] > row
    ]
    prices = reference_prices(graph, listed)
    keys = {(a, b): reference_key(weight - PRICED * (prices[a] + prices[b])) for a, b, weight in listed}
    near, group = {row: [] for row in range(n)}, {row: {row} for row in range(n)}

    def take(pairs):
        for a, b in pairs:
            if len(near[a]) < 2 and len(near[b]) < 2 and group[a] is not group[b]:
                near[a].append(b)
                near[b].append(a)
                joined = group[a] | group[b]
                group.update(dict.fromkeys(joined, joined))

    take(sorted(keys, key=keys.get))
    ends = [row for row in range(n) if len(near[row]) < 2 and whole[row].any()]
    pairs = [(a, b) for a in ends for b in ends if a < b]
    take(sorted(pairs, key=lambda pair: 65535 - (int(whole[pair[0]] @ whole[pair[1]]) + (1 << 24)) // 512))
    order, left = [], set(range(n))
    while left:
        row = min(row for row in left if len(near[row]) < 2)
        while row is not None:
            order.append(row)
            left.remove(row)
            row = next((other for other in near[row] if other in left), None)
    return order


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 14), st.integers(1, 3), st.integers(0, 2**32 - 1), st.booleans())
def test_matching_is_the_reference(n, k, seed, some_are_zero):
    rows = unit_rows(n, 3, seed)
    if some_are_zero:
        rows[:: 2 + seed % 3] = 0
    graph = graph_of(rows, k)
    order = matching_order(graph, rows)
    assert order.tolist() == reference_matching(rows, graph)
    assert is_permutation(order, n)


def test_most_similar_free_ends_are_stitched_first():
    angles = np.radians([0, 40, 10, 55, 90])
    rows = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
    assert matching_order(without_edges(5), rows).tolist() == [0, 2, 1, 3, 4]


def test_documents_without_a_vector_are_in_the_path_too():
    rows = unit_rows(6)
    rows[[0, 3, 5]] = 0
    order = matching_order(without_edges(6), rows)
    assert order.tolist()[:1] == [0]
    assert is_permutation(order, 6)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_documents(n):
    rows, graph = unit_rows(n, 3), without_edges(n)
    order = matching_order(graph, rows)
    assert is_permutation(order, n)
    assert is_permutation(improve_order(order, graph, rows), n)


@pytest.mark.parametrize("limits", [(2048, 20_000), (64, 20_000), (64, 200)], ids=["all pairs", "exact", "cells"])
def test_each_way_to_find_ends_gives_one_good_path(monkeypatch, limits):
    rows = clusters(2000)
    graph = graph_of(rows)
    best = order_similarity(improve_order(matching_order(graph, rows), graph, rows), rows)
    monkeypatch.setattr(matching, "ALL_PAIRS_ENDS", limits[0])
    monkeypatch.setattr(stitching, "EXACT_ENDS", limits[1])
    order = matching_order(graph, rows)
    assert is_permutation(order, 2000)
    assert order_similarity(improve_order(order, graph, rows), rows) > 0.99 * best


def test_vectors_on_disk_give_the_same_path(monkeypatch, tmp_path):
    rows = clusters(2000)
    graph = graph_of(rows)
    found = visit_order(graph, rows)
    monkeypatch.setattr(matching, "LARGE", 0)
    mapped = []
    monkeypatch.setattr(matching, "with_room", lambda *given: mapped.append(given) or with_room(*given))
    assert visit_order(graph, rows, scratch=tmp_path).order.tolist() == found.order.tolist()
    assert [shape for _, _, shape in mapped] == [rows.shape]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [np.ones((30_000, 1)), np.zeros((30_000, 4))], ids=["equal", "zero"])
@pytest.mark.parametrize("graph", ["edges", "none"])
def test_equal_and_zero_vectors_take_no_longer_than_others(rows, graph):
    rows = rows.astype(np.float16)
    n = len(rows)
    chain = np.stack((np.arange(n) - 1, np.arange(n) + 1), axis=1).ravel()[1:-1].astype(np.int32)
    edges = DocGraph(np.clip(np.arange(n + 1) * 2 - 1, 0, 2 * n - 2), chain, np.ones(chain.size, np.float16))
    order = matching_order(edges if graph == "edges" else without_edges(n), rows)
    assert is_permutation(order, n)
    assert order_similarity(order, rows) == (n - 1) * float(rows[0, 0])


def test_a_round_that_joins_little_ends_in_row_order(monkeypatch):
    monkeypatch.setattr(matching, "ALL_PAIRS_ENDS", 2)
    monkeypatch.setattr(matching, "LEAST_JOINED", 2.0)
    monkeypatch.setattr(matching, "WIDEST", 10)
    rows = unit_rows(200)
    order = matching_order(without_edges(200), rows)
    assert is_permutation(order, 200)
    assert order_similarity(order, rows) > 0.5 * 200


def test_local_search_never_loses():
    rows = clusters(1000)
    graph = graph_of(rows)
    for start in (matching_order(graph, rows), np.arange(1000, dtype=np.int32)):
        order = improve_order(start, graph, rows)
        assert is_permutation(order, 1000)
        assert order_similarity(order, rows) > order_similarity(start, rows)


@pytest.mark.parametrize("seed", range(3))
def test_improved_matching_comes_near_the_best_path(seed):
    """Rows on a circle, whose best path is known: along it, leaving out the widest gap."""
    angles = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, 400))
    rows = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
    steps = np.append(rows[1:] * rows[:-1], rows[-1:] * rows[:1], axis=0).sum(axis=1)
    best = steps.sum() - steps.min()
    rows = rows[np.random.default_rng(seed).permutation(400)]
    graph = graph_of(rows)
    assert order_similarity(improve_order(matching_order(graph, rows), graph, rows), rows) > 0.999 * best


def test_order_does_not_depend_on_the_library_that_multiplies():
    rows = clusters(1500, dim=48)
    whole = whole_rows(rows, np.arange(1500)).astype(np.int64)
    assert np.array_equal((whole.astype(np.float32) @ whole.astype(np.float32).T).astype(np.int64), whole @ whole.T)
    assert np.array_equal(
        (whole.astype(np.float32)[:, ::-1] @ whole.astype(np.float32)[:, ::-1].T).astype(np.int64), whole @ whole.T
    )


def test_any_norm_that_passes_stays_exact_in_float32():
    longest = np.full((1, 40_000), 1.0199 / 200, dtype=np.float32)
    whole = whole_rows(longest, np.zeros(1, dtype=np.int64)).astype(np.int64)
    assert (whole @ whole.T)[0, 0] < 2**24


def test_paths_are_joined_by_their_nearest_ends_and_turned():
    angles = np.radians([0, 10, 20, 80, 70, 40, 30])
    rows = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
    assert join_paths(paths_of([0, 1, 2], [3, 4], [5, 6]), rows).tolist() == [0, 1, 2, 6, 5, 4, 3]
    assert join_paths(paths_of([2, 1, 0], [4, 3], [5, 6]), rows).tolist() == [0, 1, 2, 6, 5, 4, 3]
    assert join_paths(paths_of([1], [0], [6]), rows).tolist() == [0, 1, 6]
    assert join_paths(paths_of(), rows).tolist() == []


def test_paths_are_chosen_and_turned():
    paths = paths_of([4, 5, 6], [1], [2, 3])
    assert paths.chosen(np.array([2, 0])).order.tolist() == [2, 3, 4, 5, 6]
    found = paths.turned(np.array([2, 1, 0]), np.array([False, True, True]))
    assert (found.order.tolist(), found.bounds.tolist()) == ([2, 3, 1, 6, 5, 4], [0, 2, 3, 6])


def test_fragments_are_paths_along_edges():
    rows = clusters(300)
    graph = graph_of(rows)
    paths = match_fragments(graph)
    assert is_permutation(paths.order, 300)
    assert paths.bounds[[0, -1]].tolist() == [0, 300]
    lower = [min(paths.order[a], paths.order[b - 1]) for a, b in pairwise(paths.bounds)]
    assert lower == sorted(lower) == paths.order[paths.bounds[:-1]].tolist()
    for a, b in pairwise(paths.bounds):
        for one, two in pairwise(paths.order[a:b].tolist()):
            assert two in graph.indices[graph.indptr[one] : graph.indptr[one + 1]]


def test_bad_rows_are_named():
    rows = unit_rows(10)
    rows[7] *= 2
    with pytest.raises(InputError, match="row 7 has norm 2"):
        whole_rows(rows, np.array([9, 7, 3]))
