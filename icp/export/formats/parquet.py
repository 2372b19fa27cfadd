"""Parquet with the column names of TRL and `datasets`: a row a window, a file a shard.

Columns: ``input_ids`` fixed_size_list<uint16 or int32>, ``seq_lengths`` list<int32> (pieces, then padding), ``doc_ids``
list<int64> (a doc for each piece), and ``labels``, fixed_size_list<int32>, -100 at padding.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.export.formats import Format, Guide
from icp.export.source import Pack, Pieces, Shard
from icp.export.target import Target

GROUP_ROWS = 1024
IGNORED = -100


def write(pack: Pack, target: Target) -> None:
    """Write a file for each shard, a row group at a time."""
    for shard in pack.shards:
        name = f"train-{shard.number:05d}-of-{len(pack.shards):05d}.parquet"
        pieces = pack.pieces(shard)
        schema = _schema(pack)
        # dictionaries do not pay for token ids
        with pq.ParquetWriter(target.path(name), schema, compression="zstd", use_dictionary=False) as writer:
            for first in range(0, shard.n_rows, GROUP_ROWS):
                writer.write_table(_group(pack, shard, pieces, first), row_group_size=GROUP_ROWS)


def _schema(pack: Pack) -> pa.Schema:
    token = pa.uint16() if pack.dtype.itemsize == 2 else pa.int32()
    # without labels, transformers' Trainer finds no loss
    fields = [("input_ids", pa.list_(token, pack.stride)), ("labels", pa.list_(pa.int32(), pack.stride))]
    return pa.schema([*fields, ("seq_lengths", pa.list_(pa.int32())), ("doc_ids", pa.list_(pa.int64()))])


def _group(pack: Pack, shard: Shard, pieces: Pieces, first: int) -> pa.Table:
    schema = _schema(pack)
    rows = np.asarray(pack.rows(shard)[first : first + GROUP_ROWS])
    end = first + len(rows)
    tokens = rows if rows.itemsize == 2 else rows.view("<i4")
    columns: dict[str, Any] = {"input_ids": _fixed(tokens, schema.field("input_ids").type)}
    shown = np.arange(pack.stride) < pieces.row_end[first:end, None]
    columns["labels"] = _fixed(np.where(shown, tokens.astype(np.int32), np.int32(IGNORED)), schema.field("labels").type)
    bounds = pieces.first[first : end + 1]
    here = slice(int(bounds[0]), int(bounds[-1]))
    columns["seq_lengths"] = _lengths(pieces, (first, end), pack.stride)
    columns["doc_ids"] = pa.ListArray.from_arrays((bounds - bounds[0]).astype(np.int32), pa.array(pieces.doc[here]))
    return pa.table(columns, schema=schema)


def _fixed(rows: NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(rows).reshape(-1), kind.value_type), type=kind
    )


def _lengths(pieces: Pieces, rows: tuple[int, int], stride: int) -> pa.Array:
    """The lengths of the pieces of each row, and of its padding."""
    first, end = rows
    bounds = pieces.first[first : end + 1]
    here = slice(int(bounds[0]), int(bounds[-1]))
    n_pad = stride - pieces.row_end[first:end]
    padded = np.cumsum(np.concatenate(([0], n_pad > 0)))
    offsets = bounds - bounds[0] + padded
    values = np.insert(
        pieces.stop[here] - pieces.begin[here], (bounds[1:] - bounds[0])[n_pad > 0], n_pad[n_pad > 0]
    ).astype(np.int32)  # fmt: skip
    return pa.ListArray.from_arrays(offsets.astype(np.int32), pa.array(values))


def guide(pack: Pack) -> Guide:
    """What the README says."""
    labelled = (
        "`labels` is -100 there; a collator that makes labels anew (`DataCollatorForLanguageModeling`) would train "
    )
    labelled += "on it: use `default_data_collator` and the columns `input_ids` and `labels`."
    return Guide(
        load="from datasets import load_dataset\n\n"
        'dataset = load_dataset("parquet", data_files=FOLDER + "/train-*.parquet", split="train")',
        language="python",
        whole="Rows stay as they are. With TRL: `SFTConfig(packing=False, max_length=None, "
        "dataset_kwargs={'skip_prepare_dataset': True})`; its default `max_length` of 1024 cuts rows in silence, "
        "`packing=True` packs them anew.",
        order="`datasets` keeps training order, and so does a `DataLoader(shuffle=False)`; transformers' Trainer "
        'shuffles rows unless `train_sampling_strategy="sequential"`. A streamed data set that is split over ranks '
        "gives each rank files of its own if they are a multiple of the ranks, else every n-th row. Ranks may get a "
        "row more or less than others, for which collectives wait for ever: use a `DistributedSampler`, or stop all "
        "ranks after the fewest rows.",
        labels=f"A window gives {pack.seq_len - 1:,} labels, all of its own: models shift inside the row, the last "
        "token has none. None crosses an edge.",
        padding=labelled if pack.padding else "There is none.",
        masks="`seq_lengths` is TRL's name: with `padding_free=True` (and `max_length=None`) positions begin anew at "
        "each document and its first label is masked. transformers' `DataCollatorWithFlattening` knows rows only, not "
        "the documents inside.",
        resume="`dataset.skip(seen)`; streamed: `dataset.load_state_dict(state)`. transformers' Trainer does it itself "
        "from its checkpoint.",
    )


FORMAT = Format(
    name="parquet",
    trainer="Hugging Face datasets, transformers and TRL",
    tested="datasets 5.2.0",
    strides=("seq_len",),
    order_kept=lambda pack: "full",
    masks_padding=lambda pack: True,
    labels=lambda pack: (1, 0),
    write=write,
    guide=guide,
)
