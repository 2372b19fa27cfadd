"""Vectors of documents from the edges between them alone, so that what plans by vectors can plan by links.

In: weighted edges. Out: a vector a document: random signs of its neighbours and its own, added up.
"""

import numpy as np
from numpy.typing import NDArray

from icp.streams import LINKS

DIM = 256
BLOCK = 32
"""Dimensions that are made at a time."""
UNIT = 4096
"""Shares of a sum are whole multiples of one in so many: sums of whole numbers are the same in any order."""


def link_vectors(pairs: NDArray[np.int64], weights: NDArray[np.float64], n: int, *, seed: int) -> NDArray[np.float16]:
    """(n, `DIM`) float16, length 1, or all zero of a document without an edge.

    The cosine of two rows is, but for the noise of `DIM` signs, that of their rows in the matrix of the edges, each
    divided by the root of the degrees at both ends, with 1 / degree on the diagonal: what is linked, or linked
    to the same, is alike; a document to which all others are linked makes them no more alike.

    Args:
        pairs: (m, 2) int64, each edge once, no loops.
        weights: (m,) float64, above 0.

    Source: FastRP, arXiv 1908.11512, with one hop; the normalisation of arXiv 1609.02907.
    """
    degree = np.bincount(pairs.ravel(), minlength=n) + 1.0
    ends, others = np.concatenate((pairs, pairs[:, ::-1])).T
    shares = np.concatenate((weights, weights)) / np.sqrt(degree[ends] * degree[others])
    # each row begins with the document's own: none is empty
    rows = np.concatenate((np.arange(n), ends))
    order = np.argsort(rows, kind="stable")
    columns = np.concatenate((np.arange(n), others))[order]
    whole = np.rint(np.concatenate((1 / degree, shares))[order] * UNIT).astype(np.int32)
    starts = np.searchsorted(rows[order], np.arange(n))
    sums = np.zeros((n, DIM), np.int32)
    for begin in range(0, DIM if n else 0, BLOCK):
        signs = LINKS.generator(seed, begin // BLOCK).integers(0, 2, (n, BLOCK), dtype=np.int8) * 2 - 1
        for place in range(BLOCK):
            sums[:, begin + place] = np.add.reduceat(whole * signs[columns, place], starts)
    sums[degree == 1] = 0
    lengths = np.sqrt(np.einsum("ij,ij->i", sums, sums, dtype=np.int64))
    return np.asarray(sums / np.maximum(lengths, 1)[:, None], np.float16)
