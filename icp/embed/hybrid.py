"""Words and meaning in one vector: `lexical` rows joined to those of dense models, then reduced together.

`hybrid` joins the static model, ``hybrid:<model>`` that and a transformer; `static` is the static model alone, reduced
the same way. Weights, widths and powers were found on the development corpora.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.embed import lexical
from icp.embed.reduction import find_components, reduce_rows, to_int8
from icp.embed.static import static_model
from icp.embed.transformer import TransformerSettings, load_transformer
from icp.embed.two_pass import NotFiniteError, Reading, Totals, first_not_finite
from icp.kernels.embed_lexical import UNIT
from icp.texts import Texts

LEXICAL_WIDTH, MASS_QUARTERS, RARITY = 2048, 2, 0.75
"""Of the lexical part: see `lexical.MASS_QUARTERS`. Common words matter less here: the components keep what is left."""
SAMPLE_ROWS = 4096
STATIC_POWER = -0.1
HYBRID_DIM, HYBRID_POWER, STATIC_WEIGHT = 512, 0.0, 0.7
"""Powers: see `find_components`. Weights: length of the part where the lexical one has 1."""
TRIPLE_DIM, TRIPLE_POWER, TRIPLE_STATIC_WEIGHT, TRANSFORMER_WEIGHT = 1024, 0.0, 0.5, 0.4


@dataclass(frozen=True, slots=True)
class Dense:
    """A dense part: `rows` gives (n, width) int16 of length `UNIT` or zero; `weight` its length beside words."""

    rows: Callable[[Texts], NDArray[np.int16]]
    width: int
    weight: float


@dataclass(frozen=True, slots=True)
class JointEmbedder:
    """Lexical rows (or none) beside dense ones, along their principal components. See `CorpusEmbedder`.

    Attributes:
        dense: the dense parts, one at least. seed: of the lexical projection. counts_words: is there a lexical part?
        dim: length of a vector. power: see `find_components`.
    """

    dense: tuple[Dense, ...]
    seed: int
    counts_words: bool
    dim: int
    power: float
    dtype: Any = np.int8

    @property
    def width(self) -> int:
        """Length of a row."""
        return self.dense_width + LEXICAL_WIDTH * self.counts_words

    @property
    def sample_rows(self) -> int:
        """How many rows `settle` sees, at most."""
        return SAMPLE_ROWS

    @property
    def dense_width(self) -> int:
        """Length of the dense parts of a row."""
        return sum(part.width for part in self.dense)

    def read(self, texts: Texts) -> Reading:
        """The dense parts, ready to be joined, and the distinct words."""
        length = self._length()
        dense = np.empty((texts.n_docs, self.dense_width), np.int8)
        for first in range(0, texts.n_docs, lexical.BLOCK_ROWS):
            last = min(first + lexical.BLOCK_ROWS, texts.n_docs)
            block = texts.part(first, last)
            dense[first:last] = to_int8(*((part.rows(block), part.weight / length, UNIT) for part in self.dense))
        if self.counts_words:
            return Reading(*lexical.read_words(texts), dense)
        return Reading(np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(texts.n_docs + 1, np.int64), dense)

    def weigh(self, counts: NDArray[np.uint32], n_docs: int) -> NDArray[np.int32]:
        """What each word counts."""
        return lexical.word_weights(counts, n_docs, rarity=RARITY)

    def project(self, reading: Reading, weights: NDArray[np.int32]) -> NDArray[np.int8]:
        """The parts side by side."""
        if not self.counts_words:
            return reading.dense
        projection = lexical.Projection(self.seed, LEXICAL_WIDTH, MASS_QUARTERS)
        n_docs, share = len(reading.dense), 1.0 / self._length()
        rows = np.empty((n_docs, self.width), np.int8)
        rows[:, LEXICAL_WIDTH:] = reading.dense
        for first in range(0, n_docs, lexical.BLOCK_ROWS):
            last = min(first + lexical.BLOCK_ROWS, n_docs)
            block = lexical.project(reading.part(first, last), weights, projection)
            rows[first:last, :LEXICAL_WIDTH] = to_int8((block, share, UNIT))
        return rows

    def _length(self) -> float:
        """Of a row whose parts are all there."""
        return math.sqrt(sum(part.weight**2 for part in self.dense) + float(self.counts_words))

    def settle(self, totals: Totals) -> dict[str, NDArray[Any]]:
        """Components of the sample, and the mean along them; in a small corpus as in `lexical` no mean."""
        is_large = totals.n_docs >= lexical.SMALL
        power = self.power if is_large else 0.0
        basis, scales = find_components(
            totals.sample, self.dim, power=power, is_centered=is_large, threads=totals.threads
        )
        mean = lexical.mean_row(totals.sums, totals.n_filled, totals.n_docs)
        return {"basis": basis, "scales": scales, "mean": (mean[:, None] * basis).sum(axis=0)}

    def finish(self, rows: NDArray[np.int8], settled: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """(n, dim) float32, length 1, or all zero."""
        return reduce_rows(rows, settled["basis"], settled["mean"], settled["scales"])


def static_embedder(seed: int, settings: TransformerSettings) -> JointEmbedder:
    """The static model alone; it needs neither seed nor settings."""
    part = _static_part(1.0)
    return JointEmbedder((part,), 0, counts_words=False, dim=part.width, power=STATIC_POWER)


def hybrid_embedder(seed: int, settings: TransformerSettings) -> JointEmbedder:
    """Words beside the static model; it needs no settings."""
    return JointEmbedder((_static_part(STATIC_WEIGHT),), seed, counts_words=True, dim=HYBRID_DIM, power=HYBRID_POWER)


def triple_embedder(seed: int, settings: TransformerSettings) -> JointEmbedder:
    """Words beside the static model and a transformer, which is loaded now.

    Raises: as `load_transformer`; its `project` NotFiniteError.
    """
    parts = (_static_part(TRIPLE_STATIC_WEIGHT), _transformer_part(settings))
    return JointEmbedder(parts, seed, counts_words=True, dim=TRIPLE_DIM, power=TRIPLE_POWER)


def _static_part(weight: float) -> Dense:
    model = static_model()
    return Dense(model.rows, model.dim, weight)


def _transformer_part(settings: TransformerSettings) -> Dense:
    embedder = load_transformer(settings)

    def rows(texts: Texts) -> NDArray[np.int16]:
        vectors = embedder.embed(texts.strings())
        bad = first_not_finite(vectors)
        if bad >= 0:
            raise NotFiniteError(settings.model, bad)
        scaled: NDArray[np.int16] = np.rint(vectors * np.float32(UNIT)).astype(np.int16)
        return scaled

    return Dense(rows, embedder.dim, TRANSFORMER_WEIGHT)
