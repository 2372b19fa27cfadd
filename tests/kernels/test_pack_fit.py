import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_problems import both, run

from icp.kernels import pack_fit
from icp.kernels.pack_fit import Closed, FitRules, best_fit, fit_path

SEQ_LEN = 10


def closed(foes, group, loose=()):
    bounds = np.cumsum([0, *map(len, foes)]).astype(np.int64)
    foe = np.array([foe for row in foes for foe in row], np.int32)
    return Closed(np.array(group, np.int32), bounds, foe, np.isin(np.arange(len(group)), loose))


def int64(values):
    return np.array(values, np.int64)


@st.composite
def corpora(draw):
    """Tokens, an order with one group after another, foes and groups."""
    n = draw(st.integers(1, 12))
    tokens = draw(st.lists(st.integers(1, SEQ_LEN), min_size=n, max_size=n))
    group = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    order = sorted(draw(st.permutations(range(n)))[: draw(st.integers(1, n))], key=lambda doc: group[doc])
    pairs = {frozenset(pair) for pair in draw(st.lists(st.tuples(*[st.integers(0, n - 1)] * 2), max_size=8))}
    foes = [[j for j in range(n) if j != i and frozenset((i, j)) in pairs] for i in range(n)]
    return tokens, order, foes, group


def test_each_goes_where_the_least_room_is_left_over():
    window = best_fit(int64([7, 6, 4, 3, 2]), np.arange(5), SEQ_LEN, closed([[]] * 5, [0] * 5))
    assert window.tolist() == [0, 1, 1, 0, 2]


def reference_best_fit(tokens, order, foes, group, loose):
    """Every window tried that has place for another loose one; of equal rooms that of the window that changed last."""
    windows, of_doc = [], [-1] * len(tokens)
    for clock, doc in enumerate(order):
        fits = [
            (SEQ_LEN - sum(tokens[other] for other in docs), -changed, at)
            for at, (docs, changed) in enumerate(windows)
            if group[docs[0]] == group[doc] and not set(docs) & set(foes[doc])
            if doc not in loose or len(set(docs) & loose) < 2
        ]
        fits = [fit for fit in fits if fit[0] >= tokens[doc]]
        at = min(fits)[2] if fits else len(windows)
        windows[at : at + 1] = [((*windows[at][0], doc) if fits else (doc,), clock)]
        of_doc[doc] = at
    return of_doc


@both
@settings(max_examples=150, deadline=None)
@given(corpora(), st.sets(st.integers(0, 11)))
def test_best_fit_matches_the_reference(mode, corpus, loose):
    tokens, order, foes, group = corpus
    shut = closed(foes, group, list(loose))
    window = run(mode, pack_fit, "best_fit")(int64(tokens), int64(order), SEQ_LEN, shut).tolist()
    assert window == reference_best_fit(tokens, order, foes, group, loose)
    for at in set(window) - {-1}:
        docs = [doc for doc, where in enumerate(window) if where == at]
        assert sum(tokens[doc] for doc in docs) <= SEQ_LEN
        assert len({group[doc] for doc in docs}) == 1
        assert not any(foe in docs for doc in docs for foe in foes[doc])
        assert len(loose & set(docs)) <= 2


def fitted(kernel, tokens, order, foes, group, look, cuts, enough, least):
    rules = FitRules(SEQ_LEN, look, cuts, enough, least)
    return list(zip(*kernel(int64(order), int64(tokens), rules, closed(foes, group)).tolist(), strict=True))


def test_a_window_takes_the_first_that_fits_and_then_a_piece():
    tokens, free = [6, 7, 3, 5], ([[]] * 4, [0] * 4)
    assert fitted(fit_path, tokens, range(4), *free, 4, False, 10, 1) == [(0, 6, 0), (2, 3, 0), (1, 7, 1), (3, 5, 2)]
    assert fitted(fit_path, tokens, range(4), *free, 2, True, 10, 2)[:3] == [(0, 6, 0), (2, 3, 0), (1, 7, 1)]
    # 4 tokens of room are filled by a piece of what fits least, unless the window is full enough without
    assert fitted(fit_path, [6, 9], range(2), *free, 2, True, 10, 2) == [(0, 6, 0), (1, 4, 0), (1, 5, 1)]
    assert fitted(fit_path, [6, 9], range(2), *free, 2, True, 6, 2) == [(0, 6, 0), (1, 9, 1)]


def reference_fit_path(tokens, order, foes, group, look, cuts, enough, least):
    pieces, line, left = [], list(order), list(tokens)
    window, here = 0, []
    while line:
        ahead = [doc for doc in line[:look] if group[doc] == group[line[0]]]
        room = SEQ_LEN - sum(size for _, size in here)
        if here and group[here[0][0]] != group[line[0]]:
            window, here = window + 1, []
            continue
        ahead = [doc for doc in ahead if not any(foe == doc for other, _ in here for foe in foes[other])]
        whole = [doc for doc in ahead if left[doc] <= room]
        parts = [doc for doc in ahead if room >= least and left[doc] >= room + least]
        if whole:
            doc, size = whole[0], left[whole[0]]
        elif cuts and parts and SEQ_LEN - room < enough:
            doc, size = parts[0], room
        else:
            window, here = window + 1, []
            continue
        pieces.append((doc, size, window))
        here.append((doc, size))
        left[doc] -= size
        line.remove(doc)
        if left[doc] or size == room:
            window, here = window + 1, []
        if left[doc]:  # the rest begins the next window
            pieces.append((doc, left[doc], window))
            here.append((doc, left[doc]))
    return pieces


@both
@settings(max_examples=150, deadline=None)
@given(corpora(), st.integers(1, 5), st.booleans(), st.integers(5, 10), st.integers(1, 3))
def test_fitting_along_the_path_matches_the_reference(mode, corpus, look, cuts, enough, least):
    tokens, order, foes, group = corpus
    found = fitted(run(mode, pack_fit, "fit_path"), tokens, order, foes, group, look, cuts, enough, least)
    assert found == reference_fit_path(tokens, order, foes, group, look, cuts, enough, least)
    for doc in order:
        assert sum(size for one, size, _ in found if one == doc) == tokens[doc]
