"""Rows of documents, and the step that reads them: what the tests of the step documents share."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from icp.config import parse_config
from icp.engine.executor import SerialExecutor
from icp.engine.run_step import run_step
from icp.run.context import Context
from icp.steps.documents.step import STEP

ROWS = [{"id": f"d{n}", "text": f"text of document {n} é", "source": f"s{n % 2}", "n": n} for n in range(7)]


def quiet(*_):
    pass


def jsonl(rows, end="\n"):
    return end.join(json.dumps(row, ensure_ascii=False) for row in rows).encode() + end.encode()


def context_of(run, corpus):
    return Context(parse_config({"run": str(run), "corpus": corpus}), "documents", {"documents": "documents"})


class Found:
    """A finished documents folder."""

    def __init__(self, run, manifest):
        self.folder, self.manifest = run / "documents", manifest
        self.names = sorted(path.name for path in self.folder.glob("part-*.parquet"))
        tables = [pq.read_table(self.folder / name) for name in self.names]
        self.table = pa.concat_tables(tables)
        assert all(table.schema == tables[0].schema for table in tables)
        self.rejected = [
            tuple(row.values())
            for path in sorted((self.folder / "rejected").glob("*.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]

    def __getitem__(self, name):
        return self.table[name].to_pylist()

    @property
    def reasons(self):
        return [(row, reason) for _, row, reason, _ in self.rejected]


@pytest.fixture
def step(tmp_path, monkeypatch):
    """Run the step on files of `tmp_path`: ``step({"a.jsonl": bytes}, keep=["n"])``."""
    monkeypatch.chdir(tmp_path)
    n_runs = 0

    def call(files=None, executor=None, **corpus):
        nonlocal n_runs
        n_runs += 1
        for name, content in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pa.Table):
                pq.write_table(content, path)
            else:
                path.write_bytes(content)
        corpus = {"input": list(files or ()), **corpus}
        context = context_of(tmp_path / f"run{n_runs}", corpus)
        manifest = run_step(STEP, context, executor or SerialExecutor(), quiet)
        check_promise(tmp_path / f"run{n_runs}/documents", manifest)
        return Found(tmp_path / f"run{n_runs}", manifest)

    return call


def check_promise(folder, manifest):
    """Documents and refused rows are the rows read, none twice; doc counts through the parts."""
    parts = [pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))]
    refused = [pq.read_table(path) for path in sorted((folder / "rejected").glob("part-*.parquet"))]
    seen = [pair for t in parts + refused for pair in zip(t["file"].to_pylist(), t["row"].to_pylist(), strict=True)]
    read = {file: n for record in manifest.info["read"].values() for file, n in record["rows"].items()}
    assert sorted(seen) == sorted((file, row) for file, n in read.items() for row in range(n))
    assert np.concatenate([t["doc"].to_numpy() for t in parts]).tolist() == list(range(sum(map(len, parts))))
    assert manifest.counts["documents"] + manifest.counts["rejected"] == manifest.counts["read"]
    assert {name: record.rows for name, record in manifest.files.items()} == {
        path.relative_to(folder).as_posix(): pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet")
    }
