"""The choice of a search method, and what each of its tasks finds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.choices import KNN_METHODS
from icp.errors import ConfigError
from icp.knn import gpu

METHODS = ("auto", *KNN_METHODS)
EXACT_OPERATIONS = 1e12
"""rows * rows * dim up to which `auto` compares all: 44,000 rows of 512, about ten seconds on one core."""
GPU_SPEED = 100
"""How many times more of them a GPU does in that time, at least."""


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
    """One of `KNN_METHODS`: what `method` says, or for ``auto`` by the number of products."""
    if method not in METHODS:
        raise ConfigError(f"method is {method!r}; use one of {', '.join(METHODS)}")
    if method != "auto":
        return method
    most = EXACT_OPERATIONS * (GPU_SPEED if gpu.faiss_on_gpu() is not None else 1)
    return "cells" if float(n_rows) * n_rows * dim > most else "exact"
