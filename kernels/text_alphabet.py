"""Tables of characters as kernels take them, and the arithmetic of composition in Unicode's form NFC.

`icp.words.alphabet` makes the tables; it holds every rule about single characters. In: code points. Out: code points.
Source: Unicode Standard Annex 15; section 3.12 of the standard for Hangul.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel

# entries of `Alphabet`: a code point in the low bits, above it the rank of its combining class, flags, the kind
CODE_POINT = 0x1FFFFF
RANK, RANKS = 21, 63
IRREGULAR = 1 << 27
CASE_IGNORABLE, CASED = 1 << 28, 1 << 29
KIND = 30
SEPARATOR, LETTER, OWN, MARK = 0, 1, 2, 3
SLOTS = 4096  # of the table of pairs, a power of 2, less than a third of them taken
LEAD, VOWEL, FINAL, SYLLABLE = 0x1100, 0x1161, 0x11A7, 0xAC00  # where Hangul letters and syllables begin
LEADS, VOWELS, FINALS, SYLLABLES = 19, 21, 28, 11172


class Alphabet(NamedTuple):
    """What is known of characters.

    Attributes:
        entries: (0x110000,) uint32. Bits 0..20: the code point in lower case and form NFC; itself where that is
            several, 0 for what is ignored, a blank for white space. Bits 21..26: the rank of the canonical combining
            class, which orders as the classes do. `IRREGULAR`: it may join what precedes it, is several in form NFC
            (then its kind is `SEPARATOR`), or is ignored. `CASED`, `CASE_IGNORABLE`: what the final sigma rule of
            ``str.lower`` sees (ignorable goes first). Bits 30, 31: `SEPARATOR`, `LETTER`, `OWN` (a word by itself) or
            `MARK`.
        codes: (m,) uint32, ascending, the code points of entries that are decomposed, Hangul syllables excepted.
        starts: (m + 1,) int64, bounds of their decompositions in `parts`.
        parts: uint32, full canonical decompositions in lower case.
        pairs: (`SLOTS`,) uint64, an open-addressing table of pairs that form NFC composes, first << 21 | second; 0:
            none. What they become stands there too, as a pair with 0 that becomes itself.
        composed: (`SLOTS`,) uint32, what they become.
    """

    entries: NDArray[np.uint32]
    codes: NDArray[np.uint32]
    starts: NDArray[np.int64]
    parts: NDArray[np.uint32]
    pairs: NDArray[np.uint64]
    composed: NDArray[np.uint32]


@bare_kernel
def slot_of(first, second):
    """Where the search for a pair begins in ``pairs``."""
    key = np.uint64(first << 21 | second)
    return np.int64(key * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(52))


@bare_kernel
def find_pair(first, second, alphabet):
    """What two code points become in form NFC, 0 if they stay two."""
    if LEAD <= first < LEAD + LEADS and VOWEL <= second < VOWEL + VOWELS:
        return SYLLABLE + ((first - LEAD) * VOWELS + second - VOWEL) * FINALS
    offset = first - SYLLABLE
    if 0 <= offset < SYLLABLES and offset % FINALS == 0 and FINAL < second < FINAL + FINALS:
        return first + second - FINAL
    key = np.uint64(first << 21 | second)
    slot = slot_of(first, second)
    while alphabet.pairs[slot] != 0:
        if alphabet.pairs[slot] == key:
            return np.int64(alphabet.composed[slot])
        slot = (slot + 1) & (SLOTS - 1)
    return np.int64(0)


@bare_kernel
def rank_of(code, alphabet):
    """The rank of the combining class of a code point."""
    return (np.int64(alphabet.entries[code]) >> RANK) & RANKS


@kernel
def decompose(code, alphabet, out, n):
    """Write the canonical decomposition of an entry's code point to out[n:]; returns where it ends."""
    at = np.searchsorted(alphabet.codes, np.uint32(code))
    if at == alphabet.codes.shape[0] or alphabet.codes[at] != code:
        out[n] = code
        return n + 1
    for k in range(alphabet.starts[at], alphabet.starts[at + 1]):
        out[n] = alphabet.parts[k]
        n += 1
    return n


@kernel
def reorder(codes, n, alphabet):
    """Put every run of marks of combining classes other than 0 into the order of these classes, ties as they stand."""
    begin = 0
    while begin < n:
        end = begin
        while end < n and rank_of(codes[end], alphabet) > 0:
            end += 1
        if end - begin > RANKS:
            by_rank(codes[begin:end], alphabet)
        else:
            for k in range(begin + 1, end):
                code = codes[k]
                rank = rank_of(code, alphabet)
                place = k
                while place > begin and rank_of(codes[place - 1], alphabet) > rank:
                    codes[place] = codes[place - 1]
                    place -= 1
                codes[place] = code
        begin = end + 1


@kernel
def by_rank(codes, alphabet):
    """`reorder` for one long run, in time that grows with its length alone: whoever writes a million marks."""
    before = codes.copy()
    at = 0
    for rank in range(1, RANKS + 1):
        for k in range(before.shape[0]):
            if rank_of(before[k], alphabet) == rank:
                codes[at] = before[k]
                at += 1


@kernel
def compose(codes, n, alphabet):
    """Join what form NFC joins among n decomposed and ordered code points, in place; returns how many are left."""
    kept = 0
    starter = -1
    before = 0  # rank of the last one that was kept after the starter
    for k in range(n):
        code = np.int64(codes[k])
        rank = rank_of(code, alphabet)
        if starter >= 0 and (kept == starter + 1 or before < rank):
            joined = find_pair(np.int64(codes[starter]), code, alphabet)
            if joined:
                codes[starter] = joined
                continue
        if rank == 0:
            starter = kept
        before = rank
        codes[kept] = code
        kept += 1
    return kept
