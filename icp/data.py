"""The arrays that pass between steps and stand in the public API."""

import errno
import os
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from icp.machine import open_files

ZEROS = 1 << 20
"""Bytes written at once where a file system reserves no room."""


def load_npy(path: Path, mode: Literal["r", "c"] | None) -> NDArray[Any]:
    """A ``.npy`` file, mapped or in memory.

    Raises: OSError; ValueError if it is damaged, whatever numpy's reader of headers says.
    """
    try:
        found: NDArray[Any] = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (SyntaxError, TokenError, TypeError, OverflowError, RecursionError, MemoryError, EOFError) as error:
        raise ValueError(f"{path}: its header is damaged ({type(error).__name__})") from None
    return found


def with_room(file: IO[bytes], dtype: Any, shape: tuple[int, int]) -> np.memmap[Any, Any]:
    """An array of zeros in a file, from where that ends, and has its room on the disk already.

    A disk that is full is an OSError here; without room it would be a signal, SIGBUS, at the first write to a page.
    """
    file.flush()
    begin, n_bytes = file.tell(), np.dtype(dtype).itemsize * shape[0] * shape[1]
    try:
        if n_bytes:
            os.posix_fallocate(file.fileno(), begin, n_bytes)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        for at in range(0, n_bytes, ZEROS):
            file.write(bytes(min(ZEROS, n_bytes - at)))
        file.flush()
    return np.memmap(file, dtype, "r+", offset=begin, shape=shape)


@dataclass(frozen=True, slots=True)
class KnnGraph:
    """Nearest neighbours of each row, most similar first.

    Attributes:
        neighbors: (n, k) int32, row numbers, -1 where there is none; never the row itself.
        similarities: (n, k) float32, cosine in [-1, 1]; 0 where there is no neighbour.
    """

    neighbors: NDArray[np.int32]
    similarities: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DocGraph:
    """Undirected similarity graph in CSR form, each edge in both rows, rows most similar first (ties: lower row).

    Attributes:
        indptr: (n + 1,) int64, row bounds.
        indices: (edges,) int32, neighbours.
        weights: (edges,) float16, cosine.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[np.float16]

    @property
    def n_docs(self) -> int:
        """Number of rows."""
        return int(self.indptr.size - 1)


@dataclass(frozen=True, slots=True)
class Traversal:
    """An order of all documents, and how good it is.

    Attributes:
        order: (n,) int32, a permutation of ``0..n-1``: the k-th document visited.
        path_starts: (n,) bool, True where ``order[k]`` begins a path.
        similarity: sum of the cosine of every step between ``order[k]`` and ``order[k + 1]``, path starts included.
        upper_bound: what no order can exceed: sum over documents of half their two largest similarities.
            Valid for exact neighbours, an estimate otherwise; 0.0 if no graph was at hand.
        dual_bound: a tighter bound by the dual of the 2-matching; NaN where it was not computed.
    """

    order: NDArray[np.int32]
    path_starts: NDArray[np.bool_]
    similarity: float
    upper_bound: float
    dual_bound: float


@dataclass(frozen=True, slots=True)
class PackPlan:
    """Which piece of which document stands in which window; rows sorted by window, then position inside it.

    Attributes:
        doc: (segments,) int64, row of the arrays passed in (in a run: the node).
        start: (segments,) int64, first token of the piece; offsets count the specials of the document.
        stop: (segments,) int64, one past the last token of the piece.
        window: (segments,) int64, never decreasing.
    """

    doc: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    window: NDArray[np.int64]

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return int(self.window[-1]) + 1 if self.window.size else 0


class Rows(Protocol):
    """Vectors gathered by row number: a numpy array of any float type, or `RowParts`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, dim)."""
        ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]: ...


HELD_BYTES = 1 << 30
"""Files of no more than this together stay mapped: pages that are mapped anew cost four times what their rows do."""

HELD_ROWS = 1 << 16
"""Rows taken from larger ones before they are mapped anew, so that a process need not hold all that it ever read."""

HELD_SHARE = 4
"""Of the files that a process may hold open, RowParts keeps one in so many mapped."""


class RowParts:
    """Rows of the ``.npy`` parts of a step, read when asked for, as if they were one array.

    Files stay mapped from one call to the next: to map a file, and its pages, costs more than to copy a few rows.

    Args:
        paths: at least one file, in order, all of one dtype, (rows, dim) each.
        rows: (n,) int64, ascending: the row of each that is wanted, over all files; None for all of them.
    """

    def __init__(self, paths: Sequence[Path], rows: NDArray[np.int64] | None = None) -> None:
        shapes = [(part.shape, part.dtype) for part in (load_npy(path, "r") for path in paths)]
        self._paths = tuple(paths)
        self._bounds = np.concatenate(([0], np.cumsum([shape[0] for shape, _ in shapes], dtype=np.int64)))
        self._rows = rows
        self._most = max(1, open_files()[0] // HELD_SHARE)
        self._dtype = shapes[0][1]
        self._mapped: dict[int, NDArray[Any]] = {}
        self._taken = 0
        dim = max(shape[1] for shape, _ in shapes)
        self._stays = int(self._bounds[-1]) * dim * self._dtype.itemsize <= HELD_BYTES
        self.shape = (int(self._bounds[-1]) if rows is None else rows.size, dim)

    def of_rows(self, rows: NDArray[np.int64]) -> "RowParts":
        """Those of all rows that are wanted, (n,) int64, ascending, of the same mapped files."""
        found = copy(self)
        found._rows, found.shape = rows, (rows.size, self.shape[1])
        return found

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """(len(rows), dim) in the order of `rows`; each file is read in ascending order."""
        wanted, self._taken = rows if self._rows is None else self._rows[rows], self._taken + rows.size
        if self._taken > HELD_ROWS and not self._stays:  # another thread may still use what was mapped
            self._mapped, self._taken = {}, rows.size
        mapped = self._mapped
        ascending = np.argsort(wanted, kind="stable")
        spans = np.searchsorted(wanted[ascending], self._bounds)
        block = np.empty((wanted.size, self.shape[1]), dtype=self._dtype)
        for number, (first, begin, end) in enumerate(zip(self._bounds, spans, spans[1:], strict=False)):
            if begin < end:
                here = ascending[begin:end]
                if number not in mapped:
                    if len(mapped) >= self._most:
                        mapped = self._mapped = {}
                    mapped[number] = load_npy(self._paths[number], "r")
                block[here] = mapped[number][wanted[here] - first]
        return block


def take(rows: Rows, wanted: NDArray[np.int64]) -> NDArray[np.float32]:
    """Chosen rows as a block: (len(wanted), dim) float32, contiguous."""
    return np.ascontiguousarray(rows[wanted], dtype=np.float32)
