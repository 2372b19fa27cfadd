"""What a word is: the tables by which kernels lower-case, compose and split text.

*Canonical text*: the text in lower case (``str.lower``), without `IGNORED` characters, in Unicode's form NFC, each run
of white space as one blank, none at the ends. *Word*: in it, a maximal run of word characters as UTS 18 has them
(letters, marks, decimal digits, letter numbers, connectors such as ``_``); a character of `OWN_WORDS` that is no mark
is a word by itself, with the marks that follow it. All properties but `LETTERS_BESIDES` are read from the running
interpreter, so `WORDS_VERSION` names its Unicode version.
"""

import sys
import unicodedata
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from icp.kernels.text_alphabet import (
    CASE_IGNORABLE,
    CASED,
    IRREGULAR,
    KIND,
    LETTER,
    MARK,
    OWN,
    RANK,
    SLOTS,
    Alphabet,
    slot_of,
)

# Characters that are one word each, as far as they are word characters: Thai, Lao; Myanmar; Khmer; CJK marks, hiragana
# and katakana; their extensions; Han; compatibility Han; half-width katakana; kana supplements; Han of planes 2 and 3.
# None of these scripts puts blanks between words. Hangul forms runs.
OWN_WORDS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3000, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x3FFFF),
)
# Characters without width or meaning of their own: soft hyphen, grapheme joiner, Arabic letter mark, Mongolian
# selectors, zero-width space and joiners, marks of direction, word joiner and invisible operators, variation selectors,
# byte order mark.
IGNORED = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xE0100, 0xE01EF),
)
# Word characters that are neither letters, marks nor numbers: circled, squared and negative Latin letters.
LETTERS_BESIDES = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))
WORDS_VERSION = f"words-2/unicode-{unicodedata.unidata_version}"

_SETTLED = (range(0xAC00), range(0xD7A4, 0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000))
"""Where characters are assigned, but for Hangul syllables and private use."""
_DOTTED_I = 0x130  # the only character whose lower case is several: i and a combining dot
_JAMO = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))  # Hangul vowels and finals, which join what precedes them


@lru_cache(maxsize=1)
def alphabet() -> Alphabet:
    """What kernels know of characters: see `Alphabet`; some 0.2 s, made once a process; read-only."""
    codes, parts = _canonical()
    kinds = _kinds(codes)
    pairs = _pairs(parts)
    is_irregular = np.zeros(codes.size, np.bool_)
    is_irregular[[second for _, second in pairs.values()] + list(_JAMO)] = True
    is_irregular = is_irregular[codes] | (codes == 0)
    is_irregular[0] = False
    several = [code for code in parts if code not in pairs]  # no character of their own in form NFC
    is_irregular[several], kinds[several] = True, 0
    entries = codes | _ranks(kinds) << np.uint32(RANK) | kinds << np.uint32(KIND) | _case_flags()
    entries[is_irregular] |= IRREGULAR
    ordered = sorted(parts)
    found = Alphabet(
        entries,
        np.array(ordered, np.uint32),
        np.cumsum([0, *(len(parts[code]) for code in ordered)]),
        np.array([ord(char) for code in ordered for char in parts[code]], np.uint32),
        *_hash_table(pairs),
    )
    for array in found:
        array.flags.writeable = False
    return found


def _canonical() -> tuple[NDArray[np.uint32], dict[int, str]]:
    """(0x110000,) uint32, each code point in lower case and form NFC, itself where that is several; decompositions of
    what stands there, of several and of one but Hangul syllables, which are decomposed by arithmetic."""
    mark = "\U000f0000"  # private use: it joins nothing and has no case
    settled = list(chain(*_SETTLED))
    lowered = mark.join(map(chr, settled)).lower()
    composed = unicodedata.normalize("NFC", lowered).split(mark)
    decomposed = unicodedata.normalize("NFD", lowered).split(mark)
    codes = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    codes[settled] = [ord(one) if len(one) == 1 else code for code, one in zip(settled, composed, strict=True)]
    parts = {int(codes[code]): part for code, part in zip(settled, decomposed, strict=True) if len(part) > 1}
    for first, last in IGNORED:
        codes[first : last + 1] = 0
    codes[[code for code in range(0x3001) if chr(code).isspace()]] = ord(" ")
    return codes, parts


def _kinds(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """(0x110000,) uint32: what kind of character each of `codes` is."""
    kinds = np.zeros(codes.size, np.uint32)
    kinds[0xAC00:0xD7A4] = LETTER
    for code in chain(*_SETTLED):
        category = unicodedata.category(chr(code))
        if category[0] == "M":
            kinds[code] = MARK
        elif category[0] == "L" or category in ("Nd", "Nl", "Pc"):
            kinds[code] = LETTER
    for first, last in LETTERS_BESIDES:
        kinds[first : last + 1] = LETTER
    for first, last in OWN_WORDS:
        own = kinds[first : last + 1]
        own[own == LETTER] = OWN
    return kinds[codes]


def _ranks(kinds: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """(0x110000,) uint32: the rank of the combining class of each mark among all classes, 0 for class 0."""
    classes = np.zeros(kinds.size, np.uint32)
    marks = np.flatnonzero(kinds == MARK)
    classes[marks] = [unicodedata.combining(chr(code)) for code in marks.tolist()]
    ranks: NDArray[np.uint32] = np.searchsorted(np.unique(classes[marks]), classes).astype(np.uint32)
    return ranks


def _pairs(parts: dict[int, str]) -> dict[int, tuple[int, int]]:
    """The two characters that join to each one which form NFC composes."""
    found = {}
    for code in parts:
        pair = unicodedata.decomposition(chr(code)).split()
        if len(pair) == 2 and unicodedata.normalize("NFC", chr(code).lower()) == chr(code):
            found[code] = (int(pair[0], 16), int(pair[1], 16))
    return found


def _hash_table(pairs: dict[int, tuple[int, int]]) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Keys and values of `icp.kernels.text_alphabet.find_pair`."""
    keys, values = np.zeros(SLOTS, np.uint64), np.zeros(SLOTS, np.uint32)
    found = [(code, *pair) for code, pair in pairs.items()]
    for code, first, second in [*found, *((code, code, 0) for code in pairs)]:
        slot = slot_of(first, second)
        while keys[slot]:
            slot = (slot + 1) % SLOTS
        keys[slot], values[slot] = first << 21 | second, code
    return keys, values


def _case_flags() -> NDArray[np.uint32]:
    """(0x110000,) uint32: `CASED` and `CASE_IGNORABLE`, found by asking ``str.lower`` where it writes a final sigma."""
    flags = np.zeros(sys.maxunicode + 1, np.uint32)
    codes = np.array([*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1000)], "<u4")  # none elsewhere
    lines = np.full((codes.size, 7), ord(" "), "<u4")  # " xΣ axΣ" for every x
    lines[:, 1] = lines[:, 5] = codes
    lines[:, 2] = lines[:, 6] = 0x3A3
    lines[:, 4] = ord("a")
    lines[codes == _DOTTED_I] = ord(" ")  # its lower case would shift what follows
    answer = np.frombuffer(lines.tobytes().decode("utf-32-le").lower().encode("utf-32-le"), "<u4").reshape(-1, 7)
    is_cased, is_either = answer[:, 2] == 0x3C2, answer[:, 6] == 0x3C2
    is_cased[codes == _DOTTED_I] = True
    flags[codes[is_cased]] = CASED
    flags[codes[is_either & ~is_cased]] = CASE_IGNORABLE
    return flags
