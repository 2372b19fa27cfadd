import json
import pickle
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import finish

from icp.artifacts import MANIFEST, read_manifest, write_json
from icp.errors import ArtifactError, ConfigError
from icp.reader import WindowDataset

PAD = 99


def make_shards(run, rows, segments, *, seq_len=None, n_pad=None, bos="none", shuffle="random", per_shard=2):
    """Shards of 16-bit rows; `segments`: for each window (doc_start, win_start, win_stop) of its pieces."""
    folder = run / "packs" / "main" / "shards"
    folder.mkdir(parents=True)
    rows = np.array(rows, dtype="<u2")
    for name in ("segments", "windows"):
        (folder / name).mkdir()
    for shard, first in enumerate(range(0, len(rows), per_shard)):
        rows[first : first + per_shard].tofile(folder / f"shard-{shard:05d}.bin")
        listed = [
            (window, position, *piece)
            for window in range(first, min(first + per_shard, len(rows)))
            for position, piece in enumerate(segments[window])
        ]
        names = ("window", "position", "doc_start", "win_start", "win_stop")
        columns = {name: pa.array([row[place] for row in listed], pa.int64()) for place, name in enumerate(names)}
        pq.write_table(pa.table(columns), folder / "segments" / f"part-{shard:05d}.parquet")
        pads = [0] * len(rows) if n_pad is None else n_pad
        windows = {"window": range(first, first + per_shard), "n_pad": pads[first : first + per_shard]}
        windows["window"] = list(windows["window"])[: len(windows["n_pad"])]
        pq.write_table(pa.table(windows), folder / "windows" / f"part-{shard:05d}.parquet")
    finish(folder, {})
    facts = {
        "seq_len": seq_len or rows.shape[1], "stride": rows.shape[1], "dtype": "uint16", "windows": len(rows),
        "policy": {"bos": bos, "eos": "document"}, "shuffle": shuffle, "seed": 3,
    }  # fmt: skip
    write_json(folder / MANIFEST, {**facts, **asdict(read_manifest(folder))})
    return run


def numbered(run, n_windows, **options):
    """A pack whose window w holds w, w, w."""
    return make_shards(run, [[window] * 3 for window in range(n_windows)], [[(0, 0, 3)]] * n_windows, **options)


def seen(dataset):
    return [int(sample["input_ids"][0]) for sample in dataset]


@pytest.fixture
def hand(tmp_path):
    """Two windows of 8: two documents and padding; the rest of the second document alone."""
    rows = [[5, 6, 1, 7, 8, 1, PAD, PAD], [9, 9, 9, 9, 9, 9, 9, 1]]
    return make_shards(tmp_path, rows, [[(0, 0, 2), (0, 3, 5)], [(4, 0, 7)]], n_pad=[2, 0])


def lists(sample):
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in sample.items()}


def test_sample_without_a_mask(hand):
    dataset = WindowDataset(hand)
    assert lists(dataset[0]) == {
        "input_ids": [5, 6, 1, 7, 8, 1, PAD, PAD],
        "labels": [5, 6, 1, 7, 8, 1, -100, -100],
        "position_ids": [0, 1, 2, 3, 4, 5, 6, 7],
        "segment_ids": [0, 0, 0, 1, 1, 1, -1, -1],
        "cu_seqlens": [0, 3, 6, 8],
        "seq_idx": [0, 0, 0, 1, 1, 1, 2, 2],
        "shifted": False,
    }
    assert lists(dataset[1])["cu_seqlens"] == [0, 8, 8, 8]
    dtypes = {name: value.dtype.name for name, value in dataset[0].items() if isinstance(value, np.ndarray)}
    assert dtypes == dict.fromkeys(dtypes, "int64") | {"cu_seqlens": "int32", "seq_idx": "int32"}


