"""What becomes of a document that would be cut where a window ends: `pack.continuation`.

In: documents in an order, groups, conflicts. Out: `PackPlan`. ``pad``: the document begins the next window, and the
room stays empty; ``restart``: the same, but the room is filled with its beginning, so that it is read there once more.
A document longer than a window begins one, and goes on in windows of its own.

Source: restart as in arXiv 2603.00729, where a truncated document starts again in the next sequence.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.pack.problem import Corpus

Row = tuple[int, int, int, int]
"""Document, start, stop, window."""


def lay_whole(
    corpus: Corpus, lengths: NDArray[np.int64], order: NDArray[np.int64], specials: tuple[int, int], *, restart: bool
) -> PackPlan:
    """Documents one after another along `order`, one group after another, none cut that fits a window.

    A document in conflict with the window waits for the next.

    Args:
        lengths: (n,) int64, tokens of each document with its specials; 0 takes no window.
        specials: tokens (bos, eos) at a document's ends; no cut parts them from the token beside them.
        restart: fill the room before a document that does not fit with its beginning.

    Cost: O(documents + windows * waiting documents), in Python.
    """
    grouped = order[np.argsort(corpus.groups[order], kind="stable")]
    line = _Line(corpus, lengths, specials, restart)
    edges = np.flatnonzero(np.diff(corpus.groups[grouped], prepend=-1, append=-1))
    for begin, end in zip(edges.tolist(), edges[1:].tolist(), strict=False):
        line.lay([doc for doc in grouped[begin:end].tolist() if lengths[doc]])
    return PackPlan(*np.array(line.rows, np.int64).reshape(-1, 4).T)


def begun_again(plan: PackPlan) -> NDArray[np.int64]:
    """(m, 4) int64: the beginnings that are repeated in a plan of `lay_whole`: document, start, stop, window.

    Of the pieces that begin a document, all but the longest.
    """
    heads = np.flatnonzero(plan.start == 0)
    heads = heads[np.lexsort((-plan.stop[heads], plan.doc[heads]))]
    again = np.sort(heads[np.diff(plan.doc[heads], prepend=-1) == 0])
    rows: NDArray[np.int64] = np.stack((plan.doc, plan.start, plan.stop, plan.window), axis=1)[again]
    return rows


@dataclass
class _Line:
    """The window that is open, and the windows before it."""

    corpus: Corpus
    lengths: NDArray[np.int64]
    specials: tuple[int, int]
    restart: bool
    rows: list[Row] = field(default_factory=list)
    window: int = -1
    room: int = 0
    here: set[int] = field(default_factory=set)

    def lay(self, docs: list[int]) -> None:
        """Lay the documents of one group, in windows of their own."""
        self._open()
        waiting: list[int] = []
        while docs or waiting:
            for doc in docs:
                if self._conflicts(doc):
                    waiting.append(doc)
                elif self._place(doc):
                    waiting = [other for other in waiting if not self._fits_in(other)]
            docs, waiting = waiting, []
            if docs and self._conflicts(docs[0]):
                self._open()

    def _open(self) -> None:
        if self.here or self.window < 0:
            self.window, self.room, self.here = self.window + 1, self.corpus.capacity, set()

    def _place(self, doc: int) -> bool:
        """Put a document that is in no conflict into this window or the next; says whether a window was opened."""
        length, opened = int(self.lengths[doc]), False
        if length > self.room and self.here:
            self._begin(doc)
            self._open()
            opened = True
        start = 0
        while length - start > self.corpus.capacity:
            stop = min(start + self.corpus.capacity, length - self.specials[1] - 1)
            self._add(doc, start, stop)
            self._open()
            start, opened = stop, True
        self._add(doc, start, length)
        return opened

    def _begin(self, doc: int) -> None:
        """Fill the room with the beginning of the document that comes next."""
        n_bos, n_eos = self.specials
        stop = min(self.room, int(self.lengths[doc]) - n_eos - 1)
        if self.restart and stop > n_bos:
            self._add(doc, 0, stop)

    def _fits_in(self, doc: int) -> bool:
        """Put a document that waits into this window, if it fits and may stand there."""
        fits = int(self.lengths[doc]) <= self.room and not self._conflicts(doc)
        if fits:
            self._add(doc, 0, int(self.lengths[doc]))
        return fits

    def _conflicts(self, doc: int) -> bool:
        bounds = self.corpus.conflict_bounds
        return any(other in self.here for other in self.corpus.conflicts[bounds[doc] : bounds[doc + 1]].tolist())

    def _add(self, doc: int, start: int, stop: int) -> None:
        self.rows.append((doc, start, stop, self.window))
        self.room -= stop - start
        self.here.add(doc)
