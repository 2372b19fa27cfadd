import json
import pickle
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hand_shards import PAD, make_shards, numbered, seen

import icp
from icp.dataset.windows import WindowDataset
from icp.errors import ArtifactError, ConfigError
from icp.pack.lanes import lane_order
from icp.run.records import MANIFEST, write_json


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
        "reset": True,
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
    assert seen(WindowDataset(run, start=9)) == seen(WindowDataset(run, epoch=1))
    beyond = WindowDataset(run, epoch=1, start=50)
    assert (beyond.epoch, beyond.start) == (6, 5)
    assert seen(beyond) == seen(WindowDataset(run, epoch=6))[5:]


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
    assert dataset._rows.cache_info().currsize == 1
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy._rows.cache_info().currsize == 0
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


def test_an_index_may_be_of_any_kind_of_integer(tmp_path):
    torch = pytest.importorskip("torch")
    dataset = WindowDataset(numbered(tmp_path, 300, per_shard=300), world_size=2, rank=1)
    for index in (np.uint8(140), np.int64(140), torch.tensor(140), torch.tensor(140, dtype=torch.uint8), -10):
        assert int(dataset[index]["input_ids"][0]) == 281
    for index in (slice(0, 2), 1.0, "1", [1], None):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            dataset[index]


def test_a_pass_whose_epoch_changes_under_way_is_refused(tmp_path):
    dataset = WindowDataset(numbered(tmp_path, 5))
    samples = iter(dataset)
    next(samples)
    dataset.set_epoch(1)
    with pytest.raises(ConfigError, match="the epoch changed from 0 to 1 while a loader was reading"):
        next(samples)


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
    with pytest.raises(ConfigError, match=r"mask is|expected rank from 0|expected a whole number from 0"):
        WindowDataset(hand, **options)


def resume(ranks, state):
    """The data sets of all ranks, set to a state."""
    for dataset in ranks:
        dataset.load_state_dict(json.loads(json.dumps(state)))
    return ranks


