"""Byte-pair merges learnt from words and their counts: the same as the trainer of Hugging Face tokenizers learns.

In: distinct words as symbols, and their counts. Out: pairs of symbols in the order they are merged. Nothing is checked.

The most frequent pair is merged, of equally frequent ones the lower. What two pairs spell alike is one symbol, so that
a pair can come back later, with other words.

Source: arXiv 1508.07909; ties as in huggingface/tokenizers, ``models/bpe/trainer.rs``.
"""

import numpy as np

from icp.kernels._jit import bare_kernel, kernel
from icp.kernels.text_bpe_pairs import (
    NONE,
    add_new,
    free_node,
    n_entries,
    number_of,
    put,
    put_on_heap,
    room_for,
    take_first,
    with_room,
)  # fmt: skip


@kernel
def learn_merges(symbols, bounds, counts, letters, n_specials, n_wanted):
    """The merges that lead to `n_wanted` symbols, or to fewer where no pair is left.

    Args:
        symbols: (n,) int32, the words one after another; overwritten. Symbol ``n_specials + k`` is a byte.
        bounds: (n_words + 1,) int64. counts: (n_words,) int64, at least 1.
        letters: (256,) uint8, that byte.
        n_specials: symbols below the bytes; `n_wanted`: symbols in all.

    Returns: (n_merges, 3) int32: left, right, and what they become; the same pair may come twice.
    """
    sizes = bounds[1:] - bounds[:-1]
    pairs = room_for(symbols.shape[0])
    table = np.full(1 << 12, NONE, np.int32)
    for word in range(counts.shape[0]):
        table = with_room(table, pairs, sizes[word])
        for at in range(bounds[word], bounds[word + 1] - 1):
            add_new(table, pairs, symbols[at], symbols[at + 1], counts[word], word)
    put_on_heap(pairs)
    most = n_specials + 256 + min(max(n_wanted, 0), symbols.shape[0]) + 1
    spelled, ends, known = first_spellings(letters, n_specials, most)
    merges = np.empty((symbols.shape[0], 3), np.int32)
    n_merges, n_there = 0, n_specials + 256
    while n_there < n_wanted and n_entries(pairs) > 0:
        count, pair, node = take_first(pairs)
        if count != pairs.counts[pair]:
            put(pairs, pairs.counts[pair], pair, node)
            continue
        if count < 1:
            break
        left, right = np.int32(pairs.keys[pair] >> 32), np.int32(pairs.keys[pair] & 0xFFFFFFFF)
        spelled = with_letters(spelled, ends, left, right, n_there)
        symbol = same_or_next(spelled, ends, known, n_there)
        n_there += np.int64(symbol == n_there)
        merge = merges[n_merges]
        merge[0], merge[1], merge[2] = left, right, symbol
        n_merges += 1
        while node != NONE:
            word = pairs.words[node]
            table = with_room(table, pairs, sizes[word])
            inside = symbols[bounds[word] : bounds[word] + sizes[word]]
            sizes[word] = merge_word(inside, merge, counts[word], word, table, pairs)
            node = free_node(pairs, node)
        put_on_heap(pairs)
    return merges[:n_merges].copy()


@bare_kernel
def merge_word(inside, merge, count, word, table, pairs):
    """Merge a pair wherever it stands in one word, from the left; returns the symbols that are left."""
    left, right, symbol = merge[0], merge[1], merge[2]
    at, size = 0, 0
    while at < inside.shape[0]:
        if inside[at] != left or at + 1 == inside.shape[0] or inside[at + 1] != right:
            inside[size] = inside[at]
            at += 1
            size += 1
            continue
        if size > 0:
            pairs.counts[number_of(table, pairs, inside[size - 1], left)] -= count
            add_new(table, pairs, inside[size - 1], symbol, count, word)
        at += 2
        if at < inside.shape[0]:
            pairs.counts[number_of(table, pairs, right, inside[at])] -= count
            add_new(table, pairs, symbol, inside[at], count, word)
        inside[size] = symbol
        size += 1
    return size


@kernel
def first_spellings(letters, n_specials, most):
    """The bytes of symbols one after another, where each ends, and a hash table of those that came by merges."""
    spelled = np.empty(1 << 12, np.uint8)
    spelled[:256] = letters
    ends = np.zeros(most + 1, np.int64)  # symbol s is spelled[ends[s] : ends[s + 1]]
    for k in range(257):
        ends[n_specials + k] = k
    size = 16
    while size < 2 * most:
        size *= 2
    return spelled, ends, np.full(size, NONE, np.int32)


@kernel
def with_letters(spelled, ends, left, right, symbol):
    """The bytes of all symbols, with those of left and right behind them as those of `symbol`."""
    begin = ends[symbol]
    n_left, n_right = ends[left + 1] - ends[left], ends[right + 1] - ends[right]
    end = begin + n_left + n_right
    if end > spelled.shape[0]:
        spelled = np.concatenate((spelled, np.empty(end, np.uint8)))
    spelled[begin : begin + n_left] = spelled[ends[left] : ends[left + 1]]
    spelled[begin + n_left : end] = spelled[ends[right] : ends[right + 1]]
    ends[symbol + 1] = end
    return spelled


@kernel
def same_or_next(spelled, ends, known, symbol):
    """The symbol that is spelled as `symbol` is, or itself, which is then known."""
    begin, length = ends[symbol], ends[symbol + 1] - ends[symbol]
    code = np.uint64(length)
    for k in range(begin, begin + length):
        code = (code ^ np.uint64(spelled[k])) * np.uint64(0x100000001B3)
    code ^= code >> np.uint64(29)
    slot = np.int64(code & np.uint64(known.shape[0] - 1))
    while known[slot] != NONE:
        other = known[slot]
        k = np.int64(0)
        if ends[other + 1] - ends[other] == length:
            while k < length and spelled[ends[other] + k] == spelled[begin + k]:
                k += 1
        if k == length:
            return np.int64(other)
        slot = (slot + 1) & (known.shape[0] - 1)
    known[slot] = symbol
    return np.int64(symbol)
