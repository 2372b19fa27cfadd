"""Packs whose shards are written by hand, a few rows long, for tests of what reads them."""

from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from made import finish

from icp.run.records import MANIFEST, read_manifest, write_json

PAD = 99
LOADERS_WARN = (
    "'set_vital' is deprecated",
    "This DataLoader will create 4 worker",
    ".*is multi-threaded, use of fork",
)
"""What torch and Python say of loaders with workers; no fault of ours."""


def make_shards(run, rows, segments, *, seq_len=None, n_pad=None, bos="none", shuffle="random", per_shard=2):
    """Shards of 16-bit rows; `segments`: for each window (doc_start, win_start, win_stop) of its pieces."""
    folder = run / "packs" / "main" / "shards"
    folder.mkdir(parents=True)
    rows = np.array(rows, dtype="<u2")
    for name in ("segments", "windows"):
        (folder / name).mkdir()
    for shard, first in enumerate(range(0, len(rows), per_shard)):
        rows[first : first + per_shard].tofile(folder / f"shard-{shard:05d}.bin")
        listed = [
            (window, position, *piece)
            for window in range(first, min(first + per_shard, len(rows)))
            for position, piece in enumerate(segments[window])
        ]
        names = ("window", "position", "doc_start", "win_start", "win_stop")
        columns = {name: pa.array([row[place] for row in listed], pa.int64()) for place, name in enumerate(names)}
        pq.write_table(pa.table(columns), folder / "segments" / f"part-{shard:05d}.parquet")
        pads = [0] * len(rows) if n_pad is None else n_pad
        windows = {"window": range(first, first + per_shard), "n_pad": pads[first : first + per_shard]}
        windows["window"] = list(windows["window"])[: len(windows["n_pad"])]
        pq.write_table(pa.table(windows), folder / "windows" / f"part-{shard:05d}.parquet")
    finish(folder, {})
    facts = {
        "seq_len": seq_len or rows.shape[1], "stride": rows.shape[1], "dtype": "uint16", "windows": len(rows),
        "policy": {"bos": bos, "eos": "document"}, "shuffle": shuffle, "seed": 3,
    }  # fmt: skip
    write_json(folder / MANIFEST, {**facts, **asdict(read_manifest(folder))})
    return run


def numbered(run, n_windows, **options):
    """A pack whose window w holds w, w, w."""
    return make_shards(run, [[window] * 3 for window in range(n_windows)], [[(0, 0, 3)]] * n_windows, **options)


def seen(dataset):
    return [int(sample["input_ids"][0]) for sample in dataset]
