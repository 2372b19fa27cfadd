"""A list of what is to be removed, as a user gives it: of ids or of URLs.

In: a text file, JSONL or Parquet. Out: `Wanted`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from icp.config.addresses import expanded
from icp.dedup.minhash import text_digests
from icp.errors import InputError
from icp.steps.documents.lines import line_blocks, listed_ids
from icp.steps.documents.rows import LONGEST_LINE
from icp.texts import key_of, text_buffers, url_key

URL = "url"
"""The kept field that a list of URLs is compared with."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user names: `keys`, by `icp.texts.key_of` of ids, by `url_key` of URLs if `by_url`; hashes of `texts`, if
    the list has a column ``text``."""

    keys: frozenset[str]
    by_url: bool = False
    texts: frozenset[bytes] = frozenset()


def read_wanted(path: str, *, by_url: bool = False) -> Wanted:
    """A list of ids or URLs: one a line; or of JSONL or Parquet, the column ``id`` (``url``).

    Raises: InputError for a list that cannot be read, or that is empty.
    """
    name, lower = URL if by_url else "id", path.lower()
    if lower.endswith(".parquet"):
        rows = _parquet_rows(path, name)
    elif ".jsonl" in lower or ".ndjson" in lower:
        rows = _json_rows(path, name)
    else:
        rows = ((one, None) for one in listed_ids(path, f"--{name}s"))
    keys: set[str] = set()
    texts: set[bytes] = set()
    for value, text in rows:
        keys.add(url_key(str(value)) if by_url else key_of(str(value)))
        if isinstance(text, str):
            texts.update(digests_of([text]))
    keys.discard("")
    texts.discard(b"")
    if not keys:
        raise InputError(f"{path}: names no {name}; give one a line, or a column {name} of JSONL or Parquet")
    return Wanted(frozenset(keys), by_url, frozenset(texts))


def _parquet_rows(path: str, name: str) -> Iterator[tuple[Any, Any]]:
    try:
        with pq.ParquetFile(expanded(path)) as file:
            there = file.schema_arrow.names
            if name not in there:
                raise InputError(f"{path}: has no column {name}; it has {', '.join(there)[:200]}")
            for batch in file.iter_batches(columns=[name, *(["text"] if "text" in there else [])]):
                texts = batch.column("text").to_pylist() if "text" in there else [None] * batch.num_rows
                rows = zip(batch.column(name).to_pylist(), texts, strict=True)
                yield from ((value, text) for value, text in rows if value is not None)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({str(error)[:200]})") from None


def _json_rows(path: str, name: str) -> Iterator[tuple[Any, Any]]:
    number = 0
    for lines, _ in line_blocks(expanded(path), LONGEST_LINE):
        for line in lines:
            number += 1
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                yield row[name], row.get("text")
            except (ValueError, TypeError, LookupError, AttributeError):
                raise InputError(f"{path}: line {number} is no JSON object with {name}") from None


def digests_of(texts: pa.ChunkedArray | Sequence[str]) -> list[bytes]:
    """16 bytes of each canonical text; empty for a text without any words."""
    return [row.tobytes() if row.tobytes() != _nothing() else b"" for row in text_digests(text_buffers(texts))]


def _nothing() -> bytes:
    return bytes(text_digests(text_buffers([""]))[0].tobytes())
