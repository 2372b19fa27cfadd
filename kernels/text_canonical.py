"""Canonical text and its words, of texts that are not ASCII alone: lower case, form NFC, one pass for most characters.

In: UTF-8 bytes, `icp.kernels.text_alphabet.Alphabet`. Out: canonical text (`icp.words`) and the edges of its words. A
character that joins nothing and has no combining class is a *base*: it is written as its entry says, and what precedes
it is settled. Where a mark joins its base, the base is written again; where marks stand out of order, or characters are
several in form NFC, all from the base on is decomposed, ordered and composed.
"""

import numpy as np

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.text_alphabet import (
    CODE_POINT,
    IRREGULAR,
    KIND,
    MARK,
    OWN,
    RANK,
    RANKS,
    SEPARATOR,
    compose,
    decompose,
    find_pair,
    reorder,
)
from icp.kernels.text_utf8 import decode, encode, is_final_sigma

BLANK = 32
JOINING = IRREGULAR | RANKS << RANK  # no base
SIGMA, FINAL_SIGMA = 0x3A3, 0x3C2
GROWTH = 3  # canonical text of n bytes takes at most 3 n: some musical symbols become three


@kernel
def canonical_words(text, alphabet, low, edges):
    """Write the canonical text and the start and stop of each word in it.

    Args: text (n,) uint8; alphabet `Alphabet`; low uint8, `GROWTH` n + 3 long; edges uint32, n + 2 long.

    Returns: the number of words, the bytes written, among them a blank at the end that is not canonical.
    """
    entries = alphabet.entries
    n, at = text.shape[0], 0
    size, k, own = 0, 0, 0  # bytes written, edges written, 1 inside a word of its own
    base_at, base, base_spot = 0, np.int64(0), (0, 0, 0)  # `base` 0: something stands between it and what follows
    last, before = np.int64(0), np.int64(BLANK)  # rank of what was written last, and that itself
    while at < n:
        if own == 0 and text[at] < 0x80:
            (size, k, before), base_spot, at = write_ascii(text, at, entries, (size, k, before), low, edges)
            base_at, base, last = at - 1, before, np.int64(0)
            continue
        code, length = decode(text, at)
        entry = np.int64(entries[code])
        here, kind = entry & CODE_POINT, entry >> KIND
        if entry & JOINING == 0:
            if code == SIGMA and is_final_sigma(text, at, entries):
                here = np.int64(FINAL_SIGMA)
            base_at, base, base_spot, last = at, here, (size, k, own), np.int64(0)
        else:
            rank, joined = (entry >> RANK) & RANKS, np.int64(0)
            is_plain = kind != SEPARATOR and rank >= last
            if is_plain and base != 0 and entry & IRREGULAR:
                joined = find_pair(base, here, alphabet)
            if joined != 0:
                size, k, own = base_spot
                here, base, kind = joined, joined, np.int64(entries[joined]) >> KIND
            elif is_plain and (entry & IRREGULAR == 0 or (base != 0 and find_pair(base, 0, alphabet) == 0)):
                base, last = np.int64(0), rank  # it joins nothing, and no mark inside the base lets it pass
            elif entry & IRREGULAR and here == 0:
                at += length
                continue
            else:
                (size, k, own), at = settle(text, base_at, alphabet, base_spot, low, edges)
                base, last, before = np.int64(0), np.int64(0), np.int64(low[max(size, 1) - 1])
                continue
        k, own = mark_edges(kind, (size, k, own), edges)
        size = write(here, before, low, size)
        before = here
        at += length
    edges[k] = size
    return (k + 1) >> 1, size


@bare_kernel
def write_ascii(text, at, entries, spot, low, edges):
    """Write ASCII from byte `at` on, at least one, where no word of its own is open.

    Args: spot: bytes written, edges written, the last character.

    Returns: the spot after it; that before its last character, with 0 for no word of its own; where it ends.
    """
    size, k, before = spot
    before_size, before_k = size, k
    while at < text.shape[0] and text[at] < 0x80:
        entry = np.int64(entries[text[at]])
        here = entry & CODE_POINT
        before_size, before_k = size, k
        edges[k] = size
        k += (k ^ (entry >> KIND)) & 1
        low[size] = here
        size += 1 - ((here == BLANK) & (before == BLANK))
        before = here
        at += 1
    return (size, k, before), (before_size, before_k, 0), at


@bare_kernel
def mark_edges(kind, spot, edges):
    """Write an edge where a character begins or ends a word: edges written, and 1 inside a word of its own.

    Every edge is written, and kept where something changes: no branch to mispredict.
    """
    size, k, own = spot
    edges[k] = size
    if own | (kind == OWN):
        k += (k & 1) & (kind != MARK)
        edges[k] = size
        k += (kind != SEPARATOR) & ~(k & 1)
        return k, np.int64((kind == OWN) | (own & (kind == MARK)))
    return k + ((k & 1) ^ (kind != SEPARATOR)), own


@bare_kernel
def write(code, before, low, size):
    """Write a character, but no blank where a blank is `before` it; returns where it ends."""
    if code >= 0x800:
        return encode(code, low, size)
    is_two = code >= 0x80
    is_again = (code == BLANK) & (before == BLANK)
    low[size] = 0xC0 | (code >> 6) if is_two else code
    low[size + 1] = 0x80 | (code & 63)
    return size + 1 + is_two - is_again


@kernel
def settle(text, at, alphabet, spot, low, edges):
    """Write all from a base on up to the next one in form NFC; returns the spot after it, and where the next one is."""
    end = next_base(text, at, alphabet)
    codes = np.empty(end - at + 4, np.uint32)  # a character of b bytes becomes b + 1 at most, all but the first b
    n = 0
    while at < end:
        code, length = decode(text, at)
        entry = np.int64(alphabet.entries[code])
        here = entry & CODE_POINT
        if code == SIGMA and is_final_sigma(text, at, alphabet.entries):
            here = np.int64(FINAL_SIGMA)
        if not (entry & IRREGULAR and here == 0):
            n = decompose(here, alphabet, codes, n)
        at += length
    reorder(codes, n, alphabet)
    n = compose(codes, n, alphabet)
    size, k, own = spot
    before = np.int64(low[size - 1] if size else BLANK)
    for i in range(n):
        code = np.int64(codes[i])
        k, own = mark_edges(np.int64(alphabet.entries[code]) >> KIND, (size, k, own), edges)
        size = write(code, before, low, size)
        before = code
    return (size, k, own), end


@kernel
def next_base(text, at, alphabet):
    """Where the next base after the character at byte `at` begins, or the text ends."""
    at += decode(text, at)[1]
    while at < text.shape[0]:
        code, length = decode(text, at)
        entry = np.int64(alphabet.entries[code])
        if entry & IRREGULAR == 0 and (entry >> RANK) & RANKS == 0:
            break
        at += length
    return at
