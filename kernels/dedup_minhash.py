"""MinHash signatures straight from UTF-8 bytes: words, shingle hashes, permutations, minima.

In: the bytes of texts, `icp.kernels.text_alphabet.Alphabet`, and `Hashing`, the random constants. Out: signatures
bit-equal to those of ``datasketch.MinHash`` (>= 2, scheme ``affine32``) fed the low halves of the 64-bit shingle hashes
that `icp.kernels.dedup_shingles` lists: low halves of words and multipliers are all that these depend on. Nothing is
checked. Numba widens 32-bit arithmetic to 64 bits: it is narrowed at every step to keep eight lanes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icp.kernels._jit import kernel
from icp.kernels.text_words import SENTENCE, hash_words, split_words, word_room, write_canonical

LANES = 8  # hashes that `permute` takes at a time; the last of a text is repeated up to a multiple of it


class Hashing(NamedTuple):
    """Constants of the shingle hash and the permutations.

    Attributes:
        multipliers: (ngram,) uint32, odd; a shingle is the sum of the low halves of its word hashes times these, mod
            2^32.
        a: (num_perm,) uint32, odd; permutation p of a mixed hash h is ``a[p] * h + b[p]`` mod 2^32.
        b: (num_perm,) uint32.
    """

    multipliers: NDArray[np.uint32]
    a: NDArray[np.uint32]
    b: NDArray[np.uint32]


class Scratch(NamedTuple):
    """Room for one text of n bytes: low (3 n + 16,) uint8, edges (n + 2,), the others about (n / 2,) each."""

    low: NDArray[np.uint8]
    edges: NDArray[np.uint32]
    words: NDArray[np.uint64]
    halves: NDArray[np.uint32]
    shingles: NDArray[np.uint32]


@kernel
def sign_texts(data, offsets, alphabet, hashing, canonical):
    """MinHash signatures of texts, and on demand their canonical text.

    Args:
        data: (bytes,) uint8, valid UTF-8. offsets: (n + 1,) int64, bounds of the texts. alphabet: `Alphabet`.
        hashing: `Hashing`.
        canonical: uint8, gets what `icp.kernels.text_words.canonical_texts` gives; 3 bytes long, or (0,): not wanted.

    Returns:
        signatures: (n, num_perm) uint32; all ones for a text without words.
        n_shingles: (n,) int64, repeats counted; 0 only for a text without words, 1 for one of fewer than ngram words.
        bounds: (n + 1,) int64, of the texts in `canonical`; zeros if not wanted.
    """
    n_docs = offsets.shape[0] - 1
    signatures = np.empty((n_docs, hashing.a.shape[0]), np.uint32)
    n_shingles = np.zeros(n_docs, np.int64)
    bounds = np.zeros(n_docs + 1, np.int64)
    room = make_scratch(offsets)
    for i in range(n_docs):
        text = data[offsets[i] : offsets[i + 1]]
        n_words, size = split_words(text, alphabet, room.low, room.edges)
        hash_words(room.low, n_words, room.edges, room.words)
        keep_low_halves(room.words, n_words, room.halves)
        n = combine_words(room.halves, n_words, hashing.multipliers, room.shingles)
        n_shingles[i] = n
        if n == 0:
            signatures[i, :] = np.uint32(0xFFFFFFFF)
        else:
            permute(room.shingles, mix(room.shingles, n), hashing.a, hashing.b, signatures[i])
        if canonical.shape[0] > 0:
            bounds[i + 1] = write_canonical(text, room.low, size, n_words >= SENTENCE, canonical, bounds[i])
    return signatures, n_shingles, bounds


@kernel
def make_scratch(offsets):
    """`Scratch` for the longest of the texts."""
    low, edges = word_room(offsets)
    half = edges.shape[0] // 2 + 2 + LANES
    return Scratch(low, edges, np.empty(half, np.uint64), np.empty(half, np.uint32), np.empty(half, np.uint32))


@kernel
def keep_low_halves(words, n_words, halves):
    """halves[i] = the low 32 bits of words[i]."""
    for i in range(n_words):
        halves[i] = np.uint32(words[i])


@kernel
def combine_words(words, n_words, multipliers, shingles):
    """Hash every run of ngram words; of fewer words, one shingle of all; of none, none. Returns the number.

    Args: words (n_words,) uint32, multipliers (ngram,) uint32, shingles uint32 with room for the result.
    Source: multilinear hashing mod 2^32; the words' hashes are spread already.
    """
    ngram = min(multipliers.shape[0], n_words)
    if ngram == 0:
        return 0
    n = n_words - ngram + 1
    if ngram == 5:  # the default in one pass: others take one a word
        combine_five(words, n, multipliers, shingles)
        return n
    for i in range(n):
        shingles[i] = np.uint32(words[i] * multipliers[0])
    for j in range(1, ngram):
        add_product(words[j:], n, multipliers[j], shingles)
    return n


@kernel
def add_product(words, n, multiplier, shingles):
    """shingles[i] += words[i] * multiplier mod 2^32."""
    for i in range(n):
        shingles[i] = np.uint32(shingles[i] + np.uint32(words[i] * multiplier))


@kernel
def combine_five(words, n, multipliers, shingles):
    """`combine_words` for five words a shingle."""
    m0, m1, m2, m3, m4 = multipliers[0], multipliers[1], multipliers[2], multipliers[3], multipliers[4]
    for i in range(n):
        first = np.uint32(words[i] * m0) + np.uint32(words[i + 1] * m1)
        second = np.uint32(words[i + 2] * m2) + np.uint32(words[i + 3] * m3)
        shingles[i] = np.uint32(first + second + np.uint32(words[i + 4] * m4))


@kernel
def mix(shingles, n):
    """Mix each of n >= 1 hashes in place, then repeat the last up to a multiple of `LANES`; returns that length.

    Source: MurmurHash3 ``fmix32``, the pre-mix of datasketch's ``affine32``.
    """
    for i in range(n):
        x = shingles[i]
        x = np.uint32(x ^ (x >> np.uint32(16)))
        x = np.uint32(x * np.uint32(0x85EBCA6B))
        x = np.uint32(x ^ (x >> np.uint32(13)))
        x = np.uint32(x * np.uint32(0xC2B2AE35))
        shingles[i] = np.uint32(x ^ (x >> np.uint32(16)))
    padded = (n + LANES - 1) // LANES * LANES
    for i in range(n, padded):  # repeats change no minimum
        shingles[i] = shingles[n - 1]
    return padded


@kernel
def permute(hashes, n, a, b, signature):
    """signature[p] = least ``a[p] * hashes[i] + b[p]`` mod 2^32 over i < n, a multiple of `LANES`.

    Permutations, not hashes, fill the lanes of the processor: short texts leave none empty, and no lanes have to be
    folded at the end. Eight hashes a pass make up for reading the constants again.
    """
    num_perm = a.shape[0]
    for p in range(num_perm):
        signature[p] = np.uint32(0xFFFFFFFF)
    for i in range(0, n, LANES):
        h0, h1, h2, h3 = hashes[i], hashes[i + 1], hashes[i + 2], hashes[i + 3]
        h4, h5, h6, h7 = hashes[i + 4], hashes[i + 5], hashes[i + 6], hashes[i + 7]
        for p in range(num_perm):
            x, y = a[p], b[p]
            m0 = min(np.uint32(np.uint32(h0 * x) + y), np.uint32(np.uint32(h1 * x) + y))
            m1 = min(np.uint32(np.uint32(h2 * x) + y), np.uint32(np.uint32(h3 * x) + y))
            m2 = min(np.uint32(np.uint32(h4 * x) + y), np.uint32(np.uint32(h5 * x) + y))
            m3 = min(np.uint32(np.uint32(h6 * x) + y), np.uint32(np.uint32(h7 * x) + y))
            signature[p] = min(signature[p], min(min(m0, m1), min(m2, m3)))
