"""The tables beside shards, as arrays: where segments begin in their rows, and where padding does.

In: the files of a pack's shards. Out: arrays, checked so that nothing leads outside of a row.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.dataset.files import ShardFiles
from icp.errors import ArtifactError
from icp.run.names import SEGMENTS, WINDOWS


def read_segments(files: ShardFiles, facts: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """First segment of each window (n_windows + 1,) int64; begin of each segment in its row (segments,) int32."""
    window, position, win_start, doc_start = files.columns(SEGMENTS, ("window", "position", "win_start", "doc_start"))
    n_windows, stride = int(facts["windows"]), int(facts["stride"])
    _check_range(files, SEGMENTS, "window", window, n_windows - 1)
    _check_range(files, SEGMENTS, "win_start", win_start, stride)
    begins = win_start.astype(np.int32)
    if facts["policy"]["bos"] == "document":
        begins -= doc_start == 0  # the token before it
    begins[position == 0] = 0
    indptr = np.zeros(n_windows + 1, dtype=np.int64)
    np.cumsum(np.bincount(window, minlength=indptr.size - 1), out=indptr[1:])
    return indptr, begins


def read_ends(files: ShardFiles, n_windows: int, stride: int) -> NDArray[np.int32]:
    """(n_windows,) int32: where the padding of each window begins."""
    (n_pad,) = files.columns(WINDOWS, ("n_pad",))
    _check_range(files, WINDOWS, "n_pad", n_pad, stride)
    if n_pad.size != n_windows:
        raise ArtifactError(
            f"{files.folder / WINDOWS}: {n_pad.size:,} rows for {n_windows:,} windows; redo the step with --fresh"
        )
    return np.asarray(stride - n_pad, dtype=np.int32)


def _check_range(files: ShardFiles, table: str, name: str, values: NDArray[Any], largest: int) -> None:
    """Raise ArtifactError unless all values are from 0 to `largest`, and windows ascend."""
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= largest:
        found = f"{values.min()} to {values.max()}, expected 0 to {largest}"
    elif name == "window" and np.any(values[1:] < values[:-1]):
        found = "not ascending"
    else:
        return
    raise ArtifactError(f"{files.folder / table}: column {name} is {found}; redo the step with --fresh")
