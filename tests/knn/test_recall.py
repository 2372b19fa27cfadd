import numpy as np
import pytest
from graph_inputs import topics
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.knn.recall import ERRORS_99, Overlap, choose_nprobe, choose_overlap, interval, recall_interval
from icp.knn.search import search_neighbors

NEVER = float("inf")


def assigned(rows):
    """Lists of (cell, gap) as the arrays of `Assigned`."""
    width = max(len(row) for row in rows)
    near = np.array([[cell for cell, _ in row] + [-1] * (width - len(row)) for row in rows], dtype=np.int32)
    gaps = [[gap for _, gap in row] + [np.inf] * (width - len(row)) for row in rows]
    return near, np.array(gaps, dtype=np.float16)


def test_the_interval_is_that_of_the_mean():
    shares = np.array([1.0, 0.5, 1.0, 0.5])
    mean, low, high = interval(shares)
    half = 1.96 * np.std(shares, ddof=1) / 2
    assert (mean, low, high) == pytest.approx((0.75, 0.75 - half, 0.75 + half))
    assert interval(np.empty(0)) == (1.0, 1.0, 1.0)
    assert interval(np.array([0.5])) == (0.5, 0.5, 0.5)


def same_twice(rows):
    """The same rows again: two rows of one share have an interval without width."""
    return assigned(rows + rows)


def test_the_overlap_is_the_least_that_brings_enough_pairs_together():
    mine = same_twice([[(0, 0), (1, 0.25), (2, 0.5)]])
    # the four neighbours share a cell at the margins 0, 0.25, 0.5 and never
    others = same_twice([[(0, 0), (7, 0.1)], [(1, 0)], [(2, 0), (8, 0.1)], [(3, 0)]])
    width = max(mine[0].shape[1], others[0].shape[1])
    others = tuple(
        np.pad(a, ((0, 0), (0, width - a.shape[1])), constant_values=f)
        for a, f in zip(others, (-1, np.inf), strict=True)
    )
    assert choose_overlap(mine, others, target_recall=0.2) == Overlap(0.0, 1, 0.25)
    assert choose_overlap(mine, others, target_recall=0.25) == Overlap(0.0, 1, 0.25)
    assert choose_overlap(mine, others, target_recall=0.3) == Overlap(0.25, 2, 0.5)
    assert choose_overlap(mine, others, target_recall=0.75) == Overlap(0.5, 3, 0.75)
    assert choose_overlap(mine, others, target_recall=0.8) == Overlap(NEVER, 3, 0.75, enough=False)


def test_fewer_ranks_with_a_wider_margin_are_taken_where_rows_join_fewer_cells():
    # within 0.2 the second row would join three cells; its neighbour is met in its second
    mine = assigned([[(0, 0), (1, 0.2)], [(4, 0), (5, 0.1), (6, 0.2)]])
    others = assigned([[(1, 0)], [(5, 0), (9, 0.1), (8, 0.1)]])
    assert choose_overlap(mine, others, target_recall=1.0) == Overlap(pytest.approx(0.2, abs=1e-3), 2, 1.0)


def test_rows_join_no_more_cells_than_they_may_and_what_is_not_enough_says_so():
    mine = same_twice([[(0, 0), (1, 0.25), (2, 0.5)]])
    others = same_twice([[(0, 0), (7, 0.1), (9, 0.1)], [(1, 0)], [(2, 0)], [(3, 0)]])
    found = {most: choose_overlap(mine, others, target_recall=0.75, most_joined=most) for most in (1, 2, 2.5, 3)}
    assert found[3] == Overlap(0.5, 3, 0.75)
    assert found[2] == found[2.5] == Overlap(0.25, 2, 0.5, enough=False)
    # two ranks, without overlap here: the least there is
    assert found[1] == Overlap(0.0, 2, 0.25, enough=False)
    assert choose_overlap(mine, others, target_recall=0.9, most_joined=3) == Overlap(0.5, 3, 0.75, enough=False)
    one = tuple(array[:, :1] for array in mine), tuple(array[:, :1] for array in others)
    assert choose_overlap(*one, target_recall=0.75, most_joined=9) == Overlap(NEVER, 1, 0.25, enough=False)


