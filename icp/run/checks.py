"""Checks of the arrays that kernels index by: a number out of range would make a kernel read foreign memory.

In: arrays of finished steps, and their files. Out: nothing, or an error that names the file. A file of the same size
and time is looked at once by each process; one look takes a pass over the array.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.errors import ArtifactError

BLOCK = 1 << 22
"""Numbers looked at at once."""


def check_offsets(path: Path, offsets: NDArray[Any], *, last: int | None = None) -> None:
    """Offsets rise from 0, to `last` if that is given."""
    _once(path, offsets, ("offsets", last))


def check_below(path: Path, numbers: NDArray[Any], limit: int, *, least: int = 0) -> None:
    """Numbers lie from `least` to below `limit`."""
    _once(path, numbers, ("below", limit, least))


def check_ascending(path: Path, numbers: NDArray[Any]) -> None:
    """Numbers ascend from 0 or more, none twice."""
    _once(path, numbers, ("ascending",))


def check_permutation(path: Path, numbers: NDArray[Any], n: int) -> None:
    """Numbers are 0 to n - 1, each once."""
    _once(path, numbers, ("permutation", n))


def _once(path: Path, array: NDArray[Any], rule: tuple[Any, ...]) -> None:
    stat = path.stat()
    # the array is not part of the key: the file's identity stands for it
    _remember(str(path), stat.st_mtime_ns, stat.st_size, rule, _Unhashed(array))


class _Unhashed:
    """An argument that a cache does not compare."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unhashed)


@lru_cache(maxsize=256)
def _remember(path: str, stamp: int, size: int, rule: tuple[Any, ...], held: _Unhashed) -> None:
    array, held.array = held.array, np.empty(0)  # the cache keeps its keys
    wrong = _RULES[rule[0]](array, *rule[1:])
    if wrong:
        raise ArtifactError(f"{path}: {wrong}, so it is damaged; restore it or redo its step with --fresh")


def _blocks(array: NDArray[Any], overlap: int = 0) -> Any:
    flat = array.reshape(-1)
    for begin in range(0, flat.size, BLOCK):
        yield flat[begin : begin + BLOCK + overlap]


def _offsets(array: NDArray[Any], last: int | None) -> str:
    if array.ndim != 1 or array.dtype.kind not in "iu" or not array.size or array[0] != 0:
        return "does not begin with an offset of 0"
    if any(np.any(block[1:] < block[:-1]) for block in _blocks(array, 1)):
        return "its offsets fall"
    return f"its last offset is {int(array[-1])}, expected {last}" if last is not None and array[-1] != last else ""


def _below(array: NDArray[Any], limit: int, least: int) -> str:
    if array.dtype.kind not in "iu":
        return f"holds {array.dtype}, expected whole numbers"
    for block in _blocks(array):
        low, high = int(block.min()), int(block.max())
        if low < least or high >= limit:
            return f"holds {low if low < least else high}, expected {least} to {limit - 1}"
    return ""


def _ascending(array: NDArray[Any]) -> str:
    if array.ndim != 1 or array.dtype.kind not in "iu" or (array.size and array[0] < 0):
        return "does not hold whole numbers from 0 on"
    return "its numbers do not ascend" if any(np.any(b[1:] <= b[:-1]) for b in _blocks(array, 1)) else ""


def _permutation(array: NDArray[Any], n: int) -> str:
    if array.shape != (n,):
        return f"holds {array.shape} numbers, expected ({n},)"
    wrong = _below(array, n, 0)
    if wrong:
        return wrong
    seen = np.zeros(n, np.bool_)
    seen[array] = True
    return "" if seen.all() else f"holds no {int(np.argmin(seen))}, expected 0 to {n - 1}, each once"


_RULES: dict[str, Callable[..., str]] = {
    "offsets": _offsets,
    "below": _below,
    "ascending": _ascending,
    "permutation": _permutation,
}
