"""`pack.epochs`: the graph of the next pass, and how little of the company of earlier passes comes again."""

import numpy as np
import pytest

import icp
from icp.data import DocGraph, PackPlan
from icp.pack.passes import MET_FACTOR, ends_of, estranged, met, one_after_another


def plan_of(*rows):
    return PackPlan(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


def graph_of(edges, n):
    """A graph of (one, other, weight), rows most similar first."""
    both = sorted([(a, -w, b) for a, b, w in edges] + [(b, -w, a) for a, b, w in edges])
    bounds = np.searchsorted([a for a, _, _ in both], np.arange(n + 1))
    return DocGraph(
        bounds.astype(np.int64),
        np.array([b for *_, b in both], np.int32),
        np.array([-w for _, w, _ in both], np.float16),
    )


def edges_of(graph):
    rows = zip(ends_of(graph).tolist(), graph.indices.tolist(), graph.weights.tolist(), strict=True)
    return {(a, b): w for a, b, w in rows}


def test_neighbours_of_one_window_have_met():
    graph = graph_of([(0, 1, 0.5), (1, 2, 0.25), (0, 3, 0.125)], 4)
    plan = plan_of((0, 0, 2, 0), (1, 0, 2, 0), (1, 2, 4, 1), (2, 0, 2, 1), (3, 0, 2, 2))
    found = {edge for edge, is_met in zip(edges_of(graph), met(plan, graph), strict=True) if is_met}
    assert found == {(0, 1), (1, 0), (1, 2), (2, 1)}


def test_edges_of_those_that_met_go_where_both_have_others_and_weigh_less_elsewhere():
    graph = graph_of([(0, 1, 0.5), (0, 2, 0.25), (1, 3, 0.25), (2, 3, 0.75)], 4)
    times = np.array([(a, b) in {(0, 1), (1, 0)} for a, b in edges_of(graph)], np.int64)
    assert set(edges_of(estranged(graph, times))) == {(0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2)}
    times = np.array([2 * ((a, b) != (0, 2) and (b, a) != (0, 2)) for a, b in edges_of(graph)], np.int64)
    found = edges_of(estranged(graph, times))
    assert found[2, 3] == pytest.approx(0.75 * MET_FACTOR**2, rel=1e-3)
    assert found[0, 2] == 0.25
    rows = estranged(graph, times)
    for doc in range(4):
        weights = rows.weights[rows.indptr[doc] : rows.indptr[doc + 1]]
        assert (np.diff(weights) <= 0).all()


def test_nothing_changes_before_the_first_pass():
    graph = graph_of([(0, 1, 0.5)], 2)
    assert estranged(graph, np.zeros(2, np.int64)) is graph


def test_windows_of_passes_follow_one_another():
    plan = one_after_another([plan_of((0, 0, 2, 0), (1, 0, 2, 1)), plan_of((1, 0, 2, 0), (0, 0, 2, 0))])
    assert plan.window.tolist() == [0, 1, 2, 2]
    assert plan.doc.tolist() == [0, 1, 1, 0]


def test_fewer_neighbours_meet_again_than_by_the_same_graph():
    rng = np.random.default_rng(1)
    topics = rng.standard_normal((12, 16))
    vectors = (topics[rng.integers(0, 12, 300)] + 0.7 * rng.standard_normal((300, 16))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = icp.symmetrize(icp.search_neighbors(vectors, k=10))
    lengths = rng.integers(20, 90, 300)
    times, before = np.zeros(graph.indices.size, np.int64), None
    for _ in range(2):
        changed = estranged(graph, times)
        order = icp.visit_order(changed, vectors).order
        together = met(icp.plan_windows(changed, vectors, order, lengths, seq_len=256), graph)
        again = None if before is None else (together & before).sum() / together.sum()
        before, times = together, times + together
    assert 0 < again < 0.6
