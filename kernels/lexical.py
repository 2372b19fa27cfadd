"""Documents as vectors of their words: document frequencies, weighted words, a sparse sign projection.

In: word hashes of `icp.kernels.text.word_hashes`. Out: integer rows, then unit rows. All sums over words and documents
are integer sums, and the few float operations are IEEE basic ones (+ - * / sqrt) in a fixed order, so the bytes depend
on neither the cut of the corpus nor the machine's mathematical library. Nothing is checked.
"""

import numpy as np

from icp.kernels._jit import kernel

SIGNS = 8  # dimensions a word adds to or subtracts from, one in each of as many blocks
UNIT = 32767  # length of a projected row: int16 holds every component
HEAD = 16  # the first word counts 17 times as much as one in the middle of a long text, word `HEAD` nine times


@kernel
def count_frequencies(hashes, indptr, frequencies):
    """Add 1 to the bucket of every word of a document, once per document.

    Args:
        hashes: (n_words,) uint64. indptr: (n + 1,) int64, the words of document i are
            ``hashes[indptr[i]:indptr[i + 1]]``.
        frequencies: (2**b,) uint32, changed: number of documents that hold a word of the bucket (b highest
            bits of the hash).
    """
    shift = bucket_shift(frequencies.shape[0])
    last = np.zeros(frequencies.shape[0], np.uint32)
    for i in range(indptr.shape[0] - 1):
        mark = np.uint32(i + 1)
        for k in range(indptr[i], indptr[i + 1]):
            bucket = np.int64(hashes[k] >> shift)
            if last[bucket] != mark:
                last[bucket] = mark
                frequencies[bucket] += np.uint32(1)


@kernel
def project_words(hashes, indptr, weights, seed, dim):
    """Sum the words of every document, each with its weight, along its own few signed dimensions.

    A word at positions p of a document (0 is the first word) has as its mass the sum of ``16 + 4096 // (16 + p)``: what
    stands at the beginning says more of what a document is about. It adds ``weight * mass ** 0.75``.

    Args:
        hashes, indptr: as `count_frequencies`.
        weights: (2**b,) int32, what a word of the bucket counts; 0: nothing.
        seed: uint64, which signs and dimensions.
        dim: int64, a power of 2 from 16 to 2**17.

    Returns: (n, dim) int16, each row of length `UNIT` to rounding, or all zero if no word counts.
    Source: sign projection after Achlioptas (2003), sparse and one dimension a block as in Kane and Nelson (2014).
    """
    n_docs = indptr.shape[0] - 1
    longest = 0
    for i in range(n_docs):
        longest = max(longest, indptr[i + 1] - indptr[i])
    room = table_size(longest)
    keys = np.empty(room, np.uint64)
    masses = np.empty(room, np.int64)
    owner = np.zeros(room, np.int64)
    used = np.empty(longest, np.int64)
    sums = np.empty(dim, np.int64)
    rows = np.zeros((n_docs, dim), np.int16)
    for i in range(n_docs):
        words = hashes[indptr[i] : indptr[i + 1]]
        n_used = gather_masses(words, i + 1, keys, masses, owner, used)
        sums[:] = 0
        add_words(keys, masses, used[:n_used], weights, seed, sums)
        round_to_unit(sums, rows[i])
    return rows


@kernel
def gather_masses(words, mark, keys, masses, owner, used):
    """Add up the mass of each distinct word of a document in an open-addressing table; returns their number.

    Args:
        words: (n,) uint64. mark: a number above 0 that no earlier call used.
        keys: uint64, masses: int64, owner: int64, at least `table_size(n)` each: the table; a slot is in use if its
            owner is `mark`.
        used: int64, at least n: gets the slots in use.
    """
    mask = table_size(words.shape[0]) - 1
    n_used = 0
    for p in range(words.shape[0]):
        word = words[p]
        slot = np.int64(word & np.uint64(mask))
        while owner[slot] == mark and keys[slot] != word:
            slot = (slot + 1) & mask
        if owner[slot] != mark:
            owner[slot] = mark
            keys[slot] = word
            masses[slot] = 0
            used[n_used] = slot
            n_used += 1
        masses[slot] += HEAD + HEAD * HEAD * HEAD // (HEAD + p)
    return n_used


@kernel
def add_words(keys, masses, used, weights, seed, sums):
    """Add every word in the slots `used` to `sums`, (dim,) int64; other arguments as `gather_masses`."""
    shift = bucket_shift(weights.shape[0])
    salt = mix(seed)
    block_size = sums.shape[0] // SIGNS
    sign = np.uint64(block_size)
    inside = np.uint64(block_size - 1)
    width = np.uint64(65) - bucket_shift(block_size)
    for slot in used:
        word = keys[slot]
        weight = weights[np.int64(word >> shift)]
        if weight == 0:
            continue
        mass = np.float64(masses[slot])
        amount = np.int64(np.sqrt(mass * np.sqrt(mass)) * weight + 0.5)
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
        any_bits = 0
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
