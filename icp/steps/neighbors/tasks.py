"""Where the step `neighbors` finds its rows and keeps its arrays, and how its work is divided into tasks.

In: embeddings/, the step's own folder. Out: rows, ranges, names of parts; the same for any number of workers.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icp.choices import KNN_METHODS
from icp.engine.step import PartOutput, one_part
from icp.knn import phases
from icp.knn.cells import Cells
from icp.knn.centroids import Centroids
from icp.knn.exact import merge_found
from icp.knn.expansion import PASSES
from icp.knn.groupings import Expansion, Groups, Tuning, grouping_of
from icp.knn.methods import IMPORTED, Found
from icp.knn.vectors import empty_keys
from icp.run.arrays import mapped, mapped_privately, vector_paths
from icp.run.context import Context, document_parts
from icp.steps.neighbors.grown import keys_before, new_range
from icp.steps.neighbors.grown import tasks as new_tasks
from icp.steps.neighbors.rows import checked, only_new, search_of, shape

RANGE_ROWS = 1 << 14
MOST_RANGES = 1024


def _range_rows(n_rows: int) -> int:
    return max(RANGE_ROWS, -(-n_rows // MOST_RANGES))


def range_of(context: Context, part: str) -> range:
    """The rows of a range by its name."""
    n_rows = shape(context)[0]
    start = int(part.rpartition("-")[2]) * _range_rows(n_rows)
    return range(start, min(start + _range_rows(n_rows), n_rows))


def ranges(context: Context) -> list[str]:
    """Ranges of rows; none where exact search is planned."""
    if search_of(context).planned == "exact":
        return []
    n_rows = shape(context)[0]
    return [f"rows-{number:05}" for number in range(max(1, -(-n_rows // _range_rows(n_rows))))]


def ranges_to_group(context: Context) -> list[str]:
    """Ranges of rows; none where rows are not compared within groups."""
    return ranges(context) if search_of(context).has_groups else []


def one_to_group(context: Context) -> list[str]:
    """One task; none where rows are not compared within groups."""
    return one_part(context) if search_of(context).has_groups else []


def one_to_train(context: Context) -> list[str]:
    """One task; none where nothing is trained."""
    return [] if search_of(context).planned == IMPORTED else one_unless_exact(context)


def one_unless_exact(context: Context) -> list[str]:
    """One task; none where exact search is planned."""
    return [] if search_of(context).planned == "exact" else one_part(context)


def check_task(context: Context, task: phases.Task) -> None:
    """Checks the rows of a range that is to be compared with itself; so each row is checked once."""
    if isinstance(task, tuple) and task[0] == task[1]:
        for _ in checked(context, task[0]):
            pass


def method(context: Context) -> str:
    """What is done in the end: cells that overlap too much give way to the comparison of all rows."""
    search = search_of(context)
    return str(context.records("lists")["all"].info["method"]) if search.has_groups else search.planned


def expands(context: Context) -> bool:
    """Whether passes among neighbours' neighbours may follow the search."""
    return search_of(context).has_groups and "joined.npy" in context.records("lists")["all"].files


def all_tasks(context: Context) -> dict[str, phases.Task]:
    """The tasks of the search by name."""
    if only_new(context):
        return dict(new_tasks(new_range(context)))
    return phases.search_tasks(search_of(context), groups(context))


def search_parts(context: Context) -> list[str]:
    """Ranges of cells or lists, pairs of ranges of rows, or ranges of them."""
    if method(context) in ("faiss", IMPORTED):
        return ranges(context)
    return list(all_tasks(context))


def expand_parts(context: Context, number: int) -> list[str]:
    """Ranges of cells; none if no pass is needed, or no further one; the same whenever they are asked for."""
    records = context.records(f"merge-{number - 1}") if expands(context) else {}
    if not records:
        return []
    shares = np.array([share for part in document_parts(context) for share in records[part].info["shares"]])
    if not phases.needs_pass(number - 1, shares, search_of(context)):
        return []
    return list(phases.expansion_tasks(expansion(context)))


