"""Promise 1: every row of every input file is a document or a refused row, once.

In: documents/ and its manifest, which says how many rows each file had. Out: breaches.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from icp.audit.findings import Breaches
from icp.plurals import counted
from icp.run.extended import files_read
from icp.run.names import DOCUMENTS, HOLDOUT, REJECTED_ROWS
from icp.run.reader import Run, WrongForm, integers, read_groups

COLUMNS = ("doc", "key", "id", "source", "file", "row")


class _Rows:
    """How often each row of each input file was met: one count a row, files one after another."""

    def __init__(self, n_rows: Mapping[str, int]) -> None:
        self.names = list(n_rows)
        self._codes = {name: code for code, name in enumerate(self.names)}
        self.bounds = np.concatenate(([0], np.cumsum(list(n_rows.values()), dtype=np.int64))).astype(np.int64)
        self.times = np.zeros(int(self.bounds[-1]), dtype=np.uint8)

    def meet(self, table: pa.Table, where: str, found: Breaches) -> None:
        """Count the rows that `table` names by file and row."""
        coded = table.column("file").combine_chunks().dictionary_encode()
        codes = np.array([self._codes.get(str(name), -1) for name in coded.dictionary.to_pylist()], dtype=np.int64)
        rows = integers(table, "row")
        if coded.indices.null_count:
            raise WrongForm(f"{where}: column file holds nulls")
        if not rows.size:
            return
        files = codes[np.asarray(coded.indices)]
        known = files >= 0
        inside = known & (rows >= 0) & (rows < np.diff(self.bounds)[files])
        found.add_all(
            "rows that no input file has",
            np.flatnonzero(~inside),
            lambda at: f"{where}: {table.column('file')[at]} row {rows[at]}",
        )
        np.add.at(self.times, self.bounds[files[inside]] + rows[inside], 1)

    def describe(self, at: int) -> str:
        """The file and row that a place in `times` stands for."""
        code = int(np.searchsorted(self.bounds, at, side="right")) - 1
        return f"{self.names[code]} row {at - self.bounds[code]}"


def check_documents(run: Run, found: Breaches) -> str:
    """Rows in = rows out, doc numbers in order, keys as defined."""
    stated = rows_read(run)
    rows = _Rows(stated)
    n_docs = 0
    for name in run.names("documents", DOCUMENTS):
        for table in read_groups(run.path("documents", name), COLUMNS):
            _check_numbers(table, n_docs, name, found)
            rows.meet(table, name, found)
            n_docs += table.num_rows
    n_rejected = 0
    for name in run.names("documents", REJECTED_ROWS):
        for table in read_groups(run.path("documents", name), ("file", "row", "reason")):
            rows.meet(table, name, found)
            n_rejected += table.num_rows
    n_held = 0
    for name in run.names("documents", HOLDOUT):
        for table in read_groups(run.path("documents", name), ("file", "row")):
            rows.meet(table, name, found)
            n_held += table.num_rows
    found.add_all("rows in neither documents/ nor rejected/", np.flatnonzero(rows.times == 0), rows.describe)
    found.add_all("rows there more than once", np.flatnonzero(rows.times > 1), rows.describe)
    n_read = sum(stated.values())
    files = f"{len(stated):,} {'file' if len(stated) == 1 else 'files'}"
    rows_out = f"{counted(n_docs, 'document')} + {n_rejected:,} rejected"
    rows_out += f" + {n_held:,} held out" if n_held else ""
    return f"rows in = rows out: {n_read:,} read from {files} = {rows_out}"


def rows_read(run: Run) -> dict[str, int]:
    """Rows of each input file, as the step that read them says."""
    return files_read(run.manifests["documents"])


def document_key(source: str | None, doc_id: str) -> bytes:
    """The 128-bit key of a document: xxh3 of source, a zero byte and id."""
    return xxhash.xxh3_128_digest((source or "").encode() + b"\0" + doc_id.encode())


def _check_numbers(table: pa.Table, first: int, name: str, found: Breaches) -> None:
    docs = integers(table, "doc")
    expected = np.arange(first, first + docs.size)
    wrong = np.flatnonzero(docs != expected)
    found.add_all("doc numbers out of order", wrong, lambda at: f"{name}: doc {docs[at]}, expected {expected[at]}")
    columns = (table.column(column).to_pylist() for column in ("source", "id", "key"))
    wrong_keys = [
        at
        for at, (source, doc_id, key) in enumerate(zip(*columns, strict=True))
        if doc_id is None or document_key(source, doc_id) != key
    ]
    describe: Callable[[int], str] = lambda at: f"doc {docs[at]}"  # noqa: E731
    indices: NDArray[np.int64] = np.array(wrong_keys, dtype=np.int64)
    found.add_all("keys that are not the hash of source and id", indices, describe)
