"""Words straight from UTF-8 bytes: lower-cased, split, hashed; no character becomes a Python object.

In: the bytes of texts and `icp.kernels.text_alphabet.Alphabet`, which holds every rule about single characters. Out:
64-bit word hashes, or canonical text (`icp.words`), by which exact copies are told. ASCII goes its own way, a vector of
bytes at a time; all other text goes through `icp.kernels.text_canonical`. Nothing is checked; bytes that are not UTF-8
give some words, never a read outside the text. A text of n bytes has at most (n + 1) // 2 words.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._intrinsics import load64
from icp.kernels._jit import kernel
from icp.kernels.text_canonical import BLANK, GROWTH, canonical_words

PADDING = 16  # `hash_words` reads up to 8 bytes past the last word
STOP = 46  # a full stop
BLOCK = 256  # bytes of ASCII that are looked through for white space to drop before they are copied
SENTENCE = 5  # words of a text from which on the full stop that closes it does not count


@kernel
def canonical_texts(data, offsets, alphabet):
    """The canonical text of every text: equal bytes if and only if they are exact copies.

    Args:
        data: (bytes,) uint8, valid UTF-8. offsets: (n + 1,) int64, bounds of the texts. alphabet: `Alphabet`.

    Returns:
        canonical: (bytes,) uint8, UTF-8.
        bounds: (n + 1,) int64, of the texts there; one of white space alone is empty.
    """
    n_docs = offsets.shape[0] - 1
    low, edges = word_room(offsets)
    canonical = np.empty(GROWTH * (offsets[n_docs] - offsets[0]), np.uint8)
    bounds = np.zeros(n_docs + 1, np.int64)
    for i in range(n_docs):
        text = data[offsets[i] : offsets[i + 1]]
        n_words, size = split_words(text, alphabet, low, edges)
        bounds[i + 1] = write_canonical(text, low, size, n_words >= SENTENCE, canonical, bounds[i])
    return canonical[: bounds[n_docs]].copy(), bounds


@kernel
def word_room(offsets):
    """``low`` and ``edges`` of `split_words` for the longest of the texts."""
    longest = 0
    for i in range(offsets.shape[0] - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    return np.empty(GROWTH * longest + PADDING, np.uint8), np.empty(longest + 2, np.uint32)


@kernel
def split_words(text, alphabet, low, edges):
    """Lower-case one text and find its words.

    Args:
        text: (n,) uint8. alphabet: `Alphabet`.
        low: uint8, at least `GROWTH` n + `PADDING`: gets the canonical text; of ASCII the text in lower case, 0 for
            every separator.
        edges: uint32, at least n + 2: gets start and stop of each word in `low`, alternating.

    Returns: the number of words, and the bytes of canonical text in `low`, -1 where it is ASCII.
    """
    if has_high_byte(text):
        return canonical_words(text, alphabet, low, edges)
    lower_ascii(text, low)
    return find_edges(low, text.shape[0], edges), -1


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
def write_canonical(text, low, size, is_long, out, at):
    """Write canonical text to out[at:], by which exact copies are told; returns where it ends.

    Args: low, size: what `split_words` wrote, used up. is_long: a full stop that closes the text goes.
    """
    begin = at
    if size < 0:
        at = join_ascii(text, low, out, at)
    else:
        out[at : at + size] = low[:size]
        at += size
    if at > begin and out[at - 1] == BLANK:
        at -= 1
    if is_long and out[at - 1] == STOP and out[at - 2] != STOP and out[at - 2] != BLANK:
        at -= 1
    return at


@kernel
def join_ascii(text, flat, out, at):
    """Copy ASCII to out[at:] in lower case, every run of white space as one blank, none in front; uses up `flat`."""
    blank = np.uint8(BLANK)
    for i in range(text.shape[0]):
        byte = text[i]
        is_upper = np.uint8(byte - np.uint8(65)) < np.uint8(26)
        # tab to carriage return, and from the separator of files to the blank: what `str.isspace` says
        is_blank = (np.uint8(byte - np.uint8(9)) < np.uint8(5)) | (np.uint8(byte - np.uint8(28)) < np.uint8(5))
        lowered = np.uint8(byte | np.uint8(32)) if is_upper else byte
        flat[i] = blank if is_blank else lowered
    before = blank
    for begin in range(0, text.shape[0], BLOCK):
        piece = flat[begin : min(text.shape[0], begin + BLOCK)]
        if has_double(piece, before, blank):
            for i in range(piece.shape[0]):
                out[at] = piece[i]  # a blank after a blank is written over
                at += np.int64((piece[i] != blank) | (before != blank))
                before = piece[i]
        else:
            out[at : at + piece.shape[0]] = piece
            at += piece.shape[0]
            before = piece[piece.shape[0] - 1]
    return at


@kernel
def has_double(piece, before, value):
    """Does the value stand twice on end in `before` and `piece`?"""
    found = np.uint8((piece[0] == value) & (before == value))
    following = piece[1:]
    for i in range(following.shape[0]):  # to the end, like `has_high_byte`
        found = np.uint8(found | np.uint8((piece[i] == value) & (following[i] == value)))
    return found != 0
