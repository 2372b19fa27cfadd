"""Exact copies, and who of the other documents is looked at for near-duplicates, preferred first.

In: what documents are ranked by, what tells exact copies, numbers of shingles. Out: twins; `near`, the documents in
order of preference; `places`, the position of each document there.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def length_priority(keep: str, n_bytes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) int64, the higher stays: bytes of text for ``longest``, all the same for ``first``."""
    return n_bytes if keep == "longest" else np.zeros_like(n_bytes)


def order_by_priority(priority: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) int64: rows by falling priority, ties by row; NaN last."""
    lowest_last = np.where(np.isnan(priority), -np.inf, priority) if priority.dtype.kind == "f" else priority
    ascending = np.argsort(lowest_last[::-1], kind="stable")[::-1]  # read backwards: negating fails for unsigned
    return (lowest_last.size - 1 - ascending).astype(np.int64)


def first_copies(digests: NDArray[np.uint64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) int64: for each row the row of equal digest that comes first in `order`, itself if it does.

    Args: digests (n, 2) uint64; order (n,) int64, all rows, preferred first.

    Cost: some 60 bytes a row at most, arguments and result among them.
    """
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    by_digest = np.lexsort((rank, digests[:, 1], digests[:, 0]))
    del rank
    is_first = np.zeros(order.size, np.bool_)
    is_first[:1] = True
    for column in digests.T:
        ordered = column[by_digest]
        is_first[1:] |= ordered[1:] != ordered[:-1]
        del ordered
    group = np.cumsum(is_first, dtype=np.int64)
    group -= 1
    twins = np.empty_like(order)
    twins[by_digest] = by_digest[is_first][group]
    return twins


def pick_near(order: NDArray[np.int64], twins: NDArray[np.int64], n_shingles: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows that MinHash looks at, in `order`: one of each set of exact copies, and only those of several shingles.

    A text of one is alike only to texts of the same words, and then differs from them in what words leave out: "C" and
    "C++", "-5" and "5".
    """
    is_near: NDArray[np.bool_] = (twins == np.arange(twins.size)) & (n_shingles > 1)
    return np.compress(is_near[order], order)


def places_of(near: NDArray[np.int64], n_docs: int) -> NDArray[np.int64]:
    """(n_docs,) int64: the position of each document in `near`, -1 if it is not there."""
    places = np.full(n_docs, -1, np.int64)
    places[near] = np.arange(near.size)
    return places
