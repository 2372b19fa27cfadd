"""Arrays that do not fit are refused by the public functions: no signal, no hang, no foreign memory."""

import numpy as np
import pytest

import icp
from icp import DocGraph, KnnGraph


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 8))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    knn = icp.search_neighbors(rows, k=5)
    graph = icp.symmetrize(knn)
    return rows, knn, graph, icp.visit_order(graph, rows, knn=knn), rng.integers(5, 90, 60).astype(np.int64)


def changed(array, at, value):
    array = array.copy()
    array.reshape(-1)[at] = value
    return array


@pytest.mark.parametrize(
    "damage",
    [
        lambda g: (g.indptr, changed(g.indices, 3, 10**6), g.weights),
        lambda g: (g.indptr, changed(g.indices, 3, -5), g.weights),
        lambda g: (changed(g.indptr, -1, 10**9), g.indices, g.weights),
        lambda g: (changed(g.indptr, 5, 0), g.indices, g.weights),
        lambda g: (changed(g.indptr, 0, -4), g.indices, g.weights),
        lambda g: (g.indptr, g.indices[:10], g.weights),
        lambda g: (g.indptr, g.indices, g.weights[:10]),
        lambda g: (g.indptr.astype(">i8"), g.indices.astype(">i4"), g.weights.astype(">f2")),
        lambda g: (g.indptr.astype(float), g.indices, g.weights),
        lambda g: (None, g.indices, g.weights),
        lambda g: (g.indptr, ["a"] * g.indices.size, g.weights),
        lambda g: (g.indptr, g.indices, changed(g.weights, 3, np.nan)),
        lambda g: (g.indptr[:0], g.indices[:0], g.weights[:0]),
    ],
)
def test_a_graph_whose_edges_lead_nowhere_is_refused(made, damage):
    rows, _, graph, traversal, lengths = made
    with pytest.raises(icp.InputError, match="graph"):
        icp.plan_windows(DocGraph(*damage(graph)), rows, traversal.order, lengths, seq_len=100)
    with pytest.raises(icp.InputError, match="graph"):
        icp.visit_order(DocGraph(*damage(graph)), rows)


@pytest.mark.parametrize(
    "damage",
    [
        lambda k: (k.neighbors, k.similarities[:10]),
        lambda k: (k.neighbors, k.similarities[:, :2]),
        lambda k: (k.neighbors + 0.5, k.similarities),
        lambda k: (changed(k.neighbors.astype(np.int64), 3, 5 - 2**32), k.similarities),
        lambda k: (changed(k.neighbors, 3, 60), k.similarities),
        lambda k: (k.neighbors, k.similarities * np.float32(np.nan)),
    ],
)
def test_neighbours_that_do_not_fit_are_refused(made, damage):
    rows, knn, graph, _, _ = made
    with pytest.raises(icp.InputError, match="knn"):
        icp.symmetrize(KnnGraph(*damage(knn)))
    with pytest.raises(icp.InputError, match="knn"):
        icp.visit_order(graph, rows, knn=KnnGraph(*damage(knn)))


@pytest.mark.parametrize(
    "options",
    [
        {"lengths": np.full(60, 2**61), "method": "path-cut"},
        {"lengths": np.full(60, 2**64 - 1, np.uint64)},
        {"lengths": np.full(60, 5.0)},
        {"seq_len": 2**62, "method": "best-fit"},
        {"specials": (-1, -1)},
    ],
)
def test_counts_that_no_text_has_are_refused(made, options):
    rows, _, graph, traversal, lengths = made
    options = {"lengths": lengths, "seq_len": 100, **options}
    with pytest.raises(icp.IcpError):
        icp.plan_windows(graph, rows, traversal.order, options.pop("lengths"), **options)


@pytest.mark.parametrize("options", [{"k": 2**40}, {"k": 0}, {"method": "cells", "target_recall": float("nan")}])
def test_searches_that_cannot_be_are_refused(made, options):
    with pytest.raises(icp.ConfigError):
        icp.search_neighbors(made[0], **options)


def test_lists_are_taken_where_arrays_are_meant(made):
    rows, knn, graph, traversal, lengths = made
    listed = DocGraph(graph.indptr.tolist(), graph.indices.tolist(), graph.weights.tolist())
    by_lists = icp.visit_order(
        listed, rows.tolist(), knn=KnnGraph(knn.neighbors.tolist(), knn.similarities.tolist()), groups=[0] * 60
    )
    assert by_lists.order.tolist() == traversal.order.tolist()
    again = icp.symmetrize(KnnGraph(knn.neighbors.tolist(), knn.similarities.tolist()))
    assert again.indices.tolist() == graph.indices.tolist()
    options = {"seq_len": 100, "conflicts": [[0, 1]], "groups": [0] * 60}
    plan = icp.plan_windows(listed, rows.tolist(), traversal.order.tolist(), lengths.tolist(), **options)
    wanted = icp.plan_windows(
        graph, rows, traversal, lengths, seq_len=100, conflicts=np.array([[0, 1]]), groups=np.zeros(60, int)
    )
    assert plan.doc.tolist() == wanted.doc.tolist()


def test_a_list_of_floats_is_of_64_bits_and_refused_as_such_an_array_is(made):
    with pytest.raises(icp.InputError, match=r"embeddings are float64 of shape \(60, 8\), expected float16 or float32"):
        icp.search_neighbors(made[0].tolist())


@pytest.mark.parametrize("value", [[[1.0], [1.0, 2.0]], [[None]], "text", {1: 2}, 5, [[10**400]], [["a"]]])
def test_what_makes_no_array_of_numbers_is_named(value):
    with pytest.raises(icp.InputError, match="embeddings is "):
        icp.search_neighbors(value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": "x"}, "k is 'x', expected a whole number"),
        ({"k": 2.0}, "k is 2.0, expected a whole number"),
        ({"k": True}, "k is True, expected a whole number"),
        ({"seed": -1}, "seed is -1, expected a whole number from 0 on"),
        ({"seed": 2**70}, "seed is 1180591620717411303424, expected a whole number"),
        ({"method": None}, "method is None, expected a text"),
        ({"target_recall": "most"}, "target_recall is 'most', expected a number"),
    ],
)
def test_options_of_another_type_are_named(made, options, message):
    with pytest.raises(icp.ConfigError, match=message):
        icp.search_neighbors(made[0], **options)


def test_a_long_document_that_may_be_repeated_is_refused_not_waited_for(made):
    rows, _, graph, traversal, lengths = made
    with pytest.raises(icp.InputError, match=r"lengths\[3\] fills 10,000,000 windows; knn"):
        icp.plan_windows(graph, rows, traversal, changed(lengths, 3, 10**9), seq_len=100, method="knn")


def test_infinite_vectors_are_refused(made):
    rows, _, graph, traversal, lengths = made
    for number in (np.inf, np.nan, 1e30):
        with pytest.raises(icp.InputError, match="embeddings hold NaN or infinity"):
            icp.plan_windows(graph, changed(rows, 3, number), traversal, lengths, seq_len=100)
        with pytest.raises(icp.InputError, match="embeddings hold NaN or infinity"):
            icp.visit_order(graph, changed(rows, 3, number))


def test_a_traversal_serves_as_an_order(made):
    rows, _, graph, traversal, lengths = made
    by_order = icp.plan_windows(graph, rows, traversal.order, lengths, seq_len=100)
    by_traversal = icp.plan_windows(graph, rows, traversal, lengths, seq_len=100)
    assert by_order.doc.tolist() == by_traversal.doc.tolist()
