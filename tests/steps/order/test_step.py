import numpy as np
import pytest
from order_pieces import improved_in_stretches, joined_in_pieces
from pack_inputs import RAW_BOUND, ROWS, VECTORS, do, load, make_inputs

from icp.order.visit_order import greedy_order
from icp.run.arrays import load_graph
from icp.steps.order.step import STEP


def test_paths_follow_the_graph_and_begin_at_the_least_degree(tmp_path):
    context = make_inputs(tmp_path, order={"method": "algorithm1", "improve": False})
    manifest = do(STEP, context)
    order, starts = load(context, "order", "order", "path_starts")
    assert order.tolist() == [4, 0, 3, 1, 2]
    assert starts.tolist() == [True, True, False, False, False]
    assert (order.dtype, starts.dtype) == (np.int32, np.bool_)
    assert sorted(manifest.files) == ["order.npy", "path_starts.npy"]
    assert {record.rows for record in manifest.files.values()} == {5}


def test_certificate_is_similarity_over_the_bound_of_raw_neighbours(tmp_path):
    facts = do(STEP, make_inputs(tmp_path, order={"method": "algorithm1", "improve": False})).facts
    assert facts["method"] == "algorithm1"
    assert facts["similarity"] == pytest.approx(0 + 0.8 + 0.96 + 0.8, abs=2e-3)
    assert facts["upper_bound"] == pytest.approx(RAW_BOUND)
    assert facts["certificate"] == facts["similarity"] / facts["upper_bound"]
    # 1-4, 3-1 and 4-0 are the best pairs in which nobody stands three times
    assert 0.96 + 0.8 + 0.8 <= facts["dual_bound"] <= facts["upper_bound"] + 1e-3
    assert facts["dual_certificate"] == facts["similarity"] / facts["dual_bound"]
    assert facts["path_starts"] == 2
    assert (facts["exact_neighbors"], facts["bounds_are"]) == (True, "bounds")
    assert facts["partitions"] == 1
    assert "lost_to_partitions" not in facts


def test_bounds_from_approximate_neighbours_are_called_estimates(tmp_path):
    facts = do(STEP, make_inputs(tmp_path, method="ivf")).facts
    assert (facts["exact_neighbors"], facts["bounds_are"]) == (False, "estimates")


def test_matching_is_improved_and_one_path(tmp_path):
    context = make_inputs(tmp_path, order={"method": "matching", "improve": True})
    facts = do(STEP, context).facts
    order, starts = load(context, "order", "order", "path_starts")
    assert order.tolist() == [0, 3, 1, 2, 4]  # the four vectors by their angle, then the one of zeros
    assert starts.tolist() == [True, False, False, False, False]
    assert facts["method"] == "matching"
    assert facts["similarity"] == pytest.approx(0.8 + 0.96 + 0.8, abs=2e-3)


def test_no_order_of_a_path_is_certified_above_one(tmp_path):
    facts = do(STEP, make_inputs(tmp_path, order={"method": "matching", "improve": True})).facts
    assert facts["certificate"] <= 1.001
    assert facts["dual_certificate"] <= 1.001


@pytest.mark.parametrize("improve", [False, True])
@pytest.mark.parametrize("method", ["matching", "algorithm1"])
def test_pieces_are_solved_alone_and_joined(tmp_path, method, improve):
    context = make_inputs(tmp_path, order={"method": method, "improve": improve, "partitions": 2})
    manifest = do(STEP, context)
    order = load(context, "order", "order")[0]
    assert sorted(order.tolist()) == [0, 1, 2, 3, 4]
    assert manifest.facts["partitions"] == 2
    assert -1e-6 <= manifest.facts["lost_to_partitions"] < 1
    assert sorted(manifest.files) == ["order.npy", "path_starts.npy"]


def test_tasks_of_pieces_give_what_one_process_does(tmp_path):
    context = make_inputs(tmp_path, order={"method": "matching", "improve": True, "partitions": 2})
    do(STEP, context)
    graph = load_graph(context)
    laid = joined_in_pieces(graph, VECTORS[ROWS], 2)
    assert load(context, "order", "order")[0].tolist() == improved_in_stretches(laid, graph, VECTORS[ROWS], 2).tolist()


def test_a_walk_in_pieces_without_improvement_is_the_walk(tmp_path):
    alone = make_inputs(tmp_path / "a", order={"method": "algorithm1"})
    pieces = make_inputs(tmp_path / "b", order={"method": "algorithm1", "partitions": 2})
    for context in (alone, pieces):
        do(STEP, context)
    for name in ("order", "path_starts"):
        assert load(alone, "order", name)[0].tolist() == load(pieces, "order", name)[0].tolist()


def test_more_pieces_than_pairs_of_documents_are_not_made(tmp_path):
    facts = do(STEP, make_inputs(tmp_path, order={"method": "matching", "partitions": 100})).facts
    assert facts["partitions"] == 2


def test_other_methods_have_no_pieces(tmp_path):
    assert do(STEP, make_inputs(tmp_path, order={"method": "random", "partitions": 2})).facts["partitions"] == 1


def test_recomputed_degree_reaches_the_walk(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "icp.order.visit_order.greedy_order", lambda graph, **given: asked.append(given) or greedy_order(graph)
    )
    do(STEP, make_inputs(tmp_path, order={"method": "algorithm1", "recompute_degree": True}))
    assert asked == [{"recompute_degree": True}]


def test_source_order_keeps_sources_together(tmp_path):
    context = make_inputs(tmp_path, order={"method": "source"})
    facts = do(STEP, context).facts
    order, starts = load(context, "order", "order", "path_starts")
    # the nodes' sources are web, wiki, wiki, none, web
    assert order.tolist() == [0, 4, 1, 2, 3]
    assert starts.tolist() == [True, False, True, False, True]
    assert (facts["method"], facts["path_starts"]) == ("source", 3)


def test_random_order_is_one_path(tmp_path):
    context = make_inputs(tmp_path, order={"method": "random"})
    assert do(STEP, context).facts["path_starts"] == 1
    assert sorted(load(context, "order", "order")[0].tolist()) == [0, 1, 2, 3, 4]


def test_two_runs_leave_the_same_bytes(tmp_path):
    first, second = (do(STEP, make_inputs(tmp_path / name)) for name in ("a", "b"))
    assert first.files == second.files
    assert first.facts == second.facts


def test_without_similar_neighbours_there_is_no_certificate(tmp_path):
    context = make_inputs(tmp_path)
    for part in ("part-00000", "part-00001"):
        path = context.folder("neighbors") / f"{part}.similarities.npy"
        np.save(path, np.zeros_like(np.load(path)))
    facts = do(STEP, context).facts
    assert (facts["upper_bound"], facts["certificate"]) == (0.0, None)
