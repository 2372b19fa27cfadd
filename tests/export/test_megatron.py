"""Megatron-LM's own loader finds our windows, each once an epoch, and masks what the README says."""

import numpy as np
import pytest
from loader_packs import SEQ_LEN, end_of_rows, rows_of, sorted_rows

from icp.dataset.windows import WindowDataset


@pytest.fixture(scope="module")
def made(exported):
    return exported("megatron")


@pytest.fixture(scope="module")
def read(made, read_with):
    facts = made.facts
    arguments = {"folder": str(made.folder), "seq_len": SEQ_LEN, "eos": facts["eos_id"], "pad": facts["pad_id"]}
    return read_with("megatron_core", "megatron", {**arguments, "vocab_size": facts["vocab_size"]})


def test_index_gives_every_window_as_one_sequence(packed, read):
    assert np.array_equal(read["rows"], rows_of(packed))
    assert set(read["lengths"].tolist()) == {SEQ_LEN}
    assert set(read["types"].tolist()) == {"uint16"}


def test_two_epochs_hold_each_window_twice_but_the_last_one(packed, made, read):
    windows, first = rows_of(packed), 0
    for number in range(len(list(made.folder.glob("*.idx")))):
        tokens = read[f"two_epochs_{number}_tokens"]
        mine = windows[first : first + (len(tokens) + 1) // 2]
        first += len(mine)
        seen = (tokens[:, None, :] == mine[None, :, :]).all(axis=2)
        assert seen.any(axis=1).all(), "a sample that is no window"
        counts = seen.sum(axis=0)
        assert sorted(counts.tolist()) == [1] + [2] * (len(mine) - 1), "2n - 1 samples of n windows"
    assert first == len(windows)


def test_blend_of_all_shards_leaves_out_one_window_of_each(packed, made, read):
    windows, tokens = rows_of(packed), read["blend_tokens"]
    assert len(tokens) == len(windows) - len(list(made.folder.glob("*.idx")))
    ranks = [tokens[rank::2] for rank in range(2)]
    seen = (np.concatenate(ranks)[:, None, :] == windows[None, :, :]).all(axis=2)
    assert seen.any(axis=1).all()
    assert seen.sum(axis=0).max() == 1


def test_last_label_crosses_the_edge_and_counts_without_eod_mask(read):
    tokens, labels, loss = (read[f"blend_{name}"] for name in ("tokens", "labels", "loss_mask"))
    assert np.array_equal(labels[:, :-1], tokens[:, 1:])
    assert (loss == 1).all()
    firsts = set(read["rows"][:, 0].tolist())
    assert set(labels[:, -1].tolist()) <= firsts


def test_eod_mask_loss_takes_padding_and_the_label_after_each_end(made, read):
    tokens, loss = read["two_epochs_0_tokens"], read["two_epochs_0_loss_mask"]
    assert np.array_equal(loss == 0, tokens == made.facts["eos_id"])


def test_without_the_extra_token_every_window_is_there_and_padding_has_no_loss(packed, made, read):
    windows, tokens, loss = rows_of(packed), read["own_tokens"], read["own_loss_mask"]
    assert np.array_equal(sorted_rows(tokens), sorted_rows(windows))
    assert (loss[:, -1] == 0).all()
    assert np.array_equal(loss[:, :-1] == 0, tokens[:, :-1] == made.facts["eos_id"])
    ends = dict(zip(map(bytes, windows), end_of_rows(packed), strict=True))
    padded = 0
    for row, mask in zip(tokens, loss, strict=True):
        end = ends[bytes(row)]
        padded += SEQ_LEN - end
        assert (mask[end:] == 0).all()
    assert padded == made.facts["padding"] > 0


def test_flags_of_the_guide_give_the_loss_of_documents_apart(packed, made, read):
    """Position t predicts t + 1; only pieces that are cut and go on in no end token join, as the README counts them."""
    windows = {bytes(row): at for at, row in enumerate(rows_of(packed))}
    ours = WindowDataset(packed, mask="intra")
    assert len(read["guided_tokens"]) > len(windows) // 3
    joined = 0
    for row, loss in zip(read["guided_tokens"], read["guided_loss_mask"], strict=True):
        sample = ours[windows[bytes(row)]]
        expected = sample["labels"][1:] != -100
        cut = np.flatnonzero(np.diff(sample["segment_ids"]) > 0)
        cut = cut[row[cut] != made.facts["eos_id"]]
        joined += len(cut)
        expected[cut] = True
        assert np.array_equal(loss[:-1] == 1, expected)
    assert joined <= made.facts["pieces_without_eos"]


def test_reset_position_ids_counts_anew_after_each_end(made, read):
    tokens, positions = read["own_tokens"], read["own_position_ids"]
    assert (positions[:, 0] == 0).all()
    after = tokens[:, :-1] == made.facts["eos_id"]
    assert np.array_equal(positions[:, 1:] == 0, after)


def test_readme_names_the_flags(made):
    text = (made.folder / "README.md").read_text()
    assert f"--seq-length {SEQ_LEN} --eod-mask-loss" in text
    assert "order_kept: no" in text
    assert "0 lost and 1 crossing an edge" in text
