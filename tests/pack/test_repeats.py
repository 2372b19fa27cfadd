import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.data import DocGraph
from icp.pack.baselines import plan_repeats


def graph_of(rows):
    indptr = np.cumsum([0, *map(len, rows)])
    flat = [near for row in rows for near in row]
    return DocGraph(indptr, np.array(flat, dtype=np.int32), np.ones(len(flat), dtype=np.float16))


def pieces(plan):
    return list(zip(*(getattr(plan, name).tolist() for name in ("doc", "start", "stop", "window")), strict=True))


def first_of(n, seed):
    """The document that `plan_repeats` begins with."""
    return int(plan_repeats(graph_of([[]] * n), np.full(n, 1), capacity=1, seed=seed).doc[0])


def test_a_document_stands_with_its_nearest_ones_and_they_come_again():
    # a star: 0 is near to all, they are near to 0 only
    rows, lengths = [[1, 2, 3], [0], [0], [0]], np.array([4, 4, 4, 4])
    seed = next(seed for seed in range(99) if first_of(4, seed) == 1)
    plan = plan_repeats(graph_of(rows), lengths, capacity=12, seed=seed)
    assert pieces(plan)[:3] == [(1, 0, 4, 0), (0, 0, 4, 0), (2, 0, 4, 0)]
    assert pieces(plan)[3:] == [(3, 0, 4, 1), (0, 0, 4, 1), (1, 0, 4, 1)]


def test_what_does_not_fit_is_cut_and_stands_whole_elsewhere():
    rows, lengths = [[1], [0]], np.array([5, 6])
    seed = next(seed for seed in range(99) if first_of(2, seed) == 0)
    plan = plan_repeats(graph_of(rows), lengths, capacity=8, seed=seed)
    assert pieces(plan) == [(0, 0, 5, 0), (1, 0, 3, 0), (1, 0, 6, 1), (0, 0, 2, 1)]


def test_long_documents_take_several_windows():
    plan = plan_repeats(graph_of([[]]), np.array([20]), capacity=8)
    assert pieces(plan) == [(0, 0, 8, 0), (0, 8, 16, 1), (0, 16, 20, 2)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_document_stands_whole_and_no_special_is_parted(data):
    n = data.draw(st.integers(0, 9))
    rows = [data.draw(st.lists(st.integers(0, max(0, n - 1)), max_size=4, unique=True)) for _ in range(n)]
    rows = [[near for near in row if near != doc] for doc, row in enumerate(rows)]
    n_bos, n_eos = data.draw(st.sampled_from([(0, 0), (0, 1), (1, 1)]))
    capacity = data.draw(st.integers(4, 17))
    sizes = [0, *range(n_bos + n_eos + 1, 40)]
    lengths = np.array([data.draw(st.sampled_from(sizes)) for _ in range(n)], dtype=np.int64)
    plan = plan_repeats(
        graph_of(rows), lengths, capacity=capacity, specials=(n_bos, n_eos), seed=data.draw(st.integers(0, 3))
    )
    used = np.bincount(plan.window, weights=plan.stop - plan.start)
    assert used.size == plan.n_windows
    assert used.max(initial=0) <= capacity
    assert used.min(initial=1) > 0
    for doc, length in enumerate(lengths.tolist()):
        mine = [(start, stop) for one, start, stop, _ in pieces(plan) if one == doc]
        assert {token for start, stop in mine for token in range(start, stop)} == set(range(length))
        for start, stop in mine:
            assert stop == length or stop <= length - n_eos - (n_eos > 0)
            assert start > 0 or stop > n_bos
    together = list(zip(plan.window.tolist(), plan.doc.tolist(), strict=True))
    assert len(set(together)) == len(together), "no document stands twice in a window"


@pytest.mark.parametrize("seed", [0, 1])
def test_same_seed_same_plan(seed):
    rng = np.random.default_rng(0)
    rows = [rng.choice(50, 4, replace=False).tolist() for _ in range(50)]
    lengths = rng.integers(1, 30, 50)
    one, two = (plan_repeats(graph_of(rows), lengths, capacity=64, seed=seed) for _ in range(2))
    assert pieces(one) == pieces(two)
    assert (one.stop - one.start).sum() > lengths.sum()
