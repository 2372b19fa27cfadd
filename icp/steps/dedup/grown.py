"""Dedup of a run that another one extends: what is kept there stays, and new documents are compared with that.

In: signatures, duplicates and survivors of the run extended. Out: its files once more; which documents of it can be
candidates, and what became of them. All its documents are preferred to new ones, so that the verdicts on them hold.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icp.dedup.buckets import Found, buckets_beyond
from icp.dedup.verdicts import Verdict, joined_verdicts
from icp.engine.step import PartOutput
from icp.run.arrays import survivors
from icp.run.context import Context, part_paths
from icp.run.extended import carried, extended, n_old_docs
from icp.run.names import DUPLICATES, SIGNATURES
from icp.run.tables import read_column


@dataclass(frozen=True, slots=True)
class Removed:
    """The documents of one part, or of all, that were removed before; arrays of (n,).

    Attributes:
        docs, keepers: int64, ascending, and what each repeats.
        jaccard: float64, NaN where it is not known.
        is_near, is_imported: bool, no exact copy of its keeper; removed on the word of another tool.
    """

    docs: NDArray[np.int64]
    keepers: NDArray[np.int64]
    jaccard: NDArray[np.float64]
    is_near: NDArray[np.bool_]
    is_imported: NDArray[np.bool_]


def carry(context: Context, part: str, output: PartOutput) -> None:
    """Take over signatures and duplicates of the run extended."""
    base = extended(context)
    assert base is not None
    for name, path, record in carried(base, "dedup", (SIGNATURES, DUPLICATES)):
        output.carry(name, path, record)


def old_first(context: Context, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The documents in order of preference: what the run extended keeps, what it removed, then all others."""
    base = extended(context)
    if base is None:
        return order
    rank = np.full(order.size, 2, np.int8)
    rank[: n_old_docs(context)] = 1
    rank[survivors(base)] = 0
    return order[np.argsort(rank[order], kind="stable")]


def without_removed(context: Context, near: NDArray[np.int64]) -> NDArray[np.int64]:
    """The documents of `near` but those that the run extended has removed: nothing is compared with them."""
    base = extended(context)
    if base is None:
        return near
    stays = near >= n_old_docs(context)
    stays |= np.isin(near, survivors(base))
    return near[stays]


def with_new(context: Context, found: Found, near: NDArray[np.int64]) -> Found:
    """The buckets that hold a new document; `near` as `without_removed` gives it, preferred first."""
    if extended(context) is None:
        return found
    return buckets_beyond(found, int((near < n_old_docs(context)).sum()))


def verdict_with_old(context: Context, verdict: Verdict) -> Verdict:
    """The verdict on all documents: of the run extended on its own, and `verdict` on the new ones."""
    if extended(context) is None:
        return verdict
    is_new = verdict.docs >= n_old_docs(context)
    new = Verdict(verdict.docs[is_new], verdict.keepers[is_new], verdict.jaccard[is_new], verdict.n_checks)
    old = [_read(path) for path in part_paths(_base(context), "dedup", DUPLICATES)]
    moved = [(one, one.is_near | one.is_imported) for one in old]  # where copies of these go, too
    return joined_verdicts([*(Verdict(one.docs[at], one.keepers[at], one.jaccard[at], 0) for one, at in moved), new])


def removed_before(context: Context, part: str) -> Removed:
    """What the run extended removed of one of its parts."""
    return _read(_base(context).part_path("dedup", DUPLICATES, part))


def _base(context: Context) -> Context:
    base = extended(context)
    assert base is not None
    return base


def _read(path: Path) -> Removed:
    docs, keepers = (read_column(path, name).to_numpy() for name in ("doc", "duplicate_of"))
    jaccard, kinds = read_column(path, "jaccard").to_numpy(), read_column(path, "kind").to_pylist()
    is_near, is_imported = (np.array([kind == wanted for kind in kinds], np.bool_) for wanted in ("near", "imported"))
    return Removed(docs, keepers, jaccard, is_near, is_imported)
