import numpy as np
import pytest
from pack_inputs import RAW_BOUND, do, load, make_inputs

from icp.stages.order import STEP


def test_paths_follow_the_graph_and_begin_at_the_least_degree(tmp_path):
    context = make_inputs(tmp_path)
    manifest = do(STEP, context)
    order, starts = load(context, "order", "order", "path_starts")
    assert order.tolist() == [4, 0, 3, 1, 2]
    assert starts.tolist() == [True, True, False, False, False]
    assert (order.dtype, starts.dtype) == (np.int32, np.bool_)
    assert sorted(manifest.files) == ["order.npy", "path_starts.npy"]
    assert {record.rows for record in manifest.files.values()} == {5}


def test_certificate_is_similarity_over_the_bound_of_raw_neighbours(tmp_path):
    facts = do(STEP, make_inputs(tmp_path)).facts
    assert facts["method"] == "algorithm1"
    assert facts["similarity"] == pytest.approx(0 + 0.8 + 0.96 + 0.8, abs=2e-3)
    assert facts["upper_bound"] == pytest.approx(RAW_BOUND)
    assert facts["certificate"] == facts["similarity"] / facts["upper_bound"]
    assert facts["dual_certificate"] is None
    assert facts["path_starts"] == 2
    assert facts["exact_neighbors"] is True


def test_bound_of_approximate_neighbours_is_said_to_be_none(tmp_path):
    assert do(STEP, make_inputs(tmp_path, method="ivf")).facts["exact_neighbors"] is False


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