def test_sample_with_documents_apart(hand):
    sample = lists(WindowDataset(hand, mask="intra")[0])
    assert sample["labels"] == [-100, 6, 1, -100, 8, 1, -100, -100]
    assert sample["position_ids"] == [0, 1, 2, 0, 1, 2, 0, 1]
    rest = lists(WindowDataset(hand, mask="intra")[1])
    assert rest["labels"] == [-100, 9, 9, 9, 9, 9, 9, 1]


def test_specials_belong_to_their_document(tmp_path):
    run = make_shards(tmp_path / "a", [[50, 5, 1, 50, 7, 8]], [[(0, 1, 2), (0, 4, 6)]], bos="document")
    assert WindowDataset(run)[0]["segment_ids"].tolist() == [0, 0, 0, 1, 1, 1]
    run = make_shards(tmp_path / "b", [[50, 5, 1, 7, 8, 1]], [[(0, 1, 2), (3, 3, 5)]], bos="window")
    assert WindowDataset(run)[0]["segment_ids"].tolist() == [0, 0, 0, 1, 1, 1]
    run = make_shards(tmp_path / "c", [[5, 6, 1, 50, 7, 8]], [[(3, 0, 2), (0, 4, 6)]], bos="document")
    assert WindowDataset(run)[0]["segment_ids"].tolist() == [0, 0, 0, 1, 1, 1]


