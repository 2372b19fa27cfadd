"""The documents of Parquet and Arrow files, column by column.

In: one file. Out: `Batch` after `Batch`: accepted rows as a table, refused rows with their reasons. No text becomes a
Python string; memory is bounded by `SLICE` bytes of text or the largest document, and for Arrow by a record batch.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from icp.errors import InputError
from icp.steps.documents.field_types import is_string, leaf_names, missing_text, serving, type_of
from icp.steps.documents.lines import unpacked
from icp.steps.documents.rows import (
    DOCUMENT,
    EXCERPT,
    LONGEST_LINE,
    REJECTED,
    Batch,
    Findings,
    Rules,
    open_source,
    reading,
)

SLICE = 8 << 20
"""Bytes of text looked at together, as near as the mean length of a row tells."""
_REASONS = ("", "null text", "not UTF-8", "too short", "too long", "null id", "excluded")
_CONTINUES = b"\xff\xff\xff\xff"


def read_parquet(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of a Parquet file.

    Raises: InputError for a file that is cut short or damaged, without the text field, or with a field of a wrong type.
    """
    with reading(path), open_source(path) as source:
        file = pq.ParquetFile(source, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True)
        rules = serving(path, file.schema_arrow, rules, findings)
        fields = _fields(path, file.schema_arrow, rules, findings)
        paths = [file.schema.column(i).path for i in range(len(file.schema))]
        text_leaf = next((i for i, leaf in enumerate(paths) if leaf == rules.text), 0)
        first = 0
        for group in range(file.num_row_groups):
            described = file.metadata.row_group(group)
            mean = described.column(text_leaf).total_uncompressed_size // max(1, described.num_rows)
            n_rows = int(np.clip(SLICE // max(1, mean), 1, 1 << 16))
            for batch in file.iter_batches(n_rows, [group], list(fields), use_threads=False):
                for part in _slices(batch):
                    yield _screen(path, first, _columns(part, fields), rules)
                    first += part.num_rows


def read_arrow(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of an Arrow IPC file or stream, told apart by their first bytes.

    Raises: as `read_parquet`; a stream without its end mark was cut short, even where it ends with a whole batch.
    """
    with reading(path), _open_arrow(path) as (schema, batches):
        yield from _read(path, schema, batches, rules, findings)


def read_csv(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of a CSV or TSV file with a header; all values are strings, quoted ones may hold line ends.

    Raises: as `read_parquet`.
    """
    separator = "\t" if ".tsv" in path.lower()[-8:] else ","
    parse = csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    read = csv.ReadOptions(use_threads=False, block_size=LONGEST_LINE)
    with reading(path), open_source(path) as source:
        names = csv.open_csv(unpacked(path, source), read_options=read, parse_options=parse).schema.names
    as_text = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    with reading(path), open_source(path) as source:
        rows = csv.open_csv(unpacked(path, source), read_options=read, parse_options=parse, convert_options=as_text)
        yield from _read(path, rows.schema, rows, rules, findings)


def _read(path: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], rules: Rules, found: Findings) -> Any:
    rules = serving(path, schema, rules, found)
    fields = _fields(path, schema, rules, found)
    first = 0
    for batch in batches:
        for part in _slices(batch):
            yield _screen(path, first, _columns(part, fields), rules)
            first += part.num_rows


@contextmanager
def _open_arrow(path: str) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    with open_source(path) as source:  # not mapped: pages of the file would count as memory of the process
        head = source.read(6)
        n_bytes = source.size()
        if head != b"ARROW1":
            source.seek(max(0, n_bytes - 8))
            # four zero bytes end a stream, and since 2019 every message begins with a mark
            if not source.read(8).endswith((_CONTINUES if head.startswith(_CONTINUES) else b"") + bytes(4)):
                raise EOFError("no end mark")
        source.seek(0)
        if head == b"ARROW1":
            reader = pa.ipc.open_file(source)
            yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            stream = pa.ipc.open_stream(source)
            yield stream.schema, iter(stream)


def _fields(path: str, schema: pa.Schema, rules: Rules, findings: Findings) -> dict[str, pa.DataType]:
    """Types of the configured fields that the schema has, by name or dotted path; raises InputError."""
    findings.names = leaf_names(schema)
    found: dict[str, pa.DataType] = {}
    for name in dict.fromkeys((rules.text, rules.id, rules.source, *rules.keep)):
        kind = None if name is None else type_of(schema, name)
        if name is not None and kind is not None:
            found[name] = kind
            findings.seen.add(name)
    if rules.text not in found:
        raise InputError(missing_text(path, rules.text, findings.names))
    if not is_string(found[rules.text]) and not pa.types.is_null(found[rules.text]):
        kind = found[rules.text]
        raise InputError(
            f"{path}: field {rules.text!r} is of type {kind}, expected strings; set corpus.text to another field"
        )
    return found


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of about `SLICE` bytes."""
    step = max(1, batch.num_rows * SLICE // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def _columns(batch: pa.RecordBatch, fields: dict[str, pa.DataType]) -> dict[str, pa.Array]:
    """The configured columns, dictionaries and extensions as their values, strings not looked into yet."""
    columns = {}
    for name, kind in fields.items():
        if batch.schema.get_field_index(name) >= 0:
            column = batch.column(name)
        else:
            head, *steps = name.split(".")
            column = pc.struct_field(batch.column(head), steps)
        while isinstance(column, pa.ExtensionArray):
            column = column.storage
        columns[name] = column.cast(kind) if column.type != kind else column
    return columns


def _screen(path: str, first_row: int, columns: dict[str, pa.Array], rules: Rules) -> Batch:
    """Accepted and refused rows of one slice."""
    n_rows = len(columns[rules.text])
    reasons = np.zeros(n_rows, dtype=np.uint8)

    def refuse(reason: str, where: NDArray[np.bool_]) -> None:
        reasons[where & (reasons == 0)] = _REASONS.index(reason)

    def strings(name: str, kind: pa.DataType) -> pa.Array:
        values, bad = _decoded(columns[name], kind)
        refuse("not UTF-8", bad)
        return values

    rows = pa.array(np.arange(first_row, first_row + n_rows))
    refuse("null text", _flags(columns[rules.text].is_null()))
    text = strings(rules.text, pa.large_string())
    lengths = _flags(pc.utf8_length(text).fill_null(0))
    refuse("too short", lengths < rules.min_chars)
    refuse("too long", lengths > rules.max_chars)
    ids = pc.binary_join_element_wise(path, rows.cast(pa.string()), ":")
    if rules.id is not None and rules.id in columns:
        ids = strings(rules.id, pa.string())
        refuse("null id", _flags(columns[rules.id].is_null()))
    source = pa.nulls(n_rows, pa.string())
    if rules.source is not None and rules.source in columns:
        source = strings(rules.source, pa.string())
    kept = [_kept(columns, name, n_rows, refuse) for name in rules.keep]
    if rules.excluded:
        refuse("excluded", np.array([value in rules.excluded for value in ids.to_pylist()], dtype=np.bool_))
    files = pa.array([path], pa.string()).take(pa.array(np.zeros(n_rows, np.int32)))
    arrays = [ids, text, source, files, rows, *kept]
    schema = pa.schema([*DOCUMENT, *(pa.field(n, a.type) for n, a in zip(rules.keep, kept, strict=True))])
    documents = pa.table(arrays, schema=schema).filter(pa.array(reasons == 0))
    return Batch(documents, _refused(path, first_row, columns[rules.text], reasons))


def _kept(columns: dict[str, pa.Array], name: str, n_rows: int, refuse: Any) -> pa.Array:
    if name not in columns:
        return pa.nulls(n_rows)
    column = columns[name]
    column.validate(full=not is_string(column.type))
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return column
    values, bad = _decoded(column, column.type)
    refuse("not UTF-8", bad)
    return values


def _flags(array: pa.Array) -> NDArray[Any]:
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _decoded(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, NDArray[np.bool_]]:
    """The column as strings, null where its bytes are not UTF-8, and a flag for each such row."""
    none_bad = np.zeros(len(column), dtype=np.bool_)
    if not is_string(column.type):
        return column.cast(kind), none_bad
    raw = column.cast(pa.large_binary())
    raw.validate(full=True)
    try:
        return raw.cast(kind), none_bad
    except pa.ArrowInvalid:
        values = [None if value is None else _utf8(value) for value in raw.to_pylist()]
        present = _flags(raw.is_valid())
        return pa.array(values, kind), present & np.array([value is None for value in values])


def _utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _refused(path: str, first_row: int, text: pa.Array, reasons: NDArray[np.uint8]) -> pa.Table:
    where = np.flatnonzero(reasons)
    raw = text.cast(pa.large_binary()).take(pa.array(where)) if where.size else pa.array([], pa.large_binary())
    heads = pc.binary_slice(raw, 0, 4 * EXCERPT).to_pylist()
    excerpts = [(head or b"").decode("utf-8", errors="replace")[:EXCERPT] for head in heads]
    names = [_REASONS[code] for code in reasons[where]]
    columns = [[path] * where.size, (where + first_row), names, excerpts]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, REJECTED, strict=True)], schema=REJECTED)
