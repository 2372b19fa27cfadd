"""The choice of a search method, and what each of its tasks finds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.choices import KNN_METHODS
from icp.errors import ConfigError
from icp.knn import gpu

METHODS = ("auto", *KNN_METHODS)
IMPORTED = "imported"
"""In place of a method: neighbours are given, and nothing is searched."""
PAIR_SECONDS = 1.07e-11
"""Of one core, for a pair of rows and a dimension, where all pairs are compared: 33,000 rows of 384 took 4.5 s."""
CELLS_SECONDS = 3e-5
"""Of one core, for a row in cells, where rows are few: the same took 0.9 s, and 95.1% of the nearest were found."""
WORTH_SECONDS = 2.0
"""What cells must save on one core before `auto` gives up a twentieth of the neighbours for it."""
GPU_SPEED = 100
"""How many times faster a GPU compares all pairs, at least."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one task found; other tasks may find better neighbours for the same rows.

    Attributes:
        rows: (m,) int64, row numbers, rising.
        keys: (m, keep) int64, their neighbours so far; see `icp.kernels.knn_topk`.
        moved: bytes of vectors read.
    """

    rows: NDArray[np.int64]
    keys: NDArray[np.int64]
    moved: int = 0


def choose_method(n_rows: int, dim: int, method: str) -> str:
    """One of `KNN_METHODS`, or `IMPORTED`: what `method` says, or for ``auto`` by the seconds that cells save."""
    if method not in (*METHODS, IMPORTED):
        raise ConfigError(f"method is {method!r}; use one of {', '.join(METHODS)}")
    if method != "auto":
        return method
    return "cells" if seconds_saved(n_rows, dim) > WORTH_SECONDS else "exact"


def exact_seconds(n_rows: int, dim: int) -> float:
    """About how long all pairs take on one core, or a GPU if there is one."""
    return float(n_rows) * n_rows * dim * PAIR_SECONDS / (GPU_SPEED if gpu.faiss_on_gpu() is not None else 1)


def span(seconds: float) -> str:
    """A time in one figure and a unit."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} s"


def seconds_saved(n_rows: int, dim: int) -> float:
    """About how many seconds of one core ``cells`` saves against ``exact``."""
    return exact_seconds(n_rows, dim) - n_rows * CELLS_SECONDS
