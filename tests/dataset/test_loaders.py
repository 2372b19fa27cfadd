"""The states of loaders that keep one: they go on after any batch, or say why not (`test_every_loop` has the rest)."""

import json

import pytest
from hand_shards import LOADERS_WARN, numbered, seen

from icp.dataset.windows import WindowDataset
from icp.errors import ConfigError

data = pytest.importorskip("torch.utils.data")
N_WINDOWS, BATCH = 45, 3
pytestmark = [pytest.mark.filterwarnings(f"ignore:{of_others}") for of_others in LOADERS_WARN]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return numbered(tmp_path_factory.mktemp("run"), N_WINDOWS, per_shard=20)


@pytest.fixture(scope="module")
def orders(run):
    """The windows of epochs 0 to 3, read without a loader."""
    found = [seen(WindowDataset(run, epoch=epoch)) for epoch in range(4)]
    assert all(sorted(order) == list(range(N_WINDOWS)) for order in found)
    assert len(set(map(tuple, found))) == 4
    return found


def source_of(dataset, kind):
    return dataset if kind == "map" else dataset.stream(batch_size=BATCH)


def plain(source, workers, persistent=False):
    options = {"persistent_workers": persistent} if workers else {}
    return data.DataLoader(source, batch_size=BATCH, num_workers=workers, **options)


def stateful(source, workers, persistent=False):
    torchdata = pytest.importorskip("torchdata.stateful_dataloader")
    options = {"persistent_workers": persistent} if workers else {}
    return torchdata.StatefulDataLoader(source, batch_size=BATCH, num_workers=workers, **options)


def accelerated(source, workers, persistent=False):
    accelerate = pytest.importorskip("accelerate")
    config = accelerate.DataLoaderConfiguration(use_stateful_dataloader=True)
    return accelerate.Accelerator(cpu=True, dataloader_config=config).prepare(plain(source, workers, persistent))


def taken(loader, stop=None):
    found = []
    for number, batch in enumerate(loader, 1):
        found += batch["input_ids"][:, 0].tolist()
        if number == stop:
            break
    return found


@pytest.mark.parametrize("kind", ["map", "stream"])
@pytest.mark.parametrize(("make", "workers"), [(stateful, 0), (stateful, 2), (accelerated, 0), (accelerated, 2)])
def test_loaders_with_a_state_go_on_after_any_batch(run, orders, kind, make, workers):
    """From the middle of a later epoch, and then the next one; a pass that was whole is not gone on with."""
    order = orders[1][6:]
    for stop in (0, 1, 5, None) if not workers else (4,):
        loader = make(source_of(WindowDataset(run, epoch=1, start=6), kind), workers)
        follow(loader, 1)
        first = taken(loader, stop) if stop != 0 else []
        state = loader.state_dict()
        again = WindowDataset(run, epoch=1, start=6)
        later = make(source_of(again, kind), workers)
        follow(later, 1)
        later.load_state_dict(state)
        assert (first if stop is not None else []) + taken(later) == order
        follow(later, 2)
        again.set_epoch(2)
        assert taken(later) == orders[2]


def follow(loader, epoch):
    """Say where the loop is to a loader that counts epochs itself: accelerate's."""
    if hasattr(loader, "iteration"):
        loader.set_epoch(epoch)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["map", "stream"])
def test_state_brings_the_epoch_along(run, orders, kind, workers):
    loader = stateful(source_of(WindowDataset(run, epoch=1), kind), workers)
    first = taken(loader, 4)
    again = stateful(source_of(WindowDataset(run), kind), workers)
    again.load_state_dict(loader.state_dict())
    assert first + taken(again) == orders[1]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["map", "stream"])