def merge_parts(context: Context, number: int) -> list[str]:
    """Parts whose keys change: after a search that passes may follow, and after a pass."""
    changed = expand_parts(context, number) if number else expands(context)
    return document_parts(context) if changed else []


def n_passes(context: Context) -> int | None:
    """How many passes are done; None if none may follow the search."""
    if not expands(context):
        return None
    return max(number for number in range(PASSES + 1) if number == 0 or context.records(f"merge-{number}"))


def merged(context: Context, part: str, number: int) -> tuple[NDArray[np.int64], int]:
    """The keys of a part after the search (0) or a pass, and its first row."""
    sizes = [len(mapped(path)) for path in vector_paths(context)]
    at = document_parts(context).index(part)
    first, names = sum(sizes[:at]), ("rows", "keys")
    if number:
        keys = np.load(context.folder("neighbors") / f"{part}.merged-{number - 1}.npy", allow_pickle=False)
        names = f"rows-{number}", f"keys-{number}"
    else:
        stays = only_new(context) or search_of(context).method == IMPORTED
        before = keys_before(context, part) if stays else None
        keys = empty_keys(sizes[at], search_of(context).keep) if before is None else before
    for files in zip(*(paths(context, name) for name in names), strict=True):
        rows, found = (mapped(path) for path in files)
        merge_found(keys, first, Found(rows, found))
    return keys, first


def groups(context: Context) -> Groups | None:
    """The rows of each cell or list; None where all rows are compared, or an index is searched."""
    found = method(context)
    if found == IMPORTED or not KNN_METHODS[found].code:
        return None
    own = _cells(context, "own") if grouping_of(found).has_own else None
    return Groups(found, _cells(context, "members"), own)


def expansion(context: Context) -> Expansion:
    """What passes go by; the pages of its arrays are private, so that kernels see one type of array."""
    joined = mapped_privately(context.path("neighbors", "joined.npy"))
    return Expansion(_cells(context, "own"), joined)


def _cells(context: Context, name: str) -> Cells:
    return Cells(load(context, name), load(context, f"{name}-bounds"))


def save_cells(output: PartOutput, name: str, found: Cells) -> None:
    """Write rows by cell or list, as ``members`` or ``own``."""
    save(output, f"{name}.npy", found.members)
    save(output, f"{name}-bounds.npy", found.bounds)


def tuning(context: Context) -> Tuning:
    """As *tune* left it in its record."""
    info = context.records("tune")["all"].info
    if "nprobe" in info:
        return Tuning(info["nlist"], info["ranks"], float(info["nprobe"] - 1))
    margin = np.inf if info["margin"] is None else info["margin"]
    return Tuning(info["cells"], info["ranks"], margin, info["share_in_sample"], info["expands"])


def tuning_info(found: Tuning, method: str) -> dict[str, Any]:
    """What `tuning` reads, for a record and for the manifest, which has no infinite numbers."""
    if method == "ivf":
        return {"method": method, "nlist": found.n_groups, "nprobe": found.ranks, "ranks": found.ranks}
    return {
        "method": method,
        "cells": found.n_groups,
        "ranks": found.ranks,
        "share_in_sample": found.share,
        "expands": found.expands,
        "margin": None if np.isinf(found.margin) else found.margin,
    }


def centroids(context: Context) -> Centroids:
    """As trained."""
    return Centroids(load(context, "means"), load(context, "leaders"), load(context, "groups"))


def paths(context: Context, name: str) -> list[Path]:
    """The files of an array that comes in parts."""
    return sorted(context.folder("neighbors").glob(f"*.{name}.npy"))


def load(context: Context, name: str) -> NDArray[Any]:
    """An array of the step, memory-mapped."""
    path = context.folder("neighbors") / f"{name}.npy"
    return mapped(path)


def save(output: PartOutput, name: str, array: NDArray[Any]) -> None:
    """Write an array."""
    with output.path(name).open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    output.rows(name, len(array))
