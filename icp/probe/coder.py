"""What texts cost after what stands before them: by a byte-level n-gram coder, and by deflate.

In: bytes. Out: costs in units of ``1 / UNIT`` bit, whole numbers, the same on every machine but for deflate, which may
change with the version of zlib. The n-gram coder knows the corpus from other documents, so that it saves nothing by
learning English; deflate knows nothing, so that only its differences between orders mean something.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.kernels import probe_ngram
from icp.pack.similarity import deflated

UNIT = probe_ngram.BIT
SLOTS_PER_BYTE = 16
"""Slots of a table of symbols for each byte of text, of which 7 may be taken; contexts have half as many."""
LEAST_SLOTS = 1 << 12
_LOGARITHMS = np.round(
    np.log2(1 + (np.arange(1 << probe_ngram.LOG_STEPS) + 0.5) / (1 << probe_ngram.LOG_STEPS)) * UNIT
).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Coder:
    """An n-gram coder that has read some texts.

    Attributes:
        symbols, contexts: its counts, see `icp.kernels.probe_ngram.learn`.
    """

    symbols: NDArray[np.uint64]
    contexts: NDArray[np.uint64]

    def costs(self, text: bytes) -> NDArray[np.int32]:
        """(bytes,) int32: what each byte costs after those before it, in units of ``1 / UNIT`` bit."""
        symbols, contexts = _tables(len(text))
        array = np.frombuffer(text, dtype=np.uint8)
        costs: NDArray[np.int32] = probe_ngram.byte_costs(
            array, self.symbols, self.contexts, symbols, contexts, _LOGARITHMS
        )
        return costs


def warm_coder(texts: Iterable[bytes]) -> Coder:
    """A coder that has read these texts, 4 MB together at most, one after another."""
    text = b"\n\n".join(texts)
    coder = Coder(*_tables(len(text)))
    probe_ngram.learn(np.frombuffer(text, dtype=np.uint8), coder.symbols, coder.contexts)
    return coder


def deflate_cost(text: bytes, before: bytes = b"") -> int:
    """What raw deflate (level 6) makes of a text after up to 32 KiB of what precedes it, in units of ``1 / UNIT``."""
    return 8 * UNIT * deflated(text, before)


def _tables(n_bytes: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    slots = max(LEAST_SLOTS, 1 << (SLOTS_PER_BYTE * n_bytes - 1).bit_length())
    return np.zeros(slots, dtype=np.uint64), np.zeros(slots >> 1, dtype=np.uint64)
