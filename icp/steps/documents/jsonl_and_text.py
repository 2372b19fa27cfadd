"""The documents of files that are read line by line or whole: JSON, CSV and plain text.

In: one file. Out: `Batch` after `Batch`: accepted rows as a table, refused rows with their reasons; bounded memory.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Any

from icp.errors import InputError
from icp.steps.documents.contents import HEAD, not_text, unpacked
from icp.steps.documents.field_types import missing_text
from icp.steps.documents.lines import json_blocks, line_blocks
from icp.steps.documents.row_values import (
    Refused,
    RowBuffer,
    check_excluded,
    check_length,
    check_writable,
    document_of,
)
from icp.steps.documents.rows import BLOCK, Batch, Findings, Rules, longest_line, open_source, reading

ROWS = 1000
"""Rows gathered at most before they are given out."""
_ENDLESS = ("unexpected end", "larger than", "a line of more")
"""What is said of a row that has no end; other errors are of one row."""


def read_jsonl(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of a JSONL file; row numbers are line numbers from 0. Blank lines are refused rows
    that are held against nobody.

    Raises: InputError for a file that is cut short or damaged.
    """
    buffer = RowBuffer(rules.keep)
    row = 0
    for lines, first_too_long in json_blocks(path, longest_line(rules)):
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
        raw = line.removeprefix(codecs.BOM_UTF8).decode()  # files with marks may have been put together
        tree = json.loads(raw)
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    except RecursionError:
        raise Refused("nested too deep") from None
    except json.JSONDecodeError:
        raise Refused("empty line" if not raw.strip() else "bad JSON") from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise Refused("number too long") from None
    found = document_of(tree, path, row, rules, findings)
    if "\\ud" in raw or "\\uD" in raw:
        check_writable(found, "lone surrogate")
    return found


def read_csv(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of a CSV or TSV file with a header; all values are strings, quoted ones may hold line ends.

    Values stand between commas (tabs in a TSV file), or between the tabs, semicolons or bars that divide a header with
    the text field. Row numbers count the rows after the header from 0. Rows with more or fewer values than the header,
    or with something else than a separator after a closing quote, are refused.
    Raises: InputError for a file that is cut short or damaged, without the text field, with two fields of a configured
        name, or whose row has no end, as where a quote is not closed.
    """
    csv.field_size_limit(longest_line(rules))
    lines = _Lines(path, longest_line(rules))
    header = next((line for line in lines if line.strip()), "")
    if "\r" in header.rstrip("\r\n"):
        raise InputError(f"{path}: its lines end with CR alone; save it with LF or CRLF between lines")
    separator = separator_of(header, path, rules.text)
    names = _names(path, header, lines, separator, rules)
    rows = csv.reader(lines, delimiter=separator, strict=True)
    buffer = RowBuffer(rules.keep)
    for row in count():
        try:
            values = next(rows, None)
            if values is None:
                break
            if len(values) != len(names):
                raise Refused("another number of values than the header" if values else "empty line")
            found = document_of(dict(zip(names, values, strict=True)), path, row, rules, findings)
            check_writable(found, "not UTF-8")
            buffer.accept(found)
        except csv.Error as error:
            if any(what in str(error) for what in _ENDLESS):
                raise InputError(f"{path}: row {row} cannot be read ({error}): is a quote not closed?") from None
            buffer.reject(path, row, "not sound CSV", lines.last.encode("utf-8", "surrogateescape"))
        except Refused as refusal:
            buffer.reject(path, row, str(refusal), separator.join(values or []).encode("utf-8", "surrogateescape"))
        if buffer.n_chars > BLOCK or len(buffer) >= ROWS:
            yield buffer.take()
    yield buffer.take()


def separator_of(header: str, path: str, text: str) -> str:
    """What stands between the values of a file, by its name, its header and the field of text in it."""
    usual = "\t" if ".tsv" in path.lower()[-9:] else ","
    for separator in (usual, "\t", ";", "|"):
        if text in next(csv.reader([header], delimiter=separator), []):
            return separator
    return usual


def _names(path: str, header: str, others: Iterator[str], separator: str, rules: Rules) -> list[str]:
    """The names in a header, which goes on in the next lines if a quote is open; raises InputError."""
    try:
        names = next(csv.reader(chain([header], others), delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise InputError(f"{path}: its header cannot be read ({error}); save the file anew") from None
    if names and rules.text not in names:
        raise InputError(missing_text(path, rules.text, names))
    for name in (rules.text, rules.id, rules.source, *rules.keep):
        if name is not None and names.count(name) > 1:
            raise InputError(f"{path}: {names.count(name)} of its columns have the name {name!r}; leave one")
    return names


class _Lines:
    """The lines of a CSV file with their ends; `last` is the one given out last."""

    def __init__(self, path: str, limit: int) -> None:
        self._lines = self._read(path, limit)
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._lines)
        return self.last

    @staticmethod
    def _read(path: str, limit: int) -> Iterator[str]:
        is_first = True
        for lines, first_too_long in line_blocks(path, limit):
            if first_too_long:
                raise csv.Error(f"a line of more than {limit:,} bytes")
            for line in lines:
                yield (line.removeprefix(codecs.BOM_UTF8) if is_first else line).decode(
                    "utf-8", "surrogateescape"
                ) + "\n"
                is_first = False


def read_texts(paths: Sequence[str], rules: Rules, findings: Findings) -> Iterator[Batch]:
    """Text files, each one document with row 0 and the id ``<file>:0``."""
    buffer = RowBuffer(rules.keep)
    for path in paths:
        with reading(path), open_source(path) as source:
            raw = unpacked(path, source).read(4 * rules.max_chars + 8)  # one byte more than the longest text can have
        try:
            form = not_text(raw[:HEAD])
            if form:
                raise Refused(f"{form}, not text")
            text = check_length(raw.removeprefix(codecs.BOM_UTF8).decode(), rules)
            check_excluded((f"{path}:0", path), rules, findings)
            buffer.accept((f"{path}:0", text, None, path, 0, *[None] * len(rules.keep)))
        except UnicodeDecodeError:
            reason = "too long" if len(raw) > 4 * rules.max_chars + 3 else "not UTF-8"
            buffer.reject(path, 0, reason, raw)
        except Refused as refusal:
            buffer.reject(path, 0, str(refusal), raw)
        if buffer.n_chars > BLOCK or len(buffer) >= ROWS:
            yield buffer.take()
    yield buffer.take()
