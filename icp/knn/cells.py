"""Neighbours within overlapping cells: rows join the cells near to them, and every pair of a cell is compared.

A row joins its most similar centroid's cell and those whose centroid is at most `margin` less similar, `ranks` cells at
most. `icp.knn.recall` chooses both, so that a sample's true neighbours come together often enough. Each cell is
compared whole, by one product, so the similarities found are exact; a neighbour is missed only where two rows share no
cell.
Source: overlapping clusters of Zhang et al., arXiv 2010.14227, and of cuVS `all_neighbors`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf, isqrt, sqrt

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows, take
from icp.kernels.knn_topk import count_members, place_members
from icp.knn.centroids import Centroids, centroids_of, nearest_centroids
from icp.knn.methods import Found
from icp.knn.recall import Assigned
from icp.knn.vectors import BASE_TILE, empty_keys, improve_within

LEAST_JOINED = 2.5
"""Cells that a row may join in any case: without overlap, passes find no way from one cell to another."""
ROWS_PER_CELL = 256, 512
"""Rows for each centroid, least and most; in between, the square root of the number of rows. Overlap makes cells two to
ten times as large. Where rows are many, having fewer centroids to compare with saves more than larger cells cost."""
MANY_ROWS = 1 << 18
ROWS_OF_MANY = 128
"""Rows for each centroid where there are more than `MANY_ROWS`. The more rows there are, the more must cells overlap,
and the time grows with the square of the overlap: at a million rows, small cells that do not find enough, and passes
after them, take half the time of large ones."""
RANKS = 16
"""Cells that a row joins at most."""
OWN_MARGIN = -1.0
"""The margin of `group_rows` at which a row stands in its nearest cell or list only."""
LARGEST = 4
"""Cells of more than this many times the mean size are split."""
SPLIT_SAMPLE = 1 << 14
TASK_MEMBERS = 1 << 14, 1 << 18
TASKS = 64
BATCH_MEMBERS = 1 << 16
"""Members of cells whose vectors are held at once."""
PASS_MEMBERS = 400
"""To choose the nearest of a row's candidates takes as long as to compare the row with this many others."""
CHUNK_ROWS = 1 << 14
MOST_COMPARED = 1536
"""Rows that a row is compared with if cells are of equal size; beyond that, passes find more in the same time."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Overlapping groups of rows.

    Attributes:
        members: (memberships,) int32, row numbers by (cell, row).
        bounds: (n_cells + 1,) int64, where each cell begins in `members`.
    """

    members: NDArray[np.int32]
    bounds: NDArray[np.int64]

    def sizes(self) -> NDArray[np.int64]:
        """Rows of each cell: (n_cells,) int64."""
        return np.diff(self.bounds)

    def largest(self) -> int:
        """Rows up to which a cell is compared whole."""
        used = max(1, int((self.sizes() > 0).sum()))
        return max(BASE_TILE, LARGEST * self.members.size // used)

    def is_cheaper_than_all_pairs(self, n_rows: int) -> bool:
        """Whether comparing the cells takes less time than comparing all rows."""
        sizes = np.minimum(self.sizes(), self.largest()).astype(np.float64)
        return float((self.sizes() * (sizes + PASS_MEMBERS)).sum()) < float(n_rows) * n_rows


def count_cells(n_rows: int) -> int:
    """How many centroids to train."""
    if n_rows > MANY_ROWS:
        return n_rows // ROWS_OF_MANY
    least, most = ROWS_PER_CELL
    return max(1, n_rows // min(max(isqrt(n_rows), least), most))


def most_joined(n_rows: int, n_cells: int) -> float:
    """How many cells a row may join on average, so that in a large corpus it is compared with `MOST_COMPARED` rows."""
    if n_rows <= MANY_ROWS:
        return inf
    return max(LEAST_JOINED, sqrt(MOST_COMPARED * n_cells / max(1, n_rows)))


def assign_cells(rows: NDArray[np.float32], centroids: Centroids, *, ranks: int | None = None) -> Assigned:
    """The `ranks` cells nearest to each row of a block; `RANKS` unless told."""
    cells, similarities = nearest_centroids(rows, centroids, keep=RANKS if ranks is None else ranks)
    gaps = similarities[:, :1].astype(np.float32) - similarities.astype(np.float32)
    return cells, np.where(cells < 0, np.inf, gaps).astype(np.float16)


def group_rows(assigned: Iterable[Assigned], n_cells: int, *, margin: float) -> Cells:
    """The cells of all rows, whose assignments come in blocks, in order; read twice."""
    blocks = list(assigned)
    counts = np.zeros(n_cells, dtype=np.int64)
    for cells, gaps in blocks:
        count_members(np.array(cells, order="C"), np.array(gaps, dtype=np.float32, order="C"), margin, counts)
    bounds = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    members, filled, first = np.empty(int(bounds[-1]), dtype=np.int32), bounds[:-1].copy(), 0
    for cells, gaps in blocks:
        place_members(
            np.array(cells, order="C"), np.array(gaps, dtype=np.float32, order="C"), margin, first, filled, members
        )
        first += len(cells)
    return Cells(members, bounds)


def cell_tasks(cells: Cells) -> list[range]:
    """Ranges of neighbouring cells of about as many members each, the same for any number of workers."""
    least, most = TASK_MEMBERS
    size = min(max(cells.members.size // TASKS, least), most)
    cuts = np.unique(np.searchsorted(cells.bounds, np.arange(0, max(1, cells.members.size), size)))
    ends = [*cuts[1:].tolist(), len(cells.bounds) - 1]
    return [range(start, stop) for start, stop in zip(cuts.tolist(), ends, strict=True) if start < stop]


def search_cells(rows: Rows, cells: Cells, wanted: range, *, keep: int, seed: int) -> Found:
    """Neighbours of the members of some cells within their cells.

    Cost: of a cell of m rows m * m * dim operations, of one that is split about 4 * m * `Cells.largest` * dim.
    """
    mine = cells.members[cells.bounds[wanted.start] : cells.bounds[wanted.stop]]
    found = np.unique(mine).astype(np.int64)
    keys, moved = empty_keys(found.size, keep), 0
    for batch in _batches(cells, wanted):
        held = HeldRows.read(rows, cells.members[cells.bounds[batch.start] : cells.bounds[batch.stop]])
        moved += held.vectors.nbytes
        for cell in batch:
            members = cells.members[cells.bounds[cell] : cells.bounds[cell + 1]].astype(np.int64)
            for piece in split_cell(held, members, largest=cells.largest(), keep=keep, seed=seed):
                places = np.searchsorted(found, piece)
                block = keys[places]
                improve_within(block, take(held, piece), piece)
                keys[places] = block
    return Found(found, keys, moved)


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Some rows in memory, found by their numbers: read together, as reading a few at a time costs far more.

    Attributes:
        ids: (m,) int64, row numbers, rising.
        vectors: (m, dim) float16.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float16]

    @classmethod
    def read(cls, rows: Rows, members: NDArray[np.int32]) -> "HeldRows":
        """The rows with these numbers, in any order and with repeats."""
        ids = np.unique(members).astype(np.int64)
        return cls(ids, rows[ids].astype(np.float16, copy=False))

    @property
    def shape(self) -> tuple[int, ...]:
        """(m, dim)."""
        return self.vectors.shape

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.float16]:
        return self.vectors[np.searchsorted(self.ids, rows)]


def _batches(cells: Cells, wanted: range) -> Iterator[range]:
    """Neighbouring cells of up to `BATCH_MEMBERS` members together, at least one."""
    start = wanted.start
    while start < wanted.stop:
        most = int(cells.bounds[start]) + BATCH_MEMBERS
        stop = int(np.searchsorted(cells.bounds, most, side="right")) - 1
        stop = min(max(stop, start + 1), wanted.stop)
        yield range(start, stop)
        start = stop


def split_cell(
    rows: Rows, members: NDArray[np.int64], *, largest: int, keep: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """The rows of a cell in overlapping pieces of at most `largest`: the cell itself if it is no larger.

    Where centroids do not part the rows (all equal), pieces are stretches of rows, each with the first `keep` + 1 of
    all: the neighbours of equal rows by rising row.
    """
    if members.size <= largest:
        yield members
        return
    step = -(-members.size // SPLIT_SAMPLE)
    centroids = centroids_of(take(rows, members[::step]), wanted=-(-4 * members.size // largest), seed=seed)
    chunks = (take(rows, members[at : at + CHUNK_ROWS]) for at in range(0, members.size, CHUNK_ROWS))
    assigned = [nearest_centroids(chunk, centroids, keep=2)[0] for chunk in chunks]
    parts = group_rows(((cells, np.zeros(cells.shape, np.float16)) for cells in assigned), len(centroids), margin=0)
    if int(parts.sizes().max()) > 0.75 * members.size:
        own = max(1, largest - keep - 1)
        for start in range(0, members.size, own):
            yield np.union1d(members[: keep + 1], members[start : start + own])
        return
    for begin, end in zip(parts.bounds[:-1], parts.bounds[1:], strict=True):
        if begin < end:
            part = members[parts.members[begin:end]]
            yield from split_cell(rows, part, largest=largest, keep=keep, seed=seed)
