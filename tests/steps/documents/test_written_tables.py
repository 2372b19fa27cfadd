"""Random tables, written by the libraries that people write tables with, are read back equal.

Each seed draws a table, a kind of file, a writer and its options; what is read is
compared with the values that were drawn.
"""

import json

import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from icp.steps.documents.jsonl_and_text import read_csv, read_jsonl
from icp.steps.documents.kept_fields import is_json
from icp.steps.documents.parquet_and_arrow import read_arrow, read_parquet
from icp.steps.documents.rows import Findings, Rules

N_TABLES = 300
LETTERS = [
    "a",
    "bc",
    " ",
    "\n",
    "\t",
    '"',
    "'",
    ",",
    "\\\\",
    "é",
    "e\u0301",
    "\u4e2d",
    "\U0001f600",
    "\u200d",
    "null",
    "NaN",
    "0",
]


def texts(rng, n, *, nulls=False):
    drawn = ["".join(rng.choice(LETTERS, rng.integers(1, 40))) + "." for _ in range(n)]
    return [None if nulls and rng.random() < 0.3 else text for text in drawn]


def draw(rng):
    """Columns as lists: the text, an id of some type or none, a source or none, kept fields."""
    n = int(rng.choice([1, 2, 7, 40, 200]))
    nulls = bool(rng.random() < 0.5)
    columns = {"text": texts(rng, n)}
    match rng.integers(3):
        case 0:
            columns["id"] = [f"d{i}" for i in range(n)]
        case 1:
            columns["id"] = [None if nulls and rng.random() < 0.3 else int(i) for i in rng.integers(-(2**53), 2**53, n)]
    if rng.random() < 0.5:
        columns["source"] = texts(rng, n, nulls=nulls)
    columns["n"] = [None if nulls and rng.random() < 0.3 else int(i) for i in rng.integers(-(2**53), 2**53, n)]
    columns["x"] = (rng.integers(-1000, 1000, n) / 8).tolist()
    columns["word"] = texts(rng, n, nulls=nulls)
    names = rng.permutation(list(columns)).tolist()
    return {name: columns[name] for name in names}


def arrow_table(columns, rng):
    kinds = {"text": [pa.string(), pa.large_string(), pa.string_view()], "n": [pa.int64()], "x": [pa.float64()]}
    strings = kinds["text"]
    fields = {}
    for name, values in columns.items():
        is_text = any(isinstance(value, str) for value in values) or name in ("source", "word")
        options = strings if is_text else kinds.get(name, [pa.int64()])
        array = pa.array(values, options[rng.integers(len(options))])
        fields[name] = (
            array.dictionary_encode() if is_text and array.type == pa.string() and rng.random() < 0.3 else array
        )
    return pa.table(fields)


def frame(columns):
    """A pandas frame whose integers may be missing without becoming floats."""
    kinds = {"x": "float64", "n": "Int64"}
    if any(isinstance(value, int) for value in columns.get("id", ())):
        kinds["id"] = "Int64"
    return pd.DataFrame({name: pd.Series(values, dtype=kinds.get(name, "object")) for name, values in columns.items()})


def by_pyarrow(path, columns, kind, rng):
    table = arrow_table(columns, rng)
    if kind == "parquet":
        version = str(rng.choice(["1.0", "2.6"]))
        options = {"data_page_version": str(rng.choice(["1.0", "2.0"])), "use_dictionary": bool(rng.integers(2))}
        packing = str(rng.choice(["snappy", "zstd", "gzip", "none"]))
        size = int(rng.choice([1, 5, 1000]))
        pq.write_table(table, path, row_group_size=size, version=version, compression=packing, **options)
    elif kind == "arrow":
        options = pa.ipc.IpcWriteOptions(compression=[None, "zstd", "lz4"][rng.integers(3)])
        make = pa.ipc.new_file if rng.integers(2) else pa.ipc.new_stream
        with make(path, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=int(rng.choice([3, 1000])))
    elif kind == "csv":
        plain = pa.table(columns)
        pa.csv.write_csv(plain, path)
    else:
        ascii_only = bool(rng.integers(2))
        rows = pa.table(columns).to_pylist()
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.writelines(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)


