"""Where windows point: the direction of the sum of their documents' vectors."""

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows

BLOCK_ROWS = 8192
"""Pieces whose vectors are held at once; a window with more is held whole."""

_SCALE = 4096  # vectors of this length in whole numbers: their sums are exact in float64, in any order


def window_directions(embeddings: Rows, doc: NDArray[np.int64], window: NDArray[np.integer]) -> NDArray[np.float16]:
    """(n_windows, dim) float16, norm 1, or all zero for a window of zero vectors.

    Args:
        embeddings: (n_docs, dim) float, norm 1 or all zero.
        doc, window: (pieces,) integers: the document and the window, from 0 on, of each piece.
    """
    rows = np.argsort(window, kind="stable")
    bounds = np.searchsorted(window[rows], np.arange(int(window.max(initial=-1)) + 2))
    directions = np.zeros((bounds.size - 1, embeddings.shape[1]), dtype=np.float16)
    first = 0
    while first < len(directions):
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + BLOCK_ROWS, side="right")) - 1)
        block = rows[bounds[first] : bounds[last]]
        vectors = np.asarray(embeddings[doc[block]])
        # a power of two: what is exact in float32 stays so
        vectors = np.rint(vectors.astype(np.float32 if vectors.dtype.itemsize <= 4 else np.float64) * _SCALE)
        filled = np.flatnonzero(np.diff(bounds[first : last + 1]))
        sums = np.add.reduceat(vectors, bounds[first:last][filled] - bounds[first], axis=0, dtype=np.float64)
        norms = np.sqrt(np.square(sums).sum(axis=1, keepdims=True))
        directions[first + filled] = sums / np.where(norms > 0, norms, 1)
        first = last
    return directions
