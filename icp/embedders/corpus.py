"""Models that look at the whole corpus before they embed a document: what such a model is, and one corpus in memory.

Passes over any cut of the corpus, whose results add up, alternate with single steps over their sums: `count` words,
`weigh` them; `project` each document to a row of integers, `settle` on mean and dimensions; `finish` each row. Sums are
sums of integers, and rows that are looked at together are chosen by their number in the corpus, so the vectors do not
depend on the cut.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icp.errors import InputError
from icp.kernels.lexical import add_rows
from icp.texts import Texts

BLOCK_ROWS = 1 << 12
"""Rows that are finished at once."""


class NotFiniteError(InputError):
    """A model gave NaN or an infinity for the text of this row."""

    def __init__(self, model: str, row: int) -> None:
        super().__init__(
            f"texts: the vector of row {row} by {model!r} is not finite; use another model or drop the row"
        )
        self.row = row


@dataclass(frozen=True, slots=True)
class Totals:
    """What `settle` sees of all rows.

    Attributes:
        sums: (width,) int64, the sum of all rows. n_filled: how many are not all zero. n_docs: how many there are.
        sample: (m, width), rows evenly chosen, at most `CorpusEmbedder.sample_rows`.
    """

    sums: NDArray[np.int64]
    n_filled: int
    n_docs: int
    sample: NDArray[Any]


class CorpusEmbedder(Protocol):
    """A model that looks at the whole corpus first."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def width(self) -> int:
        """Length of a row of `project`."""
        ...

    @property
    def dtype(self) -> Any:
        """Of a row of `project`."""
        ...

    @property
    def counts_words(self) -> bool:
        """Is `count` needed?"""
        ...

    @property
    def sample_rows(self) -> int:
        """How many rows `settle` wants to see, at most."""
        ...

    def count(self, texts: Texts, /) -> NDArray[np.uint32]:
        """Counts that add up over the pieces of a corpus."""
        ...

    def weigh(self, counts: NDArray[np.uint32], n_docs: int, /) -> NDArray[np.int32]:
        """What `project` wants to know of the counts of a whole corpus."""
        ...

    def project(self, texts: Texts, weights: NDArray[np.int32], /) -> NDArray[Any]:
        """(n, width) rows, all zero for a document that embeds to nothing."""
        ...

    def settle(self, totals: Totals, /) -> dict[str, NDArray[Any]]:
        """What `finish` wants to know of all rows."""
        ...

    def finish(self, rows: NDArray[Any], settled: dict[str, NDArray[Any]], /) -> NDArray[np.float32]:
        """(n, dim) float32, length 1, or all zero."""
        ...


def sample_step(n_docs: int, sample_rows: int) -> int:
    """Every how many-th row is in the sample: those whose number in the corpus it divides."""
    return max(1, -(-n_docs // max(1, sample_rows)))


def row_totals(rows: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Sum of the rows, (width,) int64, and how many are not all zero; both add up over pieces of a corpus."""
    totals = np.zeros(rows.shape[1], np.int64)
    return totals, int(add_rows(rows, totals))


def embed_corpus(embedder: CorpusEmbedder, texts: Texts) -> NDArray[np.float32]:
    """Embed a whole corpus held in memory: the vectors that a run of the same documents has, before float16."""
    n_docs = texts.n_docs
    weights = embedder.weigh(embedder.count(texts), n_docs) if embedder.counts_words else np.zeros(0, np.int32)
    rows = embedder.project(texts, weights)
    sums, n_filled = row_totals(rows)
    sample = rows[:: sample_step(n_docs, embedder.sample_rows)] if embedder.sample_rows else rows[:0]
    settled = embedder.settle(Totals(sums, n_filled, n_docs, sample))
    vectors = np.empty((n_docs, embedder.dim), np.float32)
    for first in range(0, n_docs, BLOCK_ROWS):
        vectors[first : first + BLOCK_ROWS] = embedder.finish(rows[first : first + BLOCK_ROWS], settled)
    return vectors
