"""The documents of files that are read line by line or whole: JSONL and plain text.

In: one file. Out: `Batch` after `Batch`: accepted rows as a table, refused rows with their reasons; bounded memory.
"""

import codecs
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from icp.steps.documents.lines import json_blocks
from icp.steps.documents.rows import (
    BLOCK,
    DOCUMENT,
    EXCERPT,
    JSON_TEXT,
    LONGEST_LINE,
    REJECTED,
    Batch,
    Findings,
    Rules,
    open_source,
    reading,
)

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


def read_jsonl(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of a JSONL file; row numbers are line numbers from 0. Blank lines are refused rows
    that are held against nobody.

    Raises: InputError for a file that is cut short or damaged.
    """
    buffer = RowBuffer(rules.keep)
    limit = max(LONGEST_LINE, 8 * rules.max_chars)
    row = 0
    for lines, first_too_long in json_blocks(path, limit):
        if row == 0:
            lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
        for position, line in enumerate(lines):
            try:
                if position == 0 and first_too_long:
                    raise Refused("too long")
                buffer.accept(_json_row(line, path, row, rules, findings))
            except Refused as refusal:
                buffer.reject(path, row, str(refusal), line)
            row += 1
        yield buffer.take()


def _json_row(line: bytes, path: str, row: int, rules: Rules, findings: Findings) -> tuple[Any, ...]:
    """The values of one document, in the order of the schema; raises Refused."""
    try:
        raw = line.decode()
        tree = json.loads(raw)
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    except (ValueError, RecursionError):
        raise Refused("empty line" if not line.strip() else "bad JSON") from None
    if not isinstance(tree, dict):
        raise Refused("not a JSON object")
    if not findings.names:
        findings.names = _names(tree)
    text = _required_text(_value(tree, rules.text, findings), rules)
    doc_id = _id(_value(tree, rules.id, findings), path, row)
    source = _source(_value(tree, rules.source, findings))
    kept = [_kept(_value(tree, name, findings), name, findings) for name in rules.keep]
    if "\\ud" in raw or "\\uD" in raw:  # half of a pair cannot be written as UTF-8
        try:
            "".join([text, doc_id, source or "", *(value or "" for value in kept)]).encode()
        except UnicodeEncodeError:
            raise Refused("lone surrogate") from None
    if doc_id in rules.excluded:
        raise Refused("excluded")
    return (doc_id, text, source, path, row, *kept)


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


def _id(value: Any, path: str, row: int) -> str:
    if value is _MISSING:
        return f"{path}:{row}"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Refused("null id" if value is None else "id is not a string or integer")


def _source(value: Any) -> str | None:
    if value is _MISSING or value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise Refused("source is not a string")


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


def _value(tree: dict[str, Any], name: str | None, findings: Findings) -> Any:
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


def _names(tree: dict[str, Any]) -> list[str]:
    """Field names of a row, those of objects with their path."""
    rows = []
    for name, value in tree.items():
        inner = value if isinstance(value, dict) and value else None
        rows += [f"{name}.{key}" for key in inner] if inner else [name]
    return rows


def read_texts(paths: Sequence[str], rules: Rules) -> Iterator[Batch]:
    """Text files, each one document with row 0 and the id ``<file>:0``."""
    buffer = RowBuffer(rules.keep)
    for path in paths:
        with reading(path), open_source(path) as source:
            raw = source.read(4 * rules.max_chars + 8)  # one byte more than the longest text can have
        try:
            text = check_length(raw.removeprefix(codecs.BOM_UTF8).decode(), rules)
            if f"{path}:0" in rules.excluded:
                raise Refused("excluded")
            buffer.accept((f"{path}:0", text, None, path, 0, *[None] * len(rules.keep)))
        except UnicodeDecodeError:
            reason = "too long" if len(raw) > 4 * rules.max_chars + 3 else "not UTF-8"
            buffer.reject(path, 0, reason, raw)
        except Refused as refusal:
            buffer.reject(path, 0, str(refusal), raw)
        if buffer.n_chars > BLOCK or len(buffer) >= 1000:
            yield buffer.take()
    yield buffer.take()
