"""The static model: a vector for every word piece, learnt from MiniLM; a document is the sum over its pieces.

The tables lie in ``data/static.npz``, made by ``jobs/distill_static.py``. No model is run: a table of code points, a
trie of pieces and sums of integers, so the bytes depend on neither the cut of the corpus nor the machine.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icp.kernels import embed_wordpiece as kernels
from icp.texts import Texts, text_blocks

UNKNOWN = 100
"""Id of ``[UNK]``, a word that has no pieces."""


@dataclass(frozen=True, slots=True)
class StaticModel:
    """The tables.

    Attributes:
        codes: (0x110000,) uint32, more: uint32, trie: (states, 3) int32: see `icp.kernels.embed_wordpiece.piece_ids`.
        scales: (n_pieces,) int32, what a piece counts. vectors: (n_pieces, dim) int8.
    """

    codes: NDArray[np.uint32]
    more: NDArray[np.uint32]
    trie: NDArray[np.int32]
    scales: NDArray[np.int32]
    vectors: NDArray[np.int8]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def pieces(self, texts: Texts) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The word pieces of the texts, as the tokenizers library gives them without specials: ids, and bounds."""
        ids, indptr = kernels.piece_ids(texts.data, texts.offsets, self.codes, self.more, self.trie, UNKNOWN)
        return ids, indptr

    def rows(self, texts: Texts) -> NDArray[np.int16]:
        """The sum over the pieces of each text: (n, dim) int16 of one length, or all zero for no known piece."""
        rows = np.zeros((texts.n_docs, self.dim), np.int16)
        tables = (self.codes, self.more, self.trie, self.scales, self.vectors)
        for first, last in text_blocks(texts.offsets):
            rows[first:last] = kernels.piece_rows(texts.data, texts.offsets[first : last + 1], *tables)
        return rows


@lru_cache(maxsize=1)
def static_model() -> StaticModel:
    """The model of the package; read once a process, about 0.2 s."""
    with as_file(files("icp.embed") / "data" / "static.npz") as path:
        return load_static(path)


def load_static(path: Path) -> StaticModel:
    """The tables that ``jobs/distill_static.py`` wrote to a file."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as tables:
        codes = tables["codes"] + np.arange(0x110000, dtype=np.uint32)  # kept as differences, which are mostly 0
        return StaticModel(codes, tables["more"], tables["trie"], tables["scales"], tables["vectors"])
