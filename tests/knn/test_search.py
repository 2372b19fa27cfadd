import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.data import KnnGraph, RowParts
from icp.errors import ConfigError, InputError
from icp.knn import exact, gpu, methods, phases, vectors
from icp.knn.centroids import AllRows
from icp.knn.exact import compare_ranges, merge_found, range_pairs, row_ranges
from icp.knn.groupings import Search, count_kept
from icp.knn.methods import choose_method
from icp.knn.recall import recall_interval
from icp.knn.search import search_neighbors, symmetrize
from icp.knn.vectors import empty_keys, nearest, sample_rows, unpack
from icp.streams import TUNING

LEAST_RECALL = 0.9
METHODS = ["exact", "cells", "ivf", "faiss"]


def unit(rows):
    rows = np.asarray(rows, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms == 0, 1, norms)).astype(np.float16)


def topics(n, dim=32, *, n_topics=8, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n_topics, dim))
    return unit(centres[rng.integers(0, n_topics, n)] + noise * rng.standard_normal((n, dim)))


def lanes_dot(left, right):
    """The sum of products in the order that the kernel promises, in float32."""
    lanes = np.zeros(64, dtype=np.float32)
    for start in range(0, left.size, 64):
        products = left[start : start + 64] * right[start : start + 64]
        lanes[: products.size] += products
    for half in (32, 16, 8, 4, 2, 1):
        lanes[:half] += lanes[half : 2 * half]
    return lanes[0]


def reference(rows, k):
    """All pairs in Python: sorted by (-float16 similarity, row), without self and zero rows."""
    wide = rows.astype(np.float32)
    neighbors = np.full((len(rows), k), -1, dtype=np.int32)
    similarities = np.zeros((len(rows), k), dtype=np.float32)
    for row, vector in enumerate(wide):
        others = [o for o in range(len(rows)) if o != row and wide[o].any()] if vector.any() else []
        found = sorted((-np.float16(np.clip(lanes_dot(vector, wide[o]), -1, 1)), o) for o in others)[:k]
        neighbors[row, : len(found)] = [o for _, o in found]
        similarities[row, : len(found)] = [-value for value, _ in found]
    return neighbors, similarities


def assert_same(knn, expected):
    np.testing.assert_array_equal(knn.neighbors, expected[0])
    np.testing.assert_array_equal(knn.similarities, expected[1])


def test_worked_by_hand():
    rows = unit([[1, 0], [0, 1], [1, 1], [-1, 0]])
    knn = search_neighbors(rows, k=2, method="exact")
    assert knn.neighbors.tolist() == [[2, 1], [2, 0], [0, 1], [1, 2]]
    assert knn.similarities[0].tolist() == pytest.approx([0.7071, 0], abs=1e-3)
    assert (knn.neighbors.dtype, knn.similarities.dtype) == (np.int32, np.float32)


@pytest.mark.parametrize("dim", [3, 64, 100])
def test_exact_equals_all_pairs_in_python(dim):
    rows = topics(150, dim)
    assert_same(search_neighbors(rows, k=7, method="exact"), reference(rows, 7))


def test_float32_rows_are_those_rounded_to_float16():
    rows = topics(60).astype(np.float32) * np.float32(1.00001)
    one = search_neighbors(rows, k=3)
    assert_same(one, reference(rows.astype(np.float16), 3))


def test_equal_rows_are_found_by_rising_row_and_never_self():
    knn = search_neighbors(unit(np.ones((40, 8))), k=3, method="exact")
    assert knn.neighbors[[0, 1, 2, 3, 39]].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("tile", [16, 37, 1000])
def test_blocks_change_nothing(tile, monkeypatch):
    rows = np.concatenate([topics(150), unit(np.ones((60, 32))), np.zeros((5, 32), np.float16), topics(30, seed=2)])
    expected = reference(rows, 6)
    monkeypatch.setattr(exact, "TILE", tile)
    monkeypatch.setattr(vectors, "TILE", tile)
    monkeypatch.setattr(vectors, "QUERY_TILE", tile)
    monkeypatch.setattr(vectors, "BASE_TILE", tile)
    assert_same(search_neighbors(rows, k=6, method="exact"), expected)
    ids, wide = np.arange(len(rows)), rows.astype(np.float32)
    found, _ = unpack(nearest(wide, ids, AllRows(rows, size=2 * tile), keep=6))
    np.testing.assert_array_equal(found, expected[0])


