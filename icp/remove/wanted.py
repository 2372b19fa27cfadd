"""Which documents go: those that a list of ids or of URLs names, and every copy of them that the run knows.

In: a list, a finished run. Out: `Gone`. Copies are those of `duplicates/` of `dedup` and of `graph`: of a document that
is named, whether it was kept or removed as a copy, the whole group goes, the kept document among it. Held-out documents
are named by a list, or have the text of a document that goes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.audit.duplicates import read_removed
from icp.config.addresses import expanded
from icp.dedup.minhash import text_digests
from icp.errors import ConfigError, InputError
from icp.run.names import DOCUMENTS, HOLDOUT, OVERLAPS
from icp.run.reader import Run, read_columns, read_groups
from icp.run.removed import among, read_tombstones, removed_docs
from icp.steps.documents.lines import line_blocks, listed_ids
from icp.steps.documents.rows import LONGEST_LINE
from icp.texts import key_of, text_buffers

URL = "url"
"""The kept field that a list of URLs is compared with."""
_QUOTED = re.compile(r'"([^"]{1,4096})"')


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user names: `keys` as `icp.texts.key_of` gives them, of ids, or of URLs if `by_url`; hashes of `texts`, if
    the list has a column ``text``."""

    keys: frozenset[str]
    by_url: bool = False
    texts: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class Gone:
    """What goes.

    Attributes:
        docs: (n,) int64, ascending: rows of documents, those of earlier removals among them.
        new: (m,) int64, ascending: those that go now.
        named: (m,) bool, which of these the list names; the others are their copies.
        ids, texts, digests: of these; 16 bytes of each canonical text, empty for a text without words.
        held: ids of held-out documents that go.
        unknown: keys that name no document of the run.
        keys: of all ids that go, unknown ones included.
        places: file and row of each document that goes or is named in `documents/rejected`.
    """

    docs: NDArray[np.int64]
    new: NDArray[np.int64]
    named: NDArray[np.bool_]
    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    held: list[tuple[str, bytes]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    keys: frozenset[str] = frozenset()
    places: set[tuple[str, int]] = field(default_factory=set)

    def is_held(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which rows of held-out documents go."""
        known = {digest for digest in self.digests if digest}
        digests = digests_of(table["text"])
        rows = zip(table["id"].to_pylist(), digests, strict=True)
        return np.array([key_of(name) in self.keys or digest in known for name, digest in rows], np.bool_)

    def is_named_in(self, text: str) -> bool:
        """Whether an id that goes stands in quotes in a text, as in a line of JSON."""
        return any(key_of(found) in self.keys for found in _QUOTED.findall(text))


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
        keys.add(key_of(str(value)))
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


def find_gone(run: Run, wanted: Wanted) -> Gone:
    """The documents of a run that go.

    Raises: ConfigError for a list of URLs if the run kept none.
    """
    before = removed_docs(run.folders["documents"])
    named, met = _named_docs(run, wanted)
    found = twins(run, named)
    new = found[~among(found, before)]
    gone = Gone(np.union1d(before, new), new, among(new, named))
    _read_rows(run, gone)
    known = frozenset(map(key_of, gone.ids)) | (frozenset() if wanted.by_url else wanted.keys)
    gone.keys = known
    held_keys = _find_held(run, gone, wanted)
    gone.keys |= held_keys
    earlier = read_tombstones(run.folder).keys
    rest = wanted.keys - met - (earlier if not wanted.by_url else frozenset())
    gone.unknown = sorted(rest - (held_keys if not wanted.by_url else frozenset()))
    _find_refused(run, gone)
    return gone


def _named_docs(run: Run, wanted: Wanted) -> tuple[NDArray[np.int64], set[str]]:
    """Rows of the documents that a list names, ascending, and the keys of the list that were met."""
    column, docs, met, first = URL if wanted.by_url else "id", [], set(), 0
    for name in run.names("documents", DOCUMENTS):
        path = run.path("documents", name)
        if wanted.by_url and URL not in pq.read_schema(path).names:
            raise ConfigError(
                f"{run.folder}: its documents have no field {URL}; name them with --ids, or keep it: corpus.keep"
            )
        for table in read_groups(path, (column,)):
            for row, value in enumerate(table.column(0).to_pylist()):
                key = key_of(str(value)) if value is not None and value != "" else None
                if key is not None and key in wanted.keys:
                    docs.append(first + row)
                    met.add(key)
            first += table.num_rows
    return np.array(docs, np.int64), met


def twins(run: Run, docs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Documents with all that the run knows as copies of them, or them as copies of: (n,) int64, ascending."""
    n_docs = int(run.doc_bounds()[-1])
    root = np.arange(n_docs, dtype=np.int64)
    for step in ("graph", "dedup"):  # a copy of a survivor that is itself a copy of a node
        removed = read_removed(run, step)
        root[removed.doc] = root[removed.duplicate_of]
    goes = np.zeros(n_docs, np.bool_)
    goes[root[docs]] = True
    return np.flatnonzero(goes[root]).astype(np.int64)


def _read_rows(run: Run, gone: Gone) -> None:
    """Ids, texts, hashes and places of the rows that go now."""
    first = 0
    for name in run.names("documents", DOCUMENTS):
        for table in read_groups(run.path("documents", name), ("id", "text", "file", "row")):
            low, high = np.searchsorted(gone.new, (first, first + table.num_rows))
            if high > low:
                chosen = table.take(pa.array(gone.new[low:high] - first))
                gone.ids += chosen["id"].to_pylist()
                gone.texts += chosen["text"].to_pylist()
                gone.digests += digests_of(chosen["text"])
                gone.places.update(zip(chosen["file"].to_pylist(), chosen["row"].to_pylist(), strict=True))
            first += table.num_rows


def _find_held(run: Run, gone: Gone, wanted: Wanted) -> frozenset[str]:
    """Note the held-out documents that go; the keys of their ids."""
    for name in run.names("documents", HOLDOUT):
        path = run.path("documents", name)
        columns = ["id", "text"]
        columns += [URL] if wanted.by_url and URL in pq.read_schema(path).names else []
        for table in read_groups(path, columns):
            out = gone.is_held(table)
            if len(columns) > 2:
                out |= np.array([key_of(str(one or "")) in wanted.keys for one in table[URL].to_pylist()], np.bool_)
            chosen = table.filter(pa.array(out))
            gone.held += zip(chosen["id"].to_pylist(), digests_of(chosen["text"]), strict=True)
    return frozenset(key_of(name) for name, _ in gone.held)


def _find_refused(run: Run, gone: Gone) -> None:
    """Note file and row of the refused rows whose id goes: of some, ``overlaps`` say the id."""
    for name in run.names("documents", OVERLAPS):
        table = read_columns(run.path("documents", name), ("file", "row", "id"))
        rows = zip(*(table[column].to_pylist() for column in ("file", "row", "id")), strict=True)
        gone.places.update((file, row) for file, row, doc_id in rows if key_of(doc_id or "") in gone.keys)
