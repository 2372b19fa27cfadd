import numpy as np
import pytest
from pack_inputs import RAW_BOUND, ROWS, make_inputs

from icp.run.nodes import node_rows
from icp.steps.order import certificate
from icp.steps.order.certificate import exact_neighbors, run_dual_bound, run_upper_bound


def test_nodes_find_their_rows(tmp_path):
    assert node_rows(make_inputs(tmp_path)).tolist() == ROWS


def test_upper_bound_is_of_the_nodes_alone_whatever_the_blocks(tmp_path, monkeypatch):
    context = make_inputs(tmp_path)
    assert run_upper_bound(context) == pytest.approx(RAW_BOUND)
    whole = run_upper_bound(context), run_dual_bound(context)
    monkeypatch.setattr(certificate, "BLOCK_ROWS", 2)
    assert (run_upper_bound(context), run_dual_bound(context)) == whole


def test_dual_bound_is_no_looser_and_left_out_for_too_many_nodes(tmp_path, monkeypatch):
    context = make_inputs(tmp_path)
    assert 0.8 + 0.96 + 0.8 <= run_dual_bound(context) <= RAW_BOUND + 1e-3
    monkeypatch.setattr(certificate, "DUAL_NODES", 4)
    assert run_dual_bound(context) is None


def test_neighbours_that_are_no_nodes_are_passed_over(tmp_path):
    context = make_inputs(tmp_path)
    before = run_dual_bound(context)
    path = context.folder("neighbors") / "part-00000.neighbors.npy"
    named = np.load(path)
    named[0] = [2, 2]  # a survivor that is no node
    np.save(path, named)
    assert run_dual_bound(context) <= before


@pytest.mark.parametrize(("method", "exact"), [("exact", True), ("ivf", False)])
def test_only_an_exact_search_gives_bounds(tmp_path, method, exact):
    assert exact_neighbors(make_inputs(tmp_path, method=method)) is exact
