import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import icp
from icp import ConfigError, DocGraph, InputError, data, visit_order
from icp.data import KnnGraph, RowParts
from icp.order.bounds import dual_bound, raw_upper_bound
from icp.order.matching import improve_order, matching_order
from icp.order.visit_order import order_similarity


def graph_of(edges, n):
    """Undirected graph of {(a, b): weight}, rows most similar first, ties by the lower row."""
    rows = [[] for _ in range(n)]
    for (a, b), weight in edges.items():
        rows[a].append((-weight, b))
        rows[b].append((-weight, a))
    flat = [entry for row in rows for entry in sorted(row)]
    return DocGraph(
        np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64),
        np.array([doc for _, doc in flat], dtype=np.int32),
        np.array([-weight for weight, _ in flat], dtype=np.float16),
    )


def unit_rows(n, dim=4, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


STAR = graph_of({(0, 1): 0.5, (0, 2): 0.75, (0, 3): 0.25}, 5)


def reference_order(graph):
    """Algorithm 1 as printed, with arg max: a document of least degree, then the best unvisited neighbours."""
    rows = [graph.indices[a:b].tolist() for a, b in pairwise(graph.indptr)]
    left, order, starts = set(range(len(rows))), [], []
    while left:
        doc, begins = min(left, key=lambda node: (len(rows[node]), node)), True
        while doc is not None:
            order.append(doc)
            starts.append(begins)
            left.remove(doc)
            doc, begins = next((near for near in rows[doc] if near in left), None), False
    return order, starts


@st.composite
def weighted_graphs(draw):
    n = draw(st.integers(1, 12))
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return graph_of({pair: draw(st.sampled_from([0.125, 0.25, 0.5, 0.75])) for pair in chosen}, n)


def test_public_name_is_this_function():
    assert icp.visit_order is visit_order


def test_walk_begins_and_begins_again_at_the_least_degree():
    found = visit_order(STAR, unit_rows(5), method="algorithm1", improve=False)
    assert found.order.tolist() == [4, 1, 0, 2, 3]  # 4 has no neighbour; 1 is the lowest of degree 1
    assert found.path_starts.tolist() == [True, True, False, False, True]


def test_steps_count_their_real_cosine_path_starts_included():
    rows = unit_rows(5)
    found = visit_order(STAR, rows)
    steps = zip(found.order.tolist(), found.order[1:].tolist(), strict=False)
    assert found.similarity == pytest.approx(sum(float(rows[a] @ rows[b]) for a, b in steps), abs=1e-6)


def test_bounds_are_half_of_the_two_largest_weights_and_no_dual():
    found = visit_order(STAR, unit_rows(5))
    assert found.upper_bound == (0.75 + 0.5 + 0.5 + 0.75 + 0.25) / 2
    assert math.isnan(found.dual_bound)


@settings(max_examples=60, deadline=None)
@given(weighted_graphs())
def test_algorithm1_matches_reference(graph):
    found = visit_order(graph, np.zeros((graph.n_docs, 2), np.float32), method="algorithm1", improve=False)
    assert (found.order.tolist(), found.path_starts.tolist()) == reference_order(graph)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(0, 1000), st.sampled_from(["matching", "algorithm1", "random", "source"]))
def test_no_order_exceeds_the_bound_of_the_complete_graph(n, seed, method):
    rows = unit_rows(n, 3, seed)
    edges = {(a, b): float(rows[a] @ rows[b]) for a in range(n) for b in range(a + 1, n)}
    groups = np.zeros(n, dtype=np.int64)
    found = visit_order(graph_of(edges, n), rows, method=method, seed=seed, groups=groups)
    assert sorted(found.order.tolist()) == list(range(n))
    assert found.similarity <= found.upper_bound + 1e-2  # weights are float16


def test_default_is_improved_matching():
    rows, graph = unit_rows(5), graph_of({(0, 1): 0.5, (2, 3): 0.75}, 5)
    found = visit_order(graph, rows)
    again = visit_order(graph, rows, method="matching", improve=True)
    plain = visit_order(graph, rows, method="matching", improve=False)
    assert found.order.tolist() == again.order.tolist() == improve_order(plain.order, graph, rows).tolist()
    assert plain.order.tolist() == matching_order(graph, rows).tolist()
    assert found.path_starts.tolist() == plain.path_starts.tolist() == [True, False, False, False, False]


def test_an_improved_walk_is_one_path_at_least_as_similar():
    rows = unit_rows(5)
    plain = visit_order(STAR, rows, method="algorithm1", improve=False)
    better = visit_order(STAR, rows, method="algorithm1")
    assert better.similarity >= plain.similarity
    assert better.path_starts.tolist() == [True, False, False, False, False]


def test_recomputed_degree_is_of_unvisited_neighbours():
    graph = graph_of({(0, 1): 0.75, (1, 2): 0.5, (1, 5): 0.25, (3, 4): 0.5}, 6)
    orders = [
        visit_order(graph, unit_rows(6), method="algorithm1", improve=False, recompute_degree=chosen).order.tolist()
        for chosen in (False, True)
    ]
    assert orders == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 5, 3, 4]]


