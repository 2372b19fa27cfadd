"""The kind of every code point as GPT-2's pattern sees it, and which were not assigned in Unicode 14.

Read from ``data/characters.npz``, so that a tokenizer trained on a corpus is the same whatever library is installed.
"""

from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

NEWER = 4
"""Bit of code points that Unicode 14 does not assign: what libraries make of them depends on their age."""


@lru_cache(maxsize=1)
def character_kinds() -> NDArray[np.uint8]:
    """(0x110000,) uint8: the kind of a code point in the low bits (`icp.kernels.text_gpt2`), and `NEWER`; read-only."""
    with as_file(files("icp.tokenizer") / "data" / "characters.npz") as path, np.load(path) as stored:
        starts, kinds = stored["starts"].astype(np.int64), stored["kinds"]
    table: NDArray[np.uint8] = np.repeat(kinds, np.diff(starts, append=0x110000))
    table.flags.writeable = False
    return table
