"""What texts share with reference texts: word n-grams, counted exactly, without a signature in between.

In: the reference texts, which are few, and texts that pass by. Out: every pair that shares an n-gram, and how many it
shares. A reference takes 12 bytes an n-gram, and some 8 more in the screen that most n-grams of a text fail.

Texts are compared in Unicode's form NFKC: wide letters, ligatures and circled digits are what they stand for.

Source: n-gram decontamination as in arXiv 2005.14165, appendix C.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from icp.dedup.shingles import shingle_sets
from icp.texts import Texts, text_blocks, text_buffers

_PHRASES = str.maketrans({"\ufdfa": " ", "\ufdfb": " "})
"""Two characters that stand for a phrase of 18 and of 8: a text of nothing else would take as many times its memory."""
MOST_PAIRS = 1 << 24
"""Occurrences that are counted at once: an n-gram of many references, in many texts, is many."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs of a text and a reference that share an n-gram, ascending by text, then reference.

    Attributes:
        text, reference: (pairs,) int64. shared: (pairs,) int64, distinct n-grams that both have.
        text_size, reference_size: (pairs,) int64, distinct n-grams of either.
    """

    text: NDArray[np.int64]
    reference: NDArray[np.int64]
    shared: NDArray[np.int64]
    text_size: NDArray[np.int64]
    reference_size: NDArray[np.int64]

    @property
    def jaccard(self) -> NDArray[np.float64]:
        """(pairs,) float64: shared n-grams of all that either has."""
        return self.shared / (self.text_size + self.reference_size - self.shared)

    @property
    def containment(self) -> NDArray[np.float64]:
        """(pairs,) float64: shared n-grams of those of the smaller one."""
        return self.shared / np.minimum(self.text_size, self.reference_size)


@dataclass(frozen=True, slots=True)
class References:
    """The n-grams of reference texts, ready to be looked up.

    Attributes:
        hashes: (n,) uint64, ascending.
        owners: (n,) int32, the reference that has each; ascending where hashes are equal.
        sizes: (references,) int64, distinct n-grams of each.
        ngram: words of an n-gram.
        screen: (2^k,) bool, whether any hash begins with those k bits.
    """

    hashes: NDArray[np.uint64]
    owners: NDArray[np.int32]
    sizes: NDArray[np.int64]
    ngram: int
    screen: NDArray[np.bool_]

    def overlaps(self, texts: Texts, *, at_once: int = MOST_PAIRS) -> Overlaps:
        """What each of some texts shares with each reference; `at_once` bounds memory and changes nothing else."""
        found = [self._of_block(texts.part(first, last), first, at_once) for first, last in text_blocks(texts.offsets)]
        text, reference, shared, text_size = (
            np.concatenate([np.zeros(0, np.int64), *(block[k] for block in found)]) for k in range(4)
        )
        return Overlaps(text, reference, shared, text_size, self.sizes[reference])

    def _of_block(self, texts: Texts, first: int, at_once: int) -> tuple[NDArray[np.int64], ...]:
        values, indptr = shingle_sets(texts, ngram=self.ngram)
        places = np.flatnonzero(self.screen[values >> _shift(self.screen)])
        low = np.searchsorted(self.hashes, values[places], side="left")
        many = np.searchsorted(self.hashes, values[places], side="right") - low
        places, low, many = places[many > 0], low[many > 0], many[many > 0]
        text = np.searchsorted(indptr, places, side="right") - 1
        codes, shared = self._counted(text, low, many, at_once)
        text, reference = codes // max(1, self.sizes.size), codes % max(1, self.sizes.size)
        return text + first, reference, shared, np.diff(indptr)[text]

    def _counted(
        self, text: NDArray[np.int64], low: NDArray[np.int64], many: NDArray[np.int64], at_once: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs, each as one number, and how often each occurs."""
        codes, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        edges = np.searchsorted(np.cumsum(many), np.arange(at_once, int(many.sum()) + at_once, at_once))
        begin = 0
        for end in np.minimum(edges + 1, many.size).tolist():
            here = many[begin:end]
            inside = np.arange(here.sum()) - np.repeat(np.cumsum(here) - here, here)
            owner = self.owners[np.repeat(low[begin:end], here) + inside]
            more, n = np.unique(np.repeat(text[begin:end], here) * self.sizes.size + owner, return_counts=True)
            codes, places = np.unique(np.concatenate((codes, more)), return_inverse=True)
            counts = np.bincount(places, weights=np.concatenate((counts, n)), minlength=codes.size).astype(np.int64)
            begin = end
        return codes, counts


def folded(texts: Sequence[str] | Any) -> Texts:
    """Texts as they are compared, in form NFKC: a sequence of str, or a pyarrow string array, as in `text_buffers`."""
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        if pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
            return text_buffers(texts)
        texts = texts.to_pylist()
    return text_buffers([_folded(text) for text in texts])


def _folded(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text.translate(_PHRASES))


def references_of(batches: Iterable[Texts], *, ngram: int) -> References:
    """The n-grams of reference texts; a text of fewer words has one, all of them."""
    values, sizes = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for texts in batches:
        for first, last in text_blocks(texts.offsets):
            found, indptr = shingle_sets(texts.part(first, last), ngram=ngram)
            values.append(found)
            sizes.append(np.diff(indptr))
    hashes, counts = np.concatenate(values), np.concatenate(sizes)
    owners = np.repeat(np.arange(counts.size, dtype=np.int32), counts)
    order = np.argsort(hashes, kind="stable")
    return References(hashes[order], owners[order], counts, ngram, screen_of(hashes))


def screen_of(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(2^k,) bool: at most one place in eight is taken, so that most n-grams of other texts stop here."""
    screen = np.zeros(1 << min(30, max(10, (8 * hashes.size).bit_length())), np.bool_)
    screen[hashes >> _shift(screen)] = True
    return screen


def _shift(screen: NDArray[np.bool_]) -> np.uint64:
    return np.uint64(65 - screen.size.bit_length())
