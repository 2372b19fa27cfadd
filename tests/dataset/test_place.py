"""Where training is: numbers that are possible, equal ranks, and memory that workers share."""

import copy
import json
import multiprocessing
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from hand_shards import numbered, seen

from icp.dataset.place import Place, Sharing
from icp.dataset.windows import WindowDataset
from icp.errors import ConfigError

WORLDS = (1, 2, 3, 8)


def ranks_of(run, size, **options):
    return [WindowDataset(run, rank=rank, world_size=size, **options) for rank in range(size)]


def shared_by_hand(order, start, size, even):
    """The samples of each rank, one after another."""
    left = order[start:]
    rest = len(left) % size
    if rest and even == "drop":
        left = left[: len(left) - rest]
    if rest and even == "pad":
        left = left + (order * size)[: size - rest]
    return [left[rank::size] for rank in range(size)]


@pytest.mark.parametrize("even", ["no", "drop", "pad"])
@pytest.mark.parametrize("n_windows", [8, 13])
def test_ranks_share_what_is_left(n_windows, even):
    order = list(range(n_windows))
    for size in WORLDS:
        for start in range(n_windows):
            expected = shared_by_hand(order, start, size, even)
            given = []
            for rank in range(size):
                length = Sharing(rank, size, even).mine(n_windows - start)
                given.append([(start + place * size + rank) % n_windows for place in range(length)])
            assert given == expected
            settled = Sharing(0, size, even).settle(4, start, n_windows)
            assert settled == ((4, start) if any(expected) else (5, 0))


@pytest.mark.parametrize("even", [False, "drop", "pad"])
def test_samples_of_even_ranks_are_those_of_the_epoch(tmp_path, even):
    run = numbered(tmp_path, 13, per_shard=13)
    order = seen(WindowDataset(run, epoch=2))
    for start in (0, 7):
        ranks = ranks_of(run, 3, epoch=2, start=start, even=even)
        assert [seen(rank) for rank in ranks] == shared_by_hand(order, start, 3, even)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("even", [True, "drop", "pad"])
def test_even_ranks_have_as_many_batches(tmp_path, even, drop_last):
    data = pytest.importorskip("torch.utils.data")
    run = numbered(tmp_path, 13, per_shard=13)
    for size in (2, 8):
        ranks = ranks_of(run, size, even=even)
        for batch_size in (1, 2, 3):
            for sources in (ranks, [rank.stream(batch_size=batch_size) for rank in ranks]):
                loaders = [data.DataLoader(source, batch_size=batch_size, drop_last=drop_last) for source in sources]
                assert len({len(list(loader)) for loader in loaders}) == 1


@pytest.mark.parametrize("even", ["no", "drop", "pad"])
def test_stopped_anywhere_it_goes_on_under_any_number_of_ranks(even):
    """Against lists: what ranks of changing numbers are given of each epoch, one pass after another."""
    n_windows, rng = 13, random.Random(3)
    order = list(range(n_windows))
    for _ in range(200):
        epoch = start = 0
        for _ in range(6):
            size = rng.choice(WORLDS)
            sharing = Sharing(0, size, even)
            if not any(shared_by_hand(order, start, size, even)):
                epoch, start = epoch + 1, 0
            here = sum(map(len, shared_by_hand(order, start, size, even)))
            assert sharing.together(n_windows - start) == here
            taken = rng.choice([0, here, rng.randrange(0, here + 1, size if even != "no" else 1)])
            found = sharing.after((epoch, start), taken, n_windows)
            epoch, start = (epoch + 1, 0) if taken == here else (epoch, start + taken)
            assert found == (epoch, start)


def test_samples_seen_may_be_those_of_several_epochs(tmp_path):
    run = numbered(tmp_path, 10, per_shard=10)
    for even, whole in ((False, 10), ("drop", 9), ("pad", 12)):
        dataset = WindowDataset(run, rank=0, world_size=3, even=even)
        state = dataset.state_dict(3 * whole + 3)
        assert (state["epoch"], state["start"]) == (3, 3)


@pytest.mark.parametrize("even", [False, "drop", "pad"])
def test_samples_of_earlier_passes_are_refused_where_a_loop_sets_epochs(tmp_path, even):
    """A loop that resumed at 4 of 10 and counts on over the epoch would go on in the middle of the next one."""
    dataset = WindowDataset(numbered(tmp_path, 10, per_shard=10), rank=1, world_size=3, even=even, start=4)
    for epoch, whole in ((0, 6), (1, {False: 10, "drop": 9, "pad": 12}[even])):
        dataset.set_epoch(epoch)
        assert dataset.state_dict(3)["epoch"] == epoch
        state = dataset.state_dict(whole)
        assert (state["epoch"], state["start"]) == (epoch + 1, 0)
        with pytest.raises(ConfigError, match=f"samples_seen is 13, but all .* have {whole} in this pass of epoch"):
            dataset.state_dict(13)


def test_default_is_even_where_ranks_wait_for_one_another(tmp_path, monkeypatch):
    run = numbered(tmp_path, 5, per_shard=5)
    assert [len(rank) for rank in ranks_of(run, 2)] == [3, 2]
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert [(len(rank), rank.even) for rank in ranks_of(run, 2)] == [(2, "drop")] * 2
    assert [(len(rank), rank.even) for rank in ranks_of(run, 8)] == [(1, "pad")] * 8
    assert [len(rank) for rank in ranks_of(run, 2, even=False)] == [3, 2]
    assert WindowDataset(run).even == "no"  # who shares samples by other means


