"""A floor for each window, `pack.least_fill`: windows under it are mended after a plan is made.

In: a plan, lengths, what is related. Out: the plan with fewer windows under the floor. Two of them are joined where
they fit one; others take a document, exchange one for a larger one, or take a piece of one, from related windows that
stay above the floor. What begins a window in mid-document stays first, what leaves a document open stays last, no
document is cut twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.pack.loose_windows import Piece, Windows
from icp.pack.problem import Corpus
from icp.pack.tail import tokens_of

DONORS = 128
"""Windows that are asked for tokens, when those of the nearest documents cannot give enough: the fullest."""

NOTHING: Piece = (-1, 0, 0)


@dataclass(frozen=True, slots=True)
class Step:
    """A change between a window and a donor: `taken` comes, `given` (or nothing) goes; of a document that is cut the
    donor keeps the other piece, `kept`. The best is worth most: `rank` is (does it reach the floor, its worth)."""

    rank: tuple[bool, float]
    donor: int
    taken: Piece
    given: Piece = NOTHING
    kept: Piece = NOTHING


def floor_tokens(least_fill: float, capacity: int) -> int:
    """Fewest tokens of a window, its documents' specials among them."""
    return int(np.ceil(least_fill * capacity - 1e-9))


def raised(corpus: Corpus, lengths: NDArray[np.int64], plan: PackPlan, least_fill: float, *, cuts: bool) -> PackPlan:
    """The plan with windows of at least `least_fill` of `corpus.capacity` tokens, as far as that can be.

    Args:
        lengths: (n,) int64, tokens of each document with its specials.
        cuts: whether a document may be cut for that.

    Cost: O(pieces), and for each window under the floor the documents of `DONORS` windows.
    """
    least = floor_tokens(least_fill, corpus.capacity)
    low = np.flatnonzero(tokens_of(plan) < least)
    if not low.size:
        return plan
    state = _Mending(Windows(corpus, lengths, plan), least, cuts and not corpus.whole)
    low = low[np.argsort(state.windows.tokens[low], kind="stable")]
    state.join(low.tolist())
    for window in low.tolist():
        if 0 < state.windows.tokens[window] < least:
            state.mend(window)
    return state.windows.plan()