def test_row_of_one_more_gives_shifted_labels(tmp_path):
    rows = [[5, 6, 1, 7, 8, PAD, PAD], [5, 6, 7, 8, 9, 1, 4]]
    run = make_shards(tmp_path, rows, [[(0, 0, 2), (0, 3, 5)], [(0, 0, 5), (0, 6, 7)]], seq_len=6, n_pad=[2, 0])
    sample = lists(WindowDataset(run, mask="intra")[0])
    assert sample["input_ids"] == [5, 6, 1, 7, 8, PAD]
    assert sample["labels"] == [6, 1, -100, 8, -100, -100]
    assert sample["segment_ids"] == [0, 0, 0, 1, 1, -1]
    assert (sample["cu_seqlens"], sample["shifted"]) == ([0, 3, 5, 6], True)
    last = lists(WindowDataset(run, mask="intra")[1])  # the second piece is the last label only
    assert last["labels"] == [6, 7, 8, 9, 1, -100]
    assert (last["segment_ids"], last["cu_seqlens"]) == ([0] * 6, [0, 6, 6, 6])


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_ranks_share_training_order(tmp_path, world_size):
    run = numbered(tmp_path, 11)
    ranks = [WindowDataset(run, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert sum(map(len, ranks)) == 11
    for rank, dataset in enumerate(ranks):
        assert seen(dataset) == list(range(11))[rank::world_size]
        assert len(seen(dataset)) == len(dataset)


def test_later_epochs_are_permutations_of_seed_and_epoch(tmp_path):
    run = numbered(tmp_path / "random", 40)
    orders = [seen(WindowDataset(run, epoch=epoch)) for epoch in range(4)]
    assert orders[0] == list(range(40))
    assert all(sorted(order) == orders[0] for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert seen(WindowDataset(run, epoch=2, rank=1, world_size=3)) == orders[2][1::3]
    kept = numbered(tmp_path / "none", 40, shuffle="none")
    assert seen(WindowDataset(kept, epoch=3)) == list(range(40))


def test_resumes_twice_in_a_row_under_other_world_sizes(tmp_path):
    run = numbered(tmp_path, 20)
    taken = []
    state = WindowDataset(run, epoch=1).state_dict(0)
    for world_size, steps in ((1, 3), (2, 2), (3, 2), (1, 7)):
        ranks = [WindowDataset(run, rank=rank, world_size=world_size) for rank in range(world_size)]
        for dataset in ranks:
            dataset.load_state_dict(state)
        taken += [int(ranks[rank][step]["input_ids"][0]) for step in range(steps) for rank in range(world_size)]
        states = [dataset.state_dict(steps * world_size) for dataset in ranks]
        state = json.loads(json.dumps(states[0]))
        assert all(other == state for other in states)
    assert (state["epoch"], state["start"]) == (2, 0)
    assert taken == seen(WindowDataset(run, epoch=1))
    later = WindowDataset(run, epoch=1, start=15).state_dict(30)
    assert (later["epoch"], later["start"]) == (3, 5)


def test_start_counts_samples_of_all_ranks(tmp_path):
    run = numbered(tmp_path, 9)
    assert seen(WindowDataset(run, start=4, rank=1, world_size=2)) == [5, 7]
    assert len(WindowDataset(run, start=9)) == len(WindowDataset(run, start=50)) == 0


def test_state_of_other_shards_is_refused(tmp_path):
    state = WindowDataset(numbered(tmp_path / "a", 5)).state_dict(2)
    with pytest.raises(ArtifactError, match="taken from other shards"):
        WindowDataset(numbered(tmp_path / "b", 6)).load_state_dict(state)


def test_indexes_like_a_sequence(hand):
    dataset = WindowDataset(hand)
    assert np.array_equal(dataset[-1]["input_ids"], dataset[1]["input_ids"])
    for index in (2, -3):
        with pytest.raises(IndexError, match="of 2"):
            dataset[index]


def test_samples_are_copies_and_the_dataset_travels_small(hand):
    dataset = WindowDataset(hand)
    dataset[0]["input_ids"][:] = 0
    assert dataset[0]["input_ids"][0] == 5
    assert dataset._maps
    copy = pickle.loads(pickle.dumps(dataset))
    assert not copy._maps
    assert lists(copy[1]) == lists(dataset[1])


@pytest.mark.parametrize("workers", [0, 1])
def test_torch_loader_batches_samples(tmp_path, workers):
    data = pytest.importorskip("torch.utils.data")
    rows = [[5, 6, 1, PAD], [7, 1, 8, 1], [4, 4, 4, 1]]
    run = make_shards(tmp_path, rows, [[(0, 0, 2)], [(0, 0, 1), (0, 2, 3)], [(2, 0, 3)]], n_pad=[1, 0, 0])
    context = "spawn" if workers else None
    loader = data.DataLoader(WindowDataset(run), batch_size=3, num_workers=workers, multiprocessing_context=context)
    (batch,) = list(loader)
    assert batch["input_ids"].tolist() == rows
    assert batch["cu_seqlens"].tolist() == [[0, 3, 4, 4], [0, 2, 4, 4], [0, 4, 4, 4]]
    assert str(batch["labels"].dtype) == "torch.int64"
    assert batch["shifted"].tolist() == [False] * 3


def test_refuses_shards_that_are_not_as_the_manifest_says(tmp_path):
    with pytest.raises(ArtifactError, match=r"holds no finished shards; run `icp pack`"):
        WindowDataset(tmp_path)
    run = numbered(tmp_path / "short", 5)
    shard = run / "packs" / "main" / "shards" / "shard-00001.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(ArtifactError, match=r"shard-00001\.bin: 10 bytes, its manifest says 12"):
        WindowDataset(run)
    run = numbered(tmp_path / "lacking", 5)
    path = run / "packs" / "main" / "shards" / MANIFEST
    tree = json.loads(path.read_text())
    path.write_text(json.dumps({**tree, "windows": 6}))
    with pytest.raises(ArtifactError, match="or not 6 in all"):
        WindowDataset(run)
    path.write_text(json.dumps({name: value for name, value in tree.items() if name != "seed"}))
    with pytest.raises(ArtifactError, match="lacks seed"):
        WindowDataset(run)


@pytest.mark.parametrize("options", [{"mask": "none"}, {"rank": 1}, {"rank": -1}, {"epoch": -1}, {"start": -1}])
def test_refuses_impossible_arguments(hand, options):
    with pytest.raises(ConfigError, match=r"mask is|expected rank from 0"):
        WindowDataset(hand, **options)
