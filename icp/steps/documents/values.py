"""What may stand in the fields `id` and `source`, and the strings that it becomes.

Strings stay as they are; integers, numbers, dates, times and UUIDs become their plain text, whatever the kind of file.
A field that nobody asked for (of the default name) may hold anything: what cannot serve is left out and counted.
"""

import math
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from icp.steps.documents.field_types import is_string


def number_text(value: float) -> str | None:
    """A number as text, a whole one without a fraction (pandas makes 3.0 of 3); None for NaN and infinity."""
    if not math.isfinite(value):
        return None
    return str(int(value)) if value == int(value) and abs(value) < 2**63 else repr(float(value))


def id_text(value: Any) -> str | None:
    """The id that a JSON value gives, None if it cannot serve."""
    match value:
        case bool() | "":
            return None
        case str():
            return value
        case int():
            return str(value)
        case float():
            return number_text(value)
    return None


def source_text(value: Any) -> str | None:
    """The source that a JSON value gives, None if it cannot serve or says none."""
    return ("true" if value else "false") if isinstance(value, bool) else id_text(value)


def column_text(column: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    """A column as strings, null where nothing stands, and a flag for each row whose bytes are not UTF-8."""
    none_bad = np.zeros(len(column), dtype=np.bool_)
    kind = column.type
    if is_string(kind):
        return decoded(column, pa.string())
    if pa.types.is_floating(kind):
        texts = [None if value is None else number_text(value) for value in column.to_pylist()]
        return pa.array(texts, pa.string()), none_bad
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([None if v is None else v.hex() for v in column.to_pylist()], pa.string()), none_bad
    if pa.types.is_duration(kind):
        column = column.cast(pa.int64())
    return column.cast(pa.string()), none_bad


def uuid_texts(storage: pa.Array) -> pa.Array:
    """UUIDs of 16 bytes as their usual text."""
    return pa.array([None if v is None else str(uuid.UUID(bytes=v)) for v in storage.to_pylist()], pa.string())


def decoded(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, NDArray[np.bool_]]:
    """A column of strings or bytes as strings of type `kind`, null where its bytes are not UTF-8, and where that is."""
    raw = column.cast(pa.large_binary())
    raw.validate(full=True)
    try:
        return raw.cast(kind), np.zeros(len(column), dtype=np.bool_)
    except pa.ArrowInvalid:
        values = [None if value is None else _utf8(value) for value in raw.to_pylist()]
        present: NDArray[np.bool_] = pc.is_valid(raw).to_numpy(zero_copy_only=False)
        return pa.array(values, kind), present & np.array([value is None for value in values])


def _utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