def test_the_lower_side_of_the_interval_must_reach_the_target():
    # 90 of 100 rows find their neighbour at margin 0, the others at 0.5
    mine = assigned([[(0, 0), (1, 0.5)]] * 100)
    others = assigned([[(0, 0), (9, 0.1)]] * 90 + [[(1, 0)]] * 10)
    assert choose_overlap(mine, others, target_recall=0.8).margin == 0
    # the mean 0.9 is above, its lower side 0.9 - 2.576 * 0.3 / 10 = 0.82 is not
    assert choose_overlap(mine, others, target_recall=0.86).margin == 0.5


def test_no_neighbours_need_no_overlap():
    none = assigned([[(-1, np.inf)], [(-1, np.inf)]])
    assert choose_overlap(assigned([[(0, 0)], [(0, 0)]]), none, target_recall=0.9) == Overlap(0.0, 1, 1.0)
    nothing = assigned([[(0, 0)]])
    nothing = tuple(array[:0] for array in nothing)
    assert choose_overlap(nothing, nothing, target_recall=0.9) == Overlap(0.0, 1, 1.0)


def reference_share(mine, others, margin, ranks):
    """Share of neighbours in a common cell, by row, in Python."""
    n, k = len(mine[0]), len(others[0]) // len(mine[0])

    def joined(assigned, row):
        cells, gaps = (array[row][:ranks].tolist() for array in assigned)
        return {cell for cell, gap in zip(cells, gaps, strict=True) if cell >= 0 and gap <= margin}

    shares = []
    for row in range(n):
        there = [other for other in range(row * k, row * k + k) if others[0][other, 0] >= 0]
        met = sum(bool(joined(mine, row) & joined(others, other)) for other in there)
        shares += [met / len(there)] if there else []
    return np.array(shares)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.3, 0.6, 0.9]))
def test_the_chosen_overlap_holds_by_plain_counting_and_no_smaller_margin_does(seed, target):
    rng = np.random.default_rng(seed)

    def draw(n):
        cells = np.array([rng.permutation(6)[:4] for _ in range(n)], dtype=np.int32)
        gaps = np.sort(rng.integers(0, 8, (n, 4)), axis=1).astype(np.float16) / 16
        gaps[:, 0] = 0
        cells[rng.random(n) < 0.1] = -1
        gaps[cells < 0] = np.inf
        return cells, gaps

    mine, others = draw(12), draw(36)
    found = choose_overlap(mine, others, target_recall=target)
    shares = reference_share(mine, others, found.margin, found.ranks)
    assert found.share == pytest.approx(shares.mean())
    if np.isfinite(found.margin):
        assert interval(shares, ERRORS_99)[1] >= target
        below = reference_share(mine, others, found.margin - 1 / 16, found.ranks)
        assert found.margin == 0 or interval(below, ERRORS_99)[1] < target
    else:
        assert interval(shares, ERRORS_99)[1] < target


def test_lists_are_searched_until_the_lower_side_reaches_the_target():
    probed = np.tile(np.arange(4, dtype=np.int32), (100, 1))
    lists = np.zeros((100, 1), dtype=np.int32)
    lists[:10] = 2
    assert choose_nprobe(probed, lists, target_recall=0.8) == 1
    assert choose_nprobe(probed, lists, target_recall=0.86) == 3
    lists[:10] = 9
    assert choose_nprobe(probed, lists, target_recall=0.86) == 4
    assert choose_nprobe(probed, np.full((100, 1), -1), target_recall=0.86) == 1


def test_recall_counts_ties_and_passes_over_isolated_rows():
    exact = np.array([[1, 2], [0, -1], [-1, -1]], dtype=np.int32)
    best = np.array([[0.5, 0.25], [0.5, 0], [0, 0]], dtype=np.float16)
    found = np.array([[1, 3], [-1, -1], [-1, -1]], dtype=np.int32)  # row 3 is as near as row 2
    assert recall_interval(found, np.array([[0.5, 0.25], [0, 0], [0, 0]], np.float16), exact, best)[0] == 0.5
    assert recall_interval(found[2:], best[2:], exact[2:], best[2:]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("method", ["cells", "ivf"])
def test_the_target_is_reached_whatever_the_seed(method):
    rows = topics(3000, 16, n_topics=150, noise=0.6)
    least = search_neighbors(rows, k=5, method="exact").similarities[:, -1:]
    for seed in range(12):
        found = search_neighbors(rows, k=5, method=method, target_recall=0.9, seed=seed)
        recall = (found.similarities >= least).mean()
        assert recall >= 0.9, f"true recall {recall} with seed {seed}, 0.9 wanted"
        assert recall < 0.99, f"true recall {recall}: the test shows nothing"
