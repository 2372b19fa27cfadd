"""The example of docs/architecture.md, *The planner on one page*, gives what the page says; advice."""

import re
from pathlib import Path

import numpy as np
import pytest

import icp

VECTORS = np.array([[1, 0], [0.96, 0.28], [0, 1], [0.28, 0.96], [0.8, 0.6]], dtype=np.float32)
LENGTHS = np.array([30, 30, 40, 40, 30])


@pytest.fixture(scope="module")
def graph():
    return icp.symmetrize(icp.search_neighbors(VECTORS, k=4, method="exact"))


@pytest.fixture(scope="module")
def path(graph):
    return icp.visit_order(graph, VECTORS)


def windows(plan):
    """The pieces (document, start, stop) of each window."""
    pieces = [[] for _ in range(int(plan.window.max()) + 1)]
    for window, *piece in zip(
        *(field.tolist() for field in (plan.window, plan.doc, plan.start, plan.stop)), strict=True
    ):
        pieces[window].append(tuple(piece))
    return pieces


def test_the_path_is_the_pages(path):
    assert path.order.tolist() in ([0, 1, 4, 3, 2], [2, 3, 4, 1, 0])
    assert path.similarity == pytest.approx(3.66, abs=0.005)


def test_the_paper_cuts_document_3(graph):
    order = np.array([0, 1, 4, 3, 2])
    plan = icp.plan_windows(graph, VECTORS, order, LENGTHS, seq_len=100, method="path-cut")
    assert windows(plan) == [[(0, 0, 30), (1, 0, 30), (4, 0, 30), (3, 0, 10)], [(3, 10, 40), (2, 0, 40)]]


def test_the_planner_cuts_none(graph):
    order = np.array([0, 1, 4, 3, 2])
    plan = icp.plan_windows(graph, VECTORS, order, LENGTHS, seq_len=100, min_fill=0.8)
    assert windows(plan) == [[(0, 0, 30), (1, 0, 30), (4, 0, 30)], [(3, 0, 40), (2, 0, 40)]]


def test_nothing_advises_to_install_the_package_of_another_project():
    """On PyPI, `icp` is somebody else's; ours is installed from its clone."""
    root = Path(__file__).parents[1]
    files = [
        *root.glob("*.md"),
        *(path for name in ("icp", "jobs", "configs", "docs") for path in (root / name).rglob("*")),
    ]
    texts = {path: path.read_text("utf-8") for path in files if path.suffix in (".py", ".md", ".yaml")}
    assert len(texts) > 100
    assert [path for path, text in texts.items() if re.search(r"pip install \S*icp\b|\bicp\[\w+\]`", text)] == []
