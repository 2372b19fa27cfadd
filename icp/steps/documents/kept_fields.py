"""One type for each kept field in all parts of a run, whatever the files of the corpus hold.

Columns of Parquet and Arrow files come with their own type; those of JSONL files as JSON texts, with the kinds of the
values found. One type in all: that type. Only integers: int64; only numbers: float64; only strings: string. Otherwise
every value is its JSON text, strings in quotes too.
"""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from icp.steps.documents.rows import JSON_TEXT

_KIND_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "string": pa.string(), "json": None}


def is_json(field: pa.Field) -> bool:
    """Whether a column holds JSON texts."""
    return bool(field.metadata and field.metadata.get(b"icp") == JSON_TEXT[b"icp"])


def common_field(name: str, types: Iterable[pa.DataType], kinds: Iterable[str]) -> pa.Field:
    """The field that holds the values of all files.

    Args:
        name: of the kept field.
        types: of the columns in Parquet and Arrow files.
        kinds: of the JSON values in JSONL files, `Findings.kinds`.
    """
    found: list[pa.DataType | None] = []
    for kind in [*types, *(_KIND_TYPES[kind] for kind in kinds)]:
        if kind not in found and not (kind is not None and pa.types.is_null(kind)):
            found.append(kind)
    known = [kind for kind in found if kind is not None]
    if len(known) == len(found):
        if len(known) <= 1:
            return pa.field(name, known[0] if known else pa.string())
        if all(pa.types.is_integer(kind) and kind != pa.uint64() for kind in known):
            return pa.field(name, pa.int64())
        if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in known):
            return pa.field(name, pa.float64())
        if all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in known):
            return pa.field(name, pa.string())
    return pa.field(name, pa.string(), metadata=JSON_TEXT)


def convert(column: pa.ChunkedArray, found: pa.Field, wanted: pa.Field) -> pa.ChunkedArray:
    """The values of a kept column, which `found` describes, as those of the field `wanted`."""
    if pa.types.is_null(found.type):
        return pa.chunked_array([pa.nulls(len(column), wanted.type)])
    if is_json(found) and is_json(wanted):
        return column.cast(wanted.type)
    if is_json(found):
        values = [None if text is None else json.loads(text) for text in column.to_pylist()]
        if pa.types.is_floating(wanted.type):
            values = [None if value is None else float(value) for value in values]
        return pa.chunked_array([pa.array(values, wanted.type)])
    if is_json(wanted):
        return pa.chunked_array([pa.array([_json_text(value) for value in column.to_pylist()], wanted.type)])
    return column.cast(wanted.type, safe=False)


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
