"""Which documents go: those that a list of ids or of URLs names, and every copy of them that the run knows.

In: a list, a finished run. Out: `Gone`. Copies are those of `duplicates/` of `dedup` and of `graph`: of a document that
is named, whether it was kept or removed as a copy, the whole group goes, the kept document among it. Held-out documents
are named by a list, or have the text of a document that goes, or are what a row that is named was refused for as a copy
of; rows refused as copies of a held-out document that goes may not come back either.
"""

import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.audit.duplicates import read_removed
from icp.dedup.overlap import references_of
from icp.errors import ConfigError
from icp.remove.lists import URL, Wanted, digests_of
from icp.run.names import DOCUMENTS, HOLDOUT, OVERLAPS
from icp.run.reader import Run, read_columns, read_groups
from icp.run.removed import among, read_tombstones, removed_docs
from icp.steps.documents.sift import NEAR
from icp.texts import key_of, text_buffers, url_key

_QUOTED = re.compile(r'"([^"]{1,4096})"')


@dataclass(slots=True)
class Gone:
    """What goes.

    Attributes:
        docs: (n,) int64, ascending: rows of documents, those of earlier removals among them.
        new: (m,) int64, ascending: those that go now.
        named: (m,) bool, which of these the list names; the others are their copies.
        ids, texts, digests: of these; 16 bytes of each canonical text, empty for a text without words.
        held, held_texts: id and hash, and text, of the held-out documents that go.
        refused: ids of refused rows that the list names, or that were near copies of these; whether named.
        unknown: keys that name no document of the run, by ids alone.
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
    held_texts: list[str] = field(default_factory=list)
    refused: list[tuple[str, bool]] = field(default_factory=list)
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
    refused = _refused(run, wanted)
    met.update(refused.values())
    known |= refused.keys()
    near = _near_held(run)
    gone.keys = known | {of for name, of in near if name in known}
    held_keys = _find_held(run, gone, wanted, met)
    while more := _held_copies(run, gone, held_keys):
        held_keys |= more
    gone.keys = known | held_keys
    copies = sorted({name for name, of in near if of in held_keys} - gone.keys)
    gone.refused = [*((name, True) for name in sorted(refused)), *((name, False) for name in copies)]
    gone.keys |= set(copies)
    earlier = read_tombstones(run.folder).keys
    rest = wanted.keys - met - (earlier if not wanted.by_url else frozenset())
    gone.unknown = sorted(rest - (held_keys if not wanted.by_url else frozenset()))
    _find_refused(run, gone)
    return gone


def _named_docs(run: Run, wanted: Wanted) -> tuple[NDArray[np.int64], set[str]]:
    """Rows of the documents that a list names, ascending, and the keys of the list that were met."""
    column, docs, met, first = URL if wanted.by_url else "id", [], set(), 0
    as_key = url_key if wanted.by_url else key_of
    for name in run.names("documents", DOCUMENTS):
        path = run.path("documents", name)
        if wanted.by_url and URL not in pq.read_schema(path).names:
            raise ConfigError(
                f"{run.folder}: its documents have no field {URL}; name them with --ids, or keep it: corpus.keep"
            )
        for table in read_groups(path, (column,)):
            for row, value in enumerate(table.column(0).to_pylist()):
                key = as_key(str(value)) if value is not None and value != "" else None
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
        known = removed.duplicate_of >= 0
        root[removed.doc[known]] = root[removed.duplicate_of[known]]
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


def _find_held(run: Run, gone: Gone, wanted: Wanted, met: set[str]) -> frozenset[str]:
    """Note the held-out documents that go, and which keys of a list of URLs they meet; the keys of their ids."""
    for name in run.names("documents", HOLDOUT):
        path = run.path("documents", name)
        columns = ["id", "text"]
        columns += [URL] if wanted.by_url and URL in pq.read_schema(path).names else []
        for table in read_groups(path, columns):
            out = gone.is_held(table)
            if len(columns) > 2:
                urls = [url_key(str(one or "")) for one in table[URL].to_pylist()]
                out |= np.array([url in wanted.keys for url in urls], np.bool_)
                met |= wanted.keys.intersection(urls)
            chosen = table.filter(pa.array(out))
            gone.held += zip(chosen["id"].to_pylist(), digests_of(chosen["text"]), strict=True)
            gone.held_texts += chosen["text"].to_pylist()
    return frozenset(key_of(name) for name, _ in gone.held)


def _held_copies(run: Run, gone: Gone, known: frozenset[str]) -> frozenset[str]:
    """Note held-out documents that are copies, as dedup finds them, of what goes; the keys of new ones."""
    references = references_of([text_buffers([*gone.texts, *gone.held_texts])], ngram=run.config.dedup.ngram)
    found: set[str] = set()
    for name in run.names("documents", HOLDOUT) if references.hashes.size else ():
        for table in read_groups(run.path("documents", name), ("id", "text")):
            overlaps = references.overlaps(text_buffers(table["text"]))
            alike = np.unique(overlaps.text[overlaps.jaccard >= run.config.dedup.threshold])
            rows = [row for row in alike.tolist() if key_of(table["id"][row].as_py()) not in known]
            chosen = table.take(pa.array(rows, pa.int64()))
            gone.held += zip(chosen["id"].to_pylist(), digests_of(chosen["text"]), strict=True)
            gone.held_texts += chosen["text"].to_pylist()
            found.update(map(key_of, chosen["id"].to_pylist()))
    return frozenset(found)


def _refused(run: Run, wanted: Wanted) -> dict[str, str]:
    """Keys of refused rows that a list names, of those whose id is known, each with the key by which it is named."""
    column, as_key, found = (URL, url_key, {}) if wanted.by_url else ("id", key_of, {})
    for name in run.names("documents", OVERLAPS):
        if column in pq.read_schema(run.path("documents", name)).names:
            table = read_columns(run.path("documents", name), ("id", column))
            for doc_id, named_by in zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True):
                if doc_id and named_by and as_key(str(named_by)) in wanted.keys:
                    found[key_of(doc_id)] = as_key(str(named_by))
    return found


def _near_held(run: Run) -> list[tuple[str, str]]:
    """Keys of refused rows, and of the held-out documents that they are copies of by `dedup.threshold`."""
    found = []
    for name in run.names("documents", OVERLAPS):
        table = read_columns(run.path("documents", name), ("id", "of", "reason", "jaccard"))
        is_copy = np.asarray(table["jaccard"]) >= run.config.dedup.threshold
        table = table.filter(pa.array(is_copy & (np.array(table["reason"].to_pylist(), object) == NEAR)))
        ids, of = (table[column].to_pylist() for column in ("id", "of"))
        found += [(key_of(one), key_of(other)) for one, other in zip(ids, of, strict=True) if one and other]
    return found


def _find_refused(run: Run, gone: Gone) -> None:
    """Note file and row of the refused rows whose id goes: of some, ``overlaps`` say the id."""
    for name in run.names("documents", OVERLAPS):
        table = read_columns(run.path("documents", name), ("file", "row", "id"))
        rows = zip(*(table[column].to_pylist() for column in ("file", "row", "id")), strict=True)
        gone.places.update((file, row) for file, row, doc_id in rows if key_of(doc_id or "") in gone.keys)
