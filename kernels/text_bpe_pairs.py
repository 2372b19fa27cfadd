"""The pairs of symbols in words: how often each occurs, where it became new, and which one is merged next.

In and out: `Pairs`, which `icp.kernels.text_bpe` fills and empties. Nothing is checked.

An entry of the heap is a pair, the count it had when it was put there, and a list of words where it was new. One that
comes to the top when the pair has another count goes back with that.

Bound: a merge takes one symbol from a word and makes two pairs new there; no array holds more than 3 n for n symbols.
Counts and numbers of pairs are below 2**31 for texts of less than 700 MB.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import bare_kernel, kernel

NONE = -1
_PAIRS, _TOUCHED, _HEAP, _NODES, _FREE = 0, 1, 2, 3, 4  # places in `Pairs.used`


class Pairs(NamedTuple):
    """What is known of pairs. The arrays have room for all that can come."""

    keys: NDArray[np.int64]  # left << 32 | right of each pair
    counts: NDArray[np.int32]  # how often it occurs
    fresh: NDArray[np.int32]  # first node of the words where it became new, or NONE
    touched: NDArray[np.int32]  # pairs that became new
    heap: NDArray[np.int32]  # (room, 3): count, pair, first node
    words: NDArray[np.int32]  # word of each node
    following: NDArray[np.int32]  # the node after it, or NONE
    used: NDArray[np.int64]  # how much of each is in use, and the first free node


@kernel
def room_for(n):
    """Empty `Pairs` for n symbols."""
    room = 3 * n + 16
    used = np.zeros(5, np.int64)
    used[_FREE] = NONE
    return Pairs(
        np.empty(room, np.int64),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty((room, 3), np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        used,
    )


@bare_kernel
def n_entries(pairs):
    """Entries on the heap."""
    return pairs.used[_HEAP]


@bare_kernel
def slot_of(table, pairs, key):
    """The slot of a pair in an open hash table, or the free one where it belongs."""
    code = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64((code >> np.uint64(20)) & np.uint64(table.shape[0] - 1))
    while table[slot] != NONE and pairs.keys[table[slot]] != key:
        slot = (slot + 1) & (table.shape[0] - 1)
    return slot


@bare_kernel
def number_of(table, pairs, left, right):
    """The number of a pair; a pair not seen before gets the next, with a count of 0."""
    key = (np.int64(left) << 32) | np.int64(right)
    slot = slot_of(table, pairs, key)
    if table[slot] == NONE:
        number = pairs.used[_PAIRS]
        pairs.used[_PAIRS] += 1
        table[slot] = number
        pairs.keys[number] = key
        pairs.counts[number] = 0
        pairs.fresh[number] = NONE
    return table[slot]


@kernel
def with_room(table, pairs, n_symbols):
    """The hash table, or one with the same pairs that has room for all that a word of so many symbols can bring."""
    size = table.shape[0]
    while size < 2 * (pairs.used[_PAIRS] + 4 * n_symbols):
        size *= 2
    if size == table.shape[0]:
        return table
    roomy = np.full(size, NONE, np.int32)
    for number in range(pairs.used[_PAIRS]):
        roomy[slot_of(roomy, pairs, pairs.keys[number])] = number
    return roomy


@bare_kernel
def add_new(table, pairs, left, right, count, word):
    """Count a pair once more, and note that it is new in a word."""
    number = number_of(table, pairs, left, right)
    pairs.counts[number] += count
    first = pairs.fresh[number]
    if first == NONE:
        pairs.touched[pairs.used[_TOUCHED]] = number
        pairs.used[_TOUCHED] += 1
    elif pairs.words[first] == word:
        return
    node = pairs.used[_FREE]
    if node == NONE:
        node = pairs.used[_NODES]
        pairs.used[_NODES] += 1
    else:
        pairs.used[_FREE] = pairs.following[node]
    pairs.words[node] = word
    pairs.following[node] = first
    pairs.fresh[number] = node


@bare_kernel
def free_node(pairs, node):
    """Give a node back; returns the one after it."""
    after = pairs.following[node]
    pairs.following[node] = pairs.used[_FREE]
    pairs.used[_FREE] = node
    return np.int64(after)


@bare_kernel
def put_on_heap(pairs):
    """An entry for every pair that became new and is there."""
    for k in range(pairs.used[_TOUCHED]):
        number = pairs.touched[k]
        node = np.int64(pairs.fresh[number])
        pairs.fresh[number] = NONE
        if pairs.counts[number] > 0:
            put(pairs, pairs.counts[number], number, node)
        else:
            while node != NONE:
                node = free_node(pairs, node)
    pairs.used[_TOUCHED] = 0


@bare_kernel
def comes_before(pairs, count, pair, other):
    """Does a pair with this count come before entry `other` of the heap?"""
    if count != pairs.heap[other, 0]:
        return count > pairs.heap[other, 0]
    return pairs.keys[pair] < pairs.keys[pairs.heap[other, 1]]


@bare_kernel
def put(pairs, count, pair, node):
    """Put an entry on the heap."""
    at = pairs.used[_HEAP]
    pairs.used[_HEAP] += 1
    while at > 0 and comes_before(pairs, count, pair, (at - 1) >> 1):
        above = (at - 1) >> 1
        for k in range(3):
            pairs.heap[at, k] = pairs.heap[above, k]
        at = above
    pairs.heap[at, 0], pairs.heap[at, 1], pairs.heap[at, 2] = count, pair, node


@bare_kernel
def take_first(pairs):
    """Take the first entry from the heap: its count, pair and first node."""
    heap = pairs.heap
    count, pair, node = heap[0, 0], heap[0, 1], heap[0, 2]
    size = pairs.used[_HEAP] - 1
    pairs.used[_HEAP] = size
    last_count, last_pair, last_node = heap[size, 0], heap[size, 1], heap[size, 2]
    at = 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and comes_before(pairs, heap[below + 1, 0], heap[below + 1, 1], below):
            below += 1
        if comes_before(pairs, last_count, last_pair, below):
            break
        for k in range(3):
            heap[at, k] = heap[below, k]
        at = below
    heap[at, 0], heap[at, 1], heap[at, 2] = last_count, last_pair, last_node
    return count, pair, node
