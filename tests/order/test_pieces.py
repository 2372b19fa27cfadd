from itertools import pairwise

import numpy as np
import pytest
from order_pieces import improved_in_stretches, joined_in_pieces

from icp import DocGraph, search_neighbors, symmetrize
from icp.order.matching import improve_order, matching_order
from icp.order.pieces import (
    choose_marks,
    cut_pieces,
    improve_stretch,
    induced_graph,
    join_pieces,
    nearest_marks,
    shifted,
    stretch_bounds,
    unshifted,
)
from icp.order.visit_order import order_similarity


def clusters(n, dim=16, seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n // 20 + 1, dim))[random.integers(0, n // 20 + 1, n)]
    rows += random.normal(size=(n, dim)) / 2
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def graph_of(rows):
    return symmetrize(search_neighbors(rows, k=8, method="exact"))


def test_induced_graph_keeps_the_edges_inside_under_new_names():
    graph = DocGraph(
        np.array([0, 2, 4, 6, 6]), np.array([2, 1, 2, 0, 0, 1], np.int32), np.array([5, 4, 3, 4, 5, 3], np.float16)
    )
    found = induced_graph(graph, np.array([0, 2, 3]))
    assert (found.indptr.tolist(), found.indices.tolist(), found.weights.tolist()) == ([0, 1, 2, 2], [1, 0], [5, 5])
    assert (found.indptr.dtype, found.indices.dtype, found.weights.dtype) == (np.int64, np.int32, np.float16)
    assert induced_graph(graph, np.empty(0, np.int64)).indptr.tolist() == [0]


def test_all_documents_induce_the_same_graph():
    graph = graph_of(clusters(100))
    found = induced_graph(graph, np.arange(100))
    for name in DocGraph.__slots__:
        np.testing.assert_array_equal(getattr(found, name), getattr(graph, name))


def test_pieces_have_as_many_documents_and_follow_the_marks():
    near, sizes = np.array([1, 0, 2, 1, 0, 2, 0], np.int32), np.array([2, 1, 1, 2, 1, 3, 2])
    assert [piece.tolist() for piece in cut_pieces(near, sizes, 3)] == [[1, 4, 6], [0, 3], [2, 5]]
    assert [piece.tolist() for piece in cut_pieces(near[:1], sizes[:1], 3)] == [[], [0], []]


def test_equal_documents_still_make_equal_pieces():
    rows = np.ones((100, 1), np.float16)
    near = nearest_marks(rows, choose_marks(rows, 4), np.arange(100))
    assert [piece.size for piece in cut_pieces(near, np.ones(100, np.int64), 4)] == [25, 25, 25, 25]


def test_nearest_mark_does_not_depend_on_the_block_of_rows():
    rows = clusters(300)
    marks = choose_marks(rows, 2)
    near = nearest_marks(rows, marks, np.arange(300))
    blocks = [nearest_marks(rows, marks, np.arange(begin, begin + 100)) for begin in (0, 100, 200)]
    assert marks.size == 32
    exact = rows.astype(np.float64) @ rows[marks].T.astype(np.float64)
    assert (exact[np.arange(300), near] >= exact.max(axis=1) - 1e-3).all()
    np.testing.assert_array_equal(near, np.concatenate(blocks))


def test_pieces_are_joined_by_their_ends():
    angles = np.radians([0, 10, 20, 80, 70, 40, 30])
    rows = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
    pieces = [np.array(piece, np.int32) for piece in ([0, 1, 2], [], [3, 4], [5, 6])]
    assert join_pieces(pieces, rows).tolist() == [0, 1, 2, 6, 5, 4, 3]
    assert join_pieces([], rows).tolist() == []


@pytest.mark.parametrize(("n", "n_pieces"), [(11, 2), (10, 3), (7, 3), (100, 7), (5, 1)])
def test_shifted_stretches_come_back_as_the_same_order(n, n_pieces):
    order, bounds = np.arange(n, dtype=np.int32)[::-1], stretch_bounds(n, n_pieces)
    stretches = [order[begin : end + 1] for begin, end in pairwise(bounds)]
    mended = [shifted(stretches, number) for number in range(n_pieces - 1)]
    assert unshifted(stretches, mended).tolist() == order.tolist()
    for number, stretch in enumerate(mended):  # each holds a border of stretches inside
        assert order[bounds[number + 1]] in stretch[1:-1]


def test_a_stretch_keeps_its_ends_and_documents():
    rows = clusters(200)
    stretch = np.random.default_rng(0).permutation(200)[:60].astype(np.int32)
    found = improve_stretch(stretch, graph_of(rows), rows)
    assert (found[0], found[-1]) == (stretch[0], stretch[-1])
    assert np.array_equal(np.sort(found), np.sort(stretch))
    assert order_similarity(found, rows) > order_similarity(stretch, rows)


@pytest.mark.parametrize("n_pieces", [2, 5, 20])
def test_pieces_lose_little(n_pieces):
    rows = clusters(2000)
    graph = graph_of(rows)
    joined = joined_in_pieces(graph, rows, n_pieces)
    order = improved_in_stretches(joined, graph, rows, n_pieces)
    whole = improve_order(matching_order(graph, rows), graph, rows)
    assert np.array_equal(np.sort(joined), np.arange(2000))
    assert np.array_equal(np.sort(order), np.arange(2000))
    assert order_similarity(order, rows) > order_similarity(joined, rows)
    assert order_similarity(order, rows) > 0.98 * order_similarity(whole, rows)


def test_one_piece_is_the_whole():
    rows = clusters(300)
    graph = graph_of(rows)
    assert joined_in_pieces(graph, rows, 1).tolist() == matching_order(graph, rows).tolist()
