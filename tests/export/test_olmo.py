"""OLMo-core's own loader finds our windows, each once an epoch, and masks what the README says."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from loader_packs import SEQ_LEN, config_for, end_of_rows, pieces_of, rows_of, sorted_rows
from tiny import quiet

from icp.dataset.windows import WindowDataset
from icp.engine.executor import SerialExecutor
from icp.export import export_pack
from icp.pipeline import pack


@pytest.fixture(scope="module")
def made(exported):
    return exported("olmo")


@pytest.fixture(scope="module")
def read(made, read_with):
    return read_by_olmo(made, read_with)


def read_by_olmo(made, read_with):
    facts = made.facts
    names = {"vocab_size": "vocab_size", "dtype": "dtype", "eos": "eos_id", "pad": "pad_id"}
    arguments = {name: facts[key] for name, key in names.items()}
    return read_with("olmo", "olmo_core", {**arguments, "folder": str(made.folder), "seq_len": SEQ_LEN})


def test_dataset_gives_every_window_in_training_order(packed, read):
    assert np.array_equal(read["rows"], rows_of(packed))


def test_pieces_are_listed_beside_the_tokens(packed, read):
    sizes = [spans[2] - spans[1] for spans in read["documents"]]
    assert sizes == [length for lengths, _ in pieces_of(packed) for length in lengths]
    starts = [int(span[1]) for span in read["documents"] if span[0] == 0]
    assert len(starts) > 1
    assert starts == sorted(starts)


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("how", ["shuffled", "ordered"])
def test_two_ranks_share_the_windows_of_each_epoch(packed, read, how, epoch):
    windows = rows_of(packed)
    whole = len(windows) // 2 * 2
    ranks = [read[f"{how}_{rank}_{epoch}_rows"] for rank in range(2)]
    both = np.stack(ranks, axis=1).reshape(-1, SEQ_LEN)
    assert len(both) == whole
    if how == "ordered":
        assert np.array_equal(both, windows[:whole])
    else:
        seen = (both[:, None, :] == windows[None, :, :]).all(axis=2)
        assert seen.any(axis=1).all()
        assert seen.sum(axis=0).max() == 1
        assert not np.array_equal(both, windows[:whole])


def test_labels_are_the_windows_own_and_padding_has_none(packed, made, read):
    windows, all_ends = rows_of(packed), end_of_rows(packed)
    ends = dict(zip(map(bytes, windows), all_ends, strict=True))
    padded = labelled = 0
    for rank in range(2):
        rows, labels = read[f"ordered_{rank}_1_rows"], read[f"ordered_{rank}_1_labels"]
        for row, label in zip(rows, labels, strict=True):
            end = ends[bytes(row)]
            assert np.array_equal(label[: end - 1], row[1:end])
            assert (label[end - 1 :] == -100).all()
            padded += SEQ_LEN - end
            labelled += 1
    assert labelled == len(windows) // 2 * 2
    assert padded == (SEQ_LEN - all_ends[:labelled]).sum()
    assert made.facts["padding"] == (SEQ_LEN - all_ends).sum() > 0


@pytest.mark.parametrize("loader", ["ordered_0_1", "shuffled_1_2", "composed_ordered", "composed_shuffled"])
def test_labels_are_those_of_the_data_set(packed, read, loader):
    ours = {bytes(sample["input_ids"]): sample["labels"] for sample in WindowDataset(packed)}
    rows, labels = read[f"{loader}_rows"], read[f"{loader}_labels"]
    for row, label in zip(rows, labels, strict=True):
        assert np.array_equal(label[:-1], ours[bytes(row)][1:])
        assert label[-1] == -100


def test_composed_sources_give_the_same_windows_and_documents(packed, read):
    windows = rows_of(packed)
    whole = len(windows) // 2 * 2
    assert np.array_equal(read["composed_ordered_rows"], windows[:whole])
    shuffled = read["composed_shuffled_rows"]
    seen = (shuffled[:, None, :] == windows[None, :, :]).all(axis=2)
    assert (len(shuffled), seen.any(axis=1).all(), seen.sum(axis=0).max()) == (whole, True, 1)
    found = {bytes(row): n for row, n in zip(read["ordered_0_1_rows"], read["ordered_0_1_lengths"], strict=True)}
    composed = zip(read["composed_ordered_rows"], read["composed_ordered_lengths"], strict=True)
    assert all(found.get(bytes(row), count) == count for row, count in composed)


def test_the_loader_joins_as_many_pieces_as_the_summary_says(packed, read_with, tmp_path):
    """Documents that begin with a token of their own, some of them cut; counted by the loader's document lengths."""
    run = shutil.copytree(packed, tmp_path / "run")
    config = config_for(packed.parent, method="windows")
    changed = {"run": str(run), "tokenizer": config.tokenizer.model_copy(update={"bos": "document"})}
    pack(config.model_copy(update=changed), SerialExecutor(), quiet, name="begun")
    made = export_pack(run, "olmo", tmp_path / "out", pack="begun")
    read = read_by_olmo(made, read_with)
    rows = rows_of(run, "begun")
    whole = {bytes(row): len(lengths) for row, (lengths, _) in zip(rows, pieces_of(run, "begun"), strict=True)}
    padded = {bytes(row) for row, end in zip(rows, end_of_rows(run, "begun"), strict=True) if end < SEQ_LEN}
    joined = 0
    for name in ("ordered_0_1", "ordered_1_1"):
        for row, found in zip(read[f"{name}_rows"], read[f"{name}_lengths"], strict=True):
            if bytes(row) not in padded:
                joined += whole[bytes(row)] - int(found)
    assert joined <= made.facts["pieces_without_eos"] <= joined + sum(whole[row] for row in padded)
    later = [row for path in (run / "packs/begun/shards/segments").glob("*") for row in pq.read_table(path).to_pylist()]
    assert any(row["doc_start"] for row in later), "documents that are cut"


