"""A byte-level n-gram coder: what each byte of a text costs, by what stands before it and by other texts.

In: bytes, tables of hashed counts. Out: costs, counts. Nothing is checked; costs are the same on every machine.
"""

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel

ORDER = 6
"""Bytes of the longest context."""
BIT = 1 << 16
"""Units of a bit in costs."""
LOG_STEPS = 12
"""Bits of a mantissa by which its logarithm is looked up."""
FIRST_WEIGHT, LEAST_WEIGHT, RATE = 0.1, 0.005, 0.01
"""The weight of what the text itself has shown, for each matched order, and how fast it follows success."""
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_START = np.uint64(0xCBF29CE484222325)
_FOLD = np.uint64(32)
_TAG = np.uint64(0xFFFFFFFF00000000)
"""Of an entry of a table: what tells its key from others; the lower half counts."""
_DISTINCT = np.uint64(1 << 22)
"""Unit of the number of different bytes after a context, which stands above how often it came."""
_TOTAL = np.uint64((1 << 22) - 1)


@kernel
def learn(text: NDArray[np.uint8], symbols: NDArray[np.uint64], contexts: NDArray[np.uint64]) -> None:
    """Count every byte after each of its contexts of 0 to `ORDER` bytes.

    Args:
        text: (n,) uint8, n below 2^22.
        symbols: (2^a,) uint64, how often a byte came after a context; changed in place.
        contexts: (2^b,) uint64, how often a context came, and how many different bytes followed; changed in place.
            Tables hold up to 7 new entries a byte of text, and must not fill up.
    """
    hashes = np.empty(ORDER + 1, np.uint64)
    for i in range(text.size):
        _hash_contexts(text, i, hashes)
        _count(text[i], hashes, min(ORDER, i), symbols, contexts)


@kernel
def byte_costs(
    text: NDArray[np.uint8],
    warm_symbols: NDArray[np.uint64],
    warm_contexts: NDArray[np.uint64],
    symbols: NDArray[np.uint64],
    contexts: NDArray[np.uint64],
    logarithms: NDArray[np.int32],
) -> NDArray[np.int32]:
    """What each byte costs after all that stands before it.

    Two estimates of the next byte, each a Witten-Bell blend of the orders whose context is known, are mixed: that of
    the counts of other texts, and that of the text so far, which falls back on the first. The weight of the second is
    learnt on the way, one for each order matched. Both are distributions: entries of tables are told apart, since where
    counts of different contexts fall together, probabilities add up to more than one and any text seems to be saved.

    Args:
        text: (n,) uint8, n below 2^22.
        warm_symbols, warm_contexts: counts of other texts, as `learn` leaves them.
        symbols, contexts: zeros, as large as `learn` needs them; counts of this text when it returns.
        logarithms: (2^LOG_STEPS,) int32, log2 of mantissas in units of ``1 / BIT``.

    Returns: (n,) int32, in units of ``1 / BIT`` bit.
    Cost: about 40 reads of tables a byte.
    """
    costs = np.empty(text.size, np.int32)
    hashes = np.empty(ORDER + 1, np.uint64)
    weights = np.full(ORDER + 2, FIRST_WEIGHT)
    box = np.empty(1, np.float64)
    pattern = box.view(np.int64)
    for i in range(text.size):
        _hash_contexts(text, i, hashes)
        reach = min(ORDER, i)
        of_others, _ = _estimate(text[i], hashes, reach, warm_symbols, warm_contexts, 1.0 / 256.0)
        of_text, matched = _estimate(text[i], hashes, reach, symbols, contexts, of_others)
        weight = weights[matched + 1]
        box[0] = weight * of_text + (1.0 - weight) * of_others
        moved = weight + RATE * (weight * of_text / box[0] - weight)
        weights[matched + 1] = min(1.0 - LEAST_WEIGHT, max(LEAST_WEIGHT, moved))
        # the exponent and the first bits of the mantissa: the same whole number on every machine
        exponent = (pattern[0] >> 52) - 1023
        step = (pattern[0] >> (52 - LOG_STEPS)) & ((1 << LOG_STEPS) - 1)
        costs[i] = -(exponent * BIT + logarithms[step])
        _count(text[i], hashes, reach, symbols, contexts)
    return costs


@kernel
def _hash_contexts(text: NDArray[np.uint8], i: int, hashes: NDArray[np.uint64]) -> None:
    value = _START
    hashes[0] = value
    for k in range(min(ORDER, i)):
        value = (value ^ np.uint64(text[i - 1 - k] + 1)) * _PRIME
        hashes[k + 1] = value


@kernel
def _find(value: np.uint64, table: NDArray[np.uint64]) -> tuple[int, np.uint64]:
    """The slot of a key, or the free one that it would take; and its tag."""
    mixed = (value ^ (value >> _FOLD)) * _PRIME
    tag = mixed & _TAG
    mask = np.uint64(table.size - 1)
    slot = (mixed ^ (mixed >> _FOLD)) & mask
    while table[slot] != np.uint64(0) and table[slot] & _TAG != tag:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot), tag


@kernel
def _after(value: np.uint64, symbol: int) -> np.uint64:
    return (value ^ np.uint64(symbol + 257)) * _PRIME


@kernel
def _estimate(
    symbol: int,
    hashes: NDArray[np.uint64],
    reach: int,
    symbols: NDArray[np.uint64],
    contexts: NDArray[np.uint64],
    unknown: float,
) -> tuple[float, int]:
    """The probability of a byte, `unknown` before anything is known; and the longest known context (-1: none)."""
    p, matched = unknown, -1
    for k in range(reach + 1):
        slot, _ = _find(hashes[k], contexts)
        if contexts[slot] == np.uint64(0):
            break
        total = np.int64(contexts[slot] & _TOTAL)
        distinct = np.int64((contexts[slot] & ~_TAG) // _DISTINCT)
        slot, _ = _find(_after(hashes[k], symbol), symbols)
        seen = np.int64(symbols[slot] & ~_TAG)
        p = (seen + distinct * p) / (total + distinct)
        matched = k
    return p, matched


@kernel
def _count(
    symbol: int, hashes: NDArray[np.uint64], reach: int, symbols: NDArray[np.uint64], contexts: NDArray[np.uint64]
) -> None:
    for k in range(reach + 1):
        slot, tag = _find(hashes[k], contexts)
        after, tag_after = _find(_after(hashes[k], symbol), symbols)
        if symbols[after] == np.uint64(0):
            symbols[after] = tag_after
            contexts[slot] = (contexts[slot] | tag) + _DISTINCT
        symbols[after] += np.uint64(1)
        contexts[slot] += np.uint64(1)
