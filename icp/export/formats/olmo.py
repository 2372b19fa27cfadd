"""OLMo-core: headerless ``.npy`` hard links, ``.csv.gz`` with the pieces, and masks of labels where there is padding.

Lines of ``.csv.gz``: first token, one past the last, doc, source (empty), row. A ``.label_mask.npy`` holds a byte for
each token, 0 at padding. Source: OLMo-core, olmo_core/data/numpy_dataset.py and utils.py.
"""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from icp.export.formats import Format, Guide
from icp.export.source import Pack, Pieces, Shard
from icp.export.target import Target
from icp.run.names import EXPORT_SUMMARY

MASK_TOKENS = 1 << 24
"""Tokens whose mask is made at once."""


def write(pack: Pack, target: Target) -> None:
    """Link the shards, and write their pieces and masks."""
    for shard in pack.shards:
        name = shard.name.removesuffix(".bin")
        target.link(shard.path, f"{name}.npy")
        pieces = pack.pieces(shard)
        with (
            target.path(f"{name}.csv.gz").open("wb") as stream,
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream, mtime=0) as packed,
        ):
            options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
            pyarrow.csv.write_csv(_lines(pieces, pack.stride), packed, options)
        if pack.padding:
            _write_mask(pack, shard, pieces.row_end, target)


def _lines(pieces: Pieces, stride: int) -> pa.Table:
    begin = pieces.row * stride
    empty = pa.array(np.full(begin.size, ""), pa.string())
    return pa.table([begin + pieces.begin, begin + pieces.stop, pieces.doc, empty, pieces.row], names=list("sedpr"))


def _write_mask(pack: Pack, shard: Shard, row_end: NDArray[np.int64], target: Target) -> None:
    step = max(1, MASK_TOKENS // pack.stride)
    within = np.arange(pack.stride)
    with target.path(f"{shard.name.removesuffix('.bin')}.label_mask.npy").open("wb") as stream:
        for first in range(0, shard.n_rows, step):
            (within < row_end[first : first + step, None]).tofile(stream)


def guide(pack: Pack) -> Guide:
    """What the README says."""
    facts = pack.facts
    masks = '\n    label_mask_paths=sorted(map(str, Path(FOLDER).glob("*.label_mask.npy"))),' if pack.padding else ""
    eos = pack.pad_id if pack.eos_id is None else pack.eos_id
    return Guide(
        load="from pathlib import Path\n"
        "from olmo_core.data import NumpyFSLDatasetConfig, TokenizerConfig\n\n"
        "dataset = NumpyFSLDatasetConfig(\n"
        '    paths=sorted(map(str, Path(FOLDER).glob("shard-?????.npy"))),'
        f"{masks}\n"
        f"    sequence_length={pack.seq_len},\n"
        f'    dtype="{facts["dtype"]}",\n'
        f"    tokenizer=TokenizerConfig(vocab_size={facts['vocab_size']}, eos_token_id={eos}, "
        f"pad_token_id={pack.pad_id}),\n"
        "    work_dir=WORK_DIR,\n"
        ").build()",
        language="python",
        whole=f"`NumpyFSLDataset` with `sequence_length={pack.seq_len}` only. `NumpyPackedFSLDataset`, "
        "`NumpyInterleavedFSLDataset`, `NumpyPaddedFSLDataset` and `NumpyVSLDataset` take the windows apart. Give the "
        "type: a padded `vocab_size` may lead OLMo-core to another one. An epoch drops what does not fill its last "
        "global batch.",
        order="The loader that `NumpyDataLoaderConfig` builds shuffles windows, anew in each epoch; "
        "`NumpyFSLDataLoader(..., shuffle=False)` built by hand keeps training order.",
        labels=f"A window gives {pack.seq_len - 1:,} labels, all of its own: the last token has none. "
        "None crosses an edge.",
        padding="`label_mask_paths` take padding out of the loss." if pack.padding else "There is none.",
        masks="`generate_doc_lengths=True` gives attention the lengths of documents, found by their end token: a piece "
        f"that is cut inside a window joins with the next one (`pieces_without_eos` in {EXPORT_SUMMARY} counts them). "
        "Leave `bos_token_id` out: with it, a piece that goes on with a document joins with the one before as well.",
        resume="`data_loader.load_state_dict(state)` with the state of the checkpoint; another batch size or number of "
        "ranks will do, other files or names are refused.",
    )


FORMAT = Format(
    name="olmo",
    trainer="OLMo-core",
    tested="ai2-olmo-core 3.0.0",
    strides=("seq_len",),
    order_kept=lambda pack: "no",
    masks_padding=lambda pack: True,
    labels=lambda pack: (1, 0),
    write=write,
    guide=guide,
)
