"""The tasks of a plan in partitions give what the functions of `icp.pack.partitions` give, one after another."""

import random
from itertools import pairwise

import numpy as np
import pytest

import icp
from icp.pack import partition_plan, partitions
from icp.pack.partition_plan import RANGES, TASKS, MemoryStore, joined_pieces, plan_divided
from icp.pack.partitions import NOTHING, divide, joined_seams, plan_partition, plan_seam, segment_directions
from icp.pack.plan_windows import corpus_of
from icp.pack.planner import division_of, tails_of
from icp.pack.problem import Limits, limited


@pytest.fixture
def division(monkeypatch):
    """400 documents of 20 topics, some of them longer than a window, in 4 partitions or more."""
    monkeypatch.setattr(partitions, "PARTITION_DOCS", 120)
    monkeypatch.setattr(partitions, "SEGMENT_DOCS", 4)
    monkeypatch.setattr(partitions, "RANGE_SEGMENTS", 13)
    draw = np.random.default_rng(5)
    vectors = np.eye(20)[draw.integers(0, 20, 400)] + 0.1 * draw.normal(size=(400, 20))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    graph = icp.symmetrize(icp.search_neighbors(vectors, k=8))
    corpus = corpus_of(graph, vectors, draw.permutation(400), None, None)
    lengths = draw.integers(0, 300, 400).astype(np.int64)
    return division_of(tails_of(limited(corpus, Limits(256, (0, 1))), lengths))


def rows_of(pieces):
    return [getattr(pieces, name).tolist() for name in ("doc", "tokens", "window")]


def one_after_another(division):
    corpus, segments, tails = division.corpus, division.segments, division.tails
    directions = [segment_directions(corpus, segments, number) for number in range(segments.n_ranges)]
    planned = [plan_partition(corpus, docs, tails, 1) for docs in divide(segments, np.concatenate(directions))]
    assert len(planned) > 3
    return joined_seams([plan_seam(corpus, *pair, 1) for pair in pairwise([NOTHING, *planned, NOTHING])])


def test_tasks_in_memory_give_what_the_functions_give(division):
    expected = rows_of(one_after_another(division))
    assert rows_of(plan_divided(division, 1)) == rows_of(plan_divided(division, 3)) == expected
    assert sum(expected[1]) == division.tails.sum()


def test_tasks_of_one_name_may_run_in_any_order_and_more_than_once(division):
    store, draw = MemoryStore(counts={RANGES: division.segments.n_ranges}), random.Random(2)
    for task in TASKS:
        numbers = list(range(task.count(store) if task.count else 1))
        for number in draw.sample(numbers, len(numbers)) + numbers[:1]:
            task.work(division, store, number)
    assert rows_of(joined_pieces(store)) == rows_of(one_after_another(division))


def test_a_seam_that_is_left_out_is_missed(division, monkeypatch):
    monkeypatch.setattr(partition_plan, "TASKS", TASKS[:-1])
    with pytest.raises(KeyError, match="seam-00000"):
        plan_divided(division, 1)
