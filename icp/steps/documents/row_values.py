"""Rows that come as mappings, of JSON, CSV, WARC or tar files: which are documents, which are refused and why.

In: a mapping of names to JSON values. Out: rows gathered into a `Batch`, kept fields as JSON texts.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from icp.steps.documents.rows import DOCUMENT, EXCERPT, JSON_TEXT, REJECTED, Batch, Findings, Rules
from icp.steps.documents.values import id_text, source_text
from icp.texts import key_of

JSON_KINDS = {bool: "bool", int: "int", float: "float", str: "string"}
DEEPEST = 900
"""Lists and objects of a kept field may stand in one another so often; Python's own limit depends on the caller."""
_MISSING = object()


class Refused(Exception):  # noqa: N818 - a row, not an error of ours
    """Why a row is no document."""


class RowBuffer:
    """Rows of a file gathered in Python, given out as a `Batch`; kept fields as JSON texts."""

    def __init__(self, keep: Sequence[str]) -> None:
        kept = [pa.field(name, pa.large_string(), metadata=JSON_TEXT) for name in keep]
        self._schema = pa.schema([*DOCUMENT, *kept])
        self._accepted: list[tuple[Any, ...]] = []
        self._rejected: list[tuple[str, int, str, str]] = []
        self.n_chars = 0

    def __len__(self) -> int:
        return len(self._accepted) + len(self._rejected)

    def accept(self, row: tuple[Any, ...]) -> None:
        """Add a document: the values of the schema's columns."""
        self.n_chars += len(row[1])
        self._accepted.append(row)

    def reject(self, file: str, row: int, reason: str, raw: bytes) -> None:
        """Add a refused row; `raw` is what stood there, or its beginning."""
        excerpt = raw[: 4 * EXCERPT].decode("utf-8", errors="replace")[:EXCERPT]
        self._rejected.append((file, row, reason, excerpt))

    def take(self) -> Batch:
        """What was gathered since the last call."""
        batch = Batch(_table(self._accepted, self._schema), _table(self._rejected, REJECTED))
        self._accepted, self._rejected, self.n_chars = [], [], 0
        return batch


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def document_of(tree: Any, path: str, row: int, rules: Rules, findings: Findings) -> tuple[Any, ...]:
    """The values of one document, in the order of the schema; raises Refused."""
    if not isinstance(tree, dict):
        raise Refused("not a JSON object")
    if not findings.names:
        findings.names = _names(tree)
    text = _required_text(_value(tree, rules.text, findings), rules)
    doc_id = _id(_value(tree, rules.id, findings), f"{path}:{row}", rules, findings)
    source = _source(_value(tree, rules.source, findings), rules, findings)
    kept = [_kept(_value(tree, name, findings), name, findings) for name in rules.keep]
    check_excluded((doc_id,), rules, findings)
    return (doc_id, text, source, path, row, *kept)


def check_excluded(names: Iterable[str], rules: Rules, findings: Findings) -> None:
    """Raise Refused if one of the names of a document is an id never to be used."""
    for key in map(key_of, names) if rules.excluded else ():
        if key in rules.excluded:
            findings.excluded.add(key)
            raise Refused("excluded")


def check_writable(row: tuple[Any, ...], reason: str) -> None:
    """Raise Refused if a string of a row cannot be written as UTF-8: it holds half of a surrogate pair."""
    try:
        "".join(value for value in row if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        raise Refused(reason) from None


def _required_text(text: Any, rules: Rules) -> str:
    if text is _MISSING:
        raise Refused("missing field")
    if text is None:
        raise Refused("null text")
    if not isinstance(text, str):
        raise Refused("text is not a string")
    return check_length(text, rules)


def check_length(text: str, rules: Rules) -> str:
    """The text itself; raises Refused if it is too short or too long."""
    if len(text) < rules.min_chars:
        raise Refused("too short")
    if len(text) > rules.max_chars:
        raise Refused("too long")
    return text


def _id(value: Any, place: str, rules: Rules, findings: Findings) -> str:
    if value is _MISSING:
        return place
    found = id_text(value)
    if found is not None:
        return found
    if rules.asked("id"):
        raise Refused("null id" if value is None or value == "" else "id is not a string or number")
    findings.leave_out("id")
    return place


def _source(value: Any, rules: Rules, findings: Findings) -> str | None:
    found = source_text(value) if value is not _MISSING else None
    if found is None and value is not _MISSING and value is not None and value != "":
        if rules.asked("source"):
            raise Refused("source is not a string or number")
        findings.leave_out("source")
    return found


def _kept(value: Any, name: str, findings: Findings) -> str | None:
    if value is _MISSING or value is None:
        return None
    kind = JSON_KINDS.get(type(value), "json")
    if kind == "int" and not -(2**63) <= value < 2**63:
        kind = "json"
    if kind == "json" and _is_deep(value, DEEPEST):
        raise Refused("nested too deep")
    findings.kinds.setdefault(name, set()).add(kind)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_deep(value: Any, left: int) -> bool:
    """Whether lists and objects stand in one another more than `left` times."""
    level = [value]
    while level and left >= 0:
        level = [item for one in level if isinstance(one, dict | list) for item in _items(one)]
        left -= 1
    return bool(level)


def _items(value: dict[str, Any] | list[Any]) -> Any:
    return value.values() if isinstance(value, dict) else value


def _value(tree: Mapping[str, Any], name: str | None, findings: Findings) -> Any:
    """The value of a field by its name or its dotted path, `_MISSING` if it is not there."""
    if name is None:
        return _MISSING
    value: Any = tree.get(name, _MISSING)
    if value is _MISSING and "." in name:
        value = tree
        for step in name.split("."):
            value = value.get(step, _MISSING) if isinstance(value, dict) else _MISSING
    if value is not _MISSING:
        findings.seen.add(name)
    return value


def _names(tree: Mapping[str, Any]) -> list[str]:
    """Field names of a row, those of objects with their path; as many as a message shows."""
    rows: list[str] = []
    for name, value in tree.items():
        inner = value if isinstance(value, dict) and value else None
        rows += [f"{name}.{key}" for key in inner] if inner else [name]
        if len(rows) > 100:
            break
    return rows[:100]