def test_bounds_are_of_the_neighbours_where_they_are_given():
    knn = KnnGraph(
        np.array([[1], [0], [0], [0], [-1]], np.int32), np.array([[0.5], [0.5], [0.25], [0], [0]], np.float32)
    )
    found = visit_order(STAR, unit_rows(5), knn=knn)
    assert (found.upper_bound, found.dual_bound) == (raw_upper_bound(knn.similarities), dual_bound(knn))


def test_random_is_one_path_and_hangs_on_the_seed_alone():
    first, again, other = (visit_order(STAR, unit_rows(5), method="random", seed=seed) for seed in (7, 7, 8))
    assert first.order.tolist() == again.order.tolist() != other.order.tolist()
    assert sorted(first.order.tolist()) == [0, 1, 2, 3, 4]
    assert first.path_starts.tolist() == [True, False, False, False, False]


def test_source_sorts_by_group_and_keeps_rows_in_order_inside():
    found = visit_order(STAR, unit_rows(5), method="source", groups=np.array([2, 0, 2, 0, 1]))
    assert found.order.tolist() == [1, 3, 4, 0, 2]
    assert found.path_starts.tolist() == [True, False, True, True, False]


def test_zero_vectors_count_nothing():
    assert visit_order(STAR, np.zeros((5, 3), dtype=np.float16)).similarity == 0.0


def test_one_document_and_none():
    one = visit_order(graph_of({}, 1), unit_rows(1))
    assert (one.order.tolist(), one.path_starts.tolist(), one.similarity, one.upper_bound) == ([0], [True], 0.0, 0.0)
    for method in ("matching", "algorithm1", "random", "source"):
        none = visit_order(graph_of({}, 0), unit_rows(0), method=method, groups=np.empty(0, dtype=np.int64))
        assert none.order.size == none.path_starts.size == 0
        assert (none.order.dtype, none.path_starts.dtype) == (np.int32, np.bool_)


def test_similarity_does_not_depend_on_the_rows_read_at_a_time():
    rows = unit_rows(50, 7)
    order = np.random.default_rng(1).permutation(50).astype(np.int32)
    whole = order_similarity(order, rows)
    for stretch in (1, 2, 7, 49, 50):
        assert order_similarity(order, rows, stretch_rows=stretch) == whole


@pytest.mark.parametrize(("held", "n_bytes"), [(1, 0), (6, 0), (1 << 16, 0), (1, 60), (1, 59)])
def test_row_parts_read_as_one_array(tmp_path, monkeypatch, held, n_bytes):
    monkeypatch.setattr(data, "HELD_ROWS", held)
    monkeypatch.setattr(data, "HELD_BYTES", n_bytes)
    rows = unit_rows(10, 3).astype(np.float16)
    paths = [tmp_path / f"part-{number}.npy" for number in range(4)]
    for path, block in zip(paths, np.split(rows, [0, 4, 9]), strict=True):  # the first part is empty
        np.save(path, block)
    everything, chosen = RowParts(paths), RowParts(paths, np.array([1, 3, 4, 9]))
    assert (everything.shape, chosen.shape) == ((10, 3), (4, 3))
    wanted = np.array([9, 0, 4, 4, 3])
    np.testing.assert_array_equal(everything[wanted], rows[wanted])
    np.testing.assert_array_equal(chosen[np.array([3, 0, 2])], rows[[9, 1, 4]])
    again = everything.of_rows(np.array([1, 3, 4, 9]))
    assert again.shape == (4, 3)
    np.testing.assert_array_equal(again[np.array([3, 0, 2])], rows[[9, 1, 4]])
    np.testing.assert_array_equal(everything[wanted], rows[wanted])
    assert everything[np.empty(0, dtype=np.int64)].shape == (0, 3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "lkh"}, ConfigError, "order.method is 'lkh', .* use one of matching, algorithm1, random, source"),
        ({"knn": KnnGraph(np.zeros((4, 1), np.int32), np.zeros((4, 1), np.float32))}, InputError, "knn has 4 rows"),
        ({"embeddings": 2 * unit_rows(5)}, InputError, "has norm 2, expected norm 1"),
        ({"method": "source"}, ConfigError, "needs the group of each document"),
        ({"embeddings": unit_rows(4)}, InputError, r"embeddings are \(4, 4\), expected \(5, dim\)"),
        ({"embeddings": np.full((5, 2), np.nan, dtype=np.float32)}, InputError, "NaN or infinity"),
        ({"groups": np.zeros(4, dtype=np.int64)}, InputError, r"groups are \(4,\) int64, expected \(5,\)"),
        ({"graph": DocGraph(STAR.indptr, STAR.indices + 2, STAR.weights)}, InputError, "holds .*, expected 0 to 4"),
        (
            {"graph": DocGraph(STAR.indptr, STAR.indices[:-1], STAR.weights)},
            InputError,
            r"must rise from 0 to .* edges, \d+",
        ),
        ({"graph": DocGraph(STAR.indptr[::-1], STAR.indices, STAR.weights)}, InputError, "must rise from 0"),
    ],
)
def test_refuses(change, error, message):
    arguments = {"graph": STAR, "embeddings": unit_rows(5)} | change
    with pytest.raises(error, match=message):
        visit_order(arguments.pop("graph"), arguments.pop("embeddings"), **arguments)
