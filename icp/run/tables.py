"""Rows into Parquet files of about one size, cut at the same rows however they arrive."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.dedup.minhash import Scheme
from icp.errors import ArtifactError

ROW_GROUP = 16 << 20
"""Bytes of a row group at most (a longer document excepted), so that readers can stream a part."""
ROW_BYTES = 64
"""What a row counts besides its strings, so that empty texts fill a part too."""


def write_parts(
    tables: Iterable[pa.Table], part_bytes: int, new_file: Callable[[int], Path], *, group_bytes: int = ROW_GROUP
) -> list[int]:
    """Write rows in row groups, to the next file once one holds `part_bytes`.

    Args:
        tables: rows of one schema, in order; large ones are not held longer than a row group.
        part_bytes: strings and binaries of all columns and `ROW_BYTES` a row.
        new_file: path of the k-th file.
        group_bytes: strings and binaries of a row group, at most.

    Returns: rows of each file; no file is made for no row.
    """
    n_groups = -(-part_bytes // group_bytes)
    rows: list[int] = []
    with ExitStack() as stack:
        writer: Any = None
        for index, group in enumerate(_row_groups(tables, -(-part_bytes // n_groups))):
            if index % n_groups == 0:
                stack.close()
                writer = stack.enter_context(open_writer(new_file(len(rows)), group.schema))
                rows.append(0)
            writer.write_table(group, row_group_size=group.num_rows)
            rows[-1] += group.num_rows
    return rows


def open_writer(path: Path, schema: pa.Schema) -> Any:
    """A Parquet writer: zstd, dictionaries and statistics only where they can help."""
    repeated = [name for name in ("source", "file", "reason") if name in schema.names]
    ordered = [name for name in ("doc", "row") if name in schema.names]
    return pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, use_dictionary=repeated, write_statistics=ordered
    )


def _row_groups(tables: Iterable[pa.Table], group_bytes: int) -> Iterator[pa.Table]:
    """The same rows in tables that end with the row which fills `group_bytes`."""
    held: list[pa.Table] = []
    n_held = 0
    for table in tables:
        ends = np.cumsum(row_bytes(table))
        start, done = 0, 0
        while start < table.num_rows:
            stop = int(np.searchsorted(ends, done + group_bytes - n_held)) + 1
            held.append(table.slice(start, stop - start))
            if stop > table.num_rows:
                n_held += int(ends[-1]) - done
                break
            yield pa.concat_tables(held)
            held, n_held = [], 0
            start, done = stop, int(ends[stop - 1])
    if held:
        yield pa.concat_tables(held)


def row_bytes(table: pa.Table) -> NDArray[np.int64]:
    """(rows,) int64: bytes of the strings and binaries of each row, and `ROW_BYTES`."""
    total = np.full(table.num_rows, ROW_BYTES, dtype=np.int64)
    types = pa.types
    sized = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    for column in table.columns:
        if any(check(column.type) for check in sized):
            total += pc.binary_length(column).fill_null(0).to_numpy().astype(np.int64)
    return total


def read_schema(path: Path) -> Any:
    """The Arrow schema of a Parquet file of the run.

    Raises: ArtifactError naming a file that cannot be read.
    """
    with _naming(path):
        return pq.read_schema(path)


def read_groups(path: Path, columns: list[str], scheme: Scheme | None = None) -> Iterator[Any]:
    """Some columns of a Parquet file of the run, a table for each row group.

    Raises: ArtifactError naming a file that cannot be read, or that was signed by another scheme than `scheme`.
    """
    with _naming(path):
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    with file:
        if scheme is not None:
            scheme.check(file.schema_arrow.metadata, str(path))
        for group in range(file.num_row_groups):
            with _naming(path):
                table = file.read_row_group(group, columns=columns)
            yield table


def read_column(path: Path, column: str, scheme: Scheme | None = None) -> Any:
    """A whole column of a Parquet file of the run; raises as `read_groups`."""
    type_of = read_schema(path).field(column).type
    chunks = [chunk for table in read_groups(path, [column], scheme) for chunk in table[column].chunks]
    return pa.chunked_array(chunks, type=type_of)


def read_rows(path: Path, column: str, rows: NDArray[np.int64], scheme: Scheme | None = None) -> Iterator[Any]:
    """The values of a column in `rows` (ascending), row group after row group; raises as `read_groups`."""
    start = 0
    for table in read_groups(path, [column], scheme):
        low, high = np.searchsorted(rows, [start, start + table.num_rows])
        if high > low:
            yield table[column].take(pa.array(rows[low:high] - start))
        start += table.num_rows


def fixed_values(column: Any, dtype: str) -> NDArray[Any]:
    """The values of a fixed-size binary ChunkedArray as rows of numbers: (rows, values) `dtype`, native byte order."""
    width = column.type.byte_width
    pieces = [np.zeros(0, np.uint8)]
    for chunk in column.chunks:
        if len(chunk):
            raw: Any = chunk.buffers()[1]
            pieces.append(np.frombuffer(raw, np.uint8)[chunk.offset * width : (chunk.offset + len(chunk)) * width])
    found = np.concatenate(pieces).view(dtype)
    return found.astype(found.dtype.newbyteorder("="), copy=False).reshape(len(column), -1 if len(column) else 0)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(f"{path}: cannot be read ({reason}); restore it or redo its step with --fresh") from None
