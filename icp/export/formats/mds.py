"""MosaicML MDS: a sample a window, with the lengths and docs of its pieces.

Columns: ``tokens`` of fixed length, ``doc_lens`` int32 and ``doc_ids`` int64, one for each piece, then -1 for padding.
A shard: u32 samples, u32 begin of each sample and the end, its header as JSON, samples: u32 sizes of the columns that
vary, then the columns in the order of their names. Written as mosaicml-streaming 0.13.0 writes them, without it.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.export.formats import Format, Guide
from icp.export.source import Pack, Pieces
from icp.export.target import Target

SHARD_BYTES = 1 << 26


def write(pack: Pack, target: Target) -> None:
    """Write shards of whole windows, and the index."""
    config = _config(pack)
    header = json.dumps(config, sort_keys=True).encode()
    listed: list[dict[str, Any]] = []
    for shard in pack.shards:
        pieces = pack.pieces(shard)
        for first, rows in pack.blocks(shard, SHARD_BYTES // 2):
            name = f"shard.{len(listed):05d}.mds"
            data = _encode(list(_samples(pack, pieces, first, rows)), header)
            target.path(name).write_bytes(data)
            raw = {"basename": name, "bytes": len(data), "hashes": {"sha1": hashlib.sha1(data).hexdigest()}}
            listed.append({**config, "raw_data": raw, "samples": len(rows), "zip_data": None})
    index = json.dumps({"shards": listed, "version": 2}, sort_keys=True)
    target.path("index.json").write_text(index)


def _config(pack: Pack) -> dict[str, Any]:
    token = "uint16" if pack.dtype.itemsize == 2 else "int32"
    return {
        "column_encodings": ["ndarray:int64", "ndarray:int32", f"ndarray:{token}:{pack.stride}"],
        "column_names": ["doc_ids", "doc_lens", "tokens"],
        "column_sizes": [None, None, pack.stride * pack.dtype.itemsize],
        "compression": None,
        "format": "mds",
        "hashes": ["sha1"],
        "size_limit": SHARD_BYTES,
        "version": 2,
    }


def _samples(pack: Pack, pieces: Pieces, first: int, rows: NDArray[Any]) -> Iterator[bytes]:
    for at, row in enumerate(rows, first):
        here = slice(int(pieces.first[at]), int(pieces.first[at + 1]))
        docs, lengths = pieces.doc[here], pieces.stop[here] - pieces.begin[here]
        n_pad = pack.stride - int(pieces.row_end[at])
        if n_pad:
            docs, lengths = np.append(docs, -1), np.append(lengths, n_pad)
        columns = _vector(docs.astype("<i8")), _vector(lengths.astype("<i4"))
        sizes = np.array([len(column) for column in columns], dtype="<u4")
        yield b"".join((sizes.tobytes(), *columns, row.tobytes()))


def _vector(values: NDArray[Any]) -> bytes:
    """An array of one dimension: how many dimensions and how wide their sizes are, the size, the values."""
    width = 0 if values.size < 1 << 8 else 1 if values.size < 1 << 16 else 2
    return bytes([1 << 2 | width]) + values.size.to_bytes(1 << width, "little") + values.tobytes()


def _encode(samples: list[bytes], header: bytes) -> bytes:
    offsets = np.cumsum([0, *map(len, samples)], dtype=np.int64) + 4 + 4 * (len(samples) + 1) + len(header)
    return b"".join((np.uint32(len(samples)).tobytes(), offsets.astype("<u4").tobytes(), header, *samples))


def masks_padding(pack: Pack) -> bool:
    """Whether the trainer's collator masks the padding: it masks the pad token that its tokenizer names, no other."""
    return pack.pad_id == pack.tokenizer_pad_id


def guide(pack: Pack) -> Guide:
    """What the README says."""
    hidden = (
        f"llm-foundry's collator gives no loss to the pad token that the tokenizer names; padding is id {pack.pad_id}. "
        + ("The end of each document is the same token and loses its label too." if pack.pad_id == pack.eos_id else "")
    )
    return Guide(
        load="from streaming import StreamingDataset\n\n"
        "dataset = StreamingDataset(\n"
        "    local=FOLDER, shuffle=False, num_canonical_nodes=1, batch_size=BATCH_PER_DEVICE\n)",
        language="python",
        whole=f"llm-foundry: `max_seq_len: {pack.seq_len}`; a smaller one cuts rows in silence, and "
        "versions that take `tokens` for int64 bytes cannot read these. Over several ranks streaming "
        "repeats a few windows at the end of an epoch to give each rank as many, so that collectives do not hang.",
        order="`shuffle=False` with `num_canonical_nodes=1` keeps training order over all ranks; `shuffle=True` "
        "shuffles windows in blocks.",
        labels=f"A window gives {pack.seq_len - 1:,} labels, all of its own: models shift inside the row, the last "
        "token has none. None crosses an edge.",
        padding=hidden if pack.padding else "There is none.",
        masks="llm-foundry makes `sequence_id` from `eos_token_id` or `bos_token_id` of its data loader, for attention "
        "that keeps documents apart (`attn_uses_sequence_id: true`); it does not read `doc_lens`, which your own "
        "collator can.",
        resume="`dataset.load_state_dict(state)` with `dataset.state_dict(num_samples=seen, from_beginning=True)`; "
        "Composer does it from its checkpoint, with another number of ranks too.",
    )


FORMAT = Format(
    name="mds",
    trainer="MosaicML Streaming and llm-foundry",
    tested="mosaicml-streaming 0.13.0",
    strides=("seq_len",),
    order_kept=lambda pack: "full",
    masks_padding=masks_padding,
    labels=lambda pack: (1, 0),
    write=write,
    guide=guide,
)
