"""Embedders that look at the whole corpus before they embed a document, and the passes that drive them.

Passes over the parts of a corpus, whose results add up, alternate with single steps over their sums: `read` the texts,
once; `weigh` their words; `project` each document to a row of integers; `settle` on mean and dimensions; `finish` each
row. Sums are sums of integers, and rows that are looked at together are chosen by their number in the corpus, so the
vectors do not depend on how it is cut into parts. `embed_corpus` takes a corpus in memory as one part; the step
`embeddings` keeps what each pass gives in files; `weigh_words`, `PartTotals`, `settle_parts` and `finish_rows` serve
both.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icp.errors import InputError
from icp.kernels.embed_lexical import add_rows
from icp.kernels.embed_lexical import count_words as add_counts
from icp.texts import Texts

BLOCK_ROWS = 1 << 12
"""Rows that are finished at once."""
BUCKETS = 1 << 20
"""Buckets of document frequencies, 4 MiB in all. Words that share a bucket count as one word."""


class NotFiniteError(InputError):
    """A model gave NaN or an infinity for the text of this row."""

    def __init__(self, model: str, row: int) -> None:
        super().__init__(
            f"texts: the vector of row {row} by {model!r} is not finite; use another model or drop the row"
        )
        self.row = row


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model takes from n texts before it knows the rest of the corpus.

    Attributes:
        words: (m,) uint64, masses: (m,) uint32, bounds: (n + 1,) int64: see
            `icp.kernels.embed_lexical.distinct_words`; no words if the model counts none.
        dense: (n, width) int8, what does not depend on other texts.
    """

    words: NDArray[np.uint64]
    masses: NDArray[np.uint32]
    bounds: NDArray[np.int64]
    dense: NDArray[np.int8]

    def part(self, first: int, last: int) -> "Reading":
        """Of texts `first` to `last`, the latter excluded; no copy."""
        bounds = self.bounds[first : last + 1]
        inside = slice(bounds[0], bounds[-1])
        return Reading(self.words[inside], self.masses[inside], bounds - bounds[0], self.dense[first:last])


@dataclass(frozen=True, slots=True)
class Totals:
    """What `settle` sees of all rows.

    Attributes:
        sums: (width,) int64, the sum of all rows. n_filled: how many are not all zero. n_docs: how many there are.
        sample: (m, width), rows evenly chosen, at most `CorpusEmbedder.sample_rows`.
        threads: how many to use; they change nothing but the time.
    """

    sums: NDArray[np.int64]
    n_filled: int
    n_docs: int
    sample: NDArray[Any]
    threads: int = 1


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
        """Type of a row of `project`."""
        ...

    @property
    def counts_words(self) -> bool:
        """Whether rows depend on how many documents hold each word."""
        ...

    @property
    def dense_width(self) -> int:
        """Length of a dense row of `read`."""
        ...

    @property
    def sample_rows(self) -> int:
        """How many rows `settle` wants to see, at most."""
        ...

    def read(self, texts: Texts, /) -> Reading:
        """Everything the model needs from the texts, which are not read again."""
        ...

    def weigh(self, counts: NDArray[np.uint32], n_docs: int, /) -> NDArray[np.int32]:
        """What `project` needs to know about the counts (of `count_words`) of a whole corpus."""
        ...

    def project(self, reading: Reading, weights: NDArray[np.int32], /) -> NDArray[Any]:
        """(n, width) rows, all zero for a document that embeds to nothing."""
        ...

    def settle(self, totals: Totals, /) -> dict[str, NDArray[Any]]:
        """What `finish` needs to know about all rows."""
        ...

    def finish(self, rows: NDArray[Any], settled: dict[str, NDArray[Any]], /) -> NDArray[np.float32]:
        """(n, dim) float32, length 1, or all zero."""
        ...


def count_words(reading: Reading) -> NDArray[np.uint32]:
    """In how many texts the words of each bucket stand: (BUCKETS,) uint32. Counts of pieces of a corpus add up."""
    frequencies = np.zeros(BUCKETS, np.uint32)
    add_counts(reading.words, frequencies)
    return frequencies


