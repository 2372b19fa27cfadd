"""Who of the near-duplicates is kept, and what becomes of all documents by that.

In: `Buckets` of candidates, their evidence, `Rules`; exact copies. Out: the `Verdict` on the candidates, all of them or
those of some components; `Keepers`, the same for all documents or those of a part.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from icp.dedup.buckets import Buckets
from icp.dedup.shingles import ShingleSets, gather_sets, no_sets
from icp.kernels.dedup_components import keep_greedily, list_buckets
from icp.kernels.dedup_evidence import BY_ESTIMATE, BY_SETS, Evidence, Rule, agreements
from icp.kernels.dedup_union_find import join_buckets
from icp.texts import Texts

MODES = {"estimate": BY_ESTIMATE, "exact": BY_SETS}
FLOOR_DEVIATIONS = 4.0  # a pair at the threshold falls below the signature floor once in 30,000 times
TYPES = {"doc": pa.int64(), "duplicate_of": pa.int64(), "jaccard": pa.float64(), "kind": pa.string()}


@dataclass(frozen=True, slots=True)
class Rules:
    """How near-duplicates are found and checked; fields as in the configuration's ``dedup``."""

    threshold: float
    bands: int
    rows: int
    verify: str

    @property
    def compares_sets(self) -> bool:
        """Whether sets of shingles decide, and not signatures."""
        return self.verify == "exact"

    @property
    def kernel_rule(self) -> Rule:
        """The rule as kernels take it."""
        num_perm = self.bands * self.rows
        deviation = math.sqrt(self.threshold * (1 - self.threshold) / num_perm)
        return Rule(MODES[self.verify], float(self.threshold), float(self.threshold - FLOOR_DEVIATIONS * deviation))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The near-duplicates among some candidates; arrays of (n_removed,).

    Attributes:
        docs: int64, those that go, ascending.
        keepers: int64, a kept document that each one is alike to.
        jaccard: float64, their similarity, an estimate unless ``verify`` is exact.
        n_checks: pairs compared.
    """

    docs: NDArray[np.int64]
    keepers: NDArray[np.int64]
    jaccard: NDArray[np.float64]
    n_checks: int


@dataclass(frozen=True, slots=True)
class Keepers:
    """What becomes of documents that follow one another; arrays of (n,).

    Attributes:
        first: the first of them.
        duplicate_of: int64, the kept document it repeats, itself if it is kept, -1 if another tool did not say.
        jaccard: float64, similarity to it (1.0 for itself and exact copies; an estimate unless ``verify`` is exact; NaN
            for what goes on the word of another tool).
        is_near: bool, it is removed, and neither as an exact copy of `duplicate_of` nor on such a word.
    """

    first: int
    duplicate_of: NDArray[np.int64]
    jaccard: NDArray[np.float64]
    is_near: NDArray[np.bool_]

    @property
    def is_kept(self) -> NDArray[np.bool_]:
        """(n,) bool: it stays."""
        stays: NDArray[np.bool_] = self.duplicate_of == np.arange(self.first, self.first + self.duplicate_of.size)
        return stays

    @property
    def is_imported(self) -> NDArray[np.bool_]:
        """(n,) bool: it goes on the word of another tool."""
        unknown: NDArray[np.bool_] = np.isnan(self.jaccard)
        return unknown

    def moved(self, duplicate_of: NDArray[np.int64]) -> "Keepers":
        """The same with other keepers, (n,) int64; whose keeper is another one goes on the word of another tool."""
        is_other = duplicate_of != self.duplicate_of
        return Keepers(self.first, duplicate_of, np.where(is_other, np.nan, self.jaccard), self.is_near & ~is_other)

    def table(self) -> Any:
        """Arrow table of the removed documents, by doc; columns `TYPES`."""
        rows = np.flatnonzero(~self.is_kept)
        kinds = np.where(self.is_imported[rows], "imported", np.where(self.is_near[rows], "near", "exact"))
        columns = [
            self.first + rows,
            self.duplicate_of[rows],
            self.jaccard[rows],
            pa.array(kinds.tolist(), pa.string()),
        ]
        return pa.table(columns, schema=pa.schema([pa.field(name, kind) for name, kind in TYPES.items()]))


def judge(buckets: Buckets, evidence: Evidence, rules: Rules) -> Verdict:
    """Keep greedily; unchecked, one of all that are connected.

    What shares no bucket with the rest, even through others, may be judged apart: the verdict is the same.

    Args: evidence over the positions of ``buckets.docs``.
    """
    docs, members, starts = buckets.docs, buckets.members, buckets.starts
    if rules.verify == "none":
        keeper, n_checks = join_buckets(members, starts, docs.size), 0
        alike = agreements(evidence, keeper)
    else:
        bounds, listed = list_buckets(members, starts, docs.size)
        keeper, alike, n_checks = keep_greedily(members, starts, bounds, listed, evidence, rules.kernel_rule)
    removed = np.flatnonzero(keeper != np.arange(docs.size))
    removed = removed[np.argsort(docs[removed])]
    return Verdict(docs[removed], docs[keeper[removed]], alike[removed], int(n_checks))


def compared_sets(batches: Iterable[Texts], n_docs: int, rules: Rules, *, ngram: int) -> ShingleSets:
    """The shingle sets by which documents are compared.

    Where signatures alone are compared, all sets are empty, and no text is taken from `batches`.
    """
    return gather_sets(batches, ngram=ngram) if rules.compares_sets else no_sets(n_docs)


def evidence_of(sets: ShingleSets, signatures: NDArray[np.uint32], rows: NDArray[np.int64]) -> Evidence:
    """The `Evidence` on documents: their sets, and the rows of their signatures."""
    bounds, spelled = (np.stack((each[:-1], each[1:])) for each in (sets.indptr, sets.spelled))
    return Evidence(signatures, rows, sets.values, bounds, sets.letters, spelled)


def joined_verdicts(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdicts on all tasks as one."""
    docs, keepers, jaccard = (
        np.concatenate([getattr(verdict, name) for verdict in verdicts]) for name in ("docs", "keepers", "jaccard")
    )
    order = np.argsort(docs)
    return Verdict(docs[order], keepers[order], jaccard[order], sum(verdict.n_checks for verdict in verdicts))


def follow_twins(twins: NDArray[np.int64], verdict: Verdict, first: int = 0) -> Keepers:
    """Let exact copies follow their twin to its keeper.

    Args: twins (n,) int64 of `icp.dedup.candidates.first_copies`, those of the documents from `first` on; the verdict
        on all.
    """
    near_of, jaccard = twins.copy(), np.ones(twins.size)
    is_near = np.zeros(twins.size, np.bool_)
    if verdict.docs.size:
        places = np.minimum(np.searchsorted(verdict.docs, twins), verdict.docs.size - 1)
        is_near = verdict.docs[places] == twins
        near_of[is_near], jaccard[is_near] = verdict.keepers[places[is_near]], verdict.jaccard[places[is_near]]
    return Keepers(first, near_of, jaccard, is_near & ~np.isnan(jaccard))


def largest_groups(duplicate_of: NDArray[np.int64], n: int) -> list[dict[str, int]]:
    """The kept documents that stand for most others, ties by doc: ``doc``, and ``documents``, itself included.

    Args: duplicate_of (n_removed,) int64, the keepers of all that go; -1: not known.
    """
    kept, sizes = np.unique(duplicate_of[duplicate_of >= 0], return_counts=True)
    order = np.lexsort((kept, -sizes))[:n]
    return [{"doc": int(kept[i]), "documents": int(sizes[i]) + 1} for i in order]
