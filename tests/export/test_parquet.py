"""`datasets` finds our windows, mapped and streamed, and labels that leave padding out."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from loader_packs import SEQ_LEN, end_of_rows, pieces_of, rows_of, sorted_rows

from icp.dataset.windows import WindowDataset


@pytest.fixture(scope="module")
def made(exported):
    return exported("parquet")


@pytest.fixture(scope="module")
def read(made, read_with):
    return read_with("hf_datasets", "datasets", {"folder": str(made.folder)})


@pytest.fixture(scope="module")
def windows(packed):
    return rows_of(packed)


def test_every_window_comes_in_training_order(windows, read):
    for name in ("rows", "streamed", "torch_input_ids"):
        assert np.array_equal(read[name], windows), name
    assert read["types"].tolist() == ["uint16"]
    assert read["torch_input_ids_type"].tolist() == ["torch.int64"]


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("kind", ["mapped", "streamed"])
def test_two_ranks_share_the_windows_of_each_epoch(windows, read, kind, epoch):
    ranks = [read[f"{kind}_{rank}_{epoch}"] for rank in range(2)]
    assert np.array_equal(sorted_rows(np.concatenate(ranks)), sorted_rows(windows))


def test_pieces_and_docs_are_in_the_columns(packed, read):
    for (lengths, docs), listed, ids in zip(pieces_of(packed), read["lengths"], read["docs"], strict=True):
        n_pad = SEQ_LEN - sum(lengths)
        assert json.loads(str(listed)) == lengths + [n_pad] * (n_pad > 0)
        assert json.loads(str(ids)) == docs


def test_labels_are_the_tokens_and_nothing_at_padding(packed, windows, read):
    expected = np.where(np.arange(SEQ_LEN) < end_of_rows(packed)[:, None], windows, -100)
    assert (expected == -100).any()
    assert np.array_equal(read["torch_labels"], expected)
    assert np.array_equal(read["from_disk"], expected)
    assert np.array_equal(expected, [sample["labels"] for sample in WindowDataset(packed)])
    assert np.array_equal(read.get("collated_labels", expected), expected)


def test_labels_of_trl_without_padding_are_those_of_documents_apart(packed, read):
    """TRL's collator lays all rows end to end; positions and labels begin anew at each piece, and at the padding."""
    if "trl_labels" not in read:
        pytest.skip('trl is not installed; `pip install ".[loaders]"`')
    samples = list(WindowDataset(packed, mask="intra"))
    for name, ours in (("input_ids", "input_ids"), ("labels", "labels"), ("position_ids", "position_ids")):
        assert np.array_equal(read[f"trl_{name}"][0], np.concatenate([sample[ours] for sample in samples])), name
    bounds = [np.unique(sample["cu_seqlens"]) + at * SEQ_LEN for at, sample in enumerate(samples)]
    assert np.array_equal(read["trl_cu_seq_lens_q"], np.unique(np.concatenate(bounds)))


def test_a_pack_without_padding_has_labels_too(packed, tmp_path):
    from icp.export import export_pack

    opened = export_pack(packed, "parquet", tmp_path / "out")
    tables = [pq.read_table(path) for path in sorted(opened.folder.glob("*.parquet"))]
    unpadded = [table for table in tables if not any(-100 in row for row in table["labels"].to_pylist())]
    assert unpadded, "a file without padding"
    for table in unpadded:
        assert table["labels"].to_pylist() == table["input_ids"].to_pylist()


def test_goes_on_twice_in_a_row(windows, read):
    assert np.array_equal(read["resumed_twice"], windows)
    assert np.array_equal(read["skipped"], windows[5:])


def test_a_file_a_shard_with_rows_of_fixed_length(packed, made, read):
    files = sorted(made.folder.glob("train-*.parquet"))
    assert len(files) == len(list((packed / "packs/main/shards").glob("shard-*.bin"))) == int(read["n_files"][0])
    assert str(pq.read_schema(files[0]).field("input_ids").type) == f"fixed_size_list<element: uint16>[{SEQ_LEN}]"
