"""How large rows are once they are decoded, whatever a file keeps of them: what bounds the memory of a reader.

A dictionary, a view and a prefix hold a repeated text once; a Parquet of 3 kB may hold a gigabyte of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.steps.documents.field_types import is_view

SLICE = 8 << 20
"""Bytes of text looked at together, or one row."""
BATCH = 32 << 20
"""Bytes that rows of a Parquet batch take at most, if each holds the longest text of its dictionary; or one row."""
_PROBED_ROWS = 16
_MOST_ROWS = 1 << 16


def decoded_bytes(column: pa.Array) -> NDArray[np.int64]:
    """(rows,) int64: bytes of each value once decoded; for lists and structs the mean."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        lengths = np.append(decoded_bytes(column.dictionary), 0)
        codes = column.indices.fill_null(len(lengths) - 1).to_numpy(zero_copy_only=False)
        return np.asarray(lengths[codes], np.int64)
    if is_view(kind):
        views = column.buffers()[1]
        sizes = np.frombuffer(views if views is not None else b"", "<i4")
        return sizes[4 * column.offset :: 4][: len(column)].astype(np.int64)
    if any(check(kind) for check in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)):
        return np.asarray(pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    return np.full(len(column), -(-column.nbytes // max(1, len(column))), np.int64)


def as_dictionary(column: pa.Array) -> pa.Array:
    """A run-end encoded column as a dictionary of its runs."""
    rows = np.arange(column.offset, column.offset + len(column))
    runs = np.searchsorted(column.run_ends.to_numpy(), rows, side="right")
    return pa.DictionaryArray.from_arrays(pa.array(runs.astype(np.int32)), column.values)


def slices(columns: Sequence[pa.Array], n_rows: int) -> list[tuple[int, int]]:
    """Bounds of consecutive rows of at most `SLICE` bytes, at least one row each."""
    total = np.zeros(n_rows, np.int64)
    for column in columns:
        total += decoded_bytes(column)
    ends, bounds, first, done = np.cumsum(total), [], 0, 0
    while first < n_rows:
        last = max(first + 1, int(np.searchsorted(ends, done + SLICE, side="right")))
        bounds.append((first, last))
        first, done = last, int(ends[last - 1])
    return bounds


def batch_rows(source: Any, file: pq.ParquetFile, group: int, columns: Sequence[str]) -> int:
    """How many rows of a row group may be decoded together.

    Args:
        source: the open file.
        columns: those that are read, top level or dotted.
    """
    leaves = read_chunks(file, group, columns)
    n_rows = max(1, file.metadata.row_group(group).num_rows)
    mean = sum(leaf.total_uncompressed_size for leaf in leaves) // n_rows
    most = int(np.clip(SLICE // max(1, mean), 1, _MOST_ROWS))
    texts = [leaf for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    repeated = [leaf.path_in_schema for leaf in texts if leaf.has_dictionary_page]
    prefixed = [leaf.path_in_schema for leaf in texts if "DELTA_BYTE_ARRAY" in leaf.encodings]
    if repeated or prefixed:
        longest = _longest(source, file, group, repeated, prefixed)
        most = min(most, max(1, BATCH // max(1, longest)), 256 if prefixed else most)
    return most


def read_chunks(file: pq.ParquetFile, group: int, columns: Sequence[str]) -> list[Any]:
    """The metadata of those leaves of a row group that are read."""
    described = file.metadata.row_group(group)
    chunks = (described.column(index) for index in range(described.num_columns))
    return [chunk for chunk in chunks if any((chunk.path_in_schema + ".").startswith(name + ".") for name in columns)]


def _longest(source: Any, file: pq.ParquetFile, group: int, repeated: Sequence[str], prefixed: Sequence[str]) -> int:
    """Bytes of the longest texts of the dictionaries, which come whole with the first row, and of the first rows."""
    probe = pq.ParquetFile(source, metadata=file.metadata, read_dictionary=list(repeated), pre_buffer=False)
    names = [*dict.fromkeys((*repeated, *prefixed))]
    n_rows = _PROBED_ROWS if prefixed else 1
    for batch in probe.iter_batches(n_rows, [group], names, use_threads=False):
        return sum(_longest_text(column) for column in batch.columns)
    return 0


def _longest_text(column: pa.Array) -> int:
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return _longest_text(column.dictionary)
    if types.is_struct(kind):
        return sum(_longest_text(column.field(i)) for i in range(kind.num_fields))
    if types.is_map(kind):
        return _longest_text(column.keys) + _longest_text(column.items)
    if types.is_list(kind) or types.is_large_list(kind):
        return _longest_text(column.values)
    if isinstance(column, pa.ExtensionArray):
        return _longest_text(column.storage)
    return int(decoded_bytes(column).max()) if len(column) and not types.is_nested(kind) else 0