def by_polars(path, columns, kind, rng):
    table = pl.DataFrame(columns, schema_overrides={"n": pl.Int64, "word": pl.String}, strict=False)
    if kind == "parquet":
        packing = str(rng.choice(["zstd", "snappy", "lz4", "uncompressed"]))
        table.write_parquet(path, compression=packing, row_group_size=int(rng.choice([2, 1000])))
    elif kind == "arrow":
        compression = str(rng.choice(["uncompressed", "zstd"]))
        write = table.write_ipc if rng.integers(2) else table.write_ipc_stream
        write(
            path,
            compression=compression,
            compat_level=[pl.CompatLevel.newest(), pl.CompatLevel.oldest()][rng.integers(2)],
        )
    elif kind == "csv":
        table.write_csv(path)
    else:
        table.write_ndjson(path)


def by_duckdb(path, columns, kind, rng):
    held = pa.table(columns)
    forms = {"parquet": "FORMAT parquet", "csv": "FORMAT csv, HEADER", "jsonl": "FORMAT json"}
    if kind == "parquet":
        forms["parquet"] += f", PARQUET_VERSION V{rng.integers(1, 3)}, ROW_GROUP_SIZE 2048"
    with duckdb.connect() as base:
        base.register("held", held)
        base.execute(f"COPY held TO '{path}' ({forms[kind]})")


def by_pandas(path, columns, kind, rng):
    table = frame(columns)
    if kind == "parquet":
        table.to_parquet(path, index=bool(rng.integers(2)))
    elif kind == "csv":
        table.to_csv(path, index=False, quoting=int(rng.integers(3)))
    else:
        table.to_json(path, orient="records", lines=True, force_ascii=bool(rng.integers(2)))


def by_fastparquet(path, columns, kind, rng):
    packing = [None, "GZIP", "SNAPPY", "ZSTD"][rng.integers(4)]
    fastparquet.write(path, frame(columns), compression=packing, row_group_offsets=int(rng.choice([3, 1000])))


WRITERS = {
    "parquet": (by_pyarrow, by_polars, by_duckdb, by_pandas, by_fastparquet),
    "arrow": (by_pyarrow, by_polars),
    "jsonl": (by_pyarrow, by_polars, by_duckdb, by_pandas),
    "csv": (by_pyarrow, by_polars, by_duckdb, by_pandas),
}
READERS = {"parquet": read_parquet, "arrow": read_arrow, "jsonl": read_jsonl, "csv": read_csv}


def rows_read(path, kind):
    rules = Rules("text", "id", "source", ("n", "x", "word"), 1, 10**6)
    for batch in READERS[kind](path, rules, Findings()):
        assert batch.rejected.num_rows == 0, batch.rejected.to_pylist()
        for row in batch.documents.to_pylist():
            for name in ("n", "x", "word"):
                if is_json(batch.documents.schema.field(name)) and row[name] is not None:
                    row[name] = json.loads(row[name])
            yield row


def rows_expected(path, columns, kind):
    def kept(name, value):  # CSV knows strings only, and no null
        return value if kind != "csv" else "" if value is None else str(value)

    for row in range(len(columns["text"])):
        doc_id = columns.get("id", [None] * (row + 1))[row]
        yield {
            "id": f"{path}:{row}" if doc_id is None else str(doc_id),
            "text": columns["text"][row],
            "source": columns.get("source", [None] * (row + 1))[row],
            "file": path,
            "row": row,
            **{name: kept(name, columns[name][row]) for name in ("n", "x", "word")},
        }


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_tables_are_read_back_equal(tmp_path, kind):
    names = sorted(WRITERS)
    for seed in range(names.index(kind), N_TABLES, len(names)):
        rng = np.random.default_rng(seed)
        columns = draw(rng)
        write = WRITERS[kind][rng.integers(len(WRITERS[kind]))]
        path = str(tmp_path / f"{seed}.{kind}")
        write(path, columns, kind, rng)
        found, expected = list(rows_read(path, kind)), list(rows_expected(path, columns, kind))
        for got in found if kind == "csv" else ():
            got["x"] = str(float(got["x"]))
        assert found == expected, f"seed {seed}, {write.__name__}"
