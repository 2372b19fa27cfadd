import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import both, run

from icp.kernels import pack_near
from icp.kernels.pack_near import near_items, separate


def csr(rows):
    bounds = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return bounds, np.array([other for row in rows for other in row], np.int32)


def item_of(docs, n_docs):
    first = [docs.index(doc) if doc in docs else -1 for doc in range(n_docs)]
    return np.array(first, np.int32)


def test_neighbours_that_are_no_items_are_passed_over():
    near = near_items(*csr([[3, 1, 2], [0], [0], [0]]), np.array([0, 2]), item_of([0, 2], 4), 2)
    assert near.tolist() == [[1, -1], [0, -1]]


def test_pieces_of_a_document_come_first():
    docs = [1, 1, 1, 0]
    near = near_items(*csr([[1], [0]]), np.array(docs), item_of(docs, 2), 2)
    # the first lists the next piece, any other the first; whoever lists the document lists its first piece
    assert near.tolist() == [[1, 3], [0, 3], [0, 3], [0, -1]]


def reference_near(rows, docs, k):
    near = []
    for item, doc in enumerate(docs):
        pieces = [other for other, its in enumerate(docs) if its == doc]
        sibling = [pieces[0]] if item != pieces[0] else pieces[1:2]
        others = [docs.index(other) for other in rows[doc] if other in docs]
        near.append((sibling + others + [-1] * k)[:k])
    return near


@both
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_near_items_match_the_reference(mode, data):
    n_docs = data.draw(st.integers(1, 6))
    rows = [
        [doc for doc in data.draw(st.permutations(range(n_docs))) if doc != own][: data.draw(st.integers(0, 5))]
        for own in range(n_docs)
    ]
    order = data.draw(st.permutations(range(n_docs)))[: data.draw(st.integers(1, n_docs))]
    docs = [doc for doc in order for _ in range(data.draw(st.integers(1, 3)))]
    k = data.draw(st.integers(1, 4))
    near = run(mode, pack_near, "near_items")(*csr(rows), np.array(docs), item_of(docs, n_docs), k)
    assert near.tolist() == reference_near(rows, docs, k)


HALVES = np.arange(1 << 15, dtype=np.uint16).view(np.float16).astype(np.float32)


def bits_of(weights):
    return np.array(weights, np.float16).view(np.uint16)


@both
def test_neighbours_are_alike_where_they_list_each_other(mode):
    # 0 and 1 list each other, 2 lists 0 alone; 3 is below 0
    rows, weights = [[1, 3], [0], [0], [0]], [0.75, -0.5, 0.75, 0.5, -0.5]
    near = near_items(*csr(rows), np.arange(4), np.arange(4, dtype=np.int32), 3)
    like = run(mode, pack_near, "likeness")(near, np.arange(4), *csr(rows), (bits_of(weights), HALVES))
    assert like.tolist() == [[0.75, 0, 0], [0.75, 0, 0], [0, 0, 0], [0, 0, 0]]


@both
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_likeness_matches_the_reference(mode, data):
    n_docs = data.draw(st.integers(1, 6))
    cosine = np.round(np.random.default_rng(data.draw(st.integers(0, 99))).uniform(-0.3, 1, (n_docs, n_docs)), 2)
    cosine = np.maximum(cosine, cosine.T).astype(np.float16)
    rows = [
        sorted((other for other in range(n_docs) if other != own), key=lambda d: -cosine[own, d])
        for own in range(n_docs)
    ]
    order = data.draw(st.permutations(range(n_docs)))[: data.draw(st.integers(1, n_docs))]
    docs = [doc for doc in order for _ in range(data.draw(st.integers(1, 2)))]
    near = near_items(*csr(rows), np.array(docs), item_of(docs, n_docs), data.draw(st.integers(1, 4)))
    weights = bits_of([cosine[own, other] for own in range(n_docs) for other in rows[own]])
    like = run(mode, pack_near, "likeness")(near, np.array(docs), *csr(rows), (weights, HALVES))
    for item, row in enumerate(near.tolist()):
        for place, other in enumerate(row):
            mutual = other >= 0 and item in near[other] and docs[other] != docs[item]
            assert like[item, place] == (max(0, cosine[docs[item], docs[other]]) if mutual else 0)
        found = [value for value in like[item] if value]
        assert found == sorted(found, reverse=True)


def reference_separate(window, group, kind, foes):
    """The nearest window by number, below first, of the same group and without an earlier foe, or two loose ones before
    another; else a new one."""
    window, group = list(window), list(group)
    n_old = len(group)
    for i, mine in enumerate(window):
        taken = {window[j] for j in foes[i] if j < i}
        loose = [window[j] for j in range(i) if kind[j]] if kind[i] else []
        taken |= {place for place in loose if loose.count(place) >= 2}
        if mine not in taken:
            continue
        free = [w for w in range(len(group)) if group[w] == group[mine] and w not in taken]
        old = [w for w in free if w < n_old]
        new = [w for w in free if w >= n_old]
        if old:
            window[i] = min(old, key=lambda w, mine=mine: (abs(w - mine), w))
        elif new:
            window[i] = new[0]
        else:
            window[i] = len(group)
            group.append(group[mine])
    return window, group[n_old:]


def test_the_later_of_two_in_conflict_moves_to_the_nearest_window():
    window, foes = np.array([1, 1, 1], np.int32), [[1, 2], [0, 2], [0, 1]]
    assert separate(window, np.zeros(3, np.int32), np.zeros(3, np.int8), *csr(foes)).tolist() == []
    assert window.tolist() == [1, 0, 2]


def test_where_all_are_taken_a_window_opens():
    window, foes = np.array([0, 0, 0], np.int32), [[1, 2], [0, 2], [0, 1]]
    assert separate(window, np.array([7, 8], np.int32), np.zeros(3, np.int8), *csr(foes)).tolist() == [7, 7]
    assert window.tolist() == [0, 2, 3]


@both
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_separation_matches_the_reference(mode, data):
    group = sorted(data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=6)))
    window = data.draw(st.lists(st.integers(0, len(group) - 1), min_size=1, max_size=9))
    some = st.integers(0, len(window) - 1)
    pairs = {frozenset(pair) for pair in data.draw(st.lists(st.tuples(some, some), max_size=14))}
    foes = [sorted(j for j in range(len(window)) if j != i and frozenset((i, j)) in pairs) for i in range(len(window))]
    kind = data.draw(st.lists(st.integers(0, 2), min_size=len(window), max_size=len(window)))
    moved, arrays = np.array(window, np.int32), (np.array(group, np.int32), np.array(kind, np.int8))
    extra = run(mode, pack_near, "separate")(moved, *arrays, *csr(foes))
    assert (moved.tolist(), extra.tolist()) == reference_separate(window, group, kind, foes)
    assert np.bincount(moved[np.array(kind) > 0]).max(initial=0) <= 2
    assert not any(moved[i] == moved[j] for i, row in enumerate(foes) for j in row)
