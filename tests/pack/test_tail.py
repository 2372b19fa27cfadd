"""`pack.tail`: plans without room, and what that leaves out or repeats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icp.data import DocGraph, PackPlan
from icp.pack.plan_windows import plan_windows
from icp.pack.tail import Related, left_out, tokens_of, without_open_windows


def graph_of(rows):
    indptr = np.cumsum([0, *map(len, rows)])
    flat = [near for row in rows for near in row]
    return DocGraph(indptr, np.array(flat, dtype=np.int32), np.ones(len(flat), dtype=np.float16))


def plan_of(*rows):
    return PackPlan(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


def rows_of(plan):
    return list(zip(*(getattr(plan, name).tolist() for name in ("doc", "start", "stop", "window")), strict=True))


def related(lengths, rows=None, *, specials=(0, 0), groups=None, conflicts=()):
    n, pairs = len(lengths), np.array(conflicts, dtype=np.int64).reshape(-1, 2)
    groups = None if groups is None else np.array(groups)
    return Related(graph_of(rows or [[]] * n), np.arange(n), np.array(lengths), specials, groups, pairs)


def test_windows_with_room_go_and_their_tokens_are_listed():
    plan = plan_of((0, 0, 4, 0), (1, 0, 3, 1), (2, 0, 2, 2), (3, 0, 2, 2), (3, 2, 6, 3))
    kept = without_open_windows(plan, 4)
    assert rows_of(kept) == [(0, 0, 4, 0), (2, 0, 2, 1), (3, 0, 2, 1), (3, 2, 6, 2)]
    assert left_out(kept, np.array([4, 3, 2, 6, 0])).tolist() == [[1, 0, 3, -1]]
    assert left_out(plan_of((0, 2, 4, 0)), np.array([6])).tolist() == [[0, 0, 2, -1], [0, 4, 6, -1]]


def test_room_is_filled_with_the_beginning_of_the_nearest_document():
    plan = plan_of((0, 0, 4, 0), (1, 0, 2, 1), (2, 0, 4, 2))
    filled, again = related([4, 2, 4], [[], [2, 0], [1]]).fill(plan, 4)
    assert again.tolist() == [[2, 0, 2, 1]]
    assert rows_of(filled) == [(0, 0, 4, 0), (1, 0, 2, 1), (2, 0, 2, 1), (2, 0, 4, 2)]


def test_what_leaves_a_document_open_stays_last_and_a_document_is_taken_once():
    plan = plan_of((0, 0, 2, 0), (1, 0, 1, 0), (1, 1, 3, 1), (2, 0, 4, 2))
    filled, again = related([2, 3, 4, 4], [[2], [2], [], []]).fill(plan, 4)
    assert again.tolist() == [[2, 0, 1, 0], [3, 0, 2, 1]]
    assert rows_of(filled)[:3] == [(0, 0, 2, 0), (2, 0, 1, 0), (1, 0, 1, 0)]


def test_groups_and_conflicts_are_kept_apart_though_room_stays():
    plan = plan_of((0, 0, 2, 0), (1, 0, 4, 1), (2, 0, 4, 2))
    near = [[1, 2], [], []]
    assert related([2, 4, 4], near, groups=[0, 1, 1]).fill(plan, 4)[1].tolist() == []
    assert related([2, 4, 4], near, conflicts=[(0, 1)]).fill(plan, 4)[1].tolist() == [[2, 0, 2, 0]]
    assert related([2, 4, 4], near, conflicts=[(0, 1), (0, 2)]).fill(plan, 4)[1].tolist() == []


@given(st.data(), st.integers(0, 1), st.integers(0, 1), st.sampled_from(["windows", "path-cut", "best-fit"]))
def test_every_window_is_full_and_every_token_there_as_often_as_listed(data, n_bos, n_eos, method):
    least = n_bos + 1 + n_eos
    lengths = np.array(data.draw(st.lists(st.integers(least + 5, 40), min_size=12, max_size=20)))
    seq_len = data.draw(st.sampled_from([8, 16, 17]))
    order = np.arange(lengths.size)
    vectors, graph = np.zeros((lengths.size, 1), np.float32), graph_of([[]] * lengths.size)
    plan = plan_windows(graph, vectors, order, lengths, seq_len=seq_len, method=method, specials=(n_bos, n_eos))
    filled, again = Related(graph, order, lengths, (n_bos, n_eos), None, np.empty((0, 2), np.int64)).fill(plan, seq_len)
    assert (tokens_of(filled) == seq_len).all()
    for doc, start, stop, _ in rows_of(filled):
        assert start == 0 or n_bos < start < lengths[doc] - n_eos
        assert stop == lengths[doc] or n_bos < stop < lengths[doc] - n_eos
    times = [np.zeros(length, int) for length in lengths]
    for doc, start, stop, _ in rows_of(filled):
        times[doc][start:stop] += 1
    for doc, start, stop, _ in again.tolist():
        times[doc][start:stop] -= 1
    assert all((count == 1).all() for count in times)
    kept = without_open_windows(plan, seq_len)
    missing = left_out(kept, lengths)
    assert tokens_of(kept).sum() + (missing[:, 2] - missing[:, 1]).sum() == lengths.sum()


@pytest.mark.parametrize("room", [1, 2])
def test_room_for_no_begin_of_a_document_takes_a_token_of_its_own(room):
    plan = plan_of((0, 0, 8 - room, 0), (1, 0, 8, 1))
    filled, again = related([8 - room, 8], [[1], []], specials=(1, 1)).fill(plan, 8)
    assert tokens_of(filled).tolist() == [8, 8]
    assert again.tolist() == [[1, 2, 3, 0] if room == 1 else [1, 0, 2, 0]]
