"""Texts of chosen documents, from the documents parts: only the row groups that hold them are read.

In: doc numbers. Out: texts, a bounded number of bytes at a time.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from icp.errors import ArtifactError
from icp.run.reader import Run, WrongForm, read_columns
from icp.run.removed import Tombstones, read_tombstones

BLOCK_BYTES = 96 << 20
"""Text of the documents held at once, as the files' own sums tell."""


class TextReader:
    """The documents of a run by doc number.

    Attributes:
        bounds: (n_parts + 1,) int64, first doc of each part.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._names = run.names("documents", "part-*.parquet")
        self.bounds = run.doc_bounds()

    @property
    def tombstones(self) -> Tombstones:
        """What was removed from the run."""
        return read_tombstones(self._run.folder)

    @property
    def n_docs(self) -> int:
        """Number of documents."""
        return int(self.bounds[-1])

    def fetch(self, docs: NDArray[np.integer]) -> dict[int, str]:
        """The texts of some docs, given in any order; raises as `rows`."""
        return {doc: row["text"] or "" for doc, row in self.rows(docs, ("text",)).items()}

    def rows(self, docs: NDArray[np.integer], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Some columns of some docs, given in any order.

        Raises: ArtifactError for a damaged part; WrongForm for docs that are not there.
        """
        wanted = np.unique(docs)
        if wanted.size and not 0 <= wanted[0] <= wanted[-1] < self.n_docs:
            raise WrongForm(f"docs {wanted[0]} to {wanted[-1]} are named, documents/ has {self.n_docs:,}")
        spans = np.searchsorted(wanted, self.bounds)
        found: dict[int, dict[str, Any]] = {}
        for part in range(len(self._names)):
            here = wanted[spans[part] : spans[part + 1]]
            if here.size:
                found.update(zip(here.tolist(), self._rows(part, here - self.bounds[part], columns), strict=True))
        return found

    def column(self, column: str) -> Iterator[Any]:
        """A column, part by part."""
        for name in self._names:
            yield read_columns(self._run.path("documents", name), (column,)).column(0)

    def sizes(self, docs: NDArray[np.integer]) -> NDArray[np.int64]:
        """(n,) int64: about how many bytes of text each document has, the mean of its row group."""
        means, starts, first = [], [], 0
        for name in self._names:
            metadata = pq.read_metadata(self._run.path("documents", name))
            for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
                columns = (group.column(index) for index in range(group.num_columns))
                n_bytes = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == "text")
                means.append(n_bytes // max(1, group.num_rows) + 1)
                starts.append(first)
                first += group.num_rows
        found = np.searchsorted(np.array(starts), docs, side="right") - 1
        return np.array(means, dtype=np.int64)[found]

    def pairs(
        self, docs: NDArray[np.int64], others: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], dict[int, str]]]:
        """Blocks of pairs: which ones, and the texts of their documents; `BLOCK_BYTES` at a time, any order."""
        if not docs.size:
            return
        order = np.lexsort((docs, others))
        held = np.cumsum(self.sizes(docs[order]) + self.sizes(others[order])) // BLOCK_BYTES
        for block in np.split(order, np.flatnonzero(np.diff(held)) + 1):
            yield block, self.fetch(np.concatenate((docs[block], others[block])))

    def _rows(self, part: int, rows: NDArray[np.int64], columns: Sequence[str]) -> list[dict[str, Any]]:
        path = self._run.path("documents", self._names[part])
        values: list[dict[str, Any]] = []
        try:
            with pq.ParquetFile(path) as file:
                sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
                starts = np.concatenate(([0], np.cumsum(sizes)))
                spans = np.searchsorted(rows, starts)
                for group in np.flatnonzero(np.diff(spans)).tolist():
                    here = rows[spans[group] : spans[group + 1]] - starts[group]
                    values += file.read_row_group(group, columns=list(columns)).take(here).to_pylist()
        except (OSError, pa.ArrowException, IndexError) as error:
            raise ArtifactError(f"{path}: damaged ({error}); restore it or redo the step with --fresh") from None
        return values
