"""GPT-2's words straight from UTF-8 bytes: where they end, and how often each occurs.

In: the bytes of texts and a table with the kind of every code point (`icp.tokenizer.characters`). Out: distinct words
and their counts. Nothing is checked; bytes that are not UTF-8 give some words, never a read outside the text.

GPT-2's pattern: ``'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+``
"""

import numpy as np

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.text_utf8 import decode

# the kind of a code point in bits 0 and 1 of the table
OTHER, LETTER, NUMBER, SPACE = 0, 1, 2, 3
KIND = 3

_APOSTROPHE, _BLANK = 39, 32
_FIRST_SLOTS = 1 << 12


@kernel
def texts_with(data, offsets, kinds, flag):
    """(n,) bool: which texts hold a code point whose entry in the table has a bit of `flag`, none of them ASCII.

    Args:
        data: (bytes,) uint8, valid UTF-8. offsets: (n + 1,) int64, bounds of the texts. kinds: (0x110000,) uint8.
    """
    found = np.zeros(offsets.shape[0] - 1, np.bool_)
    for i in range(found.shape[0]):
        text = data[offsets[i] : offsets[i + 1]]
        at = 0
        while at < text.shape[0]:
            if text[at] < 0x80:
                at += 1
                continue
            code, length = decode(text, at)
            if kinds[code] & flag:
                found[i] = True
                break
            at += length
    return found


@kernel
def count_words(data, offsets, kinds):
    """The distinct words of some texts, in the order they first occur.

    Args:
        data: (bytes,) uint8, valid UTF-8. offsets: (n + 1,) int64, bounds of the texts; no word reaches across one.
        kinds: (0x110000,) uint8, `KIND` of each code point.

    Returns:
        starts: (n_words,) int64, where each word first stands in `data`.
        lengths: (n_words,) int64, its bytes, never 0.
        counts: (n_words,) int64, how often it occurs.
    """
    slots = np.full(_FIRST_SLOTS, -1, np.int32)
    words = np.empty((_FIRST_SLOTS, 3), np.int64)
    n_words = 0
    for i in range(offsets.shape[0] - 1):
        at, stop = offsets[i], offsets[i + 1]
        while at < stop:
            end = word_end(data, at, stop, kinds)
            if 2 * n_words >= slots.shape[0]:
                slots, words = twice_the_room(data, slots, words, n_words)
            slot = find_word(data, at, end - at, slots, words)
            if slots[slot] < 0:
                slots[slot] = n_words
                words[n_words, 0] = at
                words[n_words, 1] = end - at
                words[n_words, 2] = 0
                n_words += 1
            words[slots[slot], 2] += 1
            at = end
    return words[:n_words, 0].copy(), words[:n_words, 1].copy(), words[:n_words, 2].copy()


@kernel
def bytes_of_words(data, starts, bounds, symbol_of):
    """(n,) int32: a symbol for every byte of some words, one word after another.

    Args:
        data: (bytes,) uint8. starts: (n_words,) int64, where each word stands in it. symbol_of: (256,) int32.
        bounds: (n_words + 1,) int64, where each word is to stand.
    """
    symbols = np.empty(bounds[-1], np.int32)
    for word in range(starts.shape[0]):
        for k in range(bounds[word + 1] - bounds[word]):
            symbols[bounds[word] + k] = symbol_of[data[starts[word] + k]]
    return symbols


@bare_kernel
def find_word(data, start, length, slots, words):
    """The slot of a word in an open hash table, or the free one where it belongs."""
    code = np.uint64(length)
    for k in range(start, start + length):
        code = (code ^ np.uint64(data[k])) * np.uint64(0x100000001B3)
    code ^= code >> np.uint64(29)
    slot = np.int64(code & np.uint64(slots.shape[0] - 1))
    while slots[slot] >= 0:
        other = slots[slot]
        if words[other, 1] == length:
            begin = words[other, 0]
            k = np.int64(0)
            while k < length and data[begin + k] == data[start + k]:
                k += 1
            if k == length:
                break
        slot = (slot + 1) & (slots.shape[0] - 1)
    return slot


@kernel
def twice_the_room(data, slots, words, n_words):
    """A hash table of twice the size with the same words."""
    roomy = np.full(2 * slots.shape[0], -1, np.int32)
    kept = np.empty((roomy.shape[0] // 2 + 1, 3), np.int64)
    kept[:n_words] = words[:n_words]
    for number in range(n_words):
        roomy[find_word(data, kept[number, 0], kept[number, 1], roomy, kept)] = number
    return roomy, kept


@bare_kernel
def kind_at(data, at, kinds):
    """The kind of the character at byte `at`, and its length in bytes."""
    if data[at] < 0x80:
        return np.int64(kinds[data[at]] & KIND), np.int64(1)
    code, length = decode(data, at)
    return np.int64(kinds[code] & KIND), np.int64(length)


@bare_kernel
def word_end(data, at, stop, kinds):
    """Where the word that begins at byte `at` ends; `stop`: the end of its text, after `at`."""
    if data[at] == _APOSTROPHE:
        length = contraction(data, at, stop)
        if length > 0:
            return at + length
    begin = at
    if data[at] == _BLANK and at + 1 < stop:
        begin += 1  # a blank goes with what follows, unless that is white space too
    kind, length = kind_at(data, begin, kinds)
    if kind == SPACE:
        return space_end(data, at, stop, kinds)
    begin += length
    while begin < stop:
        other, length = kind_at(data, begin, kinds)
        if other != kind:
            break
        begin += length
    return min(begin, stop)


@bare_kernel
def space_end(data, at, stop, kinds):
    """The end of a run of white space, less its last character if a word follows and it is not alone."""
    last = at
    end = at
    while end < stop:
        kind, length = kind_at(data, end, kinds)
        if kind != SPACE:
            return last if last > at else end
        last = end
        end += length
    return min(end, stop)


@bare_kernel
def contraction(data, at, stop):
    """Bytes of the English contraction that begins with the apostrophe at byte `at`; 0 where there is none."""
    if at + 1 < stop:
        first = data[at + 1]
        if first == 115 or first == 116 or first == 109 or first == 100:  # s t m d
            return 2
        if at + 2 < stop:
            second = data[at + 2]
            if (first == 114 or first == 118) and second == 101:  # re ve
                return 3
            if first == 108 and second == 108:  # ll
                return 3
    return 0
