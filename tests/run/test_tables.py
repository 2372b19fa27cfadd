"""Rows into Parquet files of about one size."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icp.run.tables import ROW_BYTES, row_bytes, write_parts


def table(sizes, first=0):
    texts = pa.array(["x" * size for size in sizes], pa.large_string())
    return pa.table({"row": pa.array(range(first, first + len(sizes)), pa.int64()), "text": texts})


def test_row_counts_its_strings_and_a_little_more():
    rows = pa.table({"text": ["ab", "é", None], "n": [1, 2, 3], "raw": pa.array([b"", b"abc", b""])})
    assert row_bytes(rows).tolist() == [ROW_BYTES + 2, ROW_BYTES + 5, ROW_BYTES]


def test_file_ends_with_the_row_that_fills_it(tmp_path):
    size = 100 - ROW_BYTES
    rows = write_parts([table([size] * 5)], 200, lambda k: tmp_path / f"{k}.parquet")
    assert rows == [2, 2, 1]
    assert write_parts([table([size] * 5)], 201, lambda k: tmp_path / f"{k}.parquet") == [3, 2]


def test_no_row_gives_no_file(tmp_path):
    assert write_parts([table([]), table([])], 200, lambda k: tmp_path / f"{k}.parquet") == []
    assert list(tmp_path.iterdir()) == []


def test_row_larger_than_a_file_stands_alone(tmp_path):
    assert write_parts([table([10, 5000, 10])], 500, lambda k: tmp_path / f"{k}.parquet") == [2, 1]


def test_row_groups_are_bounded(tmp_path):
    assert write_parts([table([36] * 100)], 2500, lambda k: tmp_path / f"{k}.parquet", group_bytes=1000) == [
        27,
        27,
        27,
        19,
    ]
    metadata = pq.read_metadata(tmp_path / "0.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [9, 9, 9]


@given(st.lists(st.lists(st.integers(0, 300), max_size=20), max_size=6), st.integers(1, 2000))
def test_cuts_do_not_depend_on_how_rows_arrive(tmp_path_factory, groups, part_bytes):
    folder = tmp_path_factory.mktemp("parts")
    sizes = [size for group in groups for size in group]
    firsts = np.cumsum([0, *map(len, groups)])
    pieces = [table(group, int(first)) for group, first in zip(groups, firsts, strict=False)]
    rows = write_parts(pieces, part_bytes, lambda k: folder / f"{k}.parquet")
    assert rows == write_parts([table(sizes)], part_bytes, lambda k: folder / f"whole-{k}.parquet")
    found = [pq.read_table(folder / f"{k}.parquet") for k in range(len(rows))]
    assert [len(part) for part in found] == rows
    assert [row for part in found for row in part["row"].to_pylist()] == list(range(len(sizes)))
    assert all(
        (folder / f"{k}.parquet").read_bytes() == (folder / f"whole-{k}.parquet").read_bytes() for k in range(len(rows))
    )


def test_schema_survives(tmp_path):
    rows = pa.table({"text": pa.array(["a"], pa.large_string()), "key": pa.array([b"\0" * 16], pa.binary(16))})
    write_parts([rows], 10, lambda k: tmp_path / f"{k}.parquet")
    assert pq.read_schema(tmp_path / "0.parquet") == rows.schema


@pytest.mark.parametrize("sizes", [[0, 0, 0]])
def test_empty_texts_fill_a_file_too(tmp_path, sizes):
    assert write_parts([table(sizes)], ROW_BYTES, lambda k: tmp_path / f"{k}.parquet") == [1, 1, 1]
