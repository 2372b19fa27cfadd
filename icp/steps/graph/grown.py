"""Semantic duplicates in a run that another one extends: what became of its rows holds, pairs with new ones are judged.

In: graph/ of the run extended. Out: its lists of removed documents once more; pairs to be judged, rows that stay,
conflicts. Its documents come first, so its nodes have the numbers that they had.
"""

import numpy as np
from numpy.typing import NDArray

from icp.engine.step import PartOutput
from icp.run.arrays import load_nodes, mapped, survivors
from icp.run.context import Context
from icp.run.extended import carried, extended
from icp.run.names import DUPLICATES, NEAR_HELD


def carry(context: Context, part: str, output: PartOutput) -> None:
    """Take over the lists of removed documents of the run extended."""
    base = extended(context)
    assert base is not None
    for name, path, record in carried(base, "graph", (DUPLICATES, NEAR_HELD)):
        output.carry(name, path, record)
    counts = base.manifest("graph").counts
    output.count("semantic_duplicates", counts["semantic_duplicates"])
    if "near_held" in counts:
        output.count("near_held", counts["near_held"])


def stay_before(context: Context) -> NDArray[np.bool_]:
    """(n_rows,) bool: the rows that the run extended has not removed, and all new ones."""
    kept, base = np.ones(survivors(context).size, np.bool_), extended(context)
    if base is not None:
        kept[: survivors(base).size] = np.isin(survivors(base), load_nodes(base), assume_unique=True)
    return kept


def to_judge(context: Context, lower: NDArray[np.int64], higher: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) bool: the pairs of rows with a new one, and none that is removed; all where no run is extended."""
    base = extended(context)
    if base is None:
        return np.ones(lower.size, np.bool_)
    return (higher >= survivors(base).size) & stay_before(context)[lower]


def with_before(context: Context, name: str, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, 2) int64: pairs of nodes and those that the run extended has in a file, sorted."""
    base = extended(context)
    if base is None:
        return pairs
    found = np.concatenate((np.asarray(mapped(base.path("graph", name)), np.int64), pairs))
    return found[np.lexsort((found[:, 1], found[:, 0]))]
