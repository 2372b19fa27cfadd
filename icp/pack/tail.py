"""What becomes of the room that a plan leaves in its windows: `pack.tail`.

In: a plan, lengths, what is related. Out: a plan whose windows are full, and the tokens that are missing from it or
stand in it once more: (n, 4) int64, document, start, stop as the plan counts them, and the window, -1 if in none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, PackPlan

NOTHING = np.empty((0, 4), np.int64)


def without_open_windows(plan: PackPlan, capacity: int) -> PackPlan:
    """The plan without windows of fewer than `capacity` tokens, the others numbered anew in their order."""
    full = tokens_of(plan) == capacity
    kept, number = full[plan.window], np.cumsum(full) - 1
    return PackPlan(plan.doc[kept], plan.start[kept], plan.stop[kept], number[plan.window[kept]].astype(np.int64))


def left_out(plan: PackPlan, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m, 4) int64: the tokens of documents that stand in no window, as document, start, stop and -1.

    Args:
        plan: no token of it may stand in two windows.
        lengths: (n,) int64, tokens of each document with its specials.
    """
    ends = np.flatnonzero(lengths)
    doc = np.concatenate((plan.doc, ends))
    start, stop = np.concatenate((plan.start, lengths[ends])), np.concatenate((plan.stop, lengths[ends]))
    rows = np.lexsort((start, doc))
    doc, start, stop = doc[rows], start[rows], stop[rows]
    reached = np.where(np.diff(doc, prepend=-1) == 0, np.r_[0, stop[:-1]][: stop.size], 0)
    gaps = np.flatnonzero(start > reached)
    return np.stack((doc[gaps], reached[gaps], start[gaps], np.full(gaps.size, -1)), axis=1).astype(np.int64)


def tokens_of(plan: PackPlan) -> NDArray[np.int64]:
    """(n_windows,) int64: tokens of documents in each window, their specials among them."""
    found = np.zeros(plan.n_windows, np.int64)
    np.add.at(found, plan.window, plan.stop - plan.start)
    return found


@dataclass
class Related:
    """Which documents may be read once more behind those of a window, the most related ones first.

    Attributes:
        graph: of n documents.
        order: (n,) integers, the path through them.
        lengths: (n,) int64, tokens with specials; 0 takes no window.
        specials: tokens (bos, eos) at a document's ends.
        groups: (n,) int64; a window never mixes them. None: one group.
        conflicts: (m, 2) int64, pairs that must not share a window.
    """

    graph: DocGraph
    order: NDArray[np.integer]
    lengths: NDArray[np.int64]
    specials: tuple[int, int]
    groups: NDArray[np.int64] | None
    conflicts: NDArray[np.int64]
    _used: set[int] = field(default_factory=set)

    def fill(self, plan: PackPlan, capacity: int) -> tuple[PackPlan, NDArray[np.int64]]:
        """The plan with room filled by beginnings of related documents, and these: (m, 4) int64, see the module.

        They stand last in their window, but before a piece that leaves its document open. A document is taken for one
        window only, as long as there are others. Room stays where groups or conflicts allow no document.
        """
        tokens, edges = tokens_of(plan), np.searchsorted(plan.window, np.arange(plan.n_windows + 1))
        pieces: list[tuple[int, int, int, int]] = []
        behind: list[int] = []
        for window in np.flatnonzero(tokens < capacity).tolist():
            last = int(edges[window + 1]) - 1
            docs = plan.doc[edges[window] : last + 1].tolist()
            found = self._fillers(docs, capacity - int(tokens[window]))
            is_open = plan.stop[last] < self.lengths[plan.doc[last]]
            pieces += [(*piece, window) for piece in found]
            behind += [last - int(is_open)] * len(found)
        added = np.array(pieces, np.int64).reshape(-1, 4)
        rows = np.argsort(
            np.concatenate((2 * np.arange(plan.doc.size), 2 * np.array(behind, np.int64) + 1)), kind="stable"
        )
        whole = zip((plan.doc, plan.start, plan.stop, plan.window), added.T, strict=True)
        return PackPlan(*(np.concatenate(columns)[rows] for columns in whole)), added

    def _fillers(self, docs: list[int], room: int) -> list[tuple[int, int, int]]:
        """Documents and what of them fills the room; documents that were taken before come last."""
        here = set(docs).union(*(self._partners.get(doc, ()) for doc in docs))
        found: list[tuple[int, int, int]] = []
        for again in (False, True):
            for doc in self._nearest(docs):
                if not room:
                    return found
                span = None if doc in here or (doc in self._used and not again) else self._span(doc, room)
                if span:
                    found.append((doc, *span))
                    room -= span[1] - span[0]
                    self._used.add(doc)
                    here.update((doc, *self._partners.get(doc, ())))
        return found

    def _nearest(self, docs: list[int]) -> Iterator[int]:
        """Neighbours of the documents, of the last one first; then those of the group that follow on the path."""
        group = self._group[docs[-1]]
        for doc in reversed(docs):
            near = self.graph.indices[self.graph.indptr[doc] : self.graph.indptr[doc + 1]]
            yield from near[self._group[near] == group].tolist()
        begin, stop = np.searchsorted(self._groups_along, (group, group + 1)).tolist()
        place = int(self._place[docs[-1]])
        for first, last in ((place + 1, stop), (begin, place)):
            yield from (int(self._along[at]) for at in range(first, last))

    def _span(self, doc: int, room: int) -> tuple[int, int] | None:
        """Start and stop of what fits the room; no cut parts bos from the first token or eos from the last."""
        length, (n_bos, n_eos) = int(self.lengths[doc]), self.specials
        if length <= room:
            return (0, length) if length else None
        first = 0 if room > n_bos else n_bos + 1  # no room for bos and a token: a token of its own
        return (first, first + room) if first + room < length - n_eos else None

    @cached_property
    def _group(self) -> NDArray[np.int64]:
        return np.zeros(self.lengths.size, np.int64) if self.groups is None else self.groups

    @cached_property
    def _along(self) -> NDArray[np.int64]:
        """Documents along the path, one group after another."""
        return self.order[np.argsort(self._group[self.order], kind="stable")].astype(np.int64)

    @cached_property
    def _groups_along(self) -> NDArray[np.int64]:
        return self._group[self._along]

    @cached_property
    def _place(self) -> NDArray[np.int64]:
        found = np.empty(self.lengths.size, np.int64)
        found[self._along] = np.arange(self.lengths.size)
        return found

    @cached_property
    def _partners(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for one, other in self.conflicts.tolist():
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
        return found
