"""Every row compared with every row, each pair once, in tasks of two ranges of rows."""

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows, take
from icp.kernels.knn_topk import merge_keys
from icp.knn import gpu
from icp.knn.methods import Found
from icp.knn.vectors import TILE, empty_keys, improve_both, improve_within, nonzero

TASK_ROWS = 8192
MOST_RANGES = 16
"""Ranges at most: a row is found in as many tasks, so what they write stays bounded."""
GPU_TILE = 1 << 17


def row_ranges(n_rows: int, *, least: int | None = None) -> list[range]:
    """The rows in ranges of `least` or more, `TASK_ROWS` unless told."""
    size = max(TASK_ROWS if least is None else least, -(-n_rows // MOST_RANGES))
    return [range(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def range_pairs(count: int) -> list[tuple[int, int]]:
    """The tasks of so many ranges: each range with itself and with each later one."""
    return [(one, two) for one in range(count) for two in range(one, count)]


def compare_ranges(rows: Rows, one: range, two: range, *, keep: int) -> Found:
    """Neighbours of the rows of two ranges, equal or `one` before `two`, among the rows of the other."""
    mine = np.array([*one, *two] if one != two else one, dtype=np.int64)
    keys, moved = empty_keys(mine.size, keep), 0
    size = TILE if gpu.faiss_on_gpu() is None else GPU_TILE
    for start in range(one.start, one.stop, size):
        left_rows, left = _load(rows, range(start, min(start + size, one.stop)))
        moved += 2 * left.size
        places = np.searchsorted(mine, left_rows)
        left_keys = keys[places]
        for other in range(start if one == two else two.start, two.stop, size):
            if other == start:
                improve_within(left_keys, left, left_rows)
                continue
            right_rows, right = _load(rows, range(other, min(other + size, two.stop)))
            moved += 2 * right.size
            right_places = np.searchsorted(mine, right_rows)
            right_keys = keys[right_places]
            improve_both((left_keys, right_keys), (left, right), (left_rows, right_rows))
            keys[right_places] = right_keys
        keys[places] = left_keys
    return Found(mine, keys, moved)


def _load(rows: Rows, wanted: range) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    ids = np.arange(wanted.start, wanted.stop, dtype=np.int64)
    return nonzero(ids, take(rows, ids))


def merge_found(keys: NDArray[np.int64], first: int, found: Found) -> None:
    """Put what a task found into the keys of the rows from `first` on, in place."""
    begin, end = np.searchsorted(found.rows, [first, first + len(keys)])
    # copies: the arrays may be mapped read-only, which would be another type to the kernel
    merge_keys(keys, np.array(found.rows[begin:end]) - first, np.array(found.keys[begin:end]))
