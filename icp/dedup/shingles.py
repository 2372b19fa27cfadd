"""Sets of word n-grams, by which documents are compared exactly.

In: texts. Out: sets of 64-bit hashes and, of small sets, the words. A hash stands for its n-gram; docs/design.md,
*Words and copies*, says how seldom two n-grams share one, and what that can do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.checks import public
from icp.errors import ConfigError
from icp.kernels.dedup_shingles import drop_repeats, list_shingles, spell_shingles
from icp.texts import Texts, text_buffers
from icp.words import alphabet

MAX_NGRAM = 16
SMALL_SET = 16
"""Shingles of a set that is compared by its words; one collision in a larger one counts less than 1 in 17."""


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """The sets of shingles of some texts.

    Attributes:
        values: (total,) uint64, hashes, ascending inside a text, none twice.
        indptr: (n + 1,) int64, bounds of the texts in `values`.
        letters: (bytes,) uint8, of sets up to `SMALL_SET` the words of each shingle, a zero byte after it.
        spelled: (n + 1,) int64, bounds of the texts in `letters`; nothing lies between those of a larger set.
    """

    values: NDArray[np.uint64]
    indptr: NDArray[np.int64]
    letters: NDArray[np.uint8]
    spelled: NDArray[np.int64]


@public
def shingle_hashes(text: str, *, ngram: int = 5) -> NDArray[np.uint64]:
    """The set of a text's word n-grams, as hashes.

    A text of fewer than `ngram` words has a single n-gram, made of all its words; a text without words has none.

    Returns: (n,) uint64, ascending and distinct. Signatures use the low 32 bits of each.

    Raises: InputError if `text` is not text; ConfigError for an impossible `ngram`.
    """
    return shingle_sets(text_buffers([text]), ngram=check_integer("ngram", ngram, 1, MAX_NGRAM))[0]


def shingle_sets(texts: Texts, *, ngram: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The distinct shingle hashes of each text.

    Returns: values (total,) uint64, ascending inside a text; indptr (n + 1,) int64, bounds of the texts.
    """
    values, indptr = list_shingles(texts.data, texts.offsets, alphabet(), multipliers(ngram))
    for start, stop in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
        values[start:stop].sort()  # numpy's vectorised sort; compiled kernels have a slower one
    drop_repeats(values, indptr)
    return values[: indptr[-1]], indptr


def gather_sets(batches: Iterable[Texts], *, ngram: int) -> ShingleSets:
    """The sets of all texts of some batches, the words of the small ones with them."""
    values, letters = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint8)]
    sizes, lengths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for texts in batches:
        found, indptr = shingle_sets(texts, ngram=ngram)
        written, bounds = _spell(texts, found, indptr, ngram)
        values.append(found)
        letters.append(written)
        sizes.append(np.diff(indptr))
        lengths.append(bounds)
    return ShingleSets(np.concatenate(values), _bounds(sizes), np.concatenate(letters), _bounds(lengths))


def no_sets(n_texts: int) -> ShingleSets:
    """Empty sets for texts that are compared by their signatures alone."""
    bounds = np.zeros(n_texts + 1, np.int64)
    return ShingleSets(np.zeros(0, np.uint64), bounds, np.zeros(0, np.uint8), bounds)


def word_counts(texts: Texts) -> NDArray[np.int64]:
    """(n,) int64: the words of each text, repeats counted."""
    _, bounds = list_shingles(texts.data, texts.offsets, alphabet(), multipliers(1))
    counts: NDArray[np.int64] = bounds[1:] - bounds[:-1]
    return counts


def multipliers(ngram: int) -> NDArray[np.uint64]:
    """(ngram,) uint64, odd, the same for every seed: shingle hashes are comparable between runs.

    Source: splitmix64.
    """
    state, full = 777, 2**64 - 1
    values = []
    for _ in range(ngram):
        state = (state + 0x9E3779B97F4A7C15) & full
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & full
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & full
        values.append(mixed ^ (mixed >> 31) | 1)
    return np.array(values, np.uint64)


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """`value` as int if it is a whole number from `low` to `high`.

    Raises: ConfigError naming the argument.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}, must be a whole number from {low} to {high}")
    return int(value)


def _spell(
    texts: Texts, values: NDArray[np.uint64], indptr: NDArray[np.int64], ngram: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The words of small sets one after another, and how many bytes each text has of them, (n,) int64."""
    sizes = np.diff(indptr)
    lengths = np.zeros(sizes.size, np.int64)
    small = np.flatnonzero((sizes > 0) & (sizes <= SMALL_SET))
    if not small.size:
        return np.zeros(0, np.uint8), lengths
    places = np.repeat(indptr[small], sizes[small])
    bounds = np.concatenate(([0], np.cumsum(sizes[small])))
    sets = (values[places + np.arange(places.size) - np.repeat(bounds[:-1], sizes[small])], bounds)
    chosen = texts.take(small)
    letters, written = spell_shingles(chosen.data, chosen.offsets, alphabet(), multipliers(ngram), sets)
    lengths[small] = np.diff(written)
    return letters, lengths


def _bounds(sizes: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(np.concatenate(sizes), dtype=np.int64)))
