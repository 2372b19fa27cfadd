import numpy as np
import pytest

from icp.order import stitching
from icp.order.stitching import all_pairs, nearest_pairs


def whole_clusters(n, dim=16, seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n // 10 + 1, dim))[random.integers(0, n // 10 + 1, n)] + random.normal(size=(n, dim)) / 2
    return np.rint(3900 * rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.int16)


def test_all_pairs_fall_in_similarity():
    whole = np.array([[3900, 0], [0, 3900], [2758, 2758]], dtype=np.int16)
    heads, tails = all_pairs(whole)
    assert list(zip(heads.tolist(), tails.tolist(), strict=True)) == [(0, 2), (1, 2), (0, 1)]


@pytest.mark.parametrize("exact_ends", [20_000, 100], ids=["exact", "cells"])
def test_nearest_pairs_name_other_groups_only(exact_ends):
    whole, groups = whole_clusters(400), (np.arange(400) // 2).astype(np.int32)
    heads, tails = nearest_pairs(whole, groups, 4, 3, exact_ends=exact_ends)
    assert (groups[heads] != groups[tails]).all()
    assert np.unique(heads * 400 + tails).size == heads.size
    alike = whole.astype(np.int64) @ whole.T
    found = alike[heads, tails]
    assert (np.diff(found) <= 512).all()  # 16 bits of them


def test_exact_pairs_are_the_nearest():
    whole, groups = whole_clusters(300), (np.arange(300) // 3).astype(np.int32)
    heads, tails = nearest_pairs(whole, groups, 4, 3)
    alike = (whole.astype(np.int64) @ whole.T).astype(float)
    alike[groups[:, None] == groups] = -np.inf
    for row in range(300):
        assert sorted(alike[row, tails[heads == row]]) == sorted(alike[row])[-4:]


def test_cells_find_most_of_the_nearest():
    whole, groups = whole_clusters(3000), np.arange(3000, dtype=np.int32)
    exact = set(zip(*nearest_pairs(whole, groups, 1, 3), strict=True))
    found = set(zip(*nearest_pairs(whole, groups, 1, 3, exact_ends=100), strict=True))
    assert len(exact & found) > 0.7 * len(exact)


@pytest.mark.parametrize("cell_rows", [7, 100, 4096])
def test_cells_offer_each_row_at_most_once(cell_rows):
    whole = whole_clusters(500)
    offered = np.zeros((500, 500), dtype=np.int64)
    for queries, base in stitching._cell_blocks(whole, 3, cell_rows):
        assert base.size <= cell_rows
        np.add.at(offered, (queries[:, None], base[None, :]), 1)
    assert offered.max() == 1
    assert (offered.diagonal() == 1).all()  # everybody's own cell is asked
