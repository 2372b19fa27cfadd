"""litdata's `TokensLoader`: chunks of int32 tokens behind a header, and ``index.json``.

A chunk: u32 items, u32 begin of each item and the end, tokens. Written as litdata 0.2.76 writes them, without it.
"""

import json
from typing import Any

import numpy as np

from icp.export.formats import Format, Guide
from icp.export.source import Pack
from icp.export.target import Target

CHUNK_BYTES = 1 << 26
TORCH_INT = "no_header_tensor:16"
"""int32 tensors: of 16-bit ids, litdata would give numpy arrays or tensors that few operations take."""
TENSOR_SPEC = '[1, {"type": null, "context": null, "children_spec": []}]'


def write(pack: Pack, target: Target) -> None:
    """Write chunks of whole windows, and the index."""
    chunks: list[dict[str, Any]] = []
    for shard in pack.shards:
        for _, rows in pack.blocks(shard, CHUNK_BYTES * pack.dtype.itemsize // 4):
            name, n_rows = f"chunk-0-{len(chunks)}.bin", len(rows)
            head = np.arange(n_rows + 2, dtype="<u4")
            head[1:] = 4 * (n_rows + 2) + np.arange(n_rows + 1, dtype=np.int64) * (4 * pack.stride)
            head[0] = n_rows
            with target.path(name).open("wb") as stream:
                head.tofile(stream)
                rows.astype("<i4").tofile(stream)
            n_bytes = 4 * (n_rows + 2) + 4 * rows.size
            chunks.append({"chunk_bytes": n_bytes, "chunk_size": n_rows, "dim": rows.size, "filename": name})
    config = {
        "chunk_bytes": CHUNK_BYTES,
        "chunk_size": None,
        "compression": None,
        "data_format": [TORCH_INT],
        "data_spec": TENSOR_SPEC,
        "encryption": None,
        "item_loader": "TokensLoader",
    }
    target.path("index.json").write_text(json.dumps({"chunks": chunks, "config": config, "updated_at": "0"}))


def guide(pack: Pack) -> Guide:
    """What the README says."""
    shifted = pack.stride > pack.seq_len
    labels = (
        f"None is lost and none crosses an edge: a row of {pack.stride:,} tokens gives {pack.seq_len:,} inputs and the "
        "labels one further, as litgpt takes them."
        if shifted
        else f"A trainer that shifts inside the row has {pack.seq_len - 1:,} labels a window, all of its own; the last "
        "token has none. litgpt wants `pack.stride: seq_len+1`."
    )
    return Guide(
        load="from litdata import StreamingDataLoader, StreamingDataset, TokensLoader\n\n"
        "dataset = StreamingDataset(\n"
        f"    FOLDER, item_loader=TokensLoader(block_size={pack.stride}), shuffle=False\n"
        ")\n"
        "loader = StreamingDataLoader(dataset, batch_size=8)",
        language="python",
        whole=f"`block_size` must be {pack.stride}, the length of a row. One process gets every window. Over several "
        "ranks litdata sets `drop_last=True` by itself, which leaves a few windows out so that ranks have as many; "
        "with False they may differ, and collectives wait for ever.",
        order="`shuffle=False` keeps training order in one process. Over several ranks each one gets a run of chunks "
        "of its own; `shuffle=True` shuffles chunks, and windows inside a chunk.",
        labels=labels,
        padding=f"The loader knows no padding: it would be trained on as token {pack.pad_id}.",
        masks="None: the loader gives tokens only; documents end with their end token, if they have one.",
        resume="`loader.load_state_dict(state)` with `loader.state_dict()` of the checkpoint, the same number of ranks "
        "and workers.",
    )


FORMAT = Format(
    name="litdata",
    trainer="litdata and litgpt",
    tested="litdata 0.2.76",
    strides=("seq_len", "seq_len+1"),
    order_kept=lambda pack: "within_file",
    masks_padding=lambda pack: False,
    labels=lambda pack: (0, 0) if pack.stride > pack.seq_len else (1, 0),
    write=write,
    guide=guide,
    knows_padding=False,
)
