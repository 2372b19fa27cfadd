"""Runs made by hand up to the graph or the plan, for tests of single stages."""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from icp.config import parse_config
from icp.engine import run_step
from icp.engine.executor import SerialExecutor
from icp.pipeline import context_of
from icp.run.records import MANIFEST, FileRecord, Manifest, hash_file, write_json


def quiet(label, done, total):
    """Progress that nobody watches."""


def finish(folder: Path, rows):
    """A manifest over the files of a folder; `rows` by name."""
    files = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip
    records = {name: FileRecord(path.stat().st_size, hash_file(path), rows.get(name)) for name, path in files.items()}
    manifest = Manifest(folder.name, 1, "", {}, records, {}, {}, {}, 0.0, 0.0, {})
    write_json(folder / MANIFEST, asdict(manifest))


def save(path: Path, array):
    """`np.save` into a folder that may not be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, allow_pickle=False)


def make_graph(run: Path, texts, *, kept=None, parts=(), sources=None, vectors=None):
    """documents/, dedup/, embeddings/ and graph/nodes.npy as their steps would leave them.

    `kept`: docs that are nodes (all); `parts`: docs at which a new part begins; `vectors`: one a doc, all survive.
    """
    n_docs = len(texts)
    edges = [0, *parts, n_docs]
    keys = [(number * 7919 % 65521).to_bytes(16, "little") for number in range(n_docs)]
    vectors = np.eye(max(n_docs, 2), dtype=np.float16)[:n_docs] if vectors is None else vectors.astype(np.float16)
    rows = {}
    for index, (begin, end) in enumerate(pairwise(edges)):
        name = f"part-{index:05d}"
        columns = {
            "doc": pa.array(range(begin, end), pa.int64()),
            "key": pa.array(keys[begin:end], pa.binary(16)),
            "id": pa.array([f"d{doc}" for doc in range(begin, end)], pa.string()),
            "text": pa.array(texts[begin:end], pa.large_string()),
            "source": pa.array((sources or [None] * n_docs)[begin:end], pa.string()),
        }
        (run / "documents").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), run / "documents" / f"{name}.parquet", row_group_size=3)
        rows[f"{name}.parquet"] = end - begin
        save(run / "embeddings" / f"{name}.npy", vectors[begin:end])
    save(run / "dedup" / "survivors.npy", np.arange(n_docs))
    save(run / "graph" / "nodes.npy", np.array(range(n_docs) if kept is None else kept, dtype=np.int64))
    for name in ("documents", "dedup", "embeddings", "graph"):
        finish(run / name, rows)


def make_plan(run: Path, *, doc, start, stop, window, path_rank):
    """packs/main/plan/ as the windows step would leave it."""
    folder = run / "packs" / "main" / "plan"
    arrays = {"doc": doc, "start": start, "stop": stop, "window": window, "path_rank": path_rank}
    for name, values in arrays.items():
        save(folder / f"{name}.npy", np.array(values, dtype=np.int64))
    finish(folder, {"path_rank.npy": len(path_rank)})


def made_config(run: Path, **sections):
    """A configuration for a run made by hand: bytes, windows of 8."""
    tree = {
        "run": str(run),
        "corpus": {"input": "none.jsonl"},
        "tokenizer": {"name": "bytes"},
        "pack": {"seq_len": 8, "shuffle": "random"},
    }
    return parse_config({name: {**tree.get(name, {}), **sections.pop(name, {})} if name in ("tokenizer", "pack")
                         else value for name, value in tree.items()} | sections)  # fmt: skip


def context_for(config):
    """A context whose tokens lie in ``tokens/made``."""
    context = context_of(config)
    return type(context)(config, "", {**context.folders, "tokens": "tokens/made"})


def do(step, config):
    """Run one step in this process; its manifest."""
    return run_step(step, context_for(config), SerialExecutor(), quiet)
