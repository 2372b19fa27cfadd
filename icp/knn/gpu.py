"""Neighbours proposed by FAISS on a GPU, where there is one and a FAISS that can use it.

In: float32 blocks of vectors. Out: positions proposed for each query, and a bound on what was not proposed.
"""

import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPARE = 32
"""Candidates asked of the GPU beyond those wanted: they settle most ties without the CPU."""
MOST = 2048
"""Candidates that FAISS gives at most on a GPU."""
ERROR = np.float32(2.0**-9)
"""How far off a similarity of the GPU may be: its matrix units may round the vectors to 11 bits."""
DEVICES = "/dev", "nvidia[0-9]*"


@cache
def faiss_on_gpu() -> Any:
    """The FAISS module if it sees a GPU, else None; it is not imported where the machine has none."""
    folder, pattern = DEVICES
    if not any(Path(folder).glob(pattern)):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of SWIG, not ours to mend
            import faiss
    except ImportError:
        return None
    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() < 1:
        return None
    return faiss


@cache
def resources() -> Any:
    """What FAISS needs on a GPU, once a process."""
    return faiss_on_gpu().StandardGpuResources()


def device() -> int:
    """The GPU of this process: workers share the machine's GPUs evenly enough."""
    return os.getpid() % int(faiss_on_gpu().get_num_gpus())


def propose(
    queries: NDArray[np.float32], base: NDArray[np.float32], wanted: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of `base` that may be among the `wanted` most similar of each query.

    Returns: (n, c) int64 positions, -1 for none; (n,) float32: no other row is more similar, -inf if there is none.
    """
    faiss = faiss_on_gpu()
    count = min(wanted + SPARE, MOST, len(base))
    metric = faiss.METRIC_INNER_PRODUCT
    values, found = faiss.knn_gpu(resources(), queries, base, count, metric=metric, device=device())
    unseen = np.where((found < 0).any(axis=1), np.float32(1), values.min(axis=1) + ERROR)
    return found.astype(np.int64), unseen if count < len(base) else np.full(len(queries), -np.inf, np.float32)
