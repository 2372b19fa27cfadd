"""One property through every loop: ranks, workers, start methods, data sets and loaders in all combinations.

A chain of legs goes through an epoch: each has another number of ranks, goes on from the state that the one before
left, and then reads the whole next epoch with the same loaders, so that persistent workers see both. Every sample of
the epoch is read once, in the order of the epoch, whoever reads it.

The suite runs all combinations without workers, and all with forked ones for the last rank of each world size; spawned
workers, each of which imports torch for seconds, in a cover of all pairs. `make loops` runs all 216 combinations, every
rank of those with forked workers and the last one of those with spawned workers.
"""

import itertools
import json
import os

import pytest
from hand_shards import LOADERS_WARN, numbered, seen

from icp.dataset.windows import WindowDataset

data = pytest.importorskip("torch.utils.data")
torchdata = pytest.importorskip("torchdata.stateful_dataloader")
accelerate = pytest.importorskip("accelerate.data_loader")
ALL = os.environ.get("LOOPS") == "all"
BATCH = 2
N_WINDOWS = {"DataLoader": 101, "StatefulDataLoader": 101, "accelerate": 96}
"""accelerate gives samples again where they do not go round, by design."""
LEGS = [(2, 4), (8, 2), (3, 3), (1, 5)]
"""World sizes, and the steps that each one takes."""
SIZES, KINDS, LOADERS = (1, 2, 3, 8), ("map", "stream"), ("DataLoader", "StatefulDataLoader", "accelerate")
WORKERS = [(0, False, None), *itertools.product((2, 4), (False, True), ("fork", "spawn"))]
SPAWNED = [
    (4, True, "map", "DataLoader", 2), (4, False, "stream", "StatefulDataLoader", 1),
    (4, True, "stream", "accelerate", 3), (2, False, "stream", "DataLoader", 3),
    (2, True, "map", "StatefulDataLoader", 8), (2, False, "map", "accelerate", 8),
]  # fmt: skip
"""Spawned workers in the suite: workers, persistent, kind, loader, world size."""
pytestmark = [pytest.mark.filterwarnings(f"ignore:{of_others}") for of_others in LOADERS_WARN]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {n: numbered(tmp_path_factory.mktemp("run"), n, per_shard=20) for n in set(N_WINDOWS.values())}


@pytest.fixture(scope="module")
def orders(runs):
    """The windows of epochs 0 to 2, read without a loader."""
    orders = {}
    for n, run in runs.items():
        orders[n] = [seen(WindowDataset(run, epoch=epoch)) for epoch in range(3)]
        assert all(sorted(order) == list(range(n)) for order in orders[n])
        assert len(set(map(tuple, orders[n]))) == 3
    return orders


def loader_of(dataset, kind, name, how, share):
    """A loader, and a function that sets its epoch; `share`: rank and world size where accelerate shares samples."""
    workers, persistent, method = how
    options = {"persistent_workers": persistent, "multiprocessing_context": method} if workers else {}
    # accelerate takes the batches of all its processes off a stream, and gives each its part
    of_stream = BATCH * share[1] if name == "accelerate" else BATCH
    source = dataset if kind == "map" else dataset.stream(batch_size=of_stream)
    made = torchdata.StatefulDataLoader if name == "StatefulDataLoader" else data.DataLoader
    loader = made(source, batch_size=BATCH, num_workers=workers, **options)
    if name != "accelerate":
        return loader, dataset.set_epoch
    rank, size = share
    loader = accelerate.prepare_data_loader(loader, num_processes=size, process_index=rank, dispatch_batches=False)
    loader.set_epoch(dataset.epoch)
    return loader, loader.set_epoch


def taken(loader, steps=None):
    return [batch["input_ids"][:, 0].tolist() for batch in itertools.islice(loader, steps)]


def share_of(order, name, rank, size):
    """The batches of a rank: every size-th sample, or every size-th batch where accelerate shares them."""
    if name == "accelerate":
        return [order[at : at + BATCH] for at in range(rank * BATCH, len(order), size * BATCH)]
    mine = order[rank::size]
    return [mine[at : at + BATCH] for at in range(0, len(mine), BATCH)]


def follow(run, orders, combination, leg, ranks):
    """One leg by some of its ranks; the state that they leave, which all of them agree on."""
    kind, name, how = combination
    (size, steps), state = leg
    states, found = [], []
    for rank in ranks:
        of_dataset = {} if name == "accelerate" else {"rank": rank, "world_size": size}
        dataset = WindowDataset(run, **of_dataset)
        dataset.load_state_dict(state)
        epoch, start = dataset.epoch, dataset.start
        loader, set_epoch = loader_of(dataset, kind, name, how, (rank, size))
        found.append(taken(loader, steps))
        assert found[-1] == share_of(orders[epoch][start:], name, rank, size)[:steps]
        states.append(json.loads(json.dumps(dataset.state_dict(steps * size * BATCH))))
        set_epoch(epoch + 1)
        assert taken(loader) == share_of(orders[epoch + 1], name, rank, size)
    assert states == states[:1] * len(states)
    return states[0], [sample for batches in found for batch in batches for sample in batch]


def combinations():
    for kind, name, how in itertools.product(KINDS, LOADERS, WORKERS):
        sizes = SIZES if how[2] != "spawn" or ALL else [s for s in SIZES if (*how[:2], kind, name, s) in SPAWNED]
        if sizes:
            workers, persistent, method = how
            words = (kind, name, f"{workers}-workers", "persistent" if persistent else "", method or "", f"of-{sizes}")
            yield pytest.param((kind, name, how), sizes, id="-".join(filter(None, map(str, words))))


@pytest.mark.parametrize(("combination", "sizes"), list(combinations()))
def test_every_sample_once_in_order_and_on_from_a_state_of_other_ranks(runs, orders, combination, sizes):
    _, name, (workers, _, method) = combination
    run, orders = runs[N_WINDOWS[name]], orders[N_WINDOWS[name]]
    state, read = WindowDataset(run, epoch=1, start=1).state_dict(0), []
    for size, steps in LEGS:
        if size not in sizes:
            state = {**state, "start": state["start"] + steps * size * BATCH}
            continue
        every = not workers or (ALL and method == "fork")
        ranks = range(size) if every else [size - 1]
        state, samples = follow(run, orders, combination, ((size, steps), state), ranks)
        read += samples
    if not workers:
        assert sorted(read) == sorted(orders[1][1 : 1 + len(read)])
    assert state["start"] == 1 + sum(size * steps * BATCH for size, steps in LEGS)


def test_spawned_workers_of_the_suite_cover_every_pair():
    axes = [(2, 4), (False, True), KINDS, LOADERS]
    for (a, first), (b, second) in itertools.combinations(enumerate(axes), 2):
        assert {(row[a], row[b]) for row in SPAWNED} == set(itertools.product(first, second))
    assert {row[-1] for row in SPAWNED} == set(SIZES)
    assert len(list(itertools.product(SIZES, KINDS, LOADERS, WORKERS))) == 216
