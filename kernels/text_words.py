"""Words straight from UTF-8 bytes: lower-cased, split, hashed; no character becomes a Python object.

In: the bytes of texts and `icp.texts.word_table`, which holds every rule about single characters. Out: 64-bit word
hashes, or the normalised text: the words in order, a blank between two. The one rule about neighbours, final sigma in
``str.lower``, is here. Nothing is checked; bytes that are not UTF-8 give some words, never a read outside the text.
Bounds used throughout for a text of n bytes: at most (n + 1) // 2 words; at most 2 n bytes after lower-casing.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._intrinsics import load64
from icp.kernels._jit import kernel

PADDING = 16  # `hash_words` reads up to 8 bytes past the last word

# entries of `icp.texts.word_table`: a code point in the low bits, flags above it
CODE_POINT = 0x1FFFFF
BREAK_BEFORE, BREAK_AFTER = 1 << 31, 1 << 30
CASED, CASE_IGNORABLE = 1 << 29, 1 << 28


@kernel
def normalize_texts(data, offsets, table):
    """The words of every text with one blank between two: equal bytes if and only if equal word sequences.

    Args:
        data: (bytes,) uint8, valid UTF-8. offsets: (n + 1,) int64, bounds of the texts. table: (0x110000,) uint32.

    Returns:
        normal: (bytes,) uint8, UTF-8.
        normal_offsets: (n + 1,) int64, its bounds; a text without words is empty there.
    """
    n_docs = offsets.shape[0] - 1
    longest = 0
    for i in range(n_docs):
        longest = max(longest, offsets[i + 1] - offsets[i])
    low = np.empty(2 * longest + PADDING, np.uint8)
    edges = np.empty(longest + 2, np.uint32)
    normal = np.empty(2 * (offsets[n_docs] - offsets[0]) + n_docs + 1, np.uint8)
    normal_offsets = np.zeros(n_docs + 1, np.int64)
    for i in range(n_docs):
        _, size = split_words(data[offsets[i] : offsets[i + 1]], table, low, edges)
        normal_offsets[i + 1] = join_words(low, size, normal, normal_offsets[i])
    return normal[: normal_offsets[n_docs]].copy(), normal_offsets


@kernel
def split_words(text, table, low, edges):
    """Lower-case one text and find its words.

    Args:
        text: (n,) uint8. table: (0x110000,) uint32.
        low: uint8, at least 2 n + `PADDING`: gets the lower-cased text, 0 for every separator.
        edges: uint32, at least n + 2: gets start and stop of each word in `low`, alternating.

    Returns: the number of words, and the bytes of `low` in use.
    """
    size = text.shape[0]
    if has_high_byte(text):
        size = lower_utf8(text, table, low)
    else:
        lower_ascii(text, low)
    return find_edges(low, size, edges), size


@kernel
def has_high_byte(text: NDArray[np.uint8]) -> bool:
    """Is there a byte >= 128?"""
    bits = np.uint8(0)
    for i in range(text.shape[0]):  # to the end: without a branch the loop takes a whole vector of bytes at a time
        bits = np.uint8(bits | text[i])
    return bits >= np.uint8(128)


@kernel
def lower_ascii(text, low):
    """low[i] = lower case of text[i], 0 for a separator; both from index 0, since an offset stops vectorising."""
    for i in range(text.shape[0]):
        byte = text[i]
        # bit 5 is all that upper and lower case differ in; what lies below a range wraps round to above it, so that one
        # comparison tests both ends
        lowered = np.uint8(byte | np.uint8(32))
        is_letter = np.uint8(lowered - np.uint8(97)) < np.uint8(26)
        is_digit = np.uint8(byte - np.uint8(48)) < np.uint8(10)
        value = lowered if is_letter else byte
        low[i] = value if (is_letter | is_digit | (byte == np.uint8(95))) else np.uint8(0)


@kernel
def lower_utf8(text, table, low):
    """Lower-case any text into `low`, 0 for separators and around single-character words; returns the bytes written."""
    size = 0
    at = 0
    n = text.shape[0]
    while at < n:
        code, length = decode(text, at)
        entry = np.int64(table[code])
        lowered = entry & CODE_POINT
        if code == 0x3A3 and is_final_sigma(text, at, table):
            lowered = 0x3C2
        at += length
        if entry & BREAK_BEFORE:
            low[size] = 0
            size += 1
        if lowered < 0x80:
            low[size] = lowered
            size += 1
        else:
            size = encode(lowered, low, size)
        if entry & BREAK_AFTER:
            low[size] = 0
            size += 1
    return size


@kernel
def decode(text, at):
    """Code point at byte `at` and its length in bytes; 0 where the text ends inside it or it is no code point."""
    code = np.int64(text[at])
    if code < 0x80:
        return code, 1
    length = 2 + (code >= 0xE0) + (code >= 0xF0)
    if at + length > text.shape[0]:
        return np.int64(0), text.shape[0] - at
    code &= 0xFF >> (length + 1)  # the first byte begins with `length` ones and a zero; each further one holds 6 bits
    for k in range(1, length):
        code = (code << 6) | (np.int64(text[at + k]) & 63)
    return (code if code < 0x110000 else np.int64(0)), length


@kernel
def encode(code, out, at):
    """Write a code point >= 0x80 as UTF-8 from out[at] on; returns where it ends."""
    if code < 0x800:
        out[at] = 0xC0 | (code >> 6)
        out[at + 1] = 0x80 | (code & 63)
        return at + 2
    if code < 0x10000:
        out[at] = 0xE0 | (code >> 12)
        out[at + 1] = 0x80 | ((code >> 6) & 63)
        out[at + 2] = 0x80 | (code & 63)
        return at + 3
    out[at] = 0xF0 | (code >> 18)
    out[at + 1] = 0x80 | ((code >> 12) & 63)
    out[at + 2] = 0x80 | ((code >> 6) & 63)
    out[at + 3] = 0x80 | (code & 63)
    return at + 4


@kernel
def is_final_sigma(text, at, table):
    """Does the sigma at byte `at` close a word: is the nearest character that counts before it cased, after it not?

    Source: Unicode, SpecialCasing, condition Final_Sigma, as CPython applies it.
    """
    before = at - 1
    cased = np.int64(0)
    while before >= 0:
        while before > 0 and (text[before] & 0xC0) == 0x80:  # back to the byte that begins the character
            before -= 1
        entry = np.int64(table[decode(text, before)[0]])
        if not entry & CASE_IGNORABLE:
            cased = entry & CASED
            break
        before -= 1
    if cased == 0:
        return False
    after = at + 2  # a sigma takes two bytes
    while after < text.shape[0]:
        code, length = decode(text, after)
        entry = np.int64(table[code])
        if not entry & CASE_IGNORABLE:
            return (entry & CASED) == 0
        after += length
    return True


@kernel
def find_edges(low, size, edges):
    """Starts and stops of the runs of non-zero bytes, alternating, into `edges`; returns the number of runs."""
    k = np.int64(0)
    before = np.uint8(0)
    for i in range(size):
        inside = np.uint8(low[i] != np.uint8(0))
        edges[k] = i  # written every time, kept where something changes: no branch to mispredict
        k += np.int64(inside ^ before)
        before = inside
    edges[k] = size
    k += np.int64(before)
    return k >> 1


@kernel
def hash_words(low, n_words, edges, hashes):
    """hashes[w] = uint64 hash of word w, eight bytes a step; words of one length up to eight bytes never collide.

    Every step can be undone: a product with an odd number mod 2^64, a shift to the right added by xor.
    """
    odd1 = np.uint64(0x9E3779B97F4A7C15)
    odd2 = np.uint64(0xD6E8FEB86659FD93)
    for w in range(n_words):
        at = np.int64(edges[2 * w])
        left = np.int64(edges[2 * w + 1]) - at
        h = np.uint64(left) * odd2
        while left > 8:
            h = (h ^ load64(low, at)) * odd1
            h ^= h >> np.uint64(29)
            at += 8
            left -= 8
        # little-endian: the shift drops the bytes behind the word, which were loaded with its last ones
        h = (h ^ (load64(low, at) << np.uint64(64 - 8 * left))) * odd1
        h ^= h >> np.uint64(32)
        h *= odd2
        hashes[w] = h ^ (h >> np.uint64(32))


@kernel
def join_words(low, size, out, at):
    """Copy `low` to out[at:], every run of zeros as one blank, none at the ends; returns where it ends."""
    begin = at
    before = np.uint8(0)
    for i in range(size):
        byte = low[i]
        out[at] = byte if byte else np.uint8(32)
        at += np.int64((byte != 0) | (before != 0))  # a blank after a blank, or at the begin, is written over
        before = byte
    if before == 0 and at > begin:
        at -= 1
    return at
