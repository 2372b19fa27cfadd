"""Windows of a document and its nearest ones, repeats allowed: the baseline ``knn`` of in-context pretraining.

In: the graph, lengths. Out: a plan in which every document stands whole at least once. Source: arXiv 2310.10638,
section 3.1, baseline kNN: documents come again with each document they are near to.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from icp.data import DocGraph, PackPlan

_SEED_STREAM = 8  # beside the seed, so that no two permutations share their numbers


class _Windows:
    """Pieces laid one after another, cut where a window is full as `icp.kernels.windows.cut_path` cuts."""

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
    for doc in np.random.default_rng([seed, _SEED_STREAM]).permutation(lengths.size).tolist():
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
