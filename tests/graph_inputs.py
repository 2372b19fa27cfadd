"""The folders that `neighbors` and `graph` read, written by hand."""

import os
import signal
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from made import finish, quiet, save

from icp.config import parse_config
from icp.engine import run_step
from icp.engine.executor import SerialExecutor
from icp.pipeline import context_of
from icp.steps.graph import step as graph
from icp.steps.neighbors import step as neighbors


def unit(rows):
    """Rows of norm 1 (or zero) as float16."""
    rows = np.asarray(rows, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms == 0, 1, norms)).astype(np.float16)


def topics(n, dim=32, *, n_topics=8, noise=0.5, seed=0):
    """Unit rows around a few centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n_topics, dim))
    return unit(centres[rng.integers(0, n_topics, n)] + noise * rng.standard_normal((n, dim)))


def make_vectors(run, vectors, *, texts=None, parts=(), dropped=(), seed=0, columns=None, keep=(), **graph):
    """A context with documents/, dedup/ and embeddings/ finished.

    `vectors`: one row a survivor; `dropped`: docs that dedup removed; `parts`: docs at which a new part begins;
    `texts`: one a doc; `columns`: further columns of the documents; `keep`: which of them the configuration names;
    `graph`: configuration of that section.
    """
    n_docs = len(vectors) + len(dropped)
    survivors = np.setdiff1d(np.arange(n_docs, dtype=np.int64), np.array(dropped, dtype=np.int64))
    texts = [f"text number {doc} about {doc % 7}" for doc in range(n_docs)] if texts is None else texts
    rows = {}
    for index, (begin, end) in enumerate(pairwise([0, *parts, n_docs])):
        name = f"part-{index:05}"
        (run / "documents").mkdir(parents=True, exist_ok=True)
        fields = {
            "doc": pa.array(range(begin, end), pa.int64()),
            "text": pa.array(texts[begin:end], pa.large_string()),
            **{field: pa.array(values[begin:end]) for field, values in (columns or {}).items()},
        }
        pq.write_table(pa.table(fields), run / "documents" / f"{name}.parquet", row_group_size=3)
        rows[f"{name}.parquet"] = end - begin
        low, high = np.searchsorted(survivors, [begin, end])
        save(run / "embeddings" / f"{name}.npy", vectors[low:high])
    save(run / "dedup" / "survivors.npy", survivors)
    for name in ("documents", "dedup", "embeddings"):
        finish(run / name, rows)
    corpus = {"input": "none.jsonl", "keep": list(keep)}
    tree = {"run": str(run), "corpus": corpus, "graph": graph, "dedup": {"ngram": 2}, "seed": seed}
    return context_of(parse_config(tree))


def do(step, context):
    """Run one step in this process; its manifest."""
    return run_step(step, context, SerialExecutor(), quiet)


def build(run, vectors, **options):
    """A context whose graph is finished, see `make_vectors`, and the manifest of the step."""
    context = make_vectors(run, vectors, **options)
    do(neighbors.STEP, context)
    return context, do(graph.STEP, context)


def load(context, *names):
    """Arrays of the graph."""
    return [np.load(context.folder("graph") / f"{name}.npy", allow_pickle=False) for name in names]


def joined(context, step, name):
    """The parts of a step's arrays, one after another."""
    paths = sorted(context.folder(step).glob(f"part-*.{name}.npy"))
    return np.concatenate([np.load(path, allow_pickle=False) for path in paths])


FATAL = "cells-000001"


def search_and_be_killed(context, part, output):
    """The search of some cells, noted in a file each; that of `FATAL` is killed after its work, while told to."""
    folder = context.folder("neighbors").parents[1]
    (folder / "tried" / part).mkdir(parents=True, exist_ok=True)
    (folder / "tried" / part / str(os.getpid())).touch()
    neighbors.search(context, part, output)
    kill = folder / "kill"
    if part == FATAL and kill.exists():
        if kill.read_text() == "once":
            kill.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
