"""Contiguous lanes: row b of consecutive batches continues one stretch of the path through the windows.

For training with a state that is carried from batch to batch. Windows that follow one another on the path stand in the
same row of batches that follow one another; the lanes are stretches of equal length, or one window longer.
"""

import re

import numpy as np
from numpy.typing import NDArray

_SHUFFLE = re.compile(r"lanes:([1-9][0-9]*)")


def lanes_of(shuffle: str) -> int | None:
    """The batch, in windows, of ``pack.shuffle: lanes:<batch>``; None for any other value."""
    found = _SHUFFLE.fullmatch(shuffle)
    return int(found[1]) if found else None


def lane_starts(n_windows: int, batch: int) -> NDArray[np.int64]:
    """(batch + 1,) int64: where each lane begins on the path, and its end.

    The longer lanes come first, so that only the last batch is short; lanes past the windows there are are empty.
    """
    steps = -(-n_windows // batch)
    lengths = np.full(batch, max(0, steps - 1), dtype=np.int64)
    lengths[: n_windows - max(0, steps - 1) * batch] = steps
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def lane_order(n_windows: int, batch: int) -> NDArray[np.int64]:
    """(n_windows,) int64: the place on the path of each window in training order."""
    return lane_places(np.arange(n_windows, dtype=np.int64), n_windows, batch)


def lane_places(window: NDArray[np.int64], n_windows: int, batch: int) -> NDArray[np.int64]:
    """(m,) int64: the places on the path of windows, given by their numbers in training order, (m,) int64."""
    step, lane = np.divmod(window, batch)
    return np.asarray(lane_starts(n_windows, batch)[lane] + step, dtype=np.int64)


def lane_windows(place: NDArray[np.int64], n_windows: int, batch: int) -> NDArray[np.int64]:
    """(m,) int64: the windows, by their numbers in training order, at places of the path, (m,) int64.

    The inverse of `lane_places`.
    """
    starts = lane_starts(n_windows, batch)
    lane = np.searchsorted(starts, place, side="right") - 1
    return np.asarray((place - starts[lane]) * batch + lane, dtype=np.int64)
