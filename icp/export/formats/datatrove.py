"""datatrove and nanotron: ``.ds`` hard links and ``.ds.index``, the end of each piece in tokens of the file, u64.

A window's end is always listed, so that positions begin at 0 in each window. Source: datatrove, utils/dataset.py.
"""

import numpy as np

from icp.export.formats import Format, Guide
from icp.export.source import Pack
from icp.export.target import Target


def write(pack: Pack, target: Target) -> None:
    """Link the shards and write where their pieces end."""
    for shard in pack.shards:
        name = f"{shard.name.removesuffix('.bin')}.ds"
        target.link(shard.path, name)
        pieces = pack.pieces(shard)
        begins = np.arange(shard.n_rows, dtype=np.int64) * pack.stride
        ends = np.concatenate((pieces.stop + begins[pieces.row], begins + pack.stride))
        np.unique(ends).astype("<u8").tofile(target.path(f"{name}.index"))


def guide(pack: Pack) -> Guide:
    """What the README says."""
    return Guide(
        load=f"DatatroveFolderDataset(\n    FOLDER, seq_len={pack.seq_len}, token_size={pack.dtype.itemsize}, "
        "shuffle=False, return_positions=True\n)",
        language="python",
        whole=f"`seq_len` must be {pack.seq_len}: the loader cuts files every seq_len + 1 tokens. `token_size` must be "
        f"{pack.dtype.itemsize}. Give training the whole number of epochs: past the end, trainers begin again.",
        order="Windows are read in the order of the file, files in the order of their names. nanotron's Nanoset "
        "shuffles files (`shuffle=True`) and samples on top, the same way in each epoch.",
        labels=f"None is lost and none crosses an edge: a row of {pack.stride:,} tokens gives {pack.seq_len:,} inputs "
        "and the labels one further.",
        padding=f"The loader knows no padding: it would be trained on as token {pack.pad_id}.",
        masks="`return_positions=True` counts positions anew at each document (from `.ds.index`), which nanotron's "
        "attention uses to keep documents apart. `positions_from_eos_token_id` guesses from the tokens instead.",
        resume="Skip as many samples of the data set as were seen: `Subset(dataset, range(seen, len(dataset)))`; "
        "nanotron does it from `consumed_train_samples`.",
    )


FORMAT = Format(
    name="datatrove",
    trainer="datatrove and nanotron",
    tested="datatrove 0.10.1",
    strides=("seq_len+1",),
    order_kept=lambda pack: "within_file",
    masks_padding=lambda pack: False,
    labels=lambda pack: (0, 0),
    write=write,
    guide=guide,
    knows_padding=False,
)
