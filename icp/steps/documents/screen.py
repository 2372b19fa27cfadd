"""Rows of tables judged column by column: which are documents, which are refused and why.

In: the configured columns of consecutive rows. Out: a `Batch`. No text becomes a Python string.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from icp.steps.documents.field_types import is_string
from icp.steps.documents.rows import DOCUMENT, EXCERPT, REJECTED, Batch, Findings, Rules
from icp.steps.documents.values import column_text, decoded
from icp.texts import key_of

_REASONS = ("", "null text", "not UTF-8", "too short", "too long", "null id", "excluded")
_Refuse = Callable[[str, NDArray[np.bool_]], None]


def screen(path: str, first_row: int, columns: dict[str, pa.Array], rules: Rules, findings: Findings) -> Batch:
    """Accepted and refused rows of one slice; `columns` are those of the configured fields that the file has."""
    n_rows = len(columns[rules.text])
    reasons = np.zeros(n_rows, dtype=np.uint8)

    def refuse(reason: str, where: NDArray[np.bool_]) -> None:
        reasons[where & (reasons == 0)] = _REASONS.index(reason)

    rows = pa.array(np.arange(first_row, first_row + n_rows))
    refuse("null text", flags(columns[rules.text].is_null()))
    text, bad = decoded(columns[rules.text], pa.large_string())
    refuse("not UTF-8", bad)
    lengths = flags(pc.utf8_length(text).fill_null(0))
    refuse("too short", lengths < rules.min_chars)
    refuse("too long", lengths > rules.max_chars)
    ids = _ids(columns, pc.binary_join_element_wise(path, rows.cast(pa.string()), ":"), rules, findings, refuse)
    source = pa.nulls(n_rows, pa.string())
    if rules.source is not None and rules.source in columns:
        source, bad = column_text(columns[rules.source])
        refuse("not UTF-8", bad)
    kept = [_kept(columns, name, n_rows, refuse) for name in rules.keep]
    if rules.excluded:
        keys = [key_of(value) for value in ids.fill_null("").to_pylist()]
        refuse("excluded", np.array([key in rules.excluded for key in keys], dtype=np.bool_))
        findings.excluded.update(rules.excluded.intersection(keys))
    files = pa.array([path], pa.string()).take(pa.array(np.zeros(n_rows, np.int32)))
    arrays = [ids, text, source, files, rows, *kept]
    schema = pa.schema([*DOCUMENT, *(pa.field(n, a.type) for n, a in zip(rules.keep, kept, strict=True))])
    documents = pa.table(arrays, schema=schema).filter(pa.array(reasons == 0))
    return Batch(documents, _refused(path, first_row, columns[rules.text], reasons))


def _ids(columns: dict[str, pa.Array], places: pa.Array, rules: Rules, findings: Findings, refuse: _Refuse) -> pa.Array:
    """The ids; where there is none, file and row, or the row is refused if the field was asked for."""
    if rules.id is None or rules.id not in columns:
        return places
    found, bad = column_text(columns[rules.id])
    refuse("not UTF-8", bad)
    none = flags(pc.or_(found.is_null(), pc.equal(found, "").fill_null(False))) & ~bad
    if rules.asked("id"):
        refuse("null id", none)
        return found
    if none.any():
        findings.leave_out("id", int(none.sum()))
    return pc.if_else(pa.array(none), places, found)


def _kept(columns: dict[str, pa.Array], name: str, n_rows: int, refuse: _Refuse) -> pa.Array:
    if name not in columns:
        return pa.nulls(n_rows)
    column = columns[name]
    column.validate(full=not is_string(column.type))
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return column
    values, bad = decoded(column, column.type)
    refuse("not UTF-8", bad)
    return values


def flags(array: pa.Array) -> NDArray[np.bool_]:
    """The values of an array without nulls as numpy's."""
    values: NDArray[np.bool_] = array.to_numpy(zero_copy_only=False)
    return values


def _refused(path: str, first_row: int, text: pa.Array, reasons: NDArray[np.uint8]) -> pa.Table:
    where = np.flatnonzero(reasons)
    raw = text.cast(pa.large_binary()).take(pa.array(where)) if where.size else pa.array([], pa.large_binary())
    heads = pc.binary_slice(raw, 0, 4 * EXCERPT).to_pylist()
    excerpts = [(head or b"").decode("utf-8", errors="replace")[:EXCERPT] for head in heads]
    names = [_REASONS[code] for code in reasons[where]]
    columns = [[path] * where.size, (where + first_row), names, excerpts]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, REJECTED, strict=True)], schema=REJECTED)
