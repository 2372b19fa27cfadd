"""The settings of a neighbour search, and the methods that compare rows only within groups: cells and lists."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from icp.choices import KNN_METHODS
from icp.data import Rows
from icp.knn import cells, ivf
from icp.knn.cells import Cells
from icp.knn.methods import IMPORTED, Found, choose_method
from icp.knn.recall import Assigned, choose_nprobe, choose_overlap
from icp.knn.vectors import sample_rows, tuning_size
from icp.streams import RECALL, TUNING

EXTRA = 6
"""Neighbours kept beyond k: room for the copies that the graph takes out, and more ways for passes to go."""
FILTERED = 4
"""How many times k neighbours are kept where the graph passes over some of them."""
SAMPLE_ROWS = 1000
"""Rows on which recall is measured."""


def count_kept(k: int, *, is_filtered: bool = False) -> int:
    """How many neighbours to keep for each row when `k` are wanted; more if a filter will pass over some of them."""
    return k * (FILTERED if is_filtered else 1) + EXTRA


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched, and how well.

    Attributes:
        n_rows, dim: the shape of the vectors.
        k: neighbours wanted of each row.
        keep: neighbours kept of each row, `k` or more: `count_kept`.
        method: one of `icp.knn.methods.METHODS`.
        target_recall: share of the true `k` nearest that ``cells`` and ``ivf`` should find.
        seed: of the samples and of k-means.
        factory: of the index, for ``faiss``; see `icp.knn.faiss_index.factory_of`.
    """

    n_rows: int
    dim: int
    k: int
    keep: int
    method: str
    target_recall: float
    seed: int
    factory: str = "auto"

    @property
    def planned(self) -> str:
        """The method, for ``auto`` by the size of the corpus; `Groups.method` says what is done in the end."""
        return choose_method(self.n_rows, self.dim, self.method)

    @property
    def has_groups(self) -> bool:
        """Whether rows are compared within groups, rather than all, or as an index proposes."""
        return self.planned != IMPORTED and bool(KNN_METHODS[self.planned].code)

    def tuning_rows(self) -> NDArray[np.int64]:
        """The sample that decides how much is searched: row numbers, ascending."""
        return sample_rows(self.n_rows, seed=self.seed, stream=TUNING, size=tuning_size(self.n_rows))

    def recall_rows(self, size: int = SAMPLE_ROWS) -> NDArray[np.int64]:
        """An independent sample, on which recall is measured: row numbers, ascending."""
        return sample_rows(self.n_rows, seed=self.seed, stream=RECALL, size=size)


@dataclass(frozen=True, slots=True)
class Tuning:
    """How much must be searched to reach the wanted recall.

    Attributes:
        n_groups: cells or lists.
        ranks: how many of them a row joins or probes at most.
        margin: which of those a row joins or probes, as in `icp.knn.cells.group_rows`; may be infinite.
        share: of the sample's true neighbours, those that cells bring together; 0 for lists, which do not say.
        expands: whether passes among neighbours' neighbours must follow the search.
    """

    n_groups: int
    ranks: int
    margin: float
    share: float = 0.0
    expands: bool = False


@dataclass(frozen=True, slots=True)
class Groups:
    """Which rows are compared with which.

    Attributes:
        method: what is done: ``exact`` where cells overlap so much that comparing all rows is cheaper.
        members: the rows that join each cell, or that probe each list.
        own: the rows that stand in each list, which the others are compared with; None for cells.
    """

    method: str
    members: Cells
    own: Cells | None = None


@dataclass(frozen=True, slots=True)
class Expansion:
    """What the passes over neighbours of neighbours need.

    Attributes:
        own: the rows that are nearest to each cell.
        joined: (n, ranks) int32, the cells that each row joined, -1 for no more.
    """

    own: Cells
    joined: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Grouping:
    """A method that compares rows only within groups of rows around centroids.

    Attributes:
        count: how many centroids to train for so many rows.
        assign: the groups near to each row of a block; by the keyword `ranks` fewer of them than count when tuning.
        tune: how much must be searched, by the groups of the sampled rows and those of their true neighbours,
            (m * k, ranks), of so many groups in all.
        search: what the members of a range of groups find.
        has_own: whether `search` needs `Groups.own`.
    """

    count: Callable[[int], int]
    assign: Callable[..., Assigned]
    tune: Callable[[Search, Assigned, Assigned, int], Tuning]
    search: Callable[[Search, Rows, Groups, range], Found]
    has_own: bool


def _tune_cells(search: Search, mine: Assigned, others: Assigned, n_groups: int) -> Tuning:
    most = cells.most_joined(search.n_rows, n_groups)
    found = choose_overlap(mine, others, target_recall=search.target_recall, most_joined=most)
    return Tuning(n_groups, found.ranks, found.margin, found.share, expands=not found.enough)


def _tune_lists(search: Search, mine: Assigned, others: Assigned, n_groups: int) -> Tuning:
    nearest_lists = others[0][:, 0].reshape(-1, search.k)
    nprobe = choose_nprobe(mine[0], nearest_lists, target_recall=search.target_recall)
    return Tuning(n_groups, nprobe, float(nprobe - 1))


def _search_cells(search: Search, rows: Rows, groups: Groups, wanted: range) -> Found:
    return cells.search_cells(rows, groups.members, wanted, keep=search.keep, seed=search.seed)


def _search_lists(search: Search, rows: Rows, groups: Groups, wanted: range) -> Found:
    assert groups.own is not None
    return ivf.search_lists(rows, groups.own, groups.members, wanted, keep=search.keep)


CELLS = Grouping(cells.count_cells, cells.assign_cells, _tune_cells, _search_cells, has_own=False)
LISTS = Grouping(ivf.count_lists, ivf.assign_lists, _tune_lists, _search_lists, has_own=True)


def grouping_of(method: str) -> Grouping:
    """How a method of `KNN_METHODS` that has code groups rows."""
    module, _, name = KNN_METHODS[method].code.rpartition(".")
    grouping: Grouping = getattr(import_module(f"icp.knn.{module}"), name)
    return grouping
