"""Sets of shingles: 64-bit hashes, by which sets are compared exactly, and the words of small sets.

In: the bytes of texts, `icp.kernels.text_alphabet.Alphabet`, multipliers. Out: hashes text after text; the words of
shingles. Nothing is checked.
"""

import numpy as np

from icp.kernels._jit import kernel
from icp.kernels.text_words import hash_words, split_words, word_room

BLANK, END = 32, 0  # between two words of a shingle; after a shingle


@kernel
def list_shingles(data, offsets, alphabet, multipliers):
    """The shingle hashes of each text in text order, repeats kept.

    Args:
        data, offsets, alphabet: as `icp.kernels.dedup_minhash.sign_texts`.
        multipliers: (ngram,) uint64, odd; a shingle is the sum of its word hashes times these, mod 2^64.

    Returns:
        values: (total,) uint64.
        indptr: (n + 1,) int64, bounds of the texts in `values`.
    """
    n_docs = offsets.shape[0] - 1
    low, edges = word_room(offsets)
    words = np.empty(edges.shape[0] // 2 + 1, np.uint64)
    indptr = np.zeros(n_docs + 1, np.int64)
    values = np.empty((offsets[n_docs] - offsets[0]) // 2 + n_docs, np.uint64)
    for i in range(n_docs):
        n_words, _ = split_words(data[offsets[i] : offsets[i + 1]], alphabet, low, edges)
        hash_words(low, n_words, edges, words)
        indptr[i + 1] = indptr[i] + combine_hashes(words[:n_words], multipliers, values[indptr[i] :])
    return values[: indptr[n_docs]].copy(), indptr


@kernel
def combine_hashes(words, multipliers, shingles):
    """Hash every run of ngram words; of fewer words, one shingle of all; of none, none. Returns the number.

    Source: multilinear hashing mod 2^64; the words' hashes are spread already.
    """
    ngram = min(multipliers.shape[0], words.shape[0])
    if ngram == 0:
        return 0
    n = words.shape[0] - ngram + 1
    for i in range(n):
        value = np.uint64(0)
        for j in range(ngram):
            value += words[i + j] * multipliers[j]
        shingles[i] = value
    return n


@kernel
def drop_repeats(values, indptr):
    """Close up rows of ascending values to their distinct ones, in place, `indptr` with them; returns nothing."""
    kept = 0
    begin = indptr[0]
    for row in range(indptr.shape[0] - 1):
        end = indptr[row + 1]
        for i in range(begin, end):
            if i == begin or values[i] != values[i - 1]:  # kept <= i: what is read is not yet overwritten
                values[kept] = values[i]
                kept += 1
        begin = end
        indptr[row + 1] = kept


@kernel
def spell_shingles(data, offsets, alphabet, multipliers, sets):
    """The words of the shingles of small sets, a blank between two, `END` after each shingle.

    Args:
        data, offsets, alphabet, multipliers: as `list_shingles`.
        sets: values (total,) uint64 and indptr (n + 1,) int64, the distinct hashes of each text, ascending.

    Returns:
        letters: (bytes,) uint8, text after text, each of its shingles once.
        bounds: (n + 1,) int64, of the texts in `letters`.
    """
    values, indptr = sets
    n_docs = offsets.shape[0] - 1
    low, edges = word_room(offsets)
    words = np.empty(edges.shape[0] // 2 + 1, np.uint64)
    shingles = np.empty_like(words)
    letters = np.empty(1024, np.uint8)
    bounds = np.zeros(n_docs + 1, np.int64)
    for i in range(n_docs):
        at = bounds[i]
        n_words, _ = split_words(data[offsets[i] : offsets[i + 1]], alphabet, low, edges)
        hash_words(low, n_words, edges, words)
        n = combine_hashes(words[:n_words], multipliers, shingles)
        own = values[indptr[i] : indptr[i + 1]]
        is_spelled = np.zeros(own.shape[0], np.bool_)
        for k in range(n):
            place = np.searchsorted(own, shingles[k])
            if is_spelled[place]:
                continue
            is_spelled[place] = True
            last = min(k + multipliers.shape[0], n_words) - 1
            room = at + np.int64(edges[2 * last + 1]) - np.int64(edges[2 * k]) + last - k + 2
            if room > letters.shape[0]:
                letters = np.append(letters, np.empty(room, np.uint8))
            at = spell(low, edges[2 * k : 2 * last + 2], letters, at)
        bounds[i + 1] = at
    return letters[: bounds[n_docs]].copy(), bounds


@kernel
def spell(low, edges, letters, at):
    """Write the words between `edges` to letters[at:]; returns where they end."""
    for w in range(edges.shape[0] // 2):
        for k in range(edges[2 * w], edges[2 * w + 1]):
            letters[at] = low[k]
            at += 1
        letters[at] = BLANK
        at += 1
    letters[at - 1] = END
    return at
