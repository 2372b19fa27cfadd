"""Plans in partitions: what a partition and a seam hold, and what they lose against one piece."""

import numpy as np
import pytest
from topics import SEQ_LEN, SPECIALS, check_every_token_once, planned, rows_of

import icp
from icp import plan_windows
from icp.data import DocGraph
from icp.pack import bisection, partitions
from icp.pack.bisection import halved_runs
from icp.pack.partitions import divide, joined_seams, part_of, plan_partition, plan_seam, segments_of
from icp.pack.plan_windows import broken_conflicts, corpus_of
from icp.pack.problem import Limits, Pieces, limited
from icp.pack.similarity import window_figures

LOSS_OF_PARTITIONS = 0.08
"""Share of mean_similarity that a small corpus may lose: some 9 windows a partition."""
HOMES = 2.0
"""Partitions in which a topic of 20 documents lies: where its segments hold no other, only a cut parts them."""


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(partitions, "PARTITION_DOCS", 150)
    monkeypatch.setattr(partitions, "SEGMENT_DOCS", 4)
    monkeypatch.setattr(partitions, "RANGE_SEGMENTS", 7)


def corpus(topics, groups=None, conflicts=None):
    vectors, graph, order, *_ = topics
    return limited(corpus_of(graph, vectors, order, groups, conflicts), Limits(SEQ_LEN, SPECIALS))


def directions_of(corpus, segments):
    ranges = range(segments.n_ranges)
    return np.concatenate([partitions.segment_directions(corpus, segments, number) for number in ranges])


def test_segments_are_runs_of_the_path_that_keep_to_groups(small, monkeypatch):
    monkeypatch.setattr(partitions, "PARTITION_DOCS", 9)
    path = np.arange(23)[::-1]
    groups = np.repeat([2, 1, 0], [4, 14, 5])
    graph = icp.DocGraph(np.zeros(24, np.int64), np.empty(0, np.int32), np.empty(0, np.float16))
    made = corpus_of(graph, np.ones((23, 2), np.float16), path, groups, None)
    segments = segments_of(made, np.argsort(made.position))
    assert segments.docs.tolist() == [*range(22, 17, -1), *range(17, 3, -1), *range(3, -1, -1)]
    # groups of 5, 14 and 4 documents: none goes with another into 9
    assert segments.bounds.tolist() == [0, 4, 5, 9, 13, 17, 19, 23]
    assert segments.blocks.tolist() == [0, 2, 6, 7]


def test_small_groups_share_a_block(small):
    groups = np.repeat(np.arange(10), 30)
    graph = icp.DocGraph(np.zeros(301, np.int64), np.empty(0, np.int32), np.empty(0, np.float16))
    made = corpus_of(graph, np.ones((300, 2), np.float16), np.arange(300), groups, None)
    segments = segments_of(made, np.arange(300))
    assert segments.bounds[segments.blocks].tolist() == [0, 150, 300]


def test_partitions_hold_each_document_once_in_path_order_and_topics_whole(topics, small):
    vectors, graph, _, _, topic = topics
    order = np.argsort(topic, kind="stable").astype(np.int32)
    made = corpus_of(graph, vectors, order, None, None)
    segments = segments_of(made, np.argsort(made.position))
    found = divide(segments, directions_of(made, segments))
    assert sorted(np.concatenate(found).tolist()) == list(range(600))
    assert all(0 < docs.size <= 150 for docs in found)
    assert all(np.all(np.diff(made.position[docs]) > 0) for docs in found)
    homes = [sum(each in topic[docs] for docs in found) for each in range(30)]
    assert np.mean(homes) <= HOMES, f"a topic lies in {np.mean(homes):.2f} of {len(found)} partitions, at most {HOMES}"


def test_directions_do_not_hang_on_the_ranges(topics, small, monkeypatch):
    made = corpus(topics)
    segments = segments_of(made, np.argsort(made.position))
    several = directions_of(made, segments)
    monkeypatch.setattr(partitions, "RANGE_SEGMENTS", 1 << 20)
    assert segments.n_ranges == 1
    assert np.array_equal(directions_of(made, segments), several)


def test_a_part_is_a_corpus_of_its_own(topics):
    made = corpus(topics, groups=np.arange(600) % 2, conflicts=np.array([[3, 9], [9, 500], [12, 3]]))
    docs = np.array([3, 9, 12, 400])
    part = part_of(made, docs)
    assert np.array_equal(part.embeddings[np.arange(4)], topics[0][docs])
    assert part.position.tolist() == made.position[docs].tolist()
    assert part.groups.tolist() == [1, 1, 0, 0]
    pairs = [
        (row, other)
        for row in range(4)
        for other in part.conflicts[part.conflict_bounds[row] : part.conflict_bounds[row + 1]]
    ]
    assert pairs == [(0, 1), (0, 2), (1, 0), (2, 0)]
    whole = DocGraph(made.graph.indptr, made.graph.indices, made.graph.weights)
    for row, doc in enumerate(docs):
        near = [n for n in whole.indices[whole.indptr[doc] : whole.indptr[doc + 1]] if n in docs]
        assert docs[part.graph.indices[part.graph.indptr[row] : part.graph.indptr[row + 1]]].tolist() == near