def test_dropping_that_leaves_ranks_nothing_is_refused(tmp_path):
    run = numbered(tmp_path, 5, per_shard=5)
    with pytest.raises(ConfigError, match="even='drop' leaves 8 ranks nothing of 5 windows; use even='pad'"):
        WindowDataset(run, world_size=8, even=True)


@pytest.mark.parametrize("even", ["yes", 1, None])
def test_other_words_for_even_are_refused(tmp_path, even):
    with pytest.raises(ConfigError, match=r"even is .*; use auto, drop"):
        WindowDataset(numbered(tmp_path, 5, per_shard=5), even=even)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: {}, "the state lacks epoch, start, shards"),
        (lambda state: {"epoch": 1, "shards": state["shards"]}, "the state lacks start"),
        (lambda state: {**state, "start": -3}, "start of the state is -3"),
        (lambda state: {**state, "epoch": -1}, "epoch of the state is -1"),
        (lambda state: {**state, "start": 2.0}, r"start of the state is 2\.0"),
        (lambda state: {**state, "start": None}, "start of the state is None"),
        (lambda state: {**state, "epoch": True}, "epoch of the state is True"),
        (lambda state: {**state, "epoch": 2**63}, "epoch of the state is"),
        (lambda state: {**state, "world_size": 3}, "was taken with 3 ranks, now there are 1"),
    ],
)
def test_states_that_are_not_possible_are_refused_and_change_nothing(tmp_path, change, match):
    dataset = WindowDataset(numbered(tmp_path, 5, per_shard=5), epoch=1, start=2)
    with pytest.raises(ConfigError, match=match):
        dataset.load_state_dict(change(dataset.state_dict(0)))
    assert (dataset.epoch, dataset.start) == (1, 2)


@pytest.mark.parametrize("number", [-5, 1.5, "4", None, True])
def test_counts_that_are_not_possible_are_refused(tmp_path, number):
    dataset = WindowDataset(numbered(tmp_path, 5, per_shard=5))
    with pytest.raises(ConfigError, match="expected a whole number from 0 on"):
        dataset.set_epoch(number)
    if number is not None:
        with pytest.raises(ConfigError, match=r"samples_seen is .*expected a whole number from 0 on"):
            dataset.state_dict(number)


def test_numbers_of_numpy_are_saved_as_pythons(tmp_path):
    dataset = WindowDataset(
        numbered(tmp_path, 5, per_shard=5), epoch=np.int32(0), start=np.uint8(1), world_size=np.int64(2)
    )
    state = dataset.state_dict(np.int64(6))
    assert json.loads(json.dumps(state)) == state
    dataset.load_state_dict({**state, "start": np.int64(3)})
    assert (dataset.epoch, dataset.start) == (1, 3)
    assert json.dumps(dataset.state_dict())


def test_a_resumed_loop_may_name_its_epoch_again(tmp_path):
    dataset = WindowDataset(numbered(tmp_path, 5, per_shard=5))
    dataset.load_state_dict(WindowDataset(numbered(tmp_path / "same", 5, per_shard=5), epoch=2).state_dict(3))
    dataset.set_epoch(2)
    assert (dataset.epoch, dataset.start) == (2, 3)
    dataset.epoch = 3
    assert (dataset.epoch, dataset.start) == (3, 0)


def move(place, numbers, done):
    place.set(*numbers)
    done.put(place.get())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_that_is_no_worker_moves_alone(method):
    context = multiprocessing.get_context(method)
    place, done = Place(1, 2), context.Queue()
    process = context.Process(target=move, args=(place, (7, 8), done))
    process.start()
    assert done.get(timeout=60) == (7, 8)
    process.join()
    assert place.get() == (1, 2)


def read_when_told(place, told, done):
    told.get(timeout=60)
    done.put(place.get())


def rank_with_a_worker(place, method, done):
    """As a rank that was given its data set: a worker that lives on, then another epoch."""
    context = multiprocessing.get_context(method)
    told, found = context.Queue(), context.Queue()
    worker = context.Process(target=read_when_told, args=(place, told, found))
    worker.start()
    place.set(7, 8)
    told.put(None)
    done.put(found.get(timeout=60))
    worker.join()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_rank_that_was_given_its_data_set_follow_the_rank(method):
    context = multiprocessing.get_context(method)
    place, done = Place(1, 2), context.Queue()
    rank = context.Process(target=rank_with_a_worker, args=(place, method, done))
    rank.start()
    assert done.get(timeout=60) == (7, 8)
    rank.join()
    assert place.get() == (1, 2)


def test_copies_have_a_place_of_their_own():
    place = Place(1, 2)
    for other in (copy.deepcopy(place), pickle.loads(pickle.dumps(place))):
        place.set(3, 4)
        assert other.get() == (1, 2)
        place.set(1, 2)


def test_more_shards_than_descriptors_are_read(tmp_path):
    """In a process of its own, whose limit is 60; every shard is read, and the oldest again."""
    run = numbered(tmp_path, 150, per_shard=1)
    code = (
        "import resource, sys; from icp.dataset.windows import WindowDataset as W; d = W(sys.argv[1]);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60));"
        "print([int(s['input_ids'][0]) for s in d] == list(range(150)), int(d[0]['input_ids'][0]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "0"], done.stderr[-500:]
