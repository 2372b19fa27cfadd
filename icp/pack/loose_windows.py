"""Windows of a plan while pieces are moved between them.

In: a plan, lengths, what is related. Out: the plan with some windows changed; these are read as plans are: rests first,
open pieces last, between them each document after those that it is most like.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan
from icp.kernels import pack_inside
from icp.pack.problem import Corpus
from icp.pack.tail import tokens_of

Piece = tuple[int, int, int]
"""Document, start, stop."""


@dataclass
class Windows:
    """A plan whose windows may change.

    Attributes:
        corpus: all documents.
        lengths: (n,) int64, tokens of each with its specials.
        start: the plan before any change.
        tokens, group: (n_windows,) int64, tokens of each window now, and its group.
        home: (n,) int64, a window of each document, -1 if in none.
    """

    corpus: Corpus
    lengths: NDArray[np.int64]
    start: PackPlan
    changed: dict[int, list[Piece]] = field(default_factory=dict)
    tokens: NDArray[np.int64] = field(init=False)
    home: NDArray[np.int64] = field(init=False)
    group: NDArray[np.int64] = field(init=False)
    edges: NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        plan = self.start
        self.tokens = tokens_of(plan)
        self.edges = np.searchsorted(plan.window, np.arange(plan.n_windows + 1))
        self.home = np.full(self.lengths.size, -1, np.int64)
        self.home[plan.doc] = plan.window
        self.group = np.zeros(plan.n_windows, np.int64)
        self.group[plan.window] = self.corpus.groups[plan.doc]

    def pieces(self, window: int) -> list[Piece]:
        """The pieces of a window."""
        if window in self.changed:
            return self.changed[window]
        rows = slice(self.edges[window], self.edges[window + 1])
        columns = (self.start.doc[rows], self.start.start[rows], self.start.stop[rows])
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def put(self, window: int, pieces: list[Piece]) -> None:
        """Change what stands in a window."""
        self.changed[window] = pieces
        self.tokens[window] = sum(stop - start for _, start, stop in pieces)
        for doc, _, _ in pieces:
            self.home[doc] = window

    def is_open(self, piece: Piece) -> bool:
        """Whether a piece does not end its document."""
        return piece[2] < int(self.lengths[piece[0]])

    def wholes(self, window: int) -> list[Piece]:
        """The documents that stand in a window whole."""
        return [piece for piece in self.pieces(window) if not piece[1] and not self.is_open(piece)]

    def ends(self, window: int) -> tuple[bool, bool]:
        """Whether a window begins in mid-document, and whether it leaves a document open."""
        pieces = self.pieces(window)
        return any(piece[1] for piece in pieces), any(self.is_open(piece) for piece in pieces)

    def clash(self, doc: int, window: int, but: int) -> bool:
        """Whether a document may not stand with those of a window, `but` put aside."""
        low, high = self.corpus.conflict_bounds[doc : doc + 2].tolist()
        partners = set(self.corpus.conflicts[low:high].tolist())
        here = {piece[0] for piece in self.pieces(window)} - {but}
        return doc in here or bool(partners and partners & here)

    def vectors(self, docs: list[int]) -> NDArray[np.float64]:
        """(docs, dim) float64: their vectors."""
        return np.asarray(self.corpus.embeddings[np.array(docs, np.int64)], np.float64)

    def plan(self) -> PackPlan:
        """All windows, those that are empty now left out, changed ones in the order in which they are read."""
        number = np.cumsum(self.tokens > 0) - 1
        same = ~np.isin(self.start.window, np.array(sorted(self.changed), np.int64))
        fixed = [column[same] for column in (self.start.doc, self.start.start, self.start.stop, self.start.window)]
        columns = (np.concatenate(pair) for pair in zip(fixed, self._read().T, strict=True))
        doc, start, stop, window = columns
        order = np.argsort(window, kind="stable")
        return PackPlan(doc[order], start[order], stop[order], number[window[order]].astype(np.int64))

    def _read(self) -> NDArray[np.int64]:
        """(m, 4) int64: pieces of changed windows and their windows, each document after those that it is most like."""
        rows = [(*piece, window) for window in sorted(self.changed) for piece in self.changed[window]]
        doc, start, stop, window = np.array(rows, np.int64).reshape(-1, 4).T
        part = np.where(start > 0, 0, np.where(stop < self.lengths[doc], 2, 1))
        whole = np.flatnonzero(part == 1)
        whole = whole[np.lexsort((self.corpus.position[doc[whole]], window[whole]))]
        bounds = np.searchsorted(window[whole], np.unique(window))
        graph = self.corpus.graph
        bits = np.asarray(graph.weights).view(np.uint16)
        edges = np.append(bounds, whole.size)
        place = np.zeros(doc.size, np.int64)
        found = whole[pack_inside.order_inside(doc[whole], edges, graph.indptr, graph.indices, bits)]
        place[found] = np.arange(found.size)
        order = np.lexsort((place, part, window))
        return np.stack((doc, start, stop, window), axis=1)[order]