@pytest.mark.parametrize("size", [50, 64, 200])
def test_ranges_of_rows_find_what_all_rows_find(size):
    rows = np.concatenate([topics(100), np.zeros((5, 32), np.float16), topics(80, seed=2)])
    ranges, keys = row_ranges(len(rows), least=size), empty_keys(len(rows), 6)
    for one, two in range_pairs(len(ranges)):
        merge_found(keys, 0, compare_ranges(rows, ranges[one], ranges[two], keep=6))
    np.testing.assert_array_equal(unpack(keys)[0], reference(rows, 6)[0])


def test_ranges_are_few_however_many_rows():
    assert len(row_ranges(10**9)) == 16
    assert [len(rows) for rows in row_ranges(20_000)] == [8192, 8192, 3616]
    assert row_ranges(0) == range_pairs(0) == []
    assert range_pairs(3) == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]


@pytest.mark.parametrize("n_parts", [1, 3, 7])
def test_parts_change_nothing(n_parts, tmp_path):
    rows = topics(100)
    paths = []
    for number, part in enumerate(np.array_split(rows, n_parts)):
        paths.append(tmp_path / f"part-{number:05}.npy")
        np.save(paths[-1], part)
    found = compare_ranges(RowParts(paths), range(100), range(100), keep=5)
    np.testing.assert_array_equal(unpack(found.keys)[0], reference(rows, 5)[0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_fewer_rows_than_neighbours_leave_minus_one(n, method):
    rows = topics(n) if n else np.zeros((0, 4), np.float16)
    knn = search_neighbors(rows, k=4, method=method)
    assert knn.neighbors.shape == (n, 4)
    assert (knn.neighbors >= 0).sum(axis=1).tolist() == [min(4, n - 1)] * n
    assert_same(knn, reference(rows, 4))


@pytest.mark.parametrize("method", METHODS)
def test_zero_rows_are_isolated(method):
    rows = topics(30)
    rows[[0, 7, 29]] = 0
    knn = search_neighbors(rows, k=5, method=method)
    assert (knn.neighbors[[0, 7, 29]] == -1).all()
    assert not np.isin(knn.neighbors, [0, 7, 29]).any()
    assert (search_neighbors(np.zeros((9, 4), np.float16), method=method).neighbors == -1).all()


def test_opposite_rows_are_neighbours_where_there_are_no_others():
    knn = search_neighbors(unit([[1, 0], [-1, 0], [0, 0]]), k=2)
    assert knn.neighbors.tolist() == [[1, -1], [0, -1], [-1, -1]]
    assert knn.similarities.tolist() == [[-1, 0], [-1, 0], [0, 0]]


class StandIn:
    """A FAISS that claims a GPU: it proposes by products of vectors rounded to 11 bits, and forgets some."""

    METRIC_INNER_PRODUCT = 0

    def __init__(self, forgets):
        self.calls, self.forgets = 0, forgets

    def StandardGpuResources(self):  # noqa: N802 - FAISS's name
        return "resources"

    def get_num_gpus(self):
        return 2

    def knn_gpu(self, resources, queries, base, count, metric, device):
        assert (resources, metric) == ("resources", 0)
        assert device in (0, 1)
        self.calls += 1
        products = queries.astype(np.float16).astype(np.float32) @ base.T + np.float32(1e-3)
        found = np.argsort(-products, axis=1)[:, :count].astype(np.int64)
        values = np.take_along_axis(products, found, axis=1)
        if self.forgets:
            found[::3, 1:] = -1
        return values, found


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("method", ["exact", "cells", "ivf"])
def test_a_gpu_changes_nothing(method, forgets, monkeypatch):
    rows = np.concatenate([topics(400, noise=0.02), unit(np.ones((80, 32)))])
    expected = search_neighbors(rows, k=5, method=method)
    stand_in = StandIn(forgets)
    monkeypatch.setattr(gpu, "faiss_on_gpu", lambda: stand_in)
    monkeypatch.setattr(vectors, "GPU_PRODUCTS", 1)
    monkeypatch.setattr(gpu, "SPARE", 2)
    gpu.resources.cache_clear()
    assert_same(search_neighbors(rows, k=5, method=method), (expected.neighbors, expected.similarities))
    gpu.resources.cache_clear()
    assert stand_in.calls


def test_no_gpu_where_the_machine_has_none_or_faiss_cannot_use_it(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "DEVICES", (str(tmp_path), "nvidia[0-9]*"))
    assert gpu.faiss_on_gpu.__wrapped__() is None
    (tmp_path / "nvidia0").touch()
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert gpu.faiss_on_gpu.__wrapped__() is None
    monkeypatch.setitem(sys.modules, "faiss", SimpleNamespace(get_num_gpus=lambda: 1))
    assert gpu.faiss_on_gpu.__wrapped__() is None
    stand_in = StandIn(False)
    monkeypatch.setitem(sys.modules, "faiss", stand_in)
    assert gpu.faiss_on_gpu.__wrapped__() is stand_in


def recall_estimate(rows, knn, *, seed=0, size=1000):
    """The recall and its interval as the step `neighbors` measures them."""
    k = knn.neighbors.shape[1]
    sample = Search(*rows.shape, k, count_kept(k), "exact", 1.0, seed).recall_rows(size)
    truth = unpack(phases.true_neighbors(rows, sample, k=k))
    return recall_interval(knn.neighbors[sample], knn.similarities[sample].astype(np.float16), *truth)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-2, 2)] * 3), max_size=60), st.integers(1, 8))