def test_a_loop_that_counts_from_0_after_a_resume_is_refused(run, kind, workers):
    loader = stateful(source_of(WindowDataset(run, epoch=1), kind), workers)
    taken(loader, 4)
    again = accelerated(source_of(WindowDataset(run), kind), workers)
    again.load_state_dict(loader.state_dict())
    with pytest.raises(ConfigError, match=r"set_epoch\(0\) was called, but the loader's state is of epoch 1"):
        taken(again)
    with pytest.raises(ConfigError, match=r"set_epoch\(0\) would go back from epoch 1"):
        taken(accelerated(source_of(WindowDataset(run, epoch=1), kind), workers))


def test_a_stream_whose_epoch_changes_under_way_is_refused(run):
    dataset = WindowDataset(run)
    samples = iter(dataset.stream(batch_size=BATCH))
    next(samples)
    dataset.set_epoch(1)
    with pytest.raises(ConfigError, match="the epoch changed from 0 to 1 while a loader was reading"):
        next(samples)


@pytest.mark.parametrize("kind", ["map", "stream"])
def test_state_of_persistent_workers_goes_on_and_they_follow_the_epoch(run, orders, kind):
    loader = stateful(source_of(WindowDataset(run), kind), 2, persistent=True)
    first = taken(loader, 4)
    state = loader.state_dict()
    dataset = WindowDataset(run)
    again = stateful(source_of(dataset, kind), 2, persistent=True)
    again.load_state_dict(state)
    assert first + taken(again) == orders[0]
    for epoch in (1, 2):
        dataset.set_epoch(epoch)
        assert taken(again) == orders[epoch]


def test_state_of_a_stream_seeks(run, monkeypatch):
    stream = WindowDataset(run).stream(batch_size=BATCH)
    stream.load_state_dict({**stream.state_dict(), "given": 40})
    read = []
    monkeypatch.setattr(WindowDataset, "window", lambda self, window: read.append(window) or {})
    assert len(list(stream)) == N_WINDOWS - 40
    assert read == list(range(40, N_WINDOWS))
    assert len(list(stream)) == N_WINDOWS  # a later pass is whole


def test_state_of_a_stream_with_other_workers_or_batches_is_refused(run):
    state = WindowDataset(run).stream(batch_size=2).state_dict()
    other = WindowDataset(run).stream(batch_size=3)
    with pytest.raises(ConfigError, match="taken with workers 0, batch_size 2; now: workers 0, batch_size 3"):
        other.load_state_dict(state)
    with pytest.raises(ConfigError, match="given is -1"):
        other.load_state_dict({**other.state_dict(), "given": -1})
    other.load_state_dict(WindowDataset(run).state_dict(40))
    assert taken(plain(other, 0)) == list(range(40, N_WINDOWS))


def test_batch_of_a_stream_has_to_be_given(run):
    with pytest.raises(TypeError, match="batch_size"):
        WindowDataset(run).stream()
    for batch_size in (0, -1, 2.5):
        with pytest.raises(ConfigError, match="batch_size is"):
            WindowDataset(run).stream(batch_size=batch_size)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_generator_of_datasets_gives_all_of_a_stream_to_its_one_worker(run, orders, workers):
    """`datasets` stops the workers that have no shard; the one left has to read their samples."""
    datasets = pytest.importorskip("datasets")
    stream = WindowDataset(run, epoch=1).stream(batch_size=BATCH)
    made = datasets.IterableDataset.from_generator(iter_of, gen_kwargs={"stream": stream}).with_format("torch")
    assert taken(plain(made, workers)) == orders[1]


def iter_of(stream):
    yield from stream


def test_grain_reads_a_data_set_by_threads_and_goes_on(run, orders):
    grain = pytest.importorskip("grain")

    def build():
        return iter(grain.MapDataset.source(WindowDataset(run, epoch=1)).to_iter_dataset().batch(BATCH))

    batches = build()
    first = [next(batches) for _ in range(4)]
    again = build()
    again.set_state(json.loads(json.dumps(batches.get_state())))
    assert [int(row[0]) for batch in [*first, *again] for row in batch["input_ids"]] == orders[1]
