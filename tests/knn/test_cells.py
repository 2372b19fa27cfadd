import numpy as np
import pytest
from graph_inputs import topics, unit

from icp.knn import cells
from icp.knn.cells import Cells, assign_cells, cell_tasks, group_rows, search_cells, split_cell
from icp.knn.centroids import train_centroids
from icp.knn.vectors import unpack


def assigned(rows):
    """Lists of (cell, gap) as the arrays of `Assigned`."""
    width = max(len(row) for row in rows)
    near = np.array([[cell for cell, _ in row] + [-1] * (width - len(row)) for row in rows], dtype=np.int32)
    gaps = [[gap for _, gap in row] + [np.inf] * (width - len(row)) for row in rows]
    return near, np.array(gaps, dtype=np.float16)


def test_rows_stand_in_their_cells_in_order():
    blocks = [assigned([[(1, 0), (0, 0.1)], [(1, 0), (0, 0.3)]]), assigned([[(0, 0), (2, 0.1)]])]
    found = group_rows(blocks, 4, margin=0.2)
    assert found.bounds.tolist() == [0, 2, 4, 5, 5]
    assert found.members.tolist() == [0, 2, 0, 1, 2]


@pytest.mark.parametrize("n", [0, 1, 100, 5000])
def test_tasks_cover_every_cell_once(n, monkeypatch):
    monkeypatch.setattr(cells, "TASK_MEMBERS", (300, 300))
    sizes = np.random.default_rng(n).integers(0, 50, n)
    found = cell_tasks(Cells(np.zeros(sizes.sum(), np.int32), np.concatenate(([0], np.cumsum(sizes)))))
    assert [cell for task in found for cell in task] == list(range(n))
    assert len(found) <= 1 + sizes.sum() // 250


def test_equal_rows_that_no_centroid_parts_find_the_first_of_all():
    rows = unit(np.ones((900, 8)))
    pieces = list(split_cell(rows, np.arange(900), largest=100, keep=4, seed=0))
    assert max(piece.size for piece in pieces) <= 100
    assert all(piece[:5].tolist() == [0, 1, 2, 3, 4] for piece in pieces)
    np.testing.assert_array_equal(np.unique(np.concatenate(pieces)), np.arange(900))


def test_a_large_cell_is_split_and_its_rows_still_find_their_neighbours(monkeypatch):
    rows = topics(1500, 16, n_topics=30, noise=0.3)
    monkeypatch.setattr(cells, "BASE_TILE", 200)
    one = Cells(np.arange(1500, dtype=np.int32), np.array([0, 1500]))
    monkeypatch.setattr(cells, "LARGEST", 0.1)
    pieces = list(split_cell(rows, np.arange(1500), largest=one.largest(), keep=5, seed=0))
    assert len(pieces) > 5
    assert max(piece.size for piece in pieces) <= 200
    found = unpack(search_cells(rows, one, range(1), keep=5, seed=0).keys)[1]
    monkeypatch.setattr(cells, "LARGEST", 4)
    truth = unpack(search_cells(rows, one, range(1), keep=5, seed=0).keys)[1]
    assert (found >= truth[:, -1:]).mean() > 0.9


def test_half_of_equal_rows_do_not_spoil_the_others(monkeypatch):
    monkeypatch.setattr(cells, "BASE_TILE", 100)
    monkeypatch.setattr(cells, "LARGEST", 0.1)
    rows = np.concatenate([unit(np.ones((400, 8))), topics(200, 8)])
    one = Cells(np.arange(600, dtype=np.int32), np.array([0, 600]))
    found, similarities = unpack(search_cells(rows, one, range(1), keep=3, seed=0).keys)
    assert (similarities[:400] == 1).all()
    assert (found >= 0).all()


def test_zero_rows_stand_in_no_cell():
    rows = topics(60).astype(np.float32)
    rows[7] = 0
    near, gaps = assign_cells(rows, train_centroids(rows, wanted=4, seed=0))
    assert (near[7] == -1).all()
    assert (near[:7, 0] >= 0).all()
    assert (gaps[:7, 0] == 0).all()
    assert 7 not in group_rows([(near, gaps)], 4, margin=np.inf).members


def test_batches_of_cells_change_nothing_and_hold_few_vectors(monkeypatch):
    rows = topics(700, 16, n_topics=20)
    near, gaps = assign_cells(rows.astype(np.float32), train_centroids(rows, wanted=12, seed=0), ranks=3)
    some = group_rows([(near, gaps)], 12, margin=0.3)
    whole = search_cells(rows, some, range(2, 11), keep=4, seed=0)
    monkeypatch.setattr(cells, "BATCH_MEMBERS", 100)
    asked = []

    class Watched:
        shape = rows.shape

        def __getitem__(self, wanted):
            asked.append(wanted.size)
            return rows[wanted]

    parts = search_cells(Watched(), some, range(2, 11), keep=4, seed=0)
    np.testing.assert_array_equal(whole.rows, parts.rows)
    np.testing.assert_array_equal(whole.keys, parts.keys)
    assert len(asked) > 3
    assert max(asked) <= max(100, some.sizes().max())
    assert parts.moved == 2 * 16 * sum(asked)
