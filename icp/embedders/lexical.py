"""Embed documents by their words: no model, no download, tens of thousands of documents a second.

Words are hashed, weighted by how few documents hold them and how often and how early they stand in a document, and
projected to 512 dimensions by a seeded sparse sign projection; the mean over all documents is removed. Three passes,
each over any cut of the corpus: `count_words`, then `word_weights` of their sum; `project`, then the sum of
`row_totals`; `finish`. Counts and totals are integers, so the result does not depend on the cut.

In a corpus of fewer than `SMALL` documents frequencies say little and the mean is mostly the document itself
(two documents would become opposites): there every word counts and no mean is removed, so a lone document has
a unit vector.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.kernels import lexical as kernels
from icp.kernels.text import word_hashes
from icp.texts import Texts, word_table

DIM: int = kernels.DIM
BUCKETS = 1 << 20
"""Buckets of document frequencies: 4 MiB; words beyond share buckets and count as one word there."""
SMALL = 100
WEIGHT_ONE = 1 << 16
BLOCK_BYTES = 1 << 24
"""Bytes of text whose words are held at once (a longer document: its own); each takes 4 bytes of hashes."""


@dataclass(frozen=True, slots=True)
class LexicalEmbedder:
    """Embeds a whole corpus held in memory: the vectors a run of the same documents has, before float16.

    Attributes:
        seed: which projection.
    """

    seed: int = 0

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return DIM

    def embed(self, texts: Texts) -> NDArray[np.float32]:
        """Embed a whole corpus: (n, 512) float32, length 1.

        All zero for a document without words, or (from `SMALL` documents on) without a word that some others
        hold, but not all.
        """
        weights = word_weights(count_words(texts), texts.n_docs)
        rows = project(texts, weights, seed=self.seed)
        totals, n_filled = row_totals(rows)
        return finish(rows, mean_row(totals, n_filled, texts.n_docs))


def count_words(texts: Texts) -> NDArray[np.uint32]:
    """Number of `texts` that hold a word of each bucket: (BUCKETS,) uint32. Counts of pieces of a corpus add up."""
    frequencies = np.zeros(BUCKETS, np.uint32)
    for first, last in _blocks(texts.offsets):
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


def project(texts: Texts, weights: NDArray[np.int32], *, seed: int) -> NDArray[np.int16]:
    """The weighted words of each text along their signed dimensions: (n, 512) int16 of one length, or all zero.

    Args:
        texts: any piece of the corpus.
        weights: of `word_weights`, for the whole corpus.
        seed: which projection.
    """
    rows = np.zeros((texts.n_docs, DIM), np.int16)
    for first, last in _blocks(texts.offsets):
        rows[first:last] = kernels.project_words(*_hashes(texts, first, last), weights, np.uint64(seed))
    return rows


def row_totals(rows: NDArray[np.int16]) -> tuple[NDArray[np.int64], int]:
    """Sum of the rows, (512,) int64, and how many are not all zero; both add up over pieces of a corpus."""
    totals = np.zeros(DIM, np.int64)
    return totals, int(kernels.add_rows(rows, totals))


def mean_row(totals: NDArray[np.int64], n_filled: int, n_docs: int) -> NDArray[np.float64]:
    """What `finish` takes away: (512,) float64, the mean of the rows not zero; zeros under `SMALL` documents."""
    if n_docs < SMALL or n_filled == 0:
        return np.zeros(DIM, np.float64)
    return totals / np.float64(n_filled)


def finish(rows: NDArray[np.int16], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """The embeddings: (n, 512) float32, length 1; all zero where the row is, or where it is the mean."""
    centered: NDArray[np.float32] = kernels.center_rows(rows, mean)
    return centered


def _hashes(texts: Texts, first: int, last: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    hashes, indptr = word_hashes(texts.data, texts.offsets[first : last + 1], word_table())
    return hashes, indptr


def _blocks(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Bounds of consecutive texts of at most `BLOCK_BYTES` together, at least one text each."""
    bounds, first, n_docs = [], 0, offsets.size - 1
    while first < n_docs:
        last = int(np.searchsorted(offsets, offsets[first] + BLOCK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), n_docs)
        bounds.append((first, last))
        first = last
    return bounds
