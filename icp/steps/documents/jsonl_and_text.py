"""The documents of files that are read line by line or whole: JSON, CSV and plain text.

In: one file. Out: `Batch` after `Batch`: accepted rows as a table, refused rows with their reasons; bounded memory.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any

from icp.errors import InputError
from icp.steps.documents.field_types import missing_text
from icp.steps.documents.lines import json_blocks, line_blocks, unpacked
from icp.steps.documents.row_values import Refused, RowBuffer, check_length, check_writable, document_of
from icp.steps.documents.rows import BLOCK, Batch, Findings, Rules, longest_line, open_source, reading

ROWS = 1000
"""Rows gathered at most before they are given out."""


def read_jsonl(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of a JSONL file; row numbers are line numbers from 0. Blank lines are refused rows
    that are held against nobody.

    Raises: InputError for a file that is cut short or damaged.
    """
    buffer = RowBuffer(rules.keep)
    row = 0
    for lines, first_too_long in json_blocks(path, longest_line(rules)):
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
    except RecursionError:
        raise Refused("nested too deep") from None
    except json.JSONDecodeError:
        raise Refused("empty line" if not line.strip() else "bad JSON") from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise Refused("number too long") from None
    found = document_of(tree, path, row, rules, findings)
    if "\\ud" in raw or "\\uD" in raw:
        check_writable(found, "lone surrogate")
    return found


def read_csv(path: str, rules: Rules, findings: Findings) -> Iterator[Batch]:
    """The rows of a CSV or TSV file with a header; all values are strings, quoted ones may hold line ends.

    Row numbers count the rows after the header from 0; rows with more or fewer values than the header are refused.
    Raises: InputError for a file that is cut short or damaged, without the text field, or whose row has no end, as
        where a quote is not closed.
    """
    limit = longest_line(rules)
    csv.field_size_limit(limit)
    separator = "\t" if ".tsv" in path.lower()[-8:] else ","
    rows = csv.reader(_csv_lines(path, limit), delimiter=separator)
    buffer = RowBuffer(rules.keep)
    row = -1
    try:
        names = next(rows, [])
        if names and rules.text not in names:
            raise InputError(missing_text(path, rules.text, names))
        for row, values in enumerate(rows):
            try:
                if len(values) != len(names):
                    raise Refused("another number of values than the header" if values else "empty line")
                found = document_of(dict(zip(names, values, strict=True)), path, row, rules, findings)
                check_writable(found, "not UTF-8")
                buffer.accept(found)
            except Refused as refusal:
                buffer.reject(path, row, str(refusal), separator.join(values).encode("utf-8", "surrogateescape"))
            if buffer.n_chars > BLOCK or len(buffer) >= ROWS:
                yield buffer.take()
    except csv.Error as error:
        raise InputError(f"{path}: row {row + 1} cannot be read ({error}): is a quote not closed?") from None
    yield buffer.take()


def _csv_lines(path: str, limit: int) -> Iterator[str]:
    is_first = True
    for lines, first_too_long in line_blocks(path, limit):
        if first_too_long:
            raise csv.Error(f"a line of more than {limit:,} bytes")
        for line in lines:
            yield (line.removeprefix(codecs.BOM_UTF8) if is_first else line).decode("utf-8", "surrogateescape") + "\n"
            is_first = False


def read_texts(paths: Sequence[str], rules: Rules, findings: Findings) -> Iterator[Batch]:
    """Text files, each one document with row 0 and the id ``<file>:0``."""
    buffer = RowBuffer(rules.keep)
    for path in paths:
        with reading(path), open_source(path) as source:
            raw = unpacked(path, source).read(4 * rules.max_chars + 8)  # one byte more than the longest text can have
        try:
            text = check_length(raw.removeprefix(codecs.BOM_UTF8).decode(), rules)
            if f"{path}:0" in rules.excluded:
                findings.excluded.add(f"{path}:0")
                raise Refused("excluded")
            buffer.accept((f"{path}:0", text, None, path, 0, *[None] * len(rules.keep)))
        except UnicodeDecodeError:
            reason = "too long" if len(raw) > 4 * rules.max_chars + 3 else "not UTF-8"
            buffer.reject(path, 0, reason, raw)
        except Refused as refusal:
            buffer.reject(path, 0, str(refusal), raw)
        if buffer.n_chars > BLOCK or len(buffer) >= ROWS:
            yield buffer.take()
    yield buffer.take()
