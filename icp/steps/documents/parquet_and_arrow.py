"""The documents of tables: Parquet, Arrow and CSV files, column by column.

In: one file. Out: `Batch` after `Batch`: accepted rows as a table, refused rows with their reasons. Memory is bounded
by `decoded.BATCH` bytes of decoded text or the largest row, and for Arrow by a record batch.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from icp.errors import InputError
from icp.steps.documents.arrow_bounds import check_unpacked
from icp.steps.documents.decoded import as_dictionary, batch_rows, read_chunks, slices
from icp.steps.documents.field_types import is_string, is_uuid, is_view, leaf_names, missing_text, serving, type_of
from icp.steps.documents.parquet_bounds import check_pages
from icp.steps.documents.rows import Batch, Findings, Rules, open_source, reading
from icp.steps.documents.screen import screen
from icp.steps.documents.values import uuid_texts

_CONTINUES = b"\xff\xff\xff\xff"
_ROWS = 1 << 20
"""Rows of a record batch looked at together: a column of nulls takes no bytes, whatever its length."""


def read_parquet(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of a Parquet file.

    Raises: InputError for a file that is cut short or damaged, without the text field, or with a field of a wrong type.
    """
    with reading(path), open_source(path) as source:
        file = pq.ParquetFile(source, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True)
        rules = serving(path, file.schema_arrow, rules, findings, file.metadata.num_rows)
        fields = fields_of(path, file.schema_arrow, rules, findings)
        first = 0
        for group in range(file.num_row_groups):
            for chunk in read_chunks(file, group, list(fields)):
                check_pages(path, source, chunk)
            n_rows = batch_rows(source, file, group, list(fields))
            for batch in file.iter_batches(n_rows, [group], list(fields), use_threads=False):
                yield from screened(path, first, batch, fields, rules, findings)
                first += batch.num_rows


def read_arrow(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of an Arrow IPC file or stream, told apart by their first bytes.

    Raises: as `read_parquet`; a stream without its end mark was cut short, even where it ends with a whole batch.
    """
    with reading(path), _open_arrow(path) as (schema, batches):
        asked = rules
        rules = serving(path, schema, rules, findings, 0)
        fields = fields_of(path, schema, rules, findings)
        first = 0
        for batch in batches:
            for key in ("id", "source"):
                if getattr(asked, key) != getattr(rules, key):
                    findings.leave_out(key, batch.num_rows)
            yield from screened(path, first, batch, fields, rules, findings)
            first += batch.num_rows


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
        check_unpacked(path, source, is_file=head == b"ARROW1")
        source.seek(0)
        if head == b"ARROW1":
            reader = pa.ipc.open_file(source)
            yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            stream = pa.ipc.open_stream(source)
            yield stream.schema, iter(stream)


def fields_of(path: str, schema: pa.Schema, rules: Rules, findings: Findings) -> dict[str, pa.DataType]:
    """Types of the configured fields that the schema has, by name or dotted path; raises InputError."""
    findings.names = leaf_names(schema)
    found: dict[str, pa.DataType] = {}
    for name in dict.fromkeys((rules.text, rules.id, rules.source, *rules.keep)):
        kind = None if name is None else type_of(schema, name)
        if name is not None and kind is not None:
            found[name] = kind
            findings.seen.add(name)
    for name in rules.keep:
        if name in found and not _can_be_kept(found[name]):
            raise InputError(
                f"{path}: field {name!r} is of type {found[name]}, which Parquet cannot hold; leave it out of "
                "corpus.keep"
            )
    if rules.text not in found:
        raise InputError(missing_text(path, rules.text, findings.names))
    if not is_string(found[rules.text]) and not pa.types.is_null(found[rules.text]):
        kind = found[rules.text]
        raise InputError(
            f"{path}: field {rules.text!r} is of type {kind}, expected strings; set corpus.text to another field"
        )
    return found


def _can_be_kept(kind: pa.DataType) -> bool:
    try:
        pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([("kept", kind)])).close()
    except pa.ArrowNotImplementedError:
        return False
    return True


def screened(
    path: str, first: int, batch: pa.RecordBatch, fields: dict[str, pa.DataType], rules: Rules, findings: Findings
) -> Iterable[Batch]:
    """The rows of a record batch, decoded and judged a bounded number of bytes at a time."""
    for begin in range(0, batch.num_rows, _ROWS):
        rows = batch.slice(begin, _ROWS)
        columns = {name: _column(rows, name) for name in fields}
        for start, stop in slices(list(columns.values()), rows.num_rows):
            part = {name: _as(column.slice(start, stop - start), fields[name]) for name, column in columns.items()}
            yield screen(path, first + begin + start, part, rules, findings)


def _column(batch: pa.RecordBatch, name: str) -> Any:
    """A column by its name or dotted path, extensions as what they are stored as, runs as a dictionary."""
    if batch.schema.get_field_index(name) >= 0:
        column = batch.column(name)
    else:
        head, *steps = name.split(".")
        column = pc.struct_field(batch.column(head), steps)
    while isinstance(column, pa.ExtensionArray):
        column = uuid_texts(column.storage) if is_uuid(column.type) else column.storage
    return as_dictionary(column) if pa.types.is_run_end_encoded(column.type) else column


def _as(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_dictionary(column.type) and is_view(column.type.value_type):  # Arrow takes nothing out of views
        return pa.array(column.to_pylist(), kind)
    return column.cast(kind)
