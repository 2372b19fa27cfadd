"""Words, shingles and Jaccard similarity as docs/design.md, *Words and copies* defines them, in plain Python.

Independent of the kernels that the steps use: an audit must not repeat their mistakes.
"""

import re

import numpy as np
import xxhash
from numpy.typing import NDArray

from icp.texts import OWN_WORDS

_OWN = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in OWN_WORDS)
_WORD = re.compile(rf"[^\W{_OWN}]+|(?=\w)[{_OWN}]")


def words(text: str) -> list[str]:
    r"""Maximal runs of ``\w`` of the lower-cased text; characters of `OWN_WORDS` are one word each."""
    return _WORD.findall(text.lower())


def shingles(text: str, *, ngram: int) -> NDArray[np.uint64]:
    """The set of word n-grams, ascending, as 64-bit hashes of the words joined by spaces.

    A text of fewer words has one, all of them; a text without words none. By chance two n-grams of a text of a million
    words share a hash once in ten million texts.
    """
    found = words(text)
    if not found:
        return np.empty(0, dtype=np.uint64)
    grams = zip(*(found[start:] for start in range(min(ngram, len(found)))), strict=False)
    hashes = (xxhash.xxh3_64_intdigest(" ".join(gram).encode()) for gram in grams)
    return np.unique(np.fromiter(hashes, dtype=np.uint64))


def jaccard(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    """Shared shingles per distinct shingle of two texts; 0 if one has none."""
    shared = int(np.intersect1d(a, b, assume_unique=True).size)
    together = int(a.size + b.size - shared)
    return shared / together if a.size and b.size else 0.0


def same_words(a: str, b: str) -> bool:
    """Whether two texts are exact duplicates: equal word sequences, or equal bytes where there is no word."""
    of_a, of_b = words(a), words(b)
    return of_a == of_b and (bool(of_a) or a == b)