def test_the_padded_window_is_masked(packed, made, read):
    windows, ends = rows_of(packed), end_of_rows(packed)
    at = int(np.argmin(ends))
    assert ends[at] < SEQ_LEN
    rows = np.concatenate([read[f"shuffled_{rank}_{epoch}_rows"] for rank in range(2) for epoch in (1, 2)])
    labels = np.concatenate([read[f"shuffled_{rank}_{epoch}_labels"] for rank in range(2) for epoch in (1, 2)])
    mine = labels[(rows == windows[at]).all(axis=1)]
    assert len(mine) >= 1
    assert (mine[:, ends[at] - 1 :] == -100).all()
    assert (mine[:, : ends[at] - 1] != -100).all()


def test_document_lengths_are_found_by_the_end_token(packed, read):
    windows = rows_of(packed)
    counts = {bytes(row): len(lengths) for row, (lengths, _) in zip(windows, pieces_of(packed), strict=True)}
    ends = end_of_rows(packed)
    whole = {bytes(row) for row, end in zip(windows, ends, strict=True) if end == SEQ_LEN}
    found = {
        bytes(row): count for row, count in zip(read["ordered_0_1_rows"], read["ordered_0_1_lengths"], strict=True)
    }
    full = sorted(found.keys() & whole)
    assert len(full) > 1
    assert [found[row] for row in full] == [counts[row] for row in full]
    assert max(found[row] for row in full) > 1


def test_state_goes_on_where_it_stopped(read):
    for rank in range(2):
        whole = np.concatenate([read[f"first_{rank}_rows"], read[f"rest_{rank}_rows"]])
        assert np.array_equal(whole, read[f"shuffled_{rank}_1_rows"])
        assert len(sorted_rows(read[f"first_{rank}_rows"])) == 3


def test_readme_names_the_data_set(made):
    text = (made.folder / "README.md").read_text()
    assert "NumpyFSLDatasetConfig" in text
    assert "label_mask_paths" in text
    assert "1 lost and 0 crossing an edge" in text