def weigh_words(embedder: CorpusEmbedder, counts: Iterable[NDArray[np.uint32]], n_docs: int) -> NDArray[np.int32]:
    """What `CorpusEmbedder.project` needs to know about the words of a whole corpus, by `count_words` of its parts."""
    total = np.zeros(BUCKETS, np.uint32)
    for part in counts:
        total += part
    return embedder.weigh(total, n_docs) if embedder.counts_words else np.zeros(0, np.int32)


def row_totals(rows: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Sum of the rows, (width,) int64, and how many are not all zero; both add up over parts of a corpus."""
    totals = np.zeros(rows.shape[1], np.int64)
    return totals, int(add_rows(rows, totals))


class PartTotals:
    """What `settle` sees of the rows of one part of a corpus, which are added block by block, in order.

    Attributes:
        sums: (width + 1,) int64, the sum of the rows so far, and how many of them are not all zero.
    """

    def __init__(self, embedder: CorpusEmbedder, *, first: int, n_docs: int) -> None:
        """Of the part that begins with row `first` of a corpus of `n_docs`."""
        self.sums = np.zeros(embedder.width + 1, np.int64)
        self._sample = [np.zeros((0, embedder.width), embedder.dtype)]
        self._row = first
        self._step = max(1, -(-n_docs // embedder.sample_rows)) if embedder.sample_rows else 0

    def add(self, rows: NDArray[Any]) -> None:
        """Count the next rows. In the sample stand those whose number in the corpus is a multiple of one step."""
        found, n_filled = row_totals(rows)
        self.sums[:-1] += found
        self.sums[-1] += n_filled
        if self._step:
            self._sample.append(rows[-self._row % self._step :: self._step].copy())
        self._row += len(rows)

    @property
    def sample(self) -> NDArray[Any]:
        """(m, width), the sampled rows so far."""
        return np.concatenate(self._sample)


def settle_parts(
    embedder: CorpusEmbedder, parts: Iterable[tuple[NDArray[np.int64], NDArray[Any]]], n_docs: int, *, threads: int = 1
) -> dict[str, NDArray[Any]]:
    """What `CorpusEmbedder.finish` needs to know, by the sums and the samples of the `PartTotals` of all parts."""
    total, samples = np.zeros(embedder.width + 1, np.int64), []
    for sums, sample in parts:
        total += sums
        samples.append(np.array(sample))  # a mapped one would hold a descriptor for each part
    return embedder.settle(Totals(total[:-1], int(total[-1]), n_docs, np.concatenate(samples), threads))


def finish_rows(
    embedder: CorpusEmbedder, rows: NDArray[Any], settled: dict[str, NDArray[Any]]
) -> Iterator[NDArray[np.float32]]:
    """The vectors of rows, which may be mapped from a file, in blocks: (n, dim) float32."""
    for first in range(0, len(rows), BLOCK_ROWS):
        yield embedder.finish(np.array(rows[first : first + BLOCK_ROWS]), settled)


def embed_corpus(embedder: CorpusEmbedder, texts: Texts) -> NDArray[np.float32]:
    """Embed a whole corpus held in memory: the vectors that a run of the same documents has, before float16."""
    n_docs = texts.n_docs
    reading = embedder.read(texts)
    counts = [count_words(reading)] if embedder.counts_words else []
    rows = embedder.project(reading, weigh_words(embedder, counts, n_docs))
    totals = PartTotals(embedder, first=0, n_docs=n_docs)
    totals.add(rows)
    settled = settle_parts(embedder, [(totals.sums, totals.sample)], n_docs)
    vectors, first = np.empty((n_docs, embedder.dim), np.float32), 0
    for block in finish_rows(embedder, rows, settled):
        vectors[first : first + len(block)] = block
        first += len(block)
    return vectors


def first_not_finite(vectors: NDArray[np.float32]) -> int:
    """The first row that holds NaN or an infinity, -1 if none does."""
    is_bad = ~np.isfinite(vectors).all(axis=1)
    return int(np.argmax(is_bad)) if is_bad.any() else -1
