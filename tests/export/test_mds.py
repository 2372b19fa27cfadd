"""mosaicml-streaming finds our windows.

It declares numpy below 2.2 and asks for a torchvision that fits no CPU build of torch: `make test` installs it without
what it asks for, and the folder ``stand_ins`` holds as much of torchvision as it imports.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from loader_packs import SEQ_LEN, pieces_of, rows_of, sorted_rows

from icp.dataset.windows import WindowDataset

STAND_INS = Path(__file__).parent / "stand_ins"
CLIENT = Path(__file__).parent / "clients" / "mds_streaming.py"


@pytest.fixture(scope="module")
def made(exported):
    return exported("mds", allow_padding=True)


def run_ranks(made, out, world_size):
    """Start a process for each rank, as a launcher would; their arrays."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    processes = []
    for rank in range(world_size):
        path = os.pathsep.join(filter(None, (str(STAND_INS), os.environ.get("PYTHONPATH"))))
        env = {**os.environ, "PYTHONPATH": path, "WORLD_SIZE": str(world_size), "LOCAL_WORLD_SIZE": str(world_size)}
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        arguments = json.dumps({"folder": str(made.folder), "pad": made.facts["pad_id"]})
        command = [sys.executable, str(CLIENT), str(out / f"{rank}.npz"), arguments]
        processes.append(subprocess.Popen(command, env=env, cwd=out, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors[-3000:]
    return [dict(np.load(out / f"{rank}.npz")) for rank in range(world_size)]


@pytest.fixture(scope="module")
def read(made, tmp_path_factory):
    if importlib.util.find_spec("streaming") is None:
        pytest.skip("mosaicml-streaming is not installed; `make test` installs it")
    return {size: run_ranks(made, tmp_path_factory.mktemp(f"mds{size}"), size) for size in (1, 2)}


def test_every_window_comes_in_training_order(packed, read):
    assert np.array_equal(read[1][0]["rows"], rows_of(packed))
    for epoch in range(2):
        assert np.array_equal(read[1][0][f"ordered_{epoch}"], rows_of(packed))
    assert read[1][0]["type"].tolist() == ["uint16"]


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("kind", ["ordered", "shuffled"])
def test_two_ranks_share_the_windows_of_each_epoch(packed, read, kind, epoch):
    windows = rows_of(packed)
    ranks = [read[2][rank][f"{kind}_{epoch}"] for rank in range(2)]
    both = np.stack(ranks, axis=1).reshape(-1, SEQ_LEN)
    repeated = len(both) - len(windows)
    assert 0 <= repeated <= 1, "streaming gives each rank as many samples"
    assert len(np.unique(both, axis=0)) == len(windows)
    if kind == "ordered":
        assert np.array_equal(both[: len(windows)], windows)
    if not repeated:
        assert np.array_equal(sorted_rows(both), sorted_rows(windows))


def test_pieces_and_docs_stand_beside_the_tokens(packed, read):
    for (lengths, docs), listed, ids in zip(
        pieces_of(packed), read[1][0]["doc_lens"], read[1][0]["doc_ids"], strict=True
    ):
        n_pad = SEQ_LEN - sum(lengths)
        assert json.loads(str(listed)) == lengths + [n_pad] * (n_pad > 0)
        assert json.loads(str(ids)) == docs + [-1] * (n_pad > 0)


def test_lengths_of_pieces_are_those_of_the_data_set(packed, read):
    for sample, listed in zip(WindowDataset(packed), read[1][0]["doc_lens"], strict=True):
        bounds = np.unique(sample["cu_seqlens"])
        assert json.loads(str(listed)) == np.diff(bounds).tolist()


def test_labels_of_the_collator_are_those_of_the_data_set_less_the_pad_token(packed, made, read):
    """Padding is the end of documents here, so that their ends lose their labels too, as the README says."""
    pad = made.facts["pad_id"]
    assert pad == made.facts["eos_id"]
    padded = 0
    for label, sample in zip(read[1][0]["labels"], WindowDataset(packed), strict=True):
        ours = np.where(sample["input_ids"] == pad, -100, sample["labels"])
        assert np.array_equal(label, ours)
        padded += np.count_nonzero(sample["labels"] == -100)
    assert padded == made.facts["padding"] > 0
    assert (
        "The end of each document is the same token and loses its label too" in (made.folder / "README.md").read_text()
    )


def test_shards_are_as_streaming_writes_them(made, read):
    assert (made.folder / "shard.00000.mds").read_bytes() == read[1][0]["shard"].tobytes()
    ours, theirs = (
        json.loads(text) for text in ((made.folder / "index.json").read_text(), str(read[1][0]["index"][0]))
    )
    assert ours["shards"][0] == theirs["shards"][0]
