import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import both, run

from icp.kernels import pack_lay
from icp.kernels.pack_fit import Closed
from icp.kernels.pack_lay import Limits, lay_cut, lay_repeats


def int64(values):
    return np.array(values, np.int64)


def csr(rows):
    return int64(np.cumsum([0, *map(len, rows)])), np.array([other for row in rows for other in row], np.int32)


def tuples(pieces):
    return list(zip(*pieces.tolist(), strict=True))


def cut(order, lengths, capacity, n_bos=0, n_eos=0, kernel=lay_cut, foes=None, group=None):
    none = [[]] * len(lengths)
    closed = Closed(
        np.array(group or [0] * len(lengths), np.int32), *csr(foes or none), np.zeros(len(lengths), np.bool_)
    )
    return tuples(kernel(int64(order), int64(lengths), Limits(capacity, n_bos, n_eos), closed))


class Desk:
    """Lays one token at a time: one opens a window where it does not fit, with all that may not be parted from it."""

    def __init__(self, capacity, n_bos, n_eos):
        self.capacity, self.specials = capacity, (n_bos, n_eos)
        self.pieces, self.window, self.room, self.here = [], 0, capacity, []

    def open_next(self):
        self.window, self.room, self.here = self.window + 1, self.capacity, []

    def units(self, length):
        """Runs of tokens that stay together: the first with bos, the last with eos."""
        n_bos, n_eos = self.specials
        if not length:
            return []
        tokens = list(range(length))
        head, tail = tokens[: n_bos + 1], tokens[length - n_eos - 1 :]
        if length < len(head) + len(tail):  # the first token is the last
            return [tokens]
        return [head, *([token] for token in tokens[len(head) : -len(tail)]), tail]

    def lay(self, doc, length, *, whole=True):
        """All of a document, or what the open window takes; whether all of it stands."""
        for unit in self.units(length):
            if len(unit) > self.room:
                if not whole:
                    self.room = 0
                    return False
                self.open_next()
            if self.pieces and doc in self.here and self.pieces[-1][0] == doc:
                self.pieces[-1] = (doc, self.pieces[-1][1], unit[-1] + 1, self.window)
            else:
                self.pieces.append((doc, unit[0], unit[-1] + 1, self.window))
                self.here.append(doc)
            self.room -= len(unit)
        return True


def reference_cut(order, lengths, limits, foes, group):
    """Always the first document of the line that may enter the window; where none may, the next window."""
    desk, line = Desk(*limits), list(order)
    while line:
        same = [doc for doc in line if group[doc] == group[desk.here[0] if desk.here else line[0]]]
        same = same if line[0] in same else []
        free = [doc for doc in same if not any(foe in desk.here for foe in foes[doc])]
        if not free:
            desk.open_next()
            continue
        desk.lay(free[0], lengths[free[0]])
        line.remove(free[0])
        if desk.room == 0:
            desk.open_next()
    return desk.pieces


def reference_repeats(order, lengths, limits, rows):
    desk, placed = Desk(*limits), {doc for doc, length in enumerate(lengths) if length == 0}
    for doc in order:
        if doc in placed:
            continue
        assert doc not in desk.here
        desk.lay(doc, lengths[doc])
        placed.add(doc)
        queue, seen = [doc], {doc}
        for at in queue:
            for near in rows[at]:
                if near in seen:
                    continue
                seen.add(near)
                queue.append(near)
                if desk.room and near not in desk.here and lengths[near] and desk.lay(near, lengths[near], whole=False):
                    placed.add(near)
        if desk.room == 0:
            desk.open_next()
    return desk.pieces


@st.composite
def corpora(draw, shortest=0):
    """Lengths with specials, an order, and the limits of windows."""
    n_bos, n_eos = draw(st.integers(0, 1)), draw(st.integers(0, 1))
    least = n_bos + 1 + n_eos
    sizes = st.integers(least, 20) if shortest else st.one_of(st.just(0), st.integers(least, 20))
    lengths = draw(st.lists(sizes, max_size=9))
    return lengths, draw(st.permutations(range(len(lengths)))), (draw(st.integers(least, 12)), n_bos, n_eos)


def test_documents_are_laid_along_the_order_and_cut():
    assert cut([2, 0, 1], [3, 5, 4], 4) == [
        (2, 0, 4, 0),
        (0, 0, 3, 1),
        (1, 0, 1, 1),
        (1, 1, 5, 2),
    ]