@pytest.mark.parametrize("shuffle", ["random", "spread", "none", "lanes:3"])
def test_stopped_after_any_sample_it_goes_on_under_any_world_size_twice(tmp_path, shuffle):
    n_windows, epoch = 13, 1
    run = numbered(tmp_path, n_windows, shuffle=shuffle)
    whole = seen(WindowDataset(run, epoch=epoch))
    worlds = [[WindowDataset(run, rank=rank, world_size=size) for rank in range(size)] for size in range(1, 6)]
    rng = random.Random(5)
    for first in range(n_windows + 1):
        for _ in range(3):
            second = rng.randint(0, n_windows - first)
            taken, state = [], WindowDataset(run, epoch=epoch).state_dict(0)
            for stop in (first, second, n_windows - first - second):
                ranks = resume(rng.choice(worlds), state)
                size = len(ranks)
                taken += [int(ranks[at % size][at // size]["input_ids"][0]) for at in range(stop)]
                state = ranks[rng.randrange(size)].state_dict(stop)
            assert taken == whole, (first, second)
            assert (state["epoch"], state["start"]) == (epoch + 1, 0)


def test_spread_keeps_its_order_in_later_epochs_but_begins_elsewhere(tmp_path):
    run = numbered(tmp_path, 12, shuffle="spread")
    for epoch in range(1, 4):
        order = seen(WindowDataset(run, epoch=epoch))
        assert order == [(order[0] + step) % 12 for step in range(12)]


def test_lanes_continue_row_by_row_and_say_where_they_break(tmp_path):
    n_windows, batch = 10, 4
    place = lane_order(n_windows, batch)
    assert place.tolist() == [0, 3, 6, 8, 1, 4, 7, 9, 2, 5]
    run = numbered(tmp_path, n_windows, shuffle=f"lanes:{batch}")
    resets = [sample["reset"] for sample in WindowDataset(run)]
    assert resets == [True] * 4 + [False] * 6
    for epoch in range(1, 5):
        samples = list(WindowDataset(run, epoch=epoch))
        places = [int(place[int(sample["input_ids"][0])]) for sample in samples]
        assert sorted(places) == list(range(n_windows))
        follows = [at >= batch and places[at] == places[at - batch] + 1 for at in range(n_windows)]
        assert [not sample["reset"] for sample in samples] == follows
        assert sum(follows) >= n_windows - batch - 1


def test_ranks_that_share_a_batch_keep_their_lanes(tmp_path):
    run = numbered(tmp_path, 12, shuffle="lanes:4")
    for rank in range(2):
        rows = seen(WindowDataset(run, rank=rank, world_size=2))
        place = lane_order(12, 4)
        for lane in range(2):
            assert np.diff(place[rows[lane::2]]).tolist() == [1, 1]


def serve(run, name):
    """The same files on a server of the process's own memory."""
    import fsspec

    server = fsspec.filesystem("memory")
    server.put(str(run), f"/{name}", recursive=True)
    return server


def test_url_is_read_through_a_local_cache(tmp_path):
    run = numbered(tmp_path / "run", 7)
    server = serve(run, "served")
    dataset = WindowDataset("memory://served", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.bin"))
    assert seen(dataset) == list(range(7))
    assert len(list((tmp_path / "cache").rglob("*.bin"))) == 4
    for path in server.glob("/served/packs/main/shards/*.bin"):
        server.rm(path)
    again = WindowDataset("memory://served/", cache=tmp_path / "cache", rank=1, world_size=2)
    assert seen(pickle.loads(pickle.dumps(again))) == [1, 3, 5]
    assert again.state_dict(0)["shards"] == WindowDataset(run).state_dict(0)["shards"]


def test_files_of_a_server_are_checked_when_they_come(tmp_path):
    run = numbered(tmp_path / "run", 3)
    server = serve(run, "damaged")
    server.pipe("/damaged/packs/main/shards/shard-00000.bin", b"x" * 12)
    dataset = WindowDataset("memory://damaged", cache=tmp_path / "cache")
    with pytest.raises(ArtifactError, match=r"shard-00000\.bin: its hash is not the one in the manifest"):
        dataset[0]
    assert not list((tmp_path / "cache").rglob("*.bin"))
    with pytest.raises(
        ArtifactError, match=r"memory://nowhere/packs/main/shards/manifest\.json: there is none; give the URL"
    ):
        WindowDataset("memory://nowhere", cache=tmp_path / "cache")


def test_the_cache_lies_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    serve(numbered(tmp_path / "run", 2), "home")
    assert seen(WindowDataset("memory://home")) == [0, 1]
    assert list((tmp_path / "mine" / "icp" / "shards").rglob("shard-00000.bin"))


@pytest.mark.parametrize("name", ["segments/part-00000.parquet", "windows/part-00000.parquet", "shard-00000.bin"])
def test_damaged_file_is_an_artifact_error_that_names_it(tmp_path, name):
    run = numbered(tmp_path / "run", 5)
    path = run / "packs" / "main" / "shards" / name
    size = path.stat().st_size
    for change in ("zeros", "folder"):
        path.unlink()
        path.write_bytes(bytes(size)) if change == "zeros" else path.mkdir()
        if name.endswith(".bin") and change == "zeros":
            continue  # as good as any tokens; `icp verify` compares hashes
        with pytest.raises(ArtifactError, match=path.name):
            seen(WindowDataset(run))


def test_shard_that_vanishes_later_is_an_artifact_error(tmp_path):
    run = numbered(tmp_path / "run", 5)
    dataset = WindowDataset(run)
    (run / "packs" / "main" / "shards" / "shard-00001.bin").unlink()
    with pytest.raises(ArtifactError, match=r"shard-00001\.bin: cannot be read"):
        seen(dataset)


def rewritten(run, name, column, values):
    """A table of the shards with other values in one column, as its manifest says."""
    folder = run / "packs" / "main" / "shards"
    table = pq.read_table(folder / name)
    pq.write_table(table.set_column(table.column_names.index(column), column, pa.array(values)), folder / name)
    tree = json.loads((folder / MANIFEST).read_text())
    tree["files"][name]["bytes"] = (folder / name).stat().st_size
    write_json(folder / MANIFEST, tree)


@pytest.mark.parametrize(
    ("name", "column", "values", "match"),
    [
        ("segments", "window", [0, 7], "window is 0 to 7, expected 0 to 4"),
        ("segments", "window", [-1, 1], "window is -1 to 4"),
        ("segments", "window", [1, 0], "not ascending"),
        ("segments", "win_start", [0, 400], "win_start is 0 to 400"),
        ("segments", "win_start", [0.0, 1.0], "other things than integers"),
        ("segments", "window", [0, None], "other things than integers"),
        ("windows", "n_pad", [0, 4], "n_pad is 0 to 4, expected 0 to 3"),
    ],
)
def test_numbers_that_lead_outside_of_rows_are_refused(tmp_path, name, column, values, match):
    run = numbered(tmp_path / "run", 5)
    rewritten(run, f"{name}/part-00000.parquet", column, values)
    with pytest.raises(ArtifactError, match=match):
        WindowDataset(run)


@pytest.mark.parametrize("pack", ["../main", "/etc", "", "a\n"])
def test_pack_is_named_not_pathed(tmp_path, pack):
    with pytest.raises(ConfigError, match="a pack is named with"):
        WindowDataset(tmp_path, pack=pack)


@pytest.mark.parametrize("url", ["https://user:word@host/run", "https://host/run?token=word"])
def test_secrets_of_a_url_are_not_told(url):
    with pytest.raises(ConfigError) as raised:
        WindowDataset(url)
    assert "word" not in str(raised.value)


def test_name_that_leaves_the_folder_is_refused_before_anything_is_fetched(tmp_path):
    run = numbered(tmp_path / "server" / "a" / "b" / "run", 3)
    path = run / "packs" / "main" / "shards" / MANIFEST
    tree = json.loads(path.read_text())
    tree["files"]["windows/../../../victim"] = tree["files"].pop("windows/part-00000.parquet")
    write_json(path, tree)
    with pytest.raises(ArtifactError, match="no plain name"):
        WindowDataset(f"file://{run}", cache=tmp_path / "home" / "cache")
    left = [path.name for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert left == [MANIFEST]


@pytest.mark.parametrize("odd", [True, 5, 1.5, [], b"x", object()])
def test_what_is_no_folder_is_refused(tmp_path, odd):
    with pytest.raises(ConfigError, match="expected a folder"):
        WindowDataset(tmp_path, cache=odd)
    with pytest.raises(ConfigError, match="expected the folder or URL of a run"):
        WindowDataset(odd)
    with pytest.raises(ConfigError, match="expected a mapping, a file"):
        icp.make_run(odd)
