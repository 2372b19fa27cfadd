"""OLMo-core's own loader finds our windows, each once an epoch, and masks what the README says."""

import numpy as np
import pytest
from loader_packs import SEQ_LEN, end_of_rows, pieces_of, rows_of, sorted_rows


@pytest.fixture(scope="module")
def made(exported):
    return exported("olmo")


@pytest.fixture(scope="module")
def read(made, read_with):
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