@dataclass(frozen=True, slots=True)
class _Mending:
    """Windows that are raised to `least` tokens, by cuts too where `cuts`."""

    windows: Windows
    least: int
    cuts: bool

    def join(self, low: list[int]) -> None:
        """Put windows under the floor together where two fit one, the fullest pairs first."""
        for at, one in enumerate(low):
            fitting = [
                other
                for other in low[at + 1 :]
                if self.windows.tokens[one]
                and self.windows.tokens[one] + self.windows.tokens[other] <= self.windows.corpus.capacity
            ]
            fitting = [other for other in fitting if self.windows.tokens[other] and self._joins(one, other)]
            if fitting:
                other = max(fitting, key=lambda window: (self.windows.tokens[window], -window))
                self.windows.put(other, self.windows.pieces(other) + self.windows.pieces(one))
                self.windows.put(one, [])

    def _joins(self, one: int, other: int) -> bool:
        both = zip(self.windows.ends(one), self.windows.ends(other), strict=True)
        if self.windows.group[one] != self.windows.group[other] or any(first and second for first, second in both):
            return False
        return not any(self.windows.clash(piece[0], other, -1) for piece in self.windows.pieces(one))

    def mend(self, window: int) -> None:
        """Take tokens from donors until the window is at the floor, or nobody has any to give."""
        while self.windows.tokens[window] < self.least:
            step = self._best_of(window, self._near(window))
            if step is None or not step.rank[0]:
                far = self._best_of(window, self._fullest(window))
                step = far if step is None or (far and far.rank > step.rank) else step
            if step is None:
                return
            self._take(window, step)

    def _best_of(self, window: int, donors: list[int]) -> Step | None:
        best: Step | None = None
        if len(self.windows.pieces(window)) == 1 and self.windows.ends(window) == (True, True):
            return None  # a piece of a long document: nothing stands before or behind it
        for donor in donors:
            for step in self._steps(window, donor):
                if best is None or step.rank > best.rank:
                    best = step
        return best

    def _take(self, window: int, step: Step) -> None:
        out = step.taken[0]
        theirs = [piece for piece in self.windows.pieces(step.donor) if piece[0] != out]
        mine = [piece for piece in self.windows.pieces(window) if piece[0] != step.given[0]]
        theirs += [piece for piece in (step.given, step.kept) if piece != NOTHING]
        self.windows.put(step.donor, theirs)
        self.windows.put(window, [*mine, step.taken])

    def _near(self, window: int) -> list[int]:
        """Windows of the same group above the floor that hold neighbours of the documents here."""
        graph, docs = self.windows.corpus.graph, [doc for doc, _, _ in self.windows.pieces(window)]
        near = [graph.indices[graph.indptr[doc] : graph.indptr[doc + 1]] for doc in docs]
        homes = np.unique(self.windows.home[np.concatenate([np.empty(0, np.int64), *near]).astype(np.int64)])
        return list(homes[(homes >= 0) & (homes != window) & self._gives(window, homes)].tolist())

    def _fullest(self, window: int) -> list[int]:
        full = np.flatnonzero(self._gives(window, slice(None)))
        return list(full[np.argsort(-self.windows.tokens[full], kind="stable")][:DONORS].tolist())

    def _gives(self, window: int, at: NDArray[np.int64] | slice) -> NDArray[np.bool_]:
        tokens, group = self.windows.tokens[at], self.windows.group[at]
        gives: NDArray[np.bool_] = (tokens > self.least) & (group == self.windows.group[window])
        return gives

    def _steps(self, window: int, donor: int) -> Iterator[Step]:
        """The best exchange and the best cut that leave the donor above the floor."""
        most = min(
            self.windows.corpus.capacity - int(self.windows.tokens[window]),
            int(self.windows.tokens[donor]) - self.least,
        )
        need = self.least - int(self.windows.tokens[window])
        mine, theirs = [NOTHING, *self.windows.wholes(window)], self.windows.wholes(donor)
        if not theirs:
            return
        size, back = (np.array([stop - start for _, start, stop in pieces]) for pieces in (theirs, mine))
        come, go = self._worth(theirs, window, donor), self._worth(mine[1:], donor, window)
        gain = size[:, None] - back
        allowed = (gain > 0) & (gain <= most)
        worth = np.where(gain >= need, come[:, None] + np.r_[0.0, go], gain / self.windows.corpus.capacity)
        place = self._first(allowed, (gain >= need, worth), (window, donor, theirs, mine))
        if place:
            row, column = place
            rank = (bool(gain[place] >= need), float(worth[place]))
            yield Step(rank, donor, theirs[row], mine[column])
        ways = self._ways(window, donor)
        if ways:
            cut, least = min(most, need) + back[None, :] + 0 * gain, self.windows.corpus.least
            allowed = (cut >= least) & (cut <= size[:, None] - least)
            enough = np.full(gain.shape, most >= need)
            worth = come[:, None] * cut / size[:, None] + np.r_[0.0, go] - self.windows.corpus.cut_cost
            worth = worth if most >= need else np.full(gain.shape, most / self.windows.corpus.capacity)
            place = self._first(allowed, (enough, worth), (window, donor, theirs, mine))
            if place:
                row, column = place
                pieces = self._halves(theirs[row], int(cut[place]), rest_comes=ways[0])
                yield Step((most >= need, float(worth[place])), donor, pieces[0], mine[column], pieces[1])

    def _ways(self, window: int, donor: int) -> list[bool]:
        """Whether the rest of a document of the donor may come (True), or its beginning."""
        (begun, opened), (their_begun, their_opened) = self.windows.ends(window), self.windows.ends(donor)
        free = ((True, not (begun or their_opened)), (False, not (opened or their_begun)))
        return [way for way, is_free in free if self.cuts and is_free]

    def _halves(self, piece: Piece, size: int, *, rest_comes: bool) -> tuple[Piece, Piece]:
        """What comes, of `size` tokens, and what the donor keeps."""
        doc, _, length = piece
        at = length - size if rest_comes else size
        head, rest = (doc, 0, at), (doc, at, length)
        return (rest, head) if rest_comes else (head, rest)

    def _first(
        self,
        allowed: NDArray[np.bool_],
        rank: tuple[NDArray[np.bool_], NDArray[np.float64]],
        sides: tuple[int, int, list[Piece], list[Piece]],
    ) -> tuple[int, int] | None:
        """The best place that conflicts allow."""
        window, donor, theirs, mine = sides
        for place in np.lexsort((-rank[1].ravel(), ~rank[0].ravel(), ~allowed.ravel())).tolist():
            row, column = divmod(place, len(mine))
            if not allowed[row, column]:
                return None
            if not self._parted(window, donor, theirs[row], mine[column]):
                return row, column
        return None

    def _parted(self, window: int, donor: int, taken: Piece, given: Piece) -> bool:
        if self.windows.clash(taken[0], window, given[0]):
            return True
        return given != NOTHING and (self.windows.clash(given[0], donor, -1))

    def _worth(self, pieces: list[Piece], there: int, here: int) -> NDArray[np.float64]:
        """(pieces,) what each document of `here` gains in mean cosine to the others by standing in `there`."""
        vectors = self.windows.vectors([piece[0] for piece in pieces])
        sums = [self.windows.vectors([piece[0] for piece in self.windows.pieces(window)]) for window in (there, here)]
        own = np.einsum("ij,ij->i", vectors, vectors)
        comes = vectors @ sums[0].sum(axis=0) / max(1, len(sums[0]))
        gained: NDArray[np.float64] = comes - (vectors @ sums[1].sum(axis=0) - own) / max(1, len(sums[1]) - 1)
        return gained
