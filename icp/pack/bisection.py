"""Stretches of like windows: windows halved again and again by direction, so that each stretch holds whole topics.

In: a vector and a size for each window, or other run of documents. Out: an order whose runs are compact. All sums are
of whole numbers, exact in any order.
"""

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows

_WHOLE = 4096  # a vector of this length is rounded to whole numbers
_ROUNDS = 8
_BLOCK_ROWS = 8192

TRAINING = 16_384
"""Windows, evenly drawn, of which the direction between two halves is trained; all of them where there are fewer."""


def halved_runs(sums: NDArray[np.floating], sizes: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    """Runs of like windows, of up to `most` documents; inside a run, by number.

    Args:
        sums: (windows, dim) float, of any norm; it may be mapped.
        sizes: (windows,) int64, documents of each.
        most: at least 1.

    Returns: int64, a permutation in pieces; neighbours in it are more alike than others.
    Cost: O(windows * dim * log(documents / most)).
    """
    runs, todo = [], [np.arange(len(sums))]
    while todo:
        rows = todo.pop()
        if rows.size < 2 or sizes[rows].sum() <= most:
            runs.append(rows)
            continue
        left = _half(sums, rows, sizes[rows])
        todo += [rows[~left], rows[left]]
    return runs


def _half(sums: NDArray[np.floating], rows: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows belong to one half: equal in size, neither empty."""
    drawn = np.arange(0, rows.size, -(-rows.size // TRAINING))
    direction, left = _trained(_whole(sums, rows[drawn]), sizes[drawn])
    if drawn.size == rows.size:
        return left
    spans = (rows[begin : begin + _BLOCK_ROWS] for begin in range(0, rows.size, _BLOCK_ROWS))
    return _larger_half(np.concatenate([_whole(sums, span) @ direction for span in spans]), sizes)


def _trained(vectors: NDArray[np.float64], sizes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The direction of one half, trained to stand against the other, and which rows belong to it."""
    farthest = int(np.argmin(vectors @ vectors.sum(axis=0)))
    opposite = int(np.argmin(vectors @ vectors[farthest]))
    direction = vectors[farthest] - vectors[opposite]
    for _ in range(_ROUNDS):
        left = _larger_half(vectors @ direction, sizes)
        before, n_left = direction, np.count_nonzero(left)
        direction = np.rint(vectors[left].sum(axis=0) / n_left - vectors[~left].sum(axis=0) / (sizes.size - n_left))
        if np.array_equal(direction, before):
            break
    return direction, left


def _larger_half(along: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The rows of largest `along`, half of the size of all; at least one, and not all."""
    by_side = np.argsort(-along, kind="stable")
    middle = int(np.searchsorted(np.cumsum(sizes[by_side]), sizes.sum() / 2)) + 1
    left = np.zeros(sizes.size, np.bool_)
    left[by_side[: min(max(middle, 1), sizes.size - 1)]] = True
    return left


def _whole(sums: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rows of one length, in whole numbers, whose products are exact in any order."""
    chosen = np.asarray(sums[rows], dtype=np.float64)
    norms = np.sqrt(np.square(chosen).sum(axis=1))
    return np.asarray(np.rint(chosen / np.where(norms > 0, norms, 1)[:, None] * _WHOLE))


BLOCK_ROWS = 8192
"""Pieces whose vectors are held at once."""


def window_sums(
    embeddings: Rows, doc: NDArray[np.int64], window: NDArray[np.integer], *, exact: bool = False
) -> NDArray[np.float64]:
    """(n_windows, dim) float64: sum of the vectors of the pieces of each window, as whole numbers, exact in any order.

    Args:
        embeddings: (n_docs, dim) float, norm 1 or all zero.
        doc, window: (pieces,) integers: the document and the window, from 0 on, of each piece.
        exact: float64 vectors are rounded from what they are, not from their float32.
    """
    rows = np.argsort(window, kind="stable")
    sums = np.zeros((int(window.max(initial=-1)) + 1, embeddings.shape[1]))
    for begin in range(0, rows.size, BLOCK_ROWS):
        block = rows[begin : begin + BLOCK_ROWS]
        vectors = np.asarray(embeddings[doc[block]])
        wide = exact and vectors.dtype.itemsize > 4
        # times a power of two: what is exact in float32 stays so
        vectors = np.rint(np.asarray(vectors, dtype=np.float64 if wide else np.float32) * _WHOLE)
        firsts = np.flatnonzero(np.r_[True, np.diff(window[block]) > 0])
        sums[window[block][firsts]] += np.add.reduceat(vectors, firsts, axis=0, dtype=np.float64)
    return sums


def window_directions(embeddings: Rows, doc: NDArray[np.int64], window: NDArray[np.integer]) -> NDArray[np.float16]:
    """(n_windows, dim) float16, norm 1, or all zero for a window of zero vectors.

    Args: as of `window_sums`, which are held for some windows at a time.
    """
    rows = np.argsort(window, kind="stable")
    bounds = np.searchsorted(window[rows], np.arange(int(window.max(initial=-1)) + 2))
    directions = np.zeros((bounds.size - 1, embeddings.shape[1]), dtype=np.float16)
    for first in range(0, len(directions), BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, len(directions))
        block = rows[bounds[first] : bounds[last]]
        sums = window_sums(embeddings, doc[block], window[block] - first, exact=True)
        norms = np.sqrt(np.square(sums).sum(axis=1, keepdims=True))
        directions[first : first + len(sums)] = sums / np.where(norms > 0, norms, 1)
    return directions
