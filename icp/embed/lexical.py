"""Embed documents by their words: no model, no download, tens of thousands of documents a second.

Words are hashed, weighted by how few documents hold them and how often and how early they stand in a document, and
projected to 512 dimensions by a seeded sparse sign projection; the mean over all documents is removed.

In a corpus of fewer than `SMALL` documents frequencies say little and the mean is mostly the document itself
(two documents would become opposites): there every word counts and no mean is removed, so a lone document has
a unit vector.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icp.embed.two_pass import Reading, Totals
from icp.kernels import embed_lexical as kernels
from icp.texts import Texts, text_blocks
from icp.words import alphabet

if TYPE_CHECKING:
    from icp.embed.transformer import TransformerSettings

DIM = 512
MASS_QUARTERS, RARITY = 3, 0.5
"""A word counts ``mass ** (quarters / 4) * log((n + 1) / (frequency + 1)) ** rarity``."""
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
    dense_width: int = 0
    sample_rows: int = 0

    def read(self, texts: Texts) -> Reading:
        """The distinct words."""
        return Reading(*read_words(texts), np.zeros((texts.n_docs, 0), np.int8))

    def weigh(self, counts: NDArray[np.uint32], n_docs: int) -> NDArray[np.int32]:
        """What each word counts."""
        return word_weights(counts, n_docs, rarity=RARITY)

    def project(self, reading: Reading, weights: NDArray[np.int32]) -> NDArray[np.int16]:
        """(n, 512) int16."""
        return project(reading, weights, Projection(self.seed, DIM, MASS_QUARTERS))

    def settle(self, totals: Totals) -> dict[str, NDArray[Any]]:
        """The mean of all rows."""
        return {"mean": mean_row(totals.sums, totals.n_filled, totals.n_docs)}

    def finish(self, rows: NDArray[np.int16], settled: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """(n, 512) float32, length 1, or all zero where the row is, or where it is the mean."""
        unit: NDArray[np.float32] = kernels.center_rows(rows, settled["mean"])
        return unit


def lexical_embedder(seed: int, settings: "TransformerSettings") -> LexicalEmbedder:
    """Words alone; it needs no settings."""
    return LexicalEmbedder(seed)


def read_words(texts: Texts) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.int64]]:
    """The distinct words of the texts, their masses and bounds: see `icp.kernels.embed_lexical.distinct_words`."""
    blocks = [
        kernels.distinct_words(texts.data, texts.offsets[first : last + 1], alphabet())
        for first, last in text_blocks(texts.offsets)
    ]
    words = np.concatenate([np.zeros(0, np.uint64), *(block[0] for block in blocks)])
    masses = np.concatenate([np.zeros(0, np.uint32), *(block[1] for block in blocks)])
    n_words = np.concatenate([np.zeros(1, np.int64), *(np.diff(block[2]) for block in blocks)])
    return words, masses, np.cumsum(n_words)


def word_weights(frequencies: NDArray[np.uint32], n_docs: int, *, rarity: float) -> NDArray[np.int32]:
    """What a word of each bucket counts: (BUCKETS,) int32, in units of ``1 / WEIGHT_ONE``.

    That is ``log((n_docs + 1) / (frequency + 1)) ** rarity``, but 0 for words that one document alone holds: they
    relate nothing, and in few dimensions their noise hides what does. It is 0 for words that all documents hold. In
    corpora under `SMALL` documents ``log((n_docs + 1) / frequency) ** rarity``, never 0.

    Args:
        frequencies: (BUCKETS,) uint32, of all documents.
        n_docs: their number.
        rarity: how much more a rare word counts.
    """
    is_small = n_docs < SMALL
    smoothed = np.maximum(frequencies.astype(np.float64) + (0.0 if is_small else 1.0), 1.0)
    # words that share a bucket may be counted more often than there are documents
    logs = np.log((n_docs + 1.0) / np.minimum(smoothed, n_docs + 1.0))
    weights: NDArray[np.int32] = np.rint(logs**rarity * WEIGHT_ONE).astype(np.int32)
    weights[frequencies < (1 if is_small else 2)] = 0
    return weights


@dataclass(frozen=True, slots=True)
class Projection:
    """How words become rows.

    Attributes:
        seed: which signs and dimensions. dim: a power of 2. quarters: 2 or 3, see `MASS_QUARTERS`.
    """

    seed: int
    dim: int
    quarters: int


def project(reading: Reading, weights: NDArray[np.int32], projection: Projection) -> NDArray[np.int16]:
    """The weighted words of each text along their signed dimensions: (n, dim) int16 of one length, or all zero.

    Args:
        reading: of any piece of the corpus.
        weights: of `word_weights`, for the whole corpus.
        projection: the same for the whole corpus.
    """
    sizes = np.sqrt(reading.masses.astype(np.float64))
    if projection.quarters == 3:
        sizes *= np.sqrt(sizes)
    rows: NDArray[np.int16] = kernels.project_words(
        reading.words, sizes, reading.bounds, weights, np.uint64(projection.seed), projection.dim
    )
    return rows


def mean_row(totals: NDArray[np.int64], n_filled: int, n_docs: int) -> NDArray[np.float64]:
    """What `finish` takes away: (width,) float64, the mean of the rows not zero; zeros under `SMALL` documents."""
    if n_docs < SMALL or n_filled == 0:
        return np.zeros(totals.size, np.float64)
    return totals / np.float64(n_filled)