def test_exact_equals_reference_on_crowded_rows(rows, k):
    vectors_ = unit(np.array(rows, dtype=np.float64).reshape(-1, 3))
    assert_same(search_neighbors(vectors_, k=k, method="exact"), reference(vectors_, k))


@pytest.mark.parametrize("method", ["cells", "ivf"])
def test_the_wanted_recall_is_reached_and_repeats(method):
    rows = topics(3000, 24, n_topics=60, noise=0.6)
    one = search_neighbors(rows, k=5, method=method, target_recall=0.95, seed=3)
    two = search_neighbors(rows, k=5, method=method, target_recall=0.95, seed=3)
    np.testing.assert_array_equal(one.neighbors, two.neighbors)
    recall, low, high = recall_estimate(rows, one)
    assert low <= recall <= high <= 1
    assert recall >= LEAST_RECALL, f"recall {recall}, at least {LEAST_RECALL} expected"
    assert not (one.neighbors == np.arange(3000)[:, None]).any()


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_contains_the_true_recall(seed):
    rows = topics(2500, 16, n_topics=100, noise=0.7, seed=seed)
    found = search_neighbors(rows, k=5, method="cells", target_recall=0.8, seed=seed)
    truth = search_neighbors(rows, k=5, method="exact")
    least = truth.similarities[:, -1:]
    true_recall = (found.similarities >= least).mean()
    assert true_recall < 0.99, f"true recall {true_recall}: the test shows nothing"
    _, low, high = recall_estimate(rows, found, seed=seed, size=400)
    assert low <= true_recall <= high


def test_ivf_with_all_lists_is_exact():
    rows = topics(400)
    assert_same(search_neighbors(rows, k=4, method="ivf", target_recall=1.0), reference(rows, 4))


@pytest.mark.parametrize("method", ["cells", "ivf"])
def test_methods_hold_with_all_rows_equal(method):
    rows = unit(np.ones((500, 8)))
    assert_same(search_neighbors(rows, k=3, method=method), reference(rows, 3))


@pytest.mark.parametrize("method", METHODS)
def test_as_many_neighbours_as_rows_leave_minus_one(method):
    rows = topics(30)
    assert_same(search_neighbors(rows, k=30, method=method), reference(rows, 30))
    assert_same(search_neighbors(rows, k=31, method=method), reference(rows, 31))


def test_auto_is_exact_until_cells_save_seconds(monkeypatch):
    assert choose_method(20_000, 512, "auto") == "exact"
    assert choose_method(20_000, 1024, "auto") == "cells"
    assert choose_method(33_000, 384, "auto") == "cells"
    assert 3 < methods.seconds_saved(33_000, 384) < 4
    assert choose_method(5, 2, "ivf") == "ivf"
    monkeypatch.setattr(gpu, "faiss_on_gpu", lambda: "a GPU")
    assert choose_method(100_000, 512, "auto") == "exact"


