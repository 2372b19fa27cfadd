"""Dates of documents as numbers, for `dedup.keep: newest:<field>`.

In: a column of dates, times, texts in ISO 8601 or numbers. Out: the later the higher; NaN where there is no date.
"""

import math
import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_SHORT = re.compile(r"(\d{4})(?:-(\d\d))?")
"""A year, or a year and a month: as their first day."""


def is_datable(kind: Any) -> bool:
    """Whether values of an Arrow type can be dates."""
    tests = (pa.types.is_temporal, pa.types.is_integer, pa.types.is_floating, pa.types.is_string)
    return any(test(kind) for test in (*tests, pa.types.is_large_string, pa.types.is_null))


def seconds_of(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """(n,) float64: seconds from 1970 on of dates, times and texts, numbers as they are, NaN for all else."""
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        values = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).cast(pa.float64())
        return np.asarray(values.to_numpy(), np.float64) / 1e6
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array([_seconds(text) for text in column.to_pylist()], np.float64)
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def _seconds(text: str | None) -> float:
    text = (text or "").strip()
    short = _SHORT.fullmatch(text)
    try:
        found = datetime(int(short[1]), int(short[2] or 1), 1) if short else datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
