"""`pack.continuation`: no document that fits is cut, and with ``restart`` its beginning fills the room before it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icp import ConfigError, DocGraph, plan_windows
from icp.pack.continuation import begun_again
from icp.pack.plan_windows import broken_conflicts


def packed(lengths, seq_len, *, method="path-cut", **options):
    n = len(lengths)
    graph = DocGraph(np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float16))
    order, vectors = np.arange(n, dtype=np.int32), np.zeros((n, 1), np.float32)
    return plan_windows(graph, vectors, order, np.array(lengths, np.int64), seq_len=seq_len, method=method, **options)


def rows_of(plan):
    return list(zip(plan.doc.tolist(), plan.start.tolist(), plan.stop.tolist(), plan.window.tolist(), strict=True))


def test_a_document_that_does_not_fit_begins_the_next_window():
    assert rows_of(packed([3, 5, 4], 6, continuation="pad")) == [(0, 0, 3, 0), (1, 0, 5, 1), (2, 0, 4, 2)]


def test_restart_fills_the_room_with_its_beginning():
    plan = packed([3, 5, 4], 6, continuation="restart")
    assert rows_of(plan) == [(0, 0, 3, 0), (1, 0, 3, 0), (1, 0, 5, 1), (2, 0, 1, 1), (2, 0, 4, 2)]
    assert begun_again(plan).tolist() == [[1, 0, 3, 0], [2, 0, 1, 1]]


def test_a_document_longer_than_a_window_begins_one_and_goes_on():
    plan = packed([2, 9, 2], 4, continuation="restart", specials=(0, 1))
    assert rows_of(plan) == [
        (0, 0, 2, 0), (1, 0, 2, 0), (1, 0, 4, 1), (1, 4, 7, 2), (1, 7, 9, 3), (2, 0, 2, 3),
    ]  # fmt: skip
    assert begun_again(plan).tolist() == [[1, 0, 2, 0]]


def test_a_conflict_waits_for_the_next_window():
    plan = packed([2, 2, 2, 5], 6, continuation="pad", conflicts=np.array([[0, 1]]))
    assert rows_of(plan) == [(0, 0, 2, 0), (2, 0, 2, 0), (3, 0, 5, 1), (1, 0, 2, 2)]


@given(st.data(), st.integers(0, 1), st.integers(0, 1), st.sampled_from(["path-cut", "random", "source"]))
def test_documents_that_fit_stand_whole_once(data, n_bos, n_eos, method):
    least = n_bos + 1 + n_eos
    lengths = data.draw(st.lists(st.one_of(st.just(0), st.integers(least, 40)), max_size=20))
    n, seq_len = len(lengths), data.draw(st.sampled_from([3, 5, 8, 16]))
    groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), dtype=int)
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, max(n - 1, 0))] * 2), max_size=6 if n else 0))
    pairs = np.array(pairs, np.int64).reshape(-1, 2)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    options = {"method": method, "specials": (n_bos, n_eos), "sources": groups, "groups": groups, "conflicts": pairs}
    plans = {how: packed(lengths, seq_len, continuation=how, **options) for how in ("pad", "restart")}
    for how, plan in plans.items():
        again = {tuple(row) for row in begun_again(plan).tolist()}
        assert how == "restart" or not again
        for doc, length in enumerate(lengths):
            spans = [(row[1], row[2]) for row in rows_of(plan) if row[0] == doc and row not in again]
            assert [0, *(stop for _, stop in spans)] == [*(start for start, _ in spans), length]
            assert len(spans) == (1 if 0 < length <= seq_len else len(spans))
        last = np.r_[np.diff(plan.window) > 0, [True] * bool(plan.window.size)]
        assert last[plan.stop < np.array(lengths, int)[plan.doc]].all()
        first = np.r_[[True] * bool(plan.window.size), np.diff(plan.window) > 0]
        assert first[plan.start > 0].all()
        tokens = np.bincount(plan.window, plan.stop - plan.start, plan.n_windows)
        assert (tokens <= seq_len).all()
        assert all(np.unique(groups[plan.doc[plan.window == at]]).size == 1 for at in range(plan.n_windows))
        assert len(broken_conflicts(plan, pairs)) == 0
        for doc, start, stop, _ in rows_of(plan):
            assert start == 0 or n_bos < start < lengths[doc] - n_eos
            assert stop == lengths[doc] or n_bos < stop < lengths[doc] - n_eos
    assert plans["pad"].n_windows == plans["restart"].n_windows


def test_methods_that_choose_their_cuts_are_refused():
    for method in ("windows", "path-fit", "best-fit", "single", "knn"):
        with pytest.raises(ConfigError, match=f"which pack.method {method} cannot do"):
            packed([3, 4], 6, method=method, continuation="pad")
    with pytest.raises(ConfigError, match="use one of cut, restart, pad"):
        packed([3, 4], 6, continuation="again")
