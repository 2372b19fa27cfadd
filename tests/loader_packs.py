"""Packs that trainers' loaders read back in tests, and what stands in them, counted by hand."""

import json
import random

import numpy as np
import pyarrow.parquet as pq
from tiny import tiny_config

from icp.dataset.windows import WindowDataset

SEQ_LEN = 64


def documents():
    """40 documents of random words, from two tokens to several windows long, in two sources."""
    rng = random.Random(8)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(3, 8))) for _ in range(300)]
    lengths = [1, 2, 100, *(rng.randint(5, 30) for _ in range(37))]
    texts = [" ".join(rng.choices(words, k=length)) for length in lengths]
    return [{"id": f"d{n}", "text": text, "source": "ab"[n % 2]} for n, text in enumerate(texts)]


def config_for(folder, **pack_options):
    options = {"seq_len": SEQ_LEN, "shard_mib": 0.0015, "method": "path-cut", "shuffle": "random", **pack_options}
    return tiny_config(
        folder,
        corpus={"input": str(folder / "rows.jsonl")},
        dedup={"near": False},
        tokenizer={"name": "train:300", "eos": "<|endoftext|>"},
        pack=options,
    )


def rows_of(run, name="main"):
    """(windows, stride) int64, all rows in training order."""
    folder = run / "packs" / name / "shards"
    facts = json.loads((folder / "manifest.json").read_text())
    shards = [np.fromfile(path, facts["dtype"]) for path in sorted(folder.glob("shard-*.bin"))]
    return np.concatenate(shards).reshape(-1, facts["stride"]).astype(np.int64)


def end_of_rows(run, name="main"):
    """(windows,) int64, where padding begins."""
    folder = run / "packs" / name / "shards"
    pads = np.concatenate([pq.read_table(path)["n_pad"] for path in sorted((folder / "windows").glob("*.parquet"))])
    return rows_of(run, name).shape[1] - pads.astype(np.int64)


def pieces_of(run, name="main"):
    """For each window the lengths of its pieces in the row, the end token counted, and their docs; by hand."""
    folder = run / "packs" / name / "shards"
    ends = end_of_rows(run, name)
    found = [[] for _ in ends]
    for path in sorted((folder / "segments").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            found[row["window"]].append(row)
    pieces = []
    for window, rows in enumerate(found):
        begins = [row["win_start"] for row in rows]
        lengths = [b - a for a, b in zip(begins, [*begins[1:], int(ends[window])], strict=True)]
        pieces.append((lengths, [row["doc"] for row in rows]))
    return pieces


def check_shifted_rows(run, rows):
    """Rows of seq_len + 1 as loaders cut them: inputs and labels of the data set, but that padding is trained on."""
    padded = 0
    for row, end, sample in zip(rows, end_of_rows(run, "longer"), WindowDataset(run, pack="longer"), strict=True):
        assert sample["shifted"]
        assert np.array_equal(row[:-1], sample["input_ids"])
        labels = sample["labels"]
        assert np.array_equal(row[1:end], labels[: end - 1])
        assert (labels[end - 1 :] == -100).all()
        padded += len(row) - end
    assert padded > 0


def sorted_rows(rows):
    """The same rows in an order of their own, to compare as sets with repeats."""
    return rows[np.lexsort(rows.T[::-1])]
