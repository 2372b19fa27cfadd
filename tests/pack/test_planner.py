"""Stretches of the planner: the plan over many small ones, and what it loses against one."""

import itertools

import numpy as np
import pytest
from topics import SEQ_LEN, check_every_token_once, planned, rows_of

import icp
from icp import plan_windows
from icp.pack import first_plan, rounds
from icp.pack.bisection import halved_runs
from icp.pack.plan_windows import broken_conflicts
from icp.pack.similarity import window_figures

LOSS_OF_STRETCHES = 0.05
"""Share of mean_similarity that small corpora may lose: some 8 windows a stretch."""


@pytest.mark.parametrize("path_windows", [8192, 0], ids=["one path", "a path a run"])
@pytest.mark.parametrize("split", ["minimal", "never"])
def test_plan_of_many_stretches_is_the_same_for_any_number_of_threads(topics, monkeypatch, split, path_windows):
    monkeypatch.setattr(rounds, "STRETCH_DOCS", 70)
    monkeypatch.setattr(rounds, "PATH_WINDOWS", path_windows)
    one, two, seven = (planned(topics, split=split, min_fill=0.95, threads=threads) for threads in (1, 2, 7))
    assert rows_of(one) == rows_of(two) == rows_of(seven)
    check_every_token_once(one, topics[3])
    if split == "never":
        assert np.unique(one.doc).size == one.doc.size


def test_plan_does_not_hang_on_the_documents_read_at_once(topics, monkeypatch):
    whole = planned(topics)
    monkeypatch.setattr(first_plan, "BLOCK_DOCS", 64)
    assert rows_of(planned(topics)) == rows_of(whole)


def test_conflicts_and_groups_hold_across_stretches(topics, monkeypatch):
    monkeypatch.setattr(rounds, "STRETCH_DOCS", 70)
    alike = [np.flatnonzero(topics[4] == topic)[:6] for topic in range(30)]
    conflicts = np.concatenate([list(itertools.combinations(docs, 2)) for docs in alike])
    groups = np.arange(600) % 3
    plan = planned(topics, conflicts=conflicts, groups=groups)
    check_every_token_once(plan, topics[3])
    assert broken_conflicts(plan, conflicts).size == 0
    for window in range(plan.n_windows):
        assert np.unique(groups[plan.doc[plan.window == window]]).size == 1


def test_stretches_lose_little_and_take_one_window_more_each_at_most(topics, monkeypatch):
    one = planned(topics)
    monkeypatch.setattr(rounds, "STRETCH_DOCS", 150)
    many = planned(topics)
    vectors, lengths = topics[0], topics[3]
    assert many.n_windows <= one.n_windows + 4  # what finds no room in a stretch opens a window
    one, many = (window_figures(plan, vectors, lengths, capacity=SEQ_LEN) for plan in (one, many))
    lost = 1 - many.mean_similarity / one.mean_similarity
    assert lost <= LOSS_OF_STRETCHES, f"lost {lost:.3f}, at most {LOSS_OF_STRETCHES}"


def test_halved_runs_hold_like_windows():
    random = np.random.default_rng(5)
    side = random.permutation(np.repeat([0, 1], 16))
    sums = np.rint(4096 * (np.eye(8)[side] + 0.1 * random.normal(size=(32, 8))))
    runs = halved_runs(sums, np.full(32, 3), 48)
    assert sorted(np.concatenate(runs).tolist()) == list(range(32))
    assert [len(set(side[run])) for run in runs] == [1, 1]


@pytest.mark.parametrize("sums", [np.zeros((9, 4)), np.ones((9, 4))])
def test_windows_that_cannot_be_told_apart_are_halved_all_the_same(sums):
    runs = halved_runs(sums, np.full(9, 2), 4)
    assert sorted(np.concatenate(runs).tolist()) == list(range(9))
    assert all(run.size <= 2 for run in runs)


@pytest.mark.parametrize(
    ("vectors", "lengths", "n_windows"),
    [
        (np.eye(8)[np.arange(100_000) % 8], np.ones(100_000, np.int64), 13),
        (np.ones((20_000, 4)) / 2, np.full(20_000, 50), 123),
        (np.zeros((20_000, 4)), np.full(20_000, 50), 123),
        (np.ones((300, 4)) / 2, np.full(300, 20_000), 733),
        (np.ones((1, 4)) / 2, np.array([7]), 1),
    ],
    ids=["one-token", "all-equal", "zero-vectors", "all-longer-than-a-window", "one-document"],
)
def test_extreme_corpora_are_planned_whole(vectors, lengths, n_windows):
    n = lengths.size
    near = (np.arange(n)[:, None] + np.arange(1, min(n, 6))) % n  # a graph that says little, at no cost
    graph = icp.DocGraph(
        np.arange(n + 1, dtype=np.int64) * near.shape[1],
        near.ravel().astype(np.int32),
        np.zeros(near.size, np.float16),
    )
    plan = plan_windows(graph, vectors.astype(np.float16), np.arange(n, dtype=np.int32), lengths, seq_len=8192)
    check_every_token_once(plan, lengths, 8192)
    assert n_windows <= plan.n_windows <= n_windows * 1.01 + 1
