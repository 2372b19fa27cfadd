"""Documents as vectors of their words: document frequencies, weighted words, a sparse sign projection.

In: the bytes of texts. Out: their distinct words, then integer rows, then unit rows. All sums over words and documents
are integer sums, and the few float operations are IEEE basic ones (+ - * / sqrt) in a fixed order, so the bytes depend
on neither the cut of the corpus nor the machine's mathematical library. Nothing is checked.
"""

import numpy as np

from icp.kernels._jit import kernel
from icp.kernels.text_words import hash_words, split_words, word_room

SIGNS = 8  # dimensions a word adds to or subtracts from, one in each of as many blocks
UNIT = 32767  # length of a projected row: int16 holds every component
HEAD = 16  # the first word counts 17 times as much as one in the middle of a long text, word `HEAD` nine times


@kernel
def distinct_words(data, offsets, alphabet):
    """The distinct words of every text and how much each of them says of it.

    A word at positions p of a text (0 is the first word) has as its mass the sum of ``16 + 4096 // (16 + p)``: what
    stands at the beginning says more of what a text is about.

    Args:
        data, offsets, alphabet: as `icp.kernels.text_words.canonical_texts`.

    Returns:
        words: (m,) uint64, their hashes, text after text, by first place.
        masses: (m,) uint32.
        bounds: (n + 1,) int64: the words of text i are ``words[bounds[i]:bounds[i + 1]]``.

    Cost: about 7 bytes of scratch a byte of text: call it on batches.
    """
    n_docs = offsets.shape[0] - 1
    longest = 0
    room = 0
    for i in range(n_docs):
        size = offsets[i + 1] - offsets[i]
        room += (size + 1) // 2
        longest = max(longest, size)
    low, edges = word_room(offsets)
    hashes = np.empty((longest + 1) // 2, np.uint64)
    slots = np.zeros(table_size((longest + 1) // 2), np.int32)
    head = place_masses()
    words = np.empty(room, np.uint64)
    masses = np.empty(room, np.uint32)
    bounds = np.zeros(n_docs + 1, np.int64)
    for i in range(n_docs):
        n_words, _ = split_words(data[offsets[i] : offsets[i + 1]], alphabet, low, edges)
        hash_words(low, n_words, edges, hashes)
        bounds[i + 1] = gather_words(hashes[:n_words], slots, head, words, masses, bounds[i])
    return words[: bounds[n_docs]].copy(), masses[: bounds[n_docs]].copy(), bounds


@kernel
def place_masses():
    """What the n-th word of a text weighs, n up to where it is `HEAD` for all that follow: int64."""
    masses = np.empty(HEAD * HEAD * HEAD - HEAD + 2, np.int64)
    for p in range(masses.shape[0]):
        masses[p] = HEAD + HEAD * HEAD * HEAD // (HEAD + p)
    return masses


@kernel
def gather_words(hashes, slots, head, words, masses, begin):
    """Write the distinct words of a text and their masses from `begin` on; returns where they end.

    Args:
        hashes: (n,) uint64. head: of `place_masses`. words, masses: as `distinct_words`.
        slots: int32, at least `table_size(n)`, an open-addressing table of places in `words`, plus one; what lies at or
            below `begin` is of an earlier text.
    """
    mask = table_size(hashes.shape[0]) - 1
    last = head.shape[0] - 1
    end = begin
    for p in range(hashes.shape[0]):
        word = hashes[p]
        slot = np.int64(word & np.uint64(mask))
        while slots[slot] > begin and words[slots[slot] - 1] != word:
            slot = (slot + 1) & mask
        if slots[slot] <= begin:
            words[end] = word
            masses[end] = 0
            end += 1
            slots[slot] = end
        masses[slots[slot] - 1] += np.uint32(head[min(p, last)])
    return end


@kernel
def count_words(words, frequencies):
    """Add 1 to the bucket of every word: of distinct words of texts, in how many texts they stand.

    Args:
        words: (m,) uint64. frequencies: (2**b,) uint32, changed: the bucket is the b highest bits of the hash.
    """
    shift = bucket_shift(frequencies.shape[0])
    for k in range(words.shape[0]):
        frequencies[np.int64(words[k] >> shift)] += np.uint32(1)


@kernel
def project_words(words, sizes, bounds, weights, seed, dim):
    """Sum the words of every text, each with its weight, along its own few signed dimensions.

    Args:
        words, bounds: of `distinct_words`. sizes: (m,) float64, what each word counts in its text, beside its weight.
        weights: (2**b,) int32, what a word of the bucket counts; 0: nothing.
        seed: uint64, which signs and dimensions.
        dim: int64, a power of 2 from 16 to 2**17.

    Returns: (n, dim) int16, each row of length `UNIT` to rounding, or all zero if no word counts.
    Source: sign projection after Achlioptas (2003), sparse and one dimension a block as in Kane and Nelson (2014).
    """
    n_docs = bounds.shape[0] - 1
    sums = np.empty(dim, np.int64)
    rows = np.zeros((n_docs, dim), np.int16)
    for i in range(n_docs):
        sums[:] = 0
        add_words(words[bounds[i] : bounds[i + 1]], sizes[bounds[i] : bounds[i + 1]], weights, seed, sums)
        round_to_unit(sums, rows[i])
    return rows


@kernel
def add_words(words, sizes, weights, seed, sums):
    """Add every word to `sums`, (dim,) int64; other arguments as `project_words`."""
    shift = bucket_shift(weights.shape[0])
    salt = mix(seed)
    block_size = sums.shape[0] // SIGNS
    # of each `width` bits the low ones name a dimension of the block, the highest the sign
    sign = np.uint64(block_size)
    inside = np.uint64(block_size - 1)
    width = np.uint64(65) - bucket_shift(block_size)
    for k in range(words.shape[0]):
        word = words[k]
        weight = weights[np.int64(word >> shift)]
        if weight == 0:
            continue
        amount = np.int64(sizes[k] * weight + 0.5)
        bits = mix(word ^ salt)
        for block in range(SIGNS):
            if block == SIGNS // 2:
                bits = mix(bits ^ word)  # 64 bits do not hold a wide projection's dimensions and signs
            d = block * block_size + np.int64(bits & inside)
            sums[d] += amount if bits & sign else -amount
            bits >>= width


@kernel
def round_to_unit(sums, row):
    """Write `sums`, (dim,) int64, to `row`, (dim,) int16, scaled to length `UNIT`; zero stays zero."""
    total = 0.0
    for d in range(sums.shape[0]):
        total += np.float64(sums[d]) * np.float64(sums[d])
    if total > 0.0:
        scale = UNIT / np.sqrt(total)
        for d in range(sums.shape[0]):
            row[d] = np.int16(np.rint(sums[d] * scale))


@kernel
def add_rows(rows, totals):
    """Add (n, dim) integer rows to `totals`, (dim,) int64, changed; returns how many rows are not all zero."""
    n_filled = 0
    for i in range(rows.shape[0]):
        any_bits = 0  # all components or'ed: no branch in the loop
        for d in range(totals.shape[0]):
            totals[d] += rows[i, d]
            any_bits |= rows[i, d]
        n_filled += any_bits != 0
    return n_filled


@kernel
def center_rows(rows, mean):
    """Unit rows of what is left when the mean is taken away.

    Args:
        rows: (n, dim) int16. mean: (dim,) float64 in the unit of `rows`; all zero: only the length changes.

    Returns: (n, dim) float32, length 1; all zero where the row is, or is the mean.
    """
    dim = mean.shape[0]
    unit = np.zeros((rows.shape[0], dim), np.float32)
    left = np.empty(dim, np.float64)
    for i in range(rows.shape[0]):
        any_bits = 0
        total = 0.0
        for d in range(dim):
            any_bits |= rows[i, d]
            left[d] = rows[i, d] - mean[d]
            total += left[d] * left[d]
        # below a unit of rounding in every component nothing but rounding is left
        if any_bits == 0 or total <= dim:
            continue
        scale = 1.0 / np.sqrt(total)
        for d in range(dim):
            unit[i, d] = np.float32(left[d] * scale)
    return unit


@kernel
def bucket_shift(n_buckets):
    """How far a hash is shifted to give its bucket among `n_buckets`, a power of 2."""
    shift = 64
    while n_buckets > 1:
        n_buckets >>= 1
        shift -= 1
    return np.uint64(shift)


@kernel
def table_size(n_words):
    """The least power of 2 that leaves half of the table empty."""
    size = 16
    while size < 2 * n_words:
        size *= 2
    return size


@kernel
def mix(x):
    """Bits of uint64 `x` that pass for random. Source: the finalizer of splitmix64 (Steele, Lea, Flood, 2014)."""
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
