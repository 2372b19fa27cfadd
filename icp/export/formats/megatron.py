"""Megatron-LM: one window is one sequence of exactly ``--seq-length`` tokens; ``.idx`` beside hard-linked ``.bin``.

Layout of ``.idx``: 9 bytes ``MMIDIDX``, u64 version, u8 type, u64 sequences, u64 documents + 1, then int32 lengths,
int64 byte positions, int64 first sequence of each document. Source: Megatron-LM, core/datasets/indexed_dataset.py.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.export.formats import Format, Guide
from icp.export.source import Pack
from icp.export.target import Target

HEADER = b"MMIDIDX\x00\x00"
TYPE_CODES = {2: 8, 4: 4}
"""uint16, and int32, whose bytes are those of uint32 for all ids below 2**31."""


def write(pack: Pack, target: Target) -> None:
    """Link the shards and write their indices."""
    for shard in pack.shards:
        target.link(shard.path, shard.name)
        with target.path(f"{shard.name.removesuffix('.bin')}.idx").open("wb") as stream:
            stream.write(_index(shard.n_rows, pack.stride, pack.dtype))


def _index(n_rows: int, stride: int, dtype: np.dtype[Any]) -> bytes:
    head = HEADER + struct.pack("<QBQQ", 1, TYPE_CODES[dtype.itemsize], n_rows, n_rows + 1)
    arrays: tuple[NDArray[Any], ...] = (
        np.full(n_rows, stride, dtype="<i4"),
        np.arange(n_rows, dtype="<i8") * (stride * dtype.itemsize),
        np.arange(n_rows + 1, dtype="<i8"),
    )
    return head + b"".join(array.tobytes() for array in arrays)


def masks_padding(pack: Pack) -> bool:
    """Whether ``--eod-mask-loss`` or the tokenizer's own pad token hides padding from the loss."""
    return pack.pad_id in (pack.eos_id, pack.tokenizer_pad_id)


def guide(pack: Pack) -> Guide:
    """What the README says."""
    paths = " ".join(f"{shard.n_rows} {shard.name.removesuffix('.bin')}" for shard in pack.shards[:4])
    more = " ..." if len(pack.shards) > 4 else ""
    by_eos = pack.pad_id == pack.eos_id
    hidden = "`--eod-mask-loss` is needed: it takes the loss from every position whose input is the end of a document, "
    hidden += "and padding is that token."
    own = (
        f"Padding is id {pack.pad_id}, the tokenizer's own pad token: Megatron gives it no loss. `--eod-mask-loss` is "
    )
    own += (
        "needed all the same: without it megatron-core keeps the mask of the first window that it reads, and if that "
    )
    own += "one is padded, full windows lose labels at the same places."
    return Guide(
        load=f"--data-path {paths}{more} \\\n  --split 100,0,0 --seq-length {pack.seq_len}"
        + (" --eod-mask-loss" if pack.padding else ""),
        language="bash",
        whole="`--seq-length` must be exactly the one above; any other cuts across windows. `--split` cuts the files "
        "in order: take validation data from elsewhere. megatron-core asks for one token after each sample, so that "
        f"the last window of each of the {len(pack.shards):,} shards is left out of an epoch. "
        "`GPTDatasetConfig(add_extra_token_to_sequence=False)` gives every window, with its last label masked.",
        order="GPTDataset shuffles the windows, all epochs together; it has no switch for that.",
        labels=f"A window gives {pack.seq_len:,} labels. The last one is the first token of the window that happens to "
        "follow, and counts in the loss unless the window ends with the end of a document and `--eod-mask-loss` is set "
        "(with `add_extra_token_to_sequence=False` it is masked). `--eod-mask-loss` also takes the label after each "
        "end of a document, which is the first token of the next one.",
        padding=hidden if by_eos else own,
        masks="`--reset-position-ids` counts positions anew after each end of a document. `--reset-attention-mask` is "
        "a dense mask that Transformer Engine ignores: do not count on it to keep documents apart. "
        "Inter-document masking (`inter_document_masking` of megatron-core 0.19, pull request 5298) looks "
        "for joins of sequences; a window is one sequence, since the loader shuffles sequences and would take windows "
        "of several apart. It finds no documents, and undoes `--reset-position-ids`: leave it off.",
        resume="Nothing to set: Megatron goes on from `consumed_train_samples` of its checkpoint, with any number of "
        "ranks, as long as the files and their order on the command line stay the same.",
    )


FORMAT = Format(
    name="megatron",
    trainer="Megatron-LM",
    tested="megatron-core 0.16.1 and 0.19.2",
    strides=("seq_len",),
    order_kept=lambda pack: "no",
    masks_padding=masks_padding,
    labels=lambda pack: (0, 1),
    write=write,
    guide=guide,
)
