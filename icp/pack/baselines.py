"""Plans without a search: documents cut or fitted along an order, or fitted by size.

In: `Corpus`, lengths, an order. Out: `PackPlan`.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, PackPlan
from icp.kernels import pack_fit, pack_lay
from icp.pack.planner import docs_along, lay_out, tail_tokens
from icp.pack.problem import Corpus, Pieces
from icp.streams import REPEATS

LOOK = 64
"""Documents of the path that wait for a window in ``path-fit``."""


def cut(corpus: Corpus, lengths: NDArray[np.int64], order: NDArray[np.int64], specials: tuple[int, int]) -> PackPlan:
    """One after another along `order`, one group after another, cut where windows end.

    A document in conflict with the window waits for the next.
    """
    grouped = order[np.argsort(corpus.groups[order], kind="stable")]
    limits = pack_lay.Limits(corpus.capacity, *specials)
    return PackPlan(*pack_lay.lay_cut(grouped, lengths, limits, _closed(corpus)))


def fit_along(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int) -> PackPlan:
    """Windows filled one after another with the first of the next `LOOK` documents of the path that fits.

    Where none fits and the window is below `min_fill`, a document is cut, unless that is forbidden.
    """
    tails, docs = _tails(corpus, lengths, n_eos)
    enough = int(np.ceil(corpus.min_fill * corpus.capacity))
    rules = pack_lay.FitRules(corpus.capacity, LOOK, not corpus.whole, enough, corpus.least)
    doc, tokens, window = pack_lay.fit_path(docs, tails, rules, _closed(corpus))
    return lay_out(corpus, lengths, tails, Pieces(doc, tokens, window.astype(np.int32)))


def fit_by_size(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int) -> PackPlan:
    """Best fit by falling size, whatever documents are about.

    Source: arXiv 2404.10830, best-fit packing.
    """
    tails, docs = _tails(corpus, lengths, n_eos)
    docs = docs[np.lexsort((-tails[docs], corpus.groups[docs]))]
    window = pack_fit.best_fit(tails, docs, corpus.capacity, _closed(corpus))
    return lay_out(corpus, lengths, tails, Pieces(docs, tails[docs], window[docs].astype(np.int32)))


def _tails(corpus: Corpus, lengths: NDArray[np.int64], n_eos: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    tails = tail_tokens(lengths, corpus.capacity, n_eos)
    return tails, docs_along(corpus, tails)


def _closed(corpus: Corpus) -> pack_fit.Closed:
    return pack_fit.Closed(corpus.groups, corpus.conflict_bounds, corpus.conflicts)


class _Windows:
    """Pieces laid one after another, cut where a window is full as `icp.kernels.pack_windows.cut_path` cuts."""

    def __init__(self, capacity: int, specials: tuple[int, int]) -> None:
        self.room = self._capacity = capacity
        self._n_bos, self._n_eos = specials
        self.window = 0
        self.rows: list[tuple[int, int, int, int]] = []
        self.here: set[int] = set()

    def close(self) -> None:
        """Begin the next window."""
        self.window, self.room, self.here = self.window + 1, self._capacity, set()

    def lay(self, doc: int, length: int, *, whole: bool) -> bool:
        """Put a document into this window, and if `whole` its rest into the next ones; True if all of it stands."""
        start = 0
        while start < length:
            stop = self._stop(start, length)
            if stop > start:
                self.rows.append((doc, start, stop, self.window))
                self.here.add(doc)
                self.room -= stop - start
            if stop < length and not whole:
                self.room = 0
                return False
            if stop < length:
                self.close()
            start = stop
        return True

    def _stop(self, start: int, length: int) -> int:
        stop = min(start + self.room, length)
        if stop < length:
            stop = min(stop, length - self._n_eos - 1) if self._n_eos else stop
            if start == 0 and stop <= self._n_bos:
                stop = 0
        return max(stop, start)


def plan_repeats(
    graph: DocGraph, lengths: NDArray[np.int64], *, capacity: int, specials: tuple[int, int] = (0, 0), seed: int = 0
) -> PackPlan:
    """Each document that stands nowhere yet, in an order by the seed, then its nearest ones until the window is full.

    Nearest: its neighbours, most similar first, then theirs. One that does not fit is cut at the window's end; the rest
    of it is left to the window in which it stands whole. Where no neighbour is left, the next document follows.

    Args:
        graph: of n documents.
        lengths: (n,) int64, tokens with specials; 0 takes no window.
        capacity: tokens of a window.
        specials: tokens (bos, eos) at a document's ends.

    Cost: Python's, some microseconds for each document and neighbour looked at.
    """
    made = _Windows(capacity, specials)
    placed = lengths == 0
    for doc in REPEATS.generator(seed).permutation(lengths.size).tolist():
        if placed[doc]:
            continue
        if doc in made.here:  # a part of it ends this window: it shall not stand there twice
            made.close()
        placed[doc] = made.lay(doc, int(lengths[doc]), whole=True)
        for near in _nearest(graph, doc):
            if made.room == 0:
                break
            if near not in made.here and lengths[near]:
                placed[near] |= made.lay(near, int(lengths[near]), whole=False)
        if made.room == 0:
            made.close()
    rows = np.array(made.rows, dtype=np.int64).reshape(-1, 4)
    number = np.unique(rows[:, 3], return_inverse=True)[1].astype(np.int64)
    return PackPlan(rows[:, 0].copy(), rows[:, 1].copy(), rows[:, 2].copy(), number)


def _nearest(graph: DocGraph, doc: int) -> Iterator[int]:
    """The documents near to one, without itself, breadth first."""
    seen, queue = {doc}, deque([doc])
    while queue:
        at = queue.popleft()
        for near in graph.indices[graph.indptr[at] : graph.indptr[at + 1]].tolist():
            if near not in seen:
                seen.add(near)
                queue.append(near)
                yield near
