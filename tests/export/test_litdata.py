"""litdata's own loader finds our windows, whatever the stride, and our chunks are as its writer makes them."""

import json

import numpy as np
import pytest
from loader_packs import SEQ_LEN, check_shifted_rows, rows_of, sorted_rows

from icp.dataset.windows import WindowDataset


@pytest.fixture(scope="module", params=["main", "longer"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def made(exported, name):
    return exported("litdata", name, allow_padding=True)


@pytest.fixture(scope="module")
def read(made, read_with):
    first = json.loads((made.folder / "index.json").read_text())["chunks"][0]["chunk_size"]
    arguments = {"folder": str(made.folder), "stride": made.facts["stride"], "first_chunk": first}
    return read_with("litdata_tokens", "litdata", arguments)


@pytest.fixture(scope="module")
def windows(packed, name):
    return rows_of(packed, name)


def test_every_window_comes_in_training_order(windows, read):
    assert np.array_equal(read["rows"], windows)
    assert read["type"].tolist() == ["torch.int32"]


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("kind", ["ordered", "shuffled"])
def test_two_ranks_share_the_windows_of_each_epoch(windows, read, kind, epoch):
    ranks = [read[f"{kind}_{rank}_{epoch}"] for rank in range(2)]
    assert np.array_equal(sorted_rows(np.concatenate(ranks)), sorted_rows(windows))
    if kind == "ordered":
        places = {bytes(row): place for place, row in enumerate(windows)}
        for rank in ranks:
            assert np.all(np.diff([places[bytes(row)] for row in rank]) > 0)


def test_goes_on_where_it_stopped(windows, read):
    assert np.array_equal(read["resumed"], windows)


def test_chunks_are_as_litdata_writes_them(made, read):
    assert (made.folder / "chunk-0-0.bin").read_bytes() == read["chunk"].tobytes()
    ours, theirs = (json.loads(text) for text in ((made.folder / "index.json").read_text(), str(read["index"][0])))
    assert ours["chunks"][0] == theirs["chunks"][0]
    known = {key: theirs["config"][key] for key in ours["config"] if key != "chunk_bytes"}
    assert {key: value for key, value in ours["config"].items() if key != "chunk_bytes"} == known


def test_inputs_and_labels_are_those_of_the_data_set(packed, read, name):
    """litgpt predicts each token of a row from those before it; other trainers shift inside of the row."""
    if name == "longer":
        check_shifted_rows(packed, read["rows"])
    else:
        for row, sample in zip(read["rows"], WindowDataset(packed), strict=True):
            shown = sample["labels"] != -100
            assert np.array_equal(row, sample["input_ids"])
            assert np.array_equal(row[shown], sample["labels"][shown])


def test_labels_depend_on_the_stride(made, name):
    expected = {"main": (1, 0), "longer": (0, 0)}[name]
    facts = made.facts
    assert (facts["labels_lost_per_window"], facts["labels_crossing_per_window"]) == expected
    assert f"block_size={SEQ_LEN + (name == 'longer')}" in (made.folder / "README.md").read_text()