def test_auto_compares_all_where_cells_overlap_too_much(monkeypatch):
    # rows without any structure share no small cell with their neighbours
    rows = unit(np.random.default_rng(0).standard_normal((1500, 64)))
    every = search_neighbors(rows, k=4, method="exact")
    monkeypatch.setattr(methods, "WORTH_SECONDS", -1e9)
    assert_same(search_neighbors(rows, k=4), (every.neighbors, every.similarities))
    assert (search_neighbors(rows, k=4, method="cells").neighbors != every.neighbors).any()


def test_recall_of_exact_neighbours_is_one_and_of_none_zero():
    rows = topics(50)
    knn = search_neighbors(rows, k=3)
    assert recall_estimate(rows, knn) == (1.0, 1.0, 1.0)
    none = KnnGraph(np.full_like(knn.neighbors, -1), np.zeros_like(knn.similarities))
    assert recall_estimate(rows, none)[0] == 0


def test_sample_is_uniform_without_repeats_and_by_seed():
    one = sample_rows(1000, seed=1, stream=TUNING, size=100)
    assert np.unique(one).size == 100
    assert (one == sample_rows(1000, seed=1, stream=TUNING, size=100)).all()
    assert (one != sample_rows(1000, seed=2, stream=TUNING, size=100)).any()
    assert sample_rows(5, seed=1, stream=TUNING, size=100).tolist() == [0, 1, 2, 3, 4]


def test_neighbours_within_a_range_are_numbered_as_among_all():
    rows, sample = topics(300), np.array([3, 99, 100, 180, 299])
    ranges = [range(100), range(100, 101), range(101, 300)]
    parts = [phases.true_neighbors(rows, sample, k=4, within=within) for within in ranges]
    assert all(np.isin(unpack(part)[0], [-1, *within]).all() for part, within in zip(parts, ranges, strict=True))
    together = np.sort(np.concatenate(parts, axis=1), axis=1)[:, :4]
    np.testing.assert_array_equal(together, phases.true_neighbors(rows, sample, k=4))


def test_a_row_outside_the_blocks_may_be_a_query():
    rows = topics(20)
    found, _ = unpack(nearest(rows[:2].astype(np.float32), np.array([-1, -1]), AllRows(rows), keep=1))
    assert found[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.__setitem__((3, 1), np.nan), "row 3 has NaN or infinity"),
        (lambda rows: rows.__setitem__((4, 0), np.inf), "row 4 has NaN or infinity"),
        (lambda rows: rows.__setitem__(5, 2), "row 5 has norm .* expected norm 1"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_wrong_rows_are_named(change, message, method):
    rows = topics(40)
    change(rows)
    with pytest.raises(InputError, match=message):
        search_neighbors(rows, method=method)


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match=r"float64 of shape \(2, 2\), expected float16 or float32"):
        search_neighbors(np.eye(2))
    with pytest.raises(ConfigError, match="k is 0"):
        search_neighbors(topics(3), k=0)
    with pytest.raises(ConfigError, match="method is 'hnsw'; use one of auto, exact, cells, ivf"):
        search_neighbors(topics(3), method="hnsw")
    with pytest.raises(InputError, match=r"knn\.neighbors holds 9, expected -1 to 1"):
        symmetrize(KnnGraph(np.full((2, 1), 9, np.int32), np.ones((2, 1), np.float32)))


def test_faiss_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    for method in ("exact", "cells", "ivf"):
        assert search_neighbors(topics(30), k=2, method=method).neighbors.min() >= 0


def test_symmetrize_joins_both_directions():
    knn = KnnGraph(np.array([[1], [2], [-1]], np.int32), np.array([[0.5], [0.25], [0]], np.float32))
    graph = symmetrize(knn)
    assert graph.indptr.tolist() == [0, 1, 3, 4]
    assert graph.indices.tolist() == [1, 0, 2, 1]
    assert graph.weights.tolist() == [0.5, 0.5, 0.25, 0.25]
    assert graph.weights.dtype == np.float16
