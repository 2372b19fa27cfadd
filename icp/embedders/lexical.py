"""Embed documents by their words: no model, no download, tens of thousands of documents a second.

Words are hashed, weighted by how few documents hold them and how often and how early they stand in a document, and
projected to 512 dimensions by a seeded sparse sign projection; the mean over all documents is removed.

In a corpus of fewer than `SMALL` documents frequencies say little and the mean is mostly the document itself
(two documents would become opposites): there every word counts and no mean is removed, so a lone document has
a unit vector.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.embedders.corpus import Totals
from icp.kernels import lexical as kernels
from icp.kernels.text import word_hashes
from icp.texts import Texts, text_blocks, word_table

DIM = 512
BUCKETS = 1 << 20
"""Buckets of document frequencies: 4 MiB; words beyond share buckets and count as one word there."""
SMALL = 100
WEIGHT_ONE = 1 << 16
BLOCK_ROWS = 256
"""Rows that are worked on at once where they are wide."""


@dataclass(frozen=True, slots=True)
class LexicalEmbedder:
    """Weighted words. See `CorpusEmbedder`.

    Documents without words are zero, and (from `SMALL` documents on) those without a word that some others hold, but
    not all.

    Attributes:
        seed: which projection.
    """

    seed: int = 0
    dim: int = DIM
    width: int = DIM
    dtype: Any = np.int16
    counts_words: bool = True
    sample_rows: int = 0

    def count(self, texts: Texts) -> NDArray[np.uint32]:
        """How many documents hold each word."""
        return count_words(texts)

    def weigh(self, counts: NDArray[np.uint32], n_docs: int) -> NDArray[np.int32]:
        """What each word counts."""
        return word_weights(counts, n_docs)

    def project(self, texts: Texts, weights: NDArray[np.int32]) -> NDArray[np.int16]:
        """(n, 512) int16."""
        return project(texts, weights, seed=self.seed)

    def settle(self, totals: Totals) -> dict[str, NDArray[Any]]:
        """The mean of all rows."""
        return {"mean": mean_row(totals.sums, totals.n_filled, totals.n_docs)}

    def finish(self, rows: NDArray[np.int16], settled: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """(n, 512) float32, length 1, or all zero where the row is, or where it is the mean."""
        unit: NDArray[np.float32] = kernels.center_rows(rows, settled["mean"])
        return unit


def count_words(texts: Texts) -> NDArray[np.uint32]:
    """Number of `texts` that hold a word of each bucket: (BUCKETS,) uint32. Counts of pieces of a corpus add up."""
    frequencies = np.zeros(BUCKETS, np.uint32)
    for first, last in text_blocks(texts.offsets):
        kernels.count_frequencies(*_hashes(texts, first, last), frequencies)
    return frequencies


def word_weights(frequencies: NDArray[np.uint32], n_docs: int) -> NDArray[np.int32]:
    """What a word of each bucket counts: (BUCKETS,) int32, in units of ``1 / WEIGHT_ONE``.

    That is ``sqrt(log((n_docs + 1) / (frequency + 1)))``, but 0 for words that one document alone holds: they relate
    nothing, and in few dimensions their noise hides what does. It is 0 for words that all documents hold. In corpora
    under `SMALL` documents ``sqrt(log((n_docs + 1) / frequency))``, never 0.

    Args:
        frequencies: (BUCKETS,) uint32, of all documents.
        n_docs: their number.
    """
    is_small = n_docs < SMALL
    smoothed = np.maximum(frequencies.astype(np.float64) + (0.0 if is_small else 1.0), 1.0)
    weights: NDArray[np.int32] = np.rint(np.sqrt(np.log((n_docs + 1.0) / smoothed)) * WEIGHT_ONE).astype(np.int32)
    weights[frequencies < (1 if is_small else 2)] = 0
    return weights


def project(texts: Texts, weights: NDArray[np.int32], *, seed: int, dim: int = DIM) -> NDArray[np.int16]:
    """The weighted words of each text along their signed dimensions: (n, dim) int16 of one length, or all zero.

    Args:
        texts: any piece of the corpus.
        weights: of `word_weights`, for the whole corpus.
        seed: which projection.
        dim: a power of 2.
    """
    rows = np.zeros((texts.n_docs, dim), np.int16)
    for first, last in text_blocks(texts.offsets):
        rows[first:last] = kernels.project_words(*_hashes(texts, first, last), weights, np.uint64(seed), dim)
    return rows


def mean_row(totals: NDArray[np.int64], n_filled: int, n_docs: int) -> NDArray[np.float64]:
    """What `finish` takes away: (width,) float64, the mean of the rows not zero; zeros under `SMALL` documents."""
    if n_docs < SMALL or n_filled == 0:
        return np.zeros(totals.size, np.float64)
    return totals / np.float64(n_filled)


def _hashes(texts: Texts, first: int, last: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    hashes, indptr = word_hashes(texts.data, texts.offsets[first : last + 1], word_table())
    return hashes, indptr
