import itertools

import numpy as np
import pytest
from bucket_files import do_phase, made_context
from hypothesis import given, settings
from hypothesis import strategies as st

from icp.dedup import components as library
from icp.dedup.components import cut_tasks
from icp.engine.step import Phase
from icp.steps.dedup import components, rounds

PHASES = (
    *rounds.star_phases(),
    Phase("components", components.component_parts, components.find_labels),
    Phase("shares", components.share_parts, components.share_buckets),
)
N = 90


def buckets_of(seed):
    """Three files of small buckets that connect some of `N` positions."""
    random = np.random.default_rng(seed)
    buckets = [sorted((3 * random.choice(30, 3, replace=False) + k % 3).tolist()) for k in range(36)]
    return [buckets[:10], [], buckets[10:]]


def shares_of(folder, files):
    """The buckets of each task, as lists."""
    context = made_context(folder, files, N)
    for phase in PHASES:
        do_phase(context, phase)
    found = [components.load_share(context, task) for task in components.task_names(context)]
    tasks = [[part.tolist() for part in np.split(members, starts[1:])] for members, starts in found if members.size]
    labels = [np.load(path) for path in sorted((folder / "components").glob("*.labels.npy"))]
    return tasks, np.concatenate([np.zeros(0, np.int64), *labels]).tolist()


def test_tasks_are_cut_by_hand():
    assert cut_tasks(np.array([2, 1, 4, 0, 1, 9, 1, 0]), 4).tolist() == [0, 2, 4, 5, 6, 8]
    assert cut_tasks(np.array([1, 1]), 4).tolist() == [0, 2]


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=30), most=st.integers(1, 20))
def test_tasks_cover_all_bins_and_hold_no_more_than_they_may(sizes, most):
    cuts = cut_tasks(np.array(sizes), most).tolist()
    assert (cuts[0], cuts[-1]) == (0, len(sizes))
    for a, b in itertools.pairwise(cuts):
        assert b > a
        assert sum(sizes[a:b]) <= most or b == a + 1
        assert b == len(sizes) or sum(sizes[a : b + 1]) > most


def test_few_candidates_are_one_task_of_all_buckets(tmp_path):
    files = buckets_of(0)
    assert shares_of(tmp_path, files) == ([files[0] + files[2]], [])


@pytest.mark.parametrize("seed", range(3))
def test_stars_and_union_find_give_the_same_labels_and_tasks(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(library, "TASK_CANDIDATES", 8)
    expected = shares_of(tmp_path / "one", buckets_of(seed))
    monkeypatch.setattr(rounds, "UNION_FIND_POSITIONS", 10)
    for size in (20, 50, 100):
        monkeypatch.setattr(rounds, "RANGE_POSITIONS", size)
        assert shares_of(tmp_path / str(size), buckets_of(seed)) == expected


def test_tasks_hold_whole_components_in_the_order_of_their_buckets(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "TASK_CANDIDATES", 8)
    files = [[[0, 7], [3, 5]], [[5, 9], [1, 2], [7, 80]], [[20, 21], [3, 9], [40, 41, 42]]]
    tasks, labels = shares_of(tmp_path, files)
    assert tasks == [[[0, 7], [3, 5], [5, 9], [1, 2], [7, 80], [3, 9]], [[20, 21]], [[40, 41, 42]]]
    assert [labels[x] for x in (0, 7, 80, 3, 5, 9, 1, 2, 42, 4)] == [0, 0, 0, 3, 3, 3, 1, 1, 40, 4]
