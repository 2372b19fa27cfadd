"""Words, shingles and Jaccard similarity as docs/design.md, *Words and copies* defines them, in plain Python.

Independent of the kernels that the steps use: an audit must not repeat their mistakes.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

import numpy as np
import xxhash
from numpy.typing import NDArray

from icp.words import IGNORED, LETTERS_BESIDES, OWN_WORDS

SENTENCE = 5
"""Words of a text from which on the full stop that closes it does not count."""


def canonical(text: str) -> str:
    """The text in lower case, without ignored characters, in form NFC, a blank for every run of white space."""
    kept = _ignored().sub("", text.lower())
    return " ".join(unicodedata.normalize("NFC", kept).split())


def words(text: str) -> list[str]:
    """Maximal runs of word characters of the canonical text; one of `OWN_WORDS` with its marks is a word.

    Characters of `OWN_WORDS` that are marks themselves belong to what they follow.
    """
    return _word().findall(canonical(text))


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


def same_text(a: str, b: str) -> bool:
    """Whether two texts are exact copies: equal canonical texts, but for a full stop that closes a sentence."""
    return _closed(a) == _closed(b)


def _closed(text: str) -> str:
    found = canonical(text)
    if found[-1:] == "." and found[-2:-1] not in (".", " ") and len(words(text)) >= SENTENCE:
        return found[:-1]
    return found


@lru_cache(maxsize=1)
def _ignored() -> re.Pattern[str]:
    return re.compile(f"[{_ranges(IGNORED)}]")


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    """One of `OWN_WORDS` with its marks, or a run of other word characters and marks."""
    besides = {code for first, last in LETTERS_BESIDES for code in range(first, last + 1)}
    own = {code for first, last in OWN_WORDS for code in range(first, last + 1)}
    marks, letters = set(), set()
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category[0] == "M":
            marks.add(code)
        elif category[0] == "L" or category in ("Nd", "Nl", "Pc") or code in besides:
            letters.add(code)
    mark, alone, run = (_class(codes) for codes in (marks, letters & own, marks | (letters - own)))
    return re.compile(f"[{alone}][{mark}]*|[{run}]+")


def _class(codes: set[int]) -> str:
    """A set of code points as ranges of a regular expression."""
    runs = groupby(enumerate(sorted(codes)), lambda pair: pair[1] - pair[0])
    spans = [[code for _, code in run] for _, run in runs]
    return _ranges((span[0], span[-1]) for span in spans)


def _ranges(spans: Iterable[tuple[int, int]]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in spans)
