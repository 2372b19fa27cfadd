"""The order of the documents of a window, against Prim's algorithm in plain Python."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icp.kernels.pack_inside import order_inside

IMPLS = pytest.mark.parametrize("impl", [order_inside, order_inside.py_func], ids=["compiled", "python"])


def csr(n, edges):
    """A symmetric graph as arrays; edges {(i, j): similarity}."""
    rows = [[] for _ in range(n)]
    for (i, j), similarity in edges.items():
        rows[i].append((-similarity, j))
        rows[j].append((-similarity, i))
    rows = [sorted(row) for row in rows]
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    indices = np.array([j for row in rows for _, j in row], np.int32)
    weights = np.array([-s for row in rows for s, _ in row], np.float16)
    return indptr, indices, weights.view(np.uint16)


def ordered(impl, windows, n, edges):
    docs = np.array([doc for window in windows for doc in window], np.int64)
    bounds = np.cumsum([0, *map(len, windows)]).astype(np.int64)
    places = impl(docs, bounds, *csr(n, edges))
    assert sorted(places.tolist()) == list(range(docs.size))
    return [docs[places[begin:end]].tolist() for begin, end in pairwise(bounds.tolist())]


def reference(window, edges):
    """Prim's algorithm from the first document; ties by place; no edge, or one below 0, counts as 0."""
    placed, waiting = window[:1], window[1:]
    while waiting:

        def tied(doc):
            return max(max(edges.get((doc, other), edges.get((other, doc), 0)), 0) for other in placed)

        best = max(waiting, key=lambda doc: (tied(doc), -waiting.index(doc)))
        placed.append(best)
        waiting.remove(best)
    return placed


@IMPLS
def test_each_document_stands_after_the_one_it_is_most_like(impl):
    edges = {(0, 2): 0.9, (2, 3): 0.8, (0, 1): 0.5}
    assert ordered(impl, [[0, 1, 2, 3]], 4, edges) == [[0, 2, 3, 1]]


@IMPLS
def test_without_edges_the_given_order_stays(impl):
    assert ordered(impl, [[3, 1], [0], [2, 4]], 5, {(1, 0): 0.9}) == [[3, 1], [0], [2, 4]]


@IMPLS
def test_edges_below_zero_and_to_other_windows_do_not_count(impl):
    assert ordered(impl, [[0, 1, 2], [3, 4]], 5, {(0, 2): -0.5, (0, 3): 0.9, (3, 1): 0.9}) == [[0, 1, 2], [3, 4]]


@IMPLS
@given(st.data(), st.integers(1, 9))
def test_order_matches_reference(impl, data, n):
    order = data.draw(st.permutations(range(n)))
    cut = data.draw(st.integers(0, n))
    pairs = [(i, j) for i in range(n) for j in range(i)]
    # few different similarities, exact in float16: ties are common
    similarity = st.sampled_from([-0.25, 0.0, 0.25, 0.5, 0.75])
    edges = data.draw(st.dictionaries(st.sampled_from(pairs), similarity)) if pairs else {}
    windows = [window for window in (order[:cut], order[cut:]) if window]
    assert ordered(impl, windows, n, edges) == [reference(list(window), edges) for window in windows]