def test_a_seam_takes_the_second_half_of_one_and_the_first_half_of_the_next(topics):
    made, tails = corpus(topics), topics[3]
    along = np.argsort(made.position)
    one, two = (plan_partition(made, docs, tails, 1) for docs in (along[:300], along[300:]))
    seams = [
        plan_seam(made, before, after, 1)
        for before, after in ((partitions.NOTHING, one), (one, two), (two, partitions.NOTHING))
    ]
    held = [set(seam.doc.tolist()) for seam in seams]
    first = set(one.doc[one.window < np.median(one.window)].tolist())
    assert held[0] == first
    assert held[1] >= set(two.doc[two.window < np.median(two.window)].tolist())
    joined = joined_seams(seams)
    assert np.bincount(joined.doc, joined.tokens, 600).tolist() == tails.tolist()
    assert np.bincount(joined.window, joined.tokens).max() <= SEQ_LEN
    assert np.unique(joined.window).size == sum(np.unique(seam.window).size for seam in seams)


def test_a_seam_of_nothing_is_nothing(topics):
    assert plan_seam(corpus(topics), partitions.NOTHING, partitions.NOTHING, 1).doc.size == 0


def test_one_window_is_all_second_half():
    pieces = Pieces(np.arange(3), np.full(3, 5), np.zeros(3, np.int32))
    assert partitions._half(pieces, second=True).doc.tolist() == [0, 1, 2]
    assert partitions._half(pieces, second=False).doc.tolist() == []


@pytest.mark.parametrize("split", ["minimal", "never"])
def test_plan_in_partitions_is_whole_and_the_same_for_any_number_of_threads(topics, small, split):
    one, three = (planned(topics, split=split, min_fill=0.95, threads=threads) for threads in (1, 3))
    assert rows_of(one) == rows_of(three)
    check_every_token_once(one, topics[3])
    if split == "never":
        assert np.unique(one.doc).size == one.doc.size


def test_partitions_lose_little(topics, small, monkeypatch):
    many = planned(topics)
    monkeypatch.setattr(partitions, "PARTITION_DOCS", 600)
    one = planned(topics)
    one, many = (window_figures(plan, topics[0], topics[3], capacity=SEQ_LEN) for plan in (one, many))
    lost = 1 - many.mean_similarity / one.mean_similarity
    assert lost <= LOSS_OF_PARTITIONS, f"lost {lost:.3f}, at most {LOSS_OF_PARTITIONS}"
    assert many.fill > 0.94  # each of these small partitions, and each seam, may open a window


def test_conflicts_and_groups_hold_across_partitions(topics, small):
    alike = [np.flatnonzero(topics[4] == topic)[:4] for topic in range(30)]
    conflicts = np.array([(a, b) for docs in alike for a in docs for b in docs if a < b])
    groups = np.arange(600) % 3
    plan = planned(topics, conflicts=conflicts, groups=groups)
    check_every_token_once(plan, topics[3])
    assert broken_conflicts(plan, conflicts).size == 0
    for window in range(plan.n_windows):
        assert np.unique(groups[plan.doc[plan.window == window]]).size == 1


@pytest.mark.parametrize("fill", [0.0, 0.5], ids=["zero vectors", "all alike"])
def test_documents_that_cannot_be_told_apart_are_planned_in_partitions_all_the_same(small, fill):
    n = 500
    near = (np.arange(n)[:, None] + np.arange(1, 6)) % n
    graph = icp.DocGraph(np.arange(n + 1) * 5, near.ravel().astype(np.int32), np.zeros(5 * n, np.float16))
    lengths = np.full(n, 20)
    vectors = np.full((n, 4), fill, np.float16)
    plan = plan_windows(graph, vectors, np.arange(n, dtype=np.int32), lengths, seq_len=SEQ_LEN)
    check_every_token_once(plan, lengths)
    assert plan.n_windows <= n * 20 / SEQ_LEN * 1.1 + 1


def test_halves_trained_on_a_sample_hold_like_windows(monkeypatch):
    random = np.random.default_rng(5)
    side = random.permutation(np.repeat([0, 1], 500))
    sums = np.rint(4096 * (np.eye(8)[side] + 0.1 * random.normal(size=(1000, 8))))
    monkeypatch.setattr(bisection, "TRAINING", 64)
    runs = halved_runs(sums, np.full(1000, 3), 1500)
    assert sorted(np.concatenate(runs).tolist()) == list(range(1000))
    assert [len(set(side[run])) for run in runs] == [1, 1]
    monkeypatch.setattr(bisection, "_BLOCK_ROWS", 33)
    assert [run.tolist() for run in halved_runs(sums, np.full(1000, 3), 1500)] == [run.tolist() for run in runs]
