import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp import KnnGraph, search_neighbors, symmetrize, visit_order
from icp.order.bounds import dual_bound, raw_upper_bound


def unit_rows(n, dim, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def test_raw_bound_adds_up_over_blocks():
    rows = np.array([[0.5, 0.25, 0.75], [0.0, 0.0, 0.0], [0.5, -0.5, 0.0]], dtype=np.float16)
    assert raw_upper_bound(rows) == (0.75 + 0.5) / 2 + 0.25
    assert raw_upper_bound(rows[1:], raw_upper_bound(rows[:1])) == raw_upper_bound(rows)


def test_dual_bound_of_two_documents_is_their_similarity():
    knn = KnnGraph(np.array([[1, -1], [0, -1]], np.int32), np.array([[0.5, 0], [0.5, 0]], np.float32))
    assert dual_bound(knn) == pytest.approx(0.5)


def test_no_documents_have_no_bound():
    assert dual_bound(KnnGraph(np.empty((0, 3), np.int32), np.empty((0, 3), np.float32))) == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(1, 8), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_bounds_hold_for_every_order_and_the_dual_is_the_tighter(n, k, dim, seed):
    rows = unit_rows(n, dim, seed)
    knn = search_neighbors(rows, k=k, method="exact")
    graph = symmetrize(knn)
    rounding = n * 2.0**-11
    for method in ("matching", "algorithm1", "random"):
        found = visit_order(graph, rows, method=method, knn=knn)
        assert found.similarity <= found.dual_bound + rounding
        if k > 1:
            assert found.dual_bound <= found.upper_bound + rounding
            assert found.similarity <= found.upper_bound + rounding


def test_removed_documents_only_loosen_the_dual_bound():
    rows = unit_rows(200, 8)
    knn = search_neighbors(rows, k=6, method="exact")
    kept = np.flatnonzero(np.arange(200) % 7 > 0)
    renamed = np.full(201, -1, np.int32)
    renamed[kept] = np.arange(kept.size)
    raw = KnnGraph(renamed[knn.neighbors[kept]], knn.similarities[kept])
    fresh = dual_bound(search_neighbors(rows[kept], k=6, method="exact"))
    assert fresh - 0.1 <= dual_bound(raw) < 1.1 * fresh
    assert math.isfinite(fresh)
