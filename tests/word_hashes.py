"""The hash of every word of every text, by the two kernels that others call text by text."""

import numpy as np

from icp.kernels.text_words import PADDING, hash_words, split_words
from icp.texts import word_table


def word_hashes(data, offsets):
    """A list of uint64 hashes for each text of ``data`` (bytes,) uint8, bounded by ``offsets`` (n + 1,) int64."""
    found = []
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        low, edges = np.empty(2 * (stop - start) + PADDING, np.uint8), np.empty(stop - start + 2, np.uint32)
        n_words, _ = split_words(data[start:stop], word_table(), low, edges)
        hashes = np.empty(n_words, np.uint64)
        hash_words(low, n_words, edges, hashes)
        found.append(hashes.tolist())
    return found
