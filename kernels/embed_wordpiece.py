"""BERT's word pieces straight from UTF-8 bytes, and the rows of a static model added up over them.

In: the bytes of texts, and the tables that ``jobs/distill_static.py`` makes from a tokenizer: what each code point
becomes, and a double-array trie of the pieces. Out: piece ids as the tokenizers library gives them, or integer rows.
All sums are integer sums, so they do not depend on the cut of the corpus. Nothing is checked; bytes that are not UTF-8
give some pieces, never a read outside the text.
"""

import numpy as np

from icp.kernels._jit import kernel
from icp.kernels.embed_lexical import round_to_unit
from icp.kernels.text_utf8 import decode, encode
from icp.kernels.text_words import find_edges

GROWTH = 3  # a text of n bytes normalises to at most 3 n: punctuation gets a break on either side
# entries of a table of code points: one in the low bits, flags above it
CODE_POINT = 0x1FFFFF
BREAK_BEFORE, BREAK_AFTER = 1 << 31, 1 << 30
MANY = 1 << 29  # flag of a table entry: the low bits are a place in `more`
LONGEST = 100  # a word of more characters is one unknown piece


@kernel
def piece_ids(data, offsets, table, more, trie, unknown):
    """The word pieces of every text, in text order; specials are not added.

    Args:
        data: (bytes,) uint8, valid UTF-8. offsets: (n + 1,) int64, bounds of the texts.
        table: (0x110000,) uint32. Bits 0..20: the code point that stands for this one, 0 for white space; bits 31 and
            30: no word reaches across that side; bit 29: bits 0..20 are a place in `more`.
        more: uint32, at a place the number of code points that stand for one (0: it is dropped), then these.
        trie: (states, 3) int32: base, the state it belongs to, the piece that ends there or -1. The state after byte b
            is ``base + b`` if that belongs to the state before. State 0 begins a word, state 1 goes on in one.
        unknown: id of a word that has no pieces.

    Returns:
        ids: (n_pieces,) int32.
        indptr: (n + 1,) int64: the pieces of text i are ``ids[indptr[i]:indptr[i + 1]]``.
    """
    n_docs = offsets.shape[0] - 1
    longest = 0
    room = 0
    for i in range(n_docs):
        longest = max(longest, offsets[i + 1] - offsets[i])
        room += offsets[i + 1] - offsets[i]
    low = np.empty(GROWTH * longest + 8, np.uint8)
    edges = np.empty(GROWTH * longest + 10, np.uint32)
    ids = np.empty(GROWTH * room, np.int32)
    indptr = np.zeros(n_docs + 1, np.int64)
    for i in range(n_docs):
        size = normalize_bert(data[offsets[i] : offsets[i + 1]], table, more, low)
        n_words = find_edges(low, size, edges)
        at = indptr[i]
        for w in range(n_words):
            at = split_word(low, edges[2 * w], edges[2 * w + 1], trie, unknown, ids, at)
        indptr[i + 1] = at
    return ids[: indptr[n_docs]].copy(), indptr


@kernel
def normalize_bert(text, table, more, low):
    """Write the normalised text to `low`, 0 between words; returns the bytes written. Arguments as `piece_ids`."""
    size = 0
    at = 0
    n = text.shape[0]
    while at < n:
        code, length = decode(text, at)
        entry = np.int64(table[code])
        at += length
        if entry & MANY:
            place = entry & CODE_POINT
            for k in range(place + 1, place + 1 + np.int64(more[place])):
                size = put_entry(np.int64(more[k]), low, size)
        else:
            size = put_entry(entry, low, size)
    return size


@kernel
def put_entry(entry, low, size):
    """Write one code point with the breaks around it; returns where it ends."""
    if entry & BREAK_BEFORE:
        low[size] = 0
        size += 1
    code = entry & CODE_POINT
    if code < 0x80:
        low[size] = code
        size += 1
    else:
        size = encode(code, low, size)
    if entry & BREAK_AFTER:
        low[size] = 0
        size += 1
    return size


@kernel
def split_word(low, start, stop, trie, unknown, ids, at):
    """Write the pieces of the word ``low[start:stop]`` to ids[at:], the longest first; returns where they end."""
    if stop - start > LONGEST:
        n_chars = 0
        for k in range(start, stop):
            n_chars += (low[k] & 0xC0) != 0x80  # all other bytes go on in a character
        if n_chars > LONGEST:
            ids[at] = unknown
            return at + 1
    begin = np.int64(start)
    end = np.int64(stop)
    place = at
    root = np.int64(0)
    while begin < end:
        state = root
        piece = np.int32(-1)
        after = begin
        for k in range(begin, end):
            child = np.int64(trie[state, 0]) + np.int64(low[k])
            if trie[child, 1] != state:
                break
            state = child
            if trie[state, 2] >= 0:
                piece = trie[state, 2]
                after = k + 1
        if piece < 0:
            ids[at] = unknown
            return at + 1
        ids[place] = piece
        place += 1
        begin = after
        root = np.int64(1)
    return place


@kernel
def piece_rows(data, offsets, table, more, trie, scales, vectors):
    """The sum of the vectors of every text's pieces: a piece that stands n times counts ``sqrt(n)`` times its scale.

    Args:
        data, offsets, table, more, trie: as `piece_ids`; a word without pieces adds nothing.
        scales: (n_pieces,) int32. vectors: (n_pieces, dim) int8.

    Returns: (n, dim) int16, each row of length `UNIT` to rounding, or all zero.
    """
    n_docs = offsets.shape[0] - 1
    longest = 0
    for i in range(n_docs):
        longest = max(longest, offsets[i + 1] - offsets[i])
    low = np.empty(GROWTH * longest + 8, np.uint8)
    edges = np.empty(GROWTH * longest + 10, np.uint32)
    ids = np.empty(GROWTH * longest + 1, np.int32)
    counts = np.zeros(scales.shape[0], np.int64)
    sums = np.empty(vectors.shape[1], np.int64)
    rows = np.zeros((n_docs, vectors.shape[1]), np.int16)
    for i in range(n_docs):
        size = normalize_bert(data[offsets[i] : offsets[i + 1]], table, more, low)
        n_words = find_edges(low, size, edges)
        n_ids = np.int64(0)
        for w in range(n_words):
            n_ids = split_word(low, edges[2 * w], edges[2 * w + 1], trie, -1, ids, n_ids)
        sums[:] = 0
        add_pieces(ids[:n_ids], counts, scales, vectors, sums)
        round_to_unit(sums, rows[i])
    return rows


@kernel
def add_pieces(ids, counts, scales, vectors, sums):
    """Add the vector of every distinct piece to `sums`, (dim,) int64; `counts` is all zero before and after."""
    for piece in ids:
        if piece >= 0:
            counts[piece] += 1
    for piece in ids:
        if piece < 0 or counts[piece] == 0:
            continue
        amount = np.int64(np.sqrt(np.float64(counts[piece])) * scales[piece] + 0.5)
        counts[piece] = 0
        vector = vectors[piece]
        for d in range(sums.shape[0]):
            sums[d] += amount * vector[d]
