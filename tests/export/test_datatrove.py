"""datatrove's own loader finds our windows of seq_len + 1 tokens, in order, with positions from our index."""

import numpy as np
import pytest
from loader_packs import SEQ_LEN, check_shifted_rows, pieces_of, rows_of, sorted_rows

from icp.dataset.windows import WindowDataset
from icp.errors import ConfigError


@pytest.fixture(scope="module")
def made(exported):
    return exported("datatrove", "longer", allow_padding=True)


@pytest.fixture(scope="module")
def read(made, read_with):
    arguments = {"folder": str(made.folder), "seq_len": SEQ_LEN, "token_size": 2, "eos": made.facts["eos_id"]}
    return read_with("datatrove_folder", "datatrove", arguments)


@pytest.fixture(scope="module")
def windows(packed):
    return rows_of(packed, "longer")


def test_every_window_comes_in_training_order(windows, read):
    assert np.array_equal(read["rows"], windows)
    assert read["files"].tolist() == sorted(read["files"].tolist())
    assert len(read["files"]) > 2


@pytest.mark.parametrize("epoch", [0, 1])
def test_two_ranks_share_the_windows_of_each_epoch(windows, read, epoch):
    both = np.stack([read[f"rank_{rank}_{epoch}"] for rank in range(2)], axis=1).reshape(-1, SEQ_LEN + 1)
    assert np.array_equal(both, windows[: len(windows) // 2 * 2])


def test_shuffling_keeps_order_within_each_file(windows, read):
    assert np.array_equal(sorted_rows(read["shuffled"]), sorted_rows(windows))
    places = {bytes(row): place for place, row in enumerate(windows)}
    steps = np.diff([places[bytes(row)] for row in read["shuffled"]])
    assert np.count_nonzero(steps != 1) < len(read["files"])


def test_positions_begin_anew_at_each_piece(packed, made, read):
    for (lengths, _), positions in zip(pieces_of(packed, "longer"), read["positions"], strict=True):
        n_pad = SEQ_LEN + 1 - sum(lengths)
        expected = np.concatenate([np.arange(length) for length in [*lengths, n_pad]])
        assert np.array_equal(positions, expected)


def test_inputs_labels_and_positions_are_those_of_the_data_set(packed, read):
    check_shifted_rows(packed, read["rows"])
    for positions, sample in zip(read["positions"], WindowDataset(packed, pack="longer", mask="intra"), strict=True):
        assert np.array_equal(positions[:-1], sample["position_ids"])


def test_positions_by_the_end_token_agree_where_nothing_is_padded(packed, read):
    for (lengths, _), ours, theirs in zip(
        pieces_of(packed, "longer"), read["positions"], read["positions_by_eos"], strict=True
    ):
        if sum(lengths) == SEQ_LEN + 1:
            assert np.array_equal(ours, theirs)


def test_goes_on_after_the_samples_seen(windows, read):
    assert np.array_equal(read["resumed"], windows[5:])


def test_rows_of_another_stride_and_padding_are_refused(exported):
    with pytest.raises(ConfigError, match=r"pack.stride is seq_len, but the loader of datatrove .* seq_len\+1"):
        exported("datatrove")
    with pytest.raises(ConfigError, match=r"tokens of padding .* would be trained on by datatrove"):
        exported("datatrove", "longer")


def test_order_is_full_in_one_file_and_within_files_otherwise(made):
    assert made.facts["order_kept"] == "within_file"
    assert not made.facts["padding_masked"]
    assert made.facts["labels_lost_per_window"] == made.facts["labels_crossing_per_window"] == 0
