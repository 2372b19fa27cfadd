"""Windows without some documents: what becomes of those that held them; all other windows stay as they are.

In: a plan, and which documents go. Out: the plan without them, windows in their old order. ``drop``: the windows that
held them go whole. ``mask``: they stay, with room where the documents stood. ``replan``: of these, the emptiest go
first, if all their documents find room in others of them, each in the one that is most like it; documents are moved
whole, and pieces of cut ones stay where they are. No kind loses a document that was to stay but ``drop``.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from icp.data import PackPlan, Rows

STRETCH = 1024
"""Windows that are planned together; they are close on the path, so that their documents are related."""
_Piece = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a plan was made of.

    Attributes:
        lengths: (n,) int64, tokens of each document with its specials, those that go included.
        capacity: tokens of a window that documents may take.
        embeddings: (n, dim) float, norm 1 or all zero.
        place: (n,) int64, where each document stands on the path.
        inside: order of documents inside a window: path | reverse | random.
        group: (n,) int64; a window never mixes them.
        conflicts: (m, 2) int64, pairs that must not share a window.
        alone: whether each document has windows of its own.
    """

    lengths: NDArray[np.int64]
    capacity: int
    embeddings: Rows
    place: NDArray[np.int64]
    inside: str
    group: NDArray[np.int64]
    conflicts: NDArray[np.int64]
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Reduced:
    """A plan without some documents.

    Attributes:
        plan: windows numbered from 0, in their old order.
        window: (n_windows,) int64, the number that each had.
        changed: (n_windows,) bool, whether a window holds something else than before.
        n_held: how many windows held documents that went.
        lost: (m, 3) int64, document, start, stop of pieces that stand in no window any more.
    """

    plan: PackPlan
    window: NDArray[np.int64]
    changed: NDArray[np.bool_]
    n_held: int
    lost: NDArray[np.int64]


def without_documents(
    plan: PackPlan,
    gone: NDArray[np.bool_],
    how: str,
    setting: Setting,
    *,
    repeated: NDArray[np.bool_] | None = None,
    kind: NDArray[np.integer] | None = None,
    path: NDArray[np.int64] | None = None,
) -> Reduced:
    """A plan without some documents.

    Args:
        plan: sorted by window, then position.
        gone: (n,) bool, the documents that go.
        how: one of `icp.choices.REMOVAL_WINDOWS`.
        setting: of the plan.
        repeated: (segments,) bool, pieces that only fill room; ``replan`` leaves them out of windows that it changes.
        kind: (n_windows,) documents move only between windows of one kind; None: all are of one.
        path: (n_windows,) int64, where each window stands on the path; None: windows follow it.
    """
    n_windows = plan.n_windows
    held = np.zeros(n_windows, np.bool_)
    held[plan.window[gone[plan.doc]]] = True
    fills = np.zeros(plan.doc.size, np.bool_) if repeated is None else repeated
    out = gone[plan.doc] | (held[plan.window] & (fills if how == "replan" else np.full(fills.size, how == "drop")))
    lost = np.flatnonzero(out & ~gone[plan.doc] & ~fills) if how == "drop" else np.empty(0, np.int64)
    kept = PackPlan(*(getattr(plan, name)[~out] for name in PackPlan.__slots__))
    changed = held.copy()
    if how == "replan" and not setting.alone:
        kinds = np.zeros(n_windows, np.int64) if kind is None else kind
        places = np.arange(n_windows) if path is None else path
        kept = _replanned(kept, held, setting, (kinds, places))
    window, number = np.unique(kept.window, return_inverse=True)
    numbered = PackPlan(kept.doc, kept.start, kept.stop, number.astype(np.int64))
    pieces = np.stack((plan.doc[lost], plan.start[lost], plan.stop[lost]), axis=1)
    return Reduced(numbered, window.astype(np.int64), changed[window], int(held.sum()), pieces)


def _replanned(
    kept: PackPlan, held: NDArray[np.bool_], setting: Setting, order: tuple[NDArray[np.integer], NDArray[np.int64]]
) -> PackPlan:
    """The plan with as few of the windows in `held` as their documents need."""
    kinds, places = order
    partners: dict[int, set[int]] = {}
    for one, other in setting.conflicts.tolist():
        partners.setdefault(one, set()).add(other)
        partners.setdefault(other, set()).add(one)
    windows = np.flatnonzero(held)
    windows = windows[np.lexsort((places[windows], kinds[windows]))]
    pieces: dict[int, list[_Piece]] = {}
    for kind in np.unique(kinds[windows]).tolist():
        here = windows[kinds[windows] == kind]
        for begin in range(0, here.size, STRETCH):
            pieces |= _Stretch(kept, np.sort(here[begin : begin + STRETCH]), setting, partners).thinned()
    rows = [(doc, start, stop, window) for window, inside in pieces.items() for doc, start, stop in inside]
    other = ~held[kept.window]
    moved = np.array(rows, np.int64).reshape(-1, 4).T
    columns = [np.concatenate((getattr(kept, name)[other], moved[at])) for at, name in enumerate(PackPlan.__slots__)]
    rank = np.argsort(columns[3], kind="stable")
    return PackPlan(*(column[rank] for column in columns))


