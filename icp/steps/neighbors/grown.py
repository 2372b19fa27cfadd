"""Neighbours in a run that another one extends: new rows are compared with all, and the lists of the others grow.

In: embeddings/; neighbors/ of the run extended. Out: tasks that compare a range of new rows with another range; keys of
the lists as they were. Where so many rows are new that a search among all takes less time, there is one, as in any run.
"""

import numpy as np
from numpy.typing import NDArray

from icp.engine.step import PartOutput
from icp.knn.cells import MANY_ROWS
from icp.knn.exact import row_ranges
from icp.knn.methods import CELLS_SECONDS, PAIR_SECONDS
from icp.knn.vectors import pack
from icp.run.arrays import neighbors_of, survivors
from icp.run.context import Context, document_parts
from icp.run.extended import extended, n_old_docs

MANY_SECONDS = 2e-4
"""Of one core, for a row, where a million rows are searched in cells."""
Ranges = tuple[range, range]


def new_range(context: Context) -> range:
    """The new rows; none where no run is extended."""
    rows = survivors(context)
    first = int(np.searchsorted(rows, n_old_docs(context))) if extended(context) is not None else rows.size
    return range(first, rows.size)


def compares_new(n_rows: int, n_old: int, dim: int, *, planned: str) -> bool:
    """Whether new rows are compared with all, rather than all rows searched again.

    Args:
        planned: the method of a search among all.
    """
    seconds = (float(n_rows) ** 2 - float(n_old) ** 2) * dim * PAIR_SECONDS
    anew = CELLS_SECONDS if n_rows <= MANY_ROWS else MANY_SECONDS
    return planned == "exact" or seconds < n_rows * anew


def tasks(new: range) -> dict[str, Ranges]:
    """The comparisons of new rows with all by name: each pair of ranges once."""
    olds = row_ranges(new.start) if new.start else []
    news = [range(one.start + new.start, one.stop + new.start) for one in row_ranges(len(new))]
    found = [(old, mine) for mine in news for old in olds]
    found += [(one, two) for number, one in enumerate(news) for two in news[number:]]
    return {f"new-{number:05}": pair for number, pair in enumerate(found)}


def keys_before(context: Context, part: str) -> NDArray[np.int64] | None:
    """The keys of the rows of a part as the run extended left them; None of a new part."""
    base = extended(context)
    return pack(*neighbors_of(base, part)) if base is not None and part in document_parts(base) else None


def tell_recall(context: Context, output: PartOutput) -> None:
    """The recall of all lists where new rows were compared with all: exact for those, as it was for the others."""
    base = extended(context)
    assert base is not None
    before, new = base.manifest("neighbors").facts, new_range(context)
    share = len(new) / max(1, new.stop)
    for name in ("recall", "recall_low", "recall_high"):
        output.info[name] = share + (1 - share) * float(before[name])
    output.info |= {"method": before["method"], "passes": before.get("passes", 0), "compared_new": len(new)}
