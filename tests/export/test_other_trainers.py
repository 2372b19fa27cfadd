"""Trainers that do not install beside the others: `make trainers` gives them an environment and runs this there."""

import numpy as np
import pytest
from loader_packs import SEQ_LEN, end_of_rows, rows_of

from icp.dataset.windows import WindowDataset


def predicts(sample):
    """Positions of a window that predict the next token and have a loss."""
    return sample["labels"][1:] != -100


@pytest.fixture(scope="module")
def samples(packed):
    return list(WindowDataset(packed, mask="intra"))


def test_levanter_sees_documents_apart_and_gives_loss_where_we_do(packed, samples, read_with):
    read = read_with("levanter_windows", "levanter", {"run": str(packed)})
    assert np.array_equal(read["rows"], rows_of(packed))
    assert np.array_equal(read["later"], rows_of(packed)[12:])
    for loss, mask, sample in zip(read["loss"], read["masks"], samples, strict=True):
        assert np.array_equal(loss[:-1] != 0, predicts(sample))
        assert loss[-1] == 0
        segments = sample["segment_ids"]
        causal = np.tril(np.ones((SEQ_LEN, SEQ_LEN), dtype=bool))
        assert np.array_equal(mask, causal & (segments[:, None] == segments[None, :]))


def test_maxtext_reads_the_export_to_megatron_in_order_with_documents_apart(packed, exported, samples, read_with):
    """Its loss is ours but for ends: it gives none to the end token, and some to what follows one."""
    made = exported("megatron")
    eos = made.facts["eos_id"]
    read = read_with("maxtext_mmap", "maxtext", {"folder": str(made.folder), "seq_len": SEQ_LEN, "eos": eos})
    rows, ends = rows_of(packed), end_of_rows(packed)
    assert np.array_equal(read["inputs"], rows)
    for at, sample in enumerate(samples):
        row, here = rows[at], slice(0, int(ends[at]))
        ours = np.diff(sample["segment_ids"][here]) != 0
        joined = ours & (row[here][:-1] != eos)  # pieces cut inside a window, which no end token tells
        assert np.array_equal(np.diff(read["inputs_segmentation"][at][here]) != 0, ours & ~joined)
        if not joined.any():
            assert np.array_equal(read["inputs_position"][at][here], sample["position_ids"][here])
        expected = (predicts(sample) | (row[:-1] == eos) | np.append(joined, np.zeros(SEQ_LEN - here.stop, bool))) & (
            row[1:] != eos
        )
        assert np.array_equal(read["targets_segmentation"][at][:-1] != 0, expected)


def test_torchtitan_gives_positions_and_labels_of_documents_apart_and_goes_on(packed, read_with):
    read = read_with("torchtitan_loader", "torchtitan", {"run": str(packed)})
    for rank in range(2):
        ours = list(WindowDataset(packed, pack="longer", mask="intra", rank=rank, world_size=2))
        for theirs, name in (("input", "input_ids"), ("positions", "position_ids"), ("labels", "labels")):
            assert np.array_equal(read[f"{theirs}_{rank}"], np.stack([sample[name] for sample in ours])), name


def test_megatron_masks_no_documents_inside_of_windows(packed, exported, read_with):
    """Its flag, which 0.16.1 lacks: a window is one sequence, whose positions it counts from 0 to the end."""
    facts = exported("megatron").facts
    arguments = {"folder": str(exported("megatron").folder), "seq_len": SEQ_LEN, "eos": facts["eos_id"]}
    read = read_with("megatron_masking", "megatron", {**arguments, "vocab_size": facts["vocab_size"]})
    if "cu_seqlens" not in read:
        pytest.skip("this megatron-core has no inter_document_masking")
    assert set(map(tuple, np.sort(read["rows"]))) == set(map(tuple, np.sort(rows_of(packed))))
    assert {tuple(np.unique(bounds)) for bounds in read["cu_seqlens"]} == {(0, SEQ_LEN)}
    assert (read["position_ids"] == np.arange(SEQ_LEN)).all()