@dataclass
class _Stretch:
    """Some windows whose documents may change places; numbers of windows count from 0 here."""

    plan: PackPlan
    windows: NDArray[np.int64]
    setting: Setting
    partners: dict[int, set[int]]
    inside: list[list[_Piece]] = field(init=False)

    def __post_init__(self) -> None:
        self.inside = []
        for window in self.windows.tolist():
            first, last = np.searchsorted(self.plan.window, (window, window + 1))
            columns = (getattr(self.plan, name)[first:last].tolist() for name in ("doc", "start", "stop"))
            self.inside.append(list(zip(*columns, strict=True)))
        docs = sorted({doc for pieces in self.inside for doc, *_ in pieces})
        self._row = {doc: row for row, doc in enumerate(docs)}
        self._vectors = self.setting.embeddings[np.array(docs, np.int64)].astype(np.float32)
        self._used = np.array([sum(stop - start for _, start, stop in pieces) for pieces in self.inside], np.int64)
        self._sums = np.zeros((len(self.inside), self._vectors.shape[1]), np.float32)
        for at, pieces in enumerate(self.inside):
            for doc, *_ in pieces:
                self._sums[at] += self._vectors[self._row[doc]]
        self._group = np.array([self.setting.group[pieces[0][0]] if pieces else -1 for pieces in self.inside])
        self._open = np.array([len(pieces) > 0 for pieces in self.inside], np.bool_)

    def thinned(self) -> dict[int, list[_Piece]]:
        """The pieces of each window that stays, by its number in the plan."""
        received: set[int] = set()
        for at in np.lexsort((np.arange(self._used.size), self._used)).tolist():
            if self._open[at] and self._is_whole(at) and self._room_elsewhere(at) >= self._used[at]:
                received |= self._dissolve(at)
        for at in received:
            if self._open[at]:
                self.inside[at] = self._arranged(self.inside[at])
        return {int(self.windows[at]): pieces for at, pieces in enumerate(self.inside) if pieces}

    def _is_whole(self, at: int) -> bool:
        """Whether all documents of a window stand there whole."""
        return all(start == 0 and stop == self.setting.lengths[doc] for doc, start, stop in self.inside[at])

    def _room_elsewhere(self, at: int) -> int:
        room = self.setting.capacity - self._used
        return int(room[self._open & (self._group == self._group[at])].sum() - room[at])

    def _dissolve(self, at: int) -> set[int]:
        """Move all documents of a window to others, if all find room; the windows that received some."""
        pieces = sorted(self.inside[at], key=lambda piece: (piece[1] - piece[2], piece[0]))
        moved: list[tuple[int, _Piece]] = []
        for piece in pieces:
            to = self._best(at, piece)
            if to is None:
                for target, back in reversed(moved):
                    self._put(target, back, -1)
                return set()
            self._put(to, piece, 1)
            moved.append((to, piece))
        self.inside[at], self._used[at], self._open[at] = [], 0, False
        return {target for target, _ in moved}

    def _best(self, at: int, piece: _Piece) -> int | None:
        """The window that is most like a document among those with room for it."""
        doc, start, stop = piece
        fits = self._open & (self._used + (stop - start) <= self.setting.capacity) & (self._group == self._group[at])
        fits[at] = False
        targets = np.flatnonzero(fits)
        if not targets.size:
            return None
        counts = np.array([len(self.inside[target]) for target in targets.tolist()], np.float32)
        alike = np.einsum("ij,j->i", self._sums[targets], self._vectors[self._row[doc]]) / counts
        shunned = self.partners.get(doc, set()) | {doc}
        for place in np.argsort(-alike, kind="stable").tolist():
            target = int(targets[place])
            if not any(other in shunned for other, *_ in self.inside[target]):
                return target
        return None

    def _put(self, at: int, piece: _Piece, sign: int) -> None:
        doc, start, stop = piece
        if sign > 0:
            self.inside[at].append(piece)
        else:
            self.inside[at].remove(piece)
        self._used[at] += sign * (stop - start)
        self._sums[at] += sign * self._vectors[self._row[doc]]

    def _arranged(self, pieces: list[_Piece]) -> list[_Piece]:
        """A piece that begins in mid-document first, one that leaves its document open last, and the others between."""

        def rank(at: int) -> tuple[int, int]:
            doc, start, stop = pieces[at]
            part = 2 if stop < self.setting.lengths[doc] else 0 if start > 0 else 1
            along = {"path": 1, "reverse": -1}.get(self.setting.inside, 0) * int(self.setting.place[doc])
            return part, along if part == 1 else 0

        return [pieces[at] for at in sorted(range(len(pieces)), key=rank)]