def test_document_longer_than_a_window_spans_windows():
    assert cut([0], [10], 4) == [(0, 0, 4, 0), (0, 4, 8, 1), (0, 8, 10, 2)]


def test_empty_document_takes_no_window():
    assert cut([0, 1, 2], [0, 4, 0], 4) == [(1, 0, 4, 0)]
    assert cut([0], [0], 4) == []
    assert cut([], [], 4) == []


def test_eos_is_not_cut_from_the_last_token():
    # 5 tokens + eos; after 5 only eos would be left, so the cut comes one token earlier
    assert cut([0], [6], 5, 0, 1) == [(0, 0, 4, 0), (0, 4, 6, 1)]
    # a document of one token and eos does not fit beside the first
    assert cut([0, 1], [4, 2], 5, 0, 1) == [(0, 0, 4, 0), (1, 0, 2, 1)]


def test_bos_does_not_stand_alone_at_the_end_of_a_window():
    assert cut([0, 1], [4, 4], 5, 1, 0) == [(0, 0, 4, 0), (1, 0, 4, 1)]
    assert cut([0, 1], [3, 4], 5, 1, 0) == [(0, 0, 3, 0), (1, 0, 2, 0), (1, 2, 4, 1)]


def test_one_token_with_both_specials_is_never_cut():
    assert cut([0, 1, 2], [3, 3, 3], 5, 1, 1) == [(0, 0, 3, 0), (1, 0, 3, 1), (2, 0, 3, 2)]


@both
@settings(max_examples=100, deadline=None)
@given(corpora())
def test_cut_matches_the_reference(mode, corpus):
    lengths, order, limits = corpus
    none = [[]] * len(lengths)
    expected = reference_cut(order, lengths, limits, none, [0] * len(lengths))
    assert cut(order, lengths, *limits, kernel=run(mode, pack_lay, "lay_cut")) == expected


def test_a_document_in_conflict_waits_for_the_next_window():
    assert cut(range(3), [2, 2, 2], 5, foes=[[1], [0], []]) == [(0, 0, 2, 0), (2, 0, 2, 0), (1, 0, 2, 1)]


def test_a_window_ends_where_a_group_ends():
    assert cut(range(3), [2, 2, 2], 5, group=[0, 1, 1]) == [(0, 0, 2, 0), (1, 0, 2, 1), (2, 0, 2, 1)]


@both
@settings(max_examples=150, deadline=None)
@given(corpora(shortest=1), st.data())
def test_cut_with_groups_and_conflicts_matches_the_reference(mode, corpus, data):
    lengths, order, limits = corpus
    n = len(lengths)
    group = data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    some = st.integers(0, max(n - 1, 0))
    pairs = {frozenset(pair) for pair in data.draw(st.lists(st.tuples(some, some), max_size=8))}
    foes = [[j for j in range(n) if j != i and frozenset((i, j)) in pairs] for i in range(n)]
    order = sorted(order, key=lambda doc: group[doc])
    pieces = cut(order, lengths, *limits, kernel=run(mode, pack_lay, "lay_cut"), foes=foes, group=group)
    assert pieces == reference_cut(order, lengths, limits, foes, group)


def test_a_document_stands_with_its_nearest_and_what_is_cut_comes_again():
    pieces = tuples(lay_repeats(int64([0, 1, 2]), int64([4, 4, 3]), Limits(10, 0, 0), *csr([[2, 1], [0], [0]])))
    assert pieces == [(0, 0, 4, 0), (2, 0, 3, 0), (1, 0, 3, 0), (1, 0, 4, 1), (0, 0, 4, 1), (2, 0, 2, 1)]


@both
@settings(max_examples=150, deadline=None)
@given(corpora(), st.data())
def test_repeats_match_the_reference(mode, corpus, data):
    lengths, order, limits = corpus
    n = len(lengths)
    rows = [[doc for doc in data.draw(st.permutations(range(n))) if doc != own][:3] for own in range(n)]
    pieces = run(mode, pack_lay, "lay_repeats")(int64(order), int64(lengths), Limits(*limits), *csr(rows))
    assert tuples(pieces) == reference_repeats(order, lengths, limits, rows)
