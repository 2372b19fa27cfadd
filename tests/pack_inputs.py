"""The folders that `order` and `windows` read, written by hand: 2 parts, 7 documents, 6 survivors, 5 nodes."""

import json
from dataclasses import asdict
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tiny import quiet

from icp.config import parse_config
from icp.engine import run_step
from icp.engine.executor import SerialExecutor
from icp.run import records
from icp.run.context import Context
from icp.run.names import BUILD_STEPS, PACK_FOLDERS
from icp.run.records import FileRecord, Manifest
from icp.tokenizer.tokenizer import load_tokenizer

SURVIVORS = [0, 1, 3, 4, 5, 6]
NODES = [0, 1, 4, 5, 6]
SOURCES = ["web", "wiki", "web", "web", "wiki", None, "web"]
TOKENS = [3, 6, 0, 5, 10]
VECTORS = np.array([[1, 0], [0.6, 0.8], [-1, 0], [0, 1], [0.8, 0.6], [0, 0]], dtype=np.float16)  # rows of survivors
ROWS = [0, 1, 3, 4, 5]  # of the nodes
EDGES = {0: [3, 1], 1: [3, 2, 0], 2: [1, 3], 3: [1, 0, 2], 4: []}
WEIGHTS = {0: [0.8, 0.6], 1: [0.96, 0.8, 0.6], 2: [0.8, 0.6], 3: [0.96, 0.8, 0.6], 4: []}
RAW = np.array(  # similarities of the neighbours of every survivor
    [[0.8, 0.6], [0.96, 0.8], [0, 0], [0.8, 0.6], [0.96, 0.8], [0, 0]], dtype=np.float16
)
NEAREST = np.array([[4, 1], [4, 3], [-1, -1], [1, 4], [1, 0], [-1, -1]], dtype=np.int32)  # rows of survivors
RAW_BOUND = sum(float(RAW[row].astype(np.float32).sum()) for row in ROWS) / 2


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, allow_pickle=False)


def finish(context, step, **facts):
    """Leave the manifest of a step whose files are there."""
    folder = context.folder(step)
    files = {
        path.relative_to(folder).as_posix(): FileRecord(path.stat().st_size, records.hash_file(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != records.MANIFEST
    }
    manifest = Manifest(step, 1, "", {}, files, {}, {"facts": {"all": facts}}, facts, 0.0, 0.0, {})
    records.write_json(folder / records.MANIFEST, asdict(manifest))


def make_inputs(folder, *, method="exact", tokens=TOKENS, conflicts=((0, 3), (0, 4)), **sections):
    """A context whose steps before `order` are finished; `sections` override the configuration."""
    tree = {
        "run": str(folder),
        "corpus": {"input": "none"},
        "order": {"method": "algorithm1", "improve": False},
        "tokenizer": {"name": "bytes"},
        "pack": {"seq_len": 8, "method": "path-cut", "shuffle": "random"},
    }
    config = parse_config({**tree, **{name: {**tree.get(name, {}), **value} for name, value in sections.items()}})
    folders = {name: name for name in BUILD_STEPS} | {"tokens": "tokens/bytes-0"}
    folders |= {step: f"packs/main/{name}" for step, name in PACK_FOLDERS.items()}
    context = Context(config, "", folders)
    cut = 3  # documents of the first part; 3 of the survivors lie there, too
    for part, docs in (("part-00000", slice(0, 4)), ("part-00001", slice(4, 7))):
        sources = pa.array(SOURCES[docs], pa.string())
        table = pa.table({"doc": pa.array(range(7)[docs], pa.int64()), "source": sources})
        (folder / "documents").mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / "documents" / f"{part}.parquet")
        rows = slice(0, cut) if docs.start == 0 else slice(cut, None)
        save(folder / "embeddings" / f"{part}.npy", VECTORS[rows])
        save(folder / "neighbors" / f"{part}.similarities.npy", RAW[rows])
        save(folder / "neighbors" / f"{part}.neighbors.npy", NEAREST[rows])
    save(folder / "dedup" / "survivors.npy", np.array(SURVIVORS))
    save(folder / "graph" / "nodes.npy", np.array(NODES))
    save(folder / "graph" / "indptr.npy", np.cumsum([0, *map(len, EDGES.values())]))
    save(folder / "graph" / "indices.npy", np.array(list(chain(*EDGES.values())), dtype=np.int32))
    save(folder / "graph" / "weights.npy", np.array(list(chain(*WEIGHTS.values())), dtype=np.float16))
    save(folder / "graph" / "conflicts.npy", np.array(conflicts, dtype=np.int64).reshape(-1, 2))
    save(folder / "tokens" / "bytes-0" / "offsets.npy", np.cumsum([0, *tokens]))
    tokenizer = json.loads(load_tokenizer(config.tokenizer).text)
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 257, "content": "<s>"})
    (context.folder("tokens") / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    for step in (*BUILD_STEPS, "tokens"):
        finish(context, step, **({"method": method} if step == "neighbors" else {}))
    return context


def do(step, context):
    """Run a step and return its manifest."""
    return run_step(step, context, SerialExecutor(), quiet)


def load(context, step, *names):
    """Arrays a step left, by name."""
    return [np.load(context.folder(step) / f"{name}.npy", allow_pickle=False) for name in names]
