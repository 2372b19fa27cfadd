"""A neighbour search, phase by phase: the same decisions and the same work for arrays in memory and in files.

The phases in order: `train` (centroids), `true_neighbors` (of sampled rows), `tune` (how much must be searched for the
wanted recall), `assign` (the cells or lists near to each row), `group` (the rows of each), then the tasks of
`search_tasks`, and those of `expansion_tasks` for as long as `needs_pass`. An exact search begins at `search_tasks`.
Tasks may be done in any order: `icp.knn.exact.merge_found` puts together what they find.

`icp.knn.search` runs the phases on arrays in memory; the step `neighbors` keeps the arrays in files between them.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from icp.data import Rows, take
from icp.knn.cells import OWN_MARGIN, Cells, cell_tasks, group_rows
from icp.knn.centroids import AllRows, Centroids, train_centroids
from icp.knn.exact import compare_ranges, range_pairs, row_ranges
from icp.knn.expansion import PASSES, cells_joined, expand
from icp.knn.groupings import Expansion, Groups, Search, Tuning, grouping_of
from icp.knn.methods import Found
from icp.knn.recall import Assigned, enough_found, shares_found
from icp.knn.vectors import nearest, unpack

Task = range | tuple[range, range]
"""A range of cells or lists, or two ranges of rows (the same one twice: its rows among themselves)."""


def train(rows: Rows, search: Search) -> Centroids:
    """The centroids of the cells or lists."""
    return train_centroids(rows, wanted=grouping_of(search.planned).count(search.n_rows), seed=search.seed)


def true_neighbors(rows: Rows, sample: NDArray[np.int64], *, k: int, within: range | None = None) -> NDArray[np.int64]:
    """Keys of the exact neighbours of sampled rows, among the rows of a range or among all: (m, k) int64."""
    return nearest(take(rows, sample), sample, AllRows(rows, within=within), keep=k)


def tune(
    rows: Rows, centroids: Centroids, sample: NDArray[np.int64], exact: NDArray[np.int32], search: Search
) -> Tuning:
    """How much must be searched for the target recall.

    Args:
        sample: (m,) int64, `Search.tuning_rows`.
        exact: (m, k) int32, their true neighbours, -1 for none.
    """
    grouping, flat = grouping_of(search.planned), exact.ravel().astype(np.int64)
    mine, others = (grouping.assign(take(rows, wanted), centroids) for wanted in (sample, flat))
    others[0][flat < 0] = -1
    return grouping.tune(search, mine, others, len(centroids))


def assign(block: NDArray[np.float32], centroids: Centroids, tuning: Tuning, search: Search) -> Assigned:
    """The cells or lists near to each row of a block, as many as the tuning asks for."""
    return grouping_of(search.planned).assign(block, centroids, ranks=tuning.ranks)


def group(assigned: Iterable[Assigned], tuning: Tuning, search: Search) -> tuple[Groups, Expansion | None]:
    """The rows of each cell or list, by the assignments of all rows in blocks, in order.

    Where the method is left to us (``auto``), cells that overlap too much give way to the comparison of all rows.

    Returns: the groups, and what passes go by if any may follow the search.
    """
    blocks = list(assigned)
    members = group_rows(blocks, tuning.n_groups, margin=tuning.margin)
    if search.method == "auto" and not members.is_cheaper_than_all_pairs(search.n_rows):
        return Groups("exact", members), None
    has_own = grouping_of(search.planned).has_own
    if not (has_own or tuning.expands):
        return Groups(search.planned, members), None
    own = group_rows(blocks, tuning.n_groups, margin=OWN_MARGIN)
    groups = Groups(search.planned, members, own if has_own else None)
    return groups, Expansion(own, cells_joined(blocks, margin=tuning.margin)) if tuning.expands else None


def search_tasks(search: Search, groups: Groups | None) -> dict[str, Task]:
    """The tasks of the search by name, for any number of workers; `groups` is None where exact search is planned."""
    if groups is not None and groups.method != "exact":
        return dict(_by_name(groups.members))
    ranges = row_ranges(search.n_rows)
    return {f"rows-{one:03}-{two:03}": (ranges[one], ranges[two]) for one, two in range_pairs(len(ranges))}


def needs_extra(groups: Groups, expansion: Expansion | None) -> bool:
    """Whether a search that keeps only `k` neighbours might find other ones than a search that keeps more.

    It might where passes go by way of the neighbours kept, and where cells are split: `icp.knn.cells.split_cell` gives
    each piece as many common rows as neighbours are kept.
    """
    is_split = groups.method == "cells" and bool((groups.members.sizes() > groups.members.largest()).any())
    return is_split or expansion is not None


def search_task(rows: Rows, search: Search, groups: Groups | None, task: Task) -> Found:
    """What one of the `search_tasks` finds among rows that `icp.knn.vectors.check_rows` has seen."""
    if isinstance(task, tuple):
        return compare_ranges(rows, *task, keep=search.keep)
    assert groups is not None
    return grouping_of(groups.method).search(search, rows, groups, task)


def found_in_sample(
    keys: NDArray[np.int64], exact: NDArray[np.int32], best: NDArray[np.float16]
) -> NDArray[np.float64]:
    """The share of its true neighbours that each sampled row has found, of the rows that have any.

    Args:
        keys: (m, keep) int64, of the sampled rows.
        exact, best: (m, k) int32 and float16, their true neighbours and the similarities of those.
    """
    return shares_found(*unpack(keys[:, : exact.shape[1]]), exact, best)


def needs_pass(n_passes: int, shares: NDArray[np.float64], search: Search) -> bool:
    """Whether another pass must follow the search and `n_passes` passes, if any may.

    `shares`: `found_in_sample` of the `Search.tuning_rows`, as of now.
    """
    return n_passes < PASSES and not enough_found(shares, search.target_recall)


def expansion_tasks(expansion: Expansion) -> dict[str, range]:
    """The tasks of each pass by name: ranges of cells, whose own rows look further."""
    return _by_name(expansion.own)


def expansion_task(rows: Rows, keys: tuple[Rows, Rows | None], expansion: Expansion, task: range) -> Found:
    """What one of the `expansion_tasks` finds; `keys` as in `icp.knn.expansion.expand`."""
    return expand(rows, keys, expansion.joined, expansion.own, task)


def _by_name(groups: Cells) -> dict[str, range]:
    return {f"cells-{number:06}": wanted for number, wanted in enumerate(cell_tasks(groups))}
