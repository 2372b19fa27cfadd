"""The hashes of the words of texts, one text after another."""

from itertools import pairwise

import numpy as np

from icp.kernels.text_words import hash_words, split_words, word_room
from icp.words import alphabet


def word_hashes(data, offsets):
    """Lists of hashes, one for each text."""
    return [hashes_of(data[first:last]) for first, last in pairwise(offsets)]


def hashes_of(text):
    low, edges = word_room(np.array([0, text.size]))
    n_words, _ = split_words(text, alphabet(), low, edges)
    assert n_words <= (text.size + 1) // 2
    hashes = np.empty(n_words, np.uint64)
    hash_words(low, n_words, edges, hashes)
    return hashes.tolist()
