import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import icp
from icp import ConfigError, DocGraph, InputError, PackPlan, plan_windows
from icp.pack.plan_windows import broken_conflicts
from icp.pack.training_order import renumber, training_order


def no_graph(n):
    empty = np.empty(0, dtype=np.int32)
    return DocGraph(np.zeros(n + 1, dtype=np.int64), empty, empty.astype(np.float16))


def packed(lengths, seq_len, *, order=None, method="path-cut", **options):
    n = len(lengths)
    order = np.arange(n, dtype=np.int32) if order is None else np.array(order, dtype=np.int32)
    vectors = np.zeros((n, 1), dtype=np.float32)
    return plan_windows(
        no_graph(n), vectors, order, np.array(lengths, dtype=np.int64), seq_len=seq_len, method=method, **options
    )


def rows_of(plan):
    return list(zip(plan.doc.tolist(), plan.start.tolist(), plan.stop.tolist(), plan.window.tolist(), strict=True))


def plan_of(rows):
    return PackPlan(*(np.array(column, dtype=np.int64) for column in (zip(*rows, strict=True) if rows else [[]] * 4)))


def check_tiles(plan, lengths, seq_len, slack=0):
    """Pieces tile every document once and in order, no window is over capacity, all but the last are full."""
    pieces = {}
    for doc, start, stop, window in rows_of(plan):
        assert start < stop
        pieces.setdefault(doc, []).append((window, start, stop))
    for doc, length in enumerate(lengths):
        reached = 0
        for _, start, stop in pieces.pop(doc, []):
            assert start == reached
            reached = stop
        assert reached == length
    assert not pieces
    tokens = np.bincount(plan.window, weights=plan.stop - plan.start, minlength=plan.n_windows)
    assert np.all(np.diff(plan.window) >= 0)
    assert np.all(tokens <= seq_len)
    assert np.all(tokens[:-1] >= seq_len - slack)


def test_public_name_is_this_function():
    assert icp.plan_windows is plan_windows


def test_path_is_cut_every_seq_len_tokens():
    plan = packed([3, 5, 4], 4, order=[2, 0, 1])
    assert rows_of(plan) == [(2, 0, 4, 0), (0, 0, 3, 1), (1, 0, 1, 1), (1, 1, 5, 2)]
    assert plan.n_windows == 3
    assert {array.dtype for array in (plan.doc, plan.start, plan.stop, plan.window)} == {np.dtype(np.int64)}


def test_source_lays_groups_one_after_another():
    plan = packed([2, 2, 2, 2], 4, order=[3, 2, 1, 0], method="source", sources=np.array([1, 0, 1, 0]))
    assert [doc for doc, *_ in rows_of(plan)] == [1, 3, 0, 2]


def test_random_hangs_on_the_seed_and_not_on_the_order():
    first = packed([1] * 30, 4, method="random", seed=3)
    again = packed([1] * 30, 4, method="random", seed=3, order=range(29, -1, -1))
    other = packed([1] * 30, 4, method="random", seed=4)
    assert first.doc.tolist() == again.doc.tolist() != other.doc.tolist()
    check_tiles(first, [1] * 30, 4)


def test_empty_document_takes_no_window():
    assert rows_of(packed([0, 4, 0], 4)) == [(1, 0, 4, 0)]
    assert packed([0, 0], 4).n_windows == packed([], 4).n_windows == 0


def test_eos_stays_with_the_last_token_and_bos_with_the_first():
    assert rows_of(packed([6, 2], 5, specials=(0, 1))) == [(0, 0, 4, 0), (0, 4, 6, 1), (1, 0, 2, 1)]
    assert rows_of(packed([4, 4], 5, specials=(1, 0))) == [(0, 0, 4, 0), (1, 0, 4, 1)]


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(0, 1), st.integers(0, 1), st.sampled_from(["path-cut", "random", "source"]))
def test_every_token_stands_once_and_specials_stay_with_theirs(data, n_bos, n_eos, method):
    least = n_bos + 1 + n_eos
    lengths = data.draw(st.lists(st.one_of(st.just(0), st.integers(least, 40)), max_size=20))
    seq_len = data.draw(st.sampled_from([3, 4, 5, 7, 8, 9, 15, 16, 17]))
    order = data.draw(st.permutations(range(len(lengths))))
    groups = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths))), dtype=int)
    options = {"method": method, "specials": (n_bos, n_eos), "sources": groups}
    plan = packed(lengths, seq_len, order=order, **options)
    check_tiles(plan, lengths, seq_len, slack=n_bos + n_eos)
    for doc, start, stop, _ in rows_of(plan):
        assert start == 0 or n_bos < start < lengths[doc] - n_eos
        assert stop == lengths[doc] or n_bos < stop < lengths[doc] - n_eos


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 1), st.integers(0, 1), st.sampled_from(["windows", "path-fit", "best-fit"]))
def test_planned_windows_of_any_length_hold_what_they_promise(data, n_bos, n_eos, method):
    least = n_bos + 1 + n_eos
    lengths = data.draw(st.lists(st.one_of(st.just(0), st.integers(least, 40)), max_size=20))
    seq_len = data.draw(st.sampled_from([3, 4, 5, 7, 8, 9, 15, 16, 17]))
    order = data.draw(st.permutations(range(len(lengths))))
    split = data.draw(st.sampled_from(["minimal", "free", "never"]))
    plan = packed(lengths, seq_len, order=order, method=method, specials=(n_bos, n_eos), split=split)
    rows = sorted(rows_of(plan))
    for doc, length in enumerate(lengths):
        spans = [(start, stop) for one, start, stop, _ in rows if one == doc]
        assert [0, *(stop for _, stop in spans)] == [*(start for start, _ in spans), length]
        assert all(start == 0 or n_bos < start < length - n_eos for start, _ in spans)
        assert length > seq_len or len(spans) <= (1 if split == "never" or method == "best-fit" else 2)
    first, last = first_and_last(plan)
    assert first[plan.start > 0].all()
    assert last[plan.stop < np.array(lengths, int)[plan.doc]].all()
    assert np.bincount(plan.window, weights=plan.stop - plan.start).max(initial=0) <= seq_len


@pytest.mark.parametrize("seq_len", [2**k + d for k in (3, 6, 10) for d in (-1, 0, 1)])
@pytest.mark.parametrize("length", [1, 63, 64, 65, 5000])
def test_without_specials_windows_are_full_at_any_length(seq_len, length):
    lengths = [length] * 20
    plan = packed(lengths, seq_len)
    check_tiles(plan, lengths, seq_len)
    assert plan.n_windows == -(-20 * length // seq_len)


@pytest.mark.parametrize(("length", "windows"), [(1, 1), (8, 1), (9, 2), (80, 10)])
def test_one_document(length, windows):
    plan = packed([length], 8)
    check_tiles(plan, [length], 8)
    assert plan.n_windows == windows


def test_one_hundred_thousand_documents_of_one_token_fill_every_window():
    plan = packed([1] * 100_000, 8192)
    check_tiles(plan, [1] * 100_000, 8192)
    assert (plan.n_windows, plan.doc.size) == (13, 100_000)


def test_inputs_are_not_changed():
    lengths, order = np.array([3, 5], dtype=np.int64), np.array([1, 0], dtype=np.int32)
    lengths.flags.writeable = order.flags.writeable = False
    plan_windows(no_graph(2), np.zeros((2, 1), np.float32), order, lengths, seq_len=4, method="path-cut")
    assert (lengths.tolist(), order.tolist()) == ([3, 5], [1, 0])


def test_conflicts_broken_are_the_pairs_that_share_a_window():
    plan = packed([4, 4, 4, 4], 6)  # windows: 0 1 | 1 2 | 3
    pairs = np.array([[0, 1], [0, 2], [2, 1], [3, 2], [0, 3]])
    assert broken_conflicts(plan, pairs).tolist() == [[0, 1], [2, 1]]
    assert broken_conflicts(plan, pairs[:0]).shape == (0, 2)
    assert broken_conflicts(packed([0, 0], 4), pairs[:1]).shape == (0, 2)


def test_conflict_of_a_document_without_tokens_is_not_broken():
    assert broken_conflicts(packed([4, 0, 4], 8), np.array([[0, 1], [0, 2]])).tolist() == [[0, 2]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=12), st.integers(2, 20), st.integers(0, 99), st.data())
def test_conflicts_broken_match_reference_after_any_renumbering(lengths, seq_len, seed, data):
    docs = st.integers(0, len(lengths) - 1)
    pairs = np.array(data.draw(st.lists(st.tuples(docs, docs), max_size=6)), dtype=np.int64).reshape(-1, 2)
    plan = packed(lengths, seq_len)
    plan = renumber(plan, training_order(plan.n_windows, seed=seed))
    windows = {(doc, window) for doc, _, _, window in rows_of(plan)}
    shared = [pair for pair in pairs.tolist() if any((pair[1], w) in windows for d, w in windows if d == pair[0])]
    assert broken_conflicts(plan, pairs).tolist() == shared


def test_renumbering_moves_windows_and_keeps_their_insides():
    plan = plan_of([(0, 0, 2, 0), (1, 0, 2, 0), (1, 2, 6, 1), (2, 0, 3, 2)])
    moved = renumber(plan, np.array([2, 0, 1]))
    assert rows_of(moved) == [(2, 0, 3, 0), (0, 0, 2, 1), (1, 0, 2, 1), (1, 2, 6, 2)]


def test_training_order_is_a_permutation_by_seed_or_the_path():
    assert training_order(4, shuffle="none").tolist() == [0, 1, 2, 3]
    first, again, other = (training_order(50, seed=seed).tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert sorted(first) == list(range(50))
    assert training_order(0).size == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "tree"}, ConfigError, "pack.method is 'tree', which is not built; use one of windows, path-cut"),
        (
            {"split": "never"},
            ConfigError,
            "pack.split is 'never', which pack.method path-cut cannot do; use minimal or free",
        ),
        ({"min_fill": 0.0}, ConfigError, "pack.min_fill is 0.0, must be above 0"),
        ({"min_piece": 3}, ConfigError, "pack.min_piece is 3, must be from 1 to a quarter of a window, 2"),
        ({"min_piece": 0}, ConfigError, "pack.min_piece is 0, must be from 1"),
        ({"method": "source"}, ConfigError, "needs the source of each document"),
        ({"seq_len": 2, "specials": (1, 1)}, ConfigError, "leaves 2 tokens of a window .* at least 3"),
        ({"seq_len": 0}, ConfigError, "leaves 0 tokens of a window .* at least 1"),
        ({"specials": (0, 1)}, InputError, r"lengths\[1\] is 1, expected 0 or at least 2"),
        ({"lengths": np.array([1, -1])}, InputError, r"lengths\[1\] is -1"),
        ({"lengths": np.array([1.0, 2.0])}, InputError, "lengths is float64 of shape .2,., expected whole numbers"),
        ({"lengths": np.array([1, 2, 3])}, InputError, "3 lengths and 2 rows in the graph"),
        ({"order": np.array([0, 0])}, InputError, "not a permutation of 0 to 1"),
        ({"order": np.array([0, 2])}, InputError, "not a permutation"),
        ({"order": np.array([0])}, InputError, "not a permutation"),
        ({"groups": np.array([0])}, InputError, r"groups are \(1,\) int64, expected \(2,\) integers"),
        ({"conflicts": np.array([[0, 5]])}, InputError, "conflicts name rows 0 to 5, expected 0 to 1"),
        (
            {"conflicts": np.array([0, 1])},
            InputError,
            r"conflicts is int64 of shape \(2,\), expected whole numbers with 2 axes",
        ),
    ],
)
def test_refuses(change, error, message):
    arguments = {"order": np.array([0, 1]), "lengths": np.array([2, 1]), "seq_len": 8, "method": "path-cut"} | change
    order, lengths = arguments.pop("order"), arguments.pop("lengths")
    with pytest.raises(error, match=message):
        plan_windows(no_graph(2), np.zeros((2, 1), dtype=np.float32), order, lengths, **arguments)


def ring(n, k=4):
    """Documents on a circle: each is most like its neighbours on it. Graph and vectors (n, 2)."""
    angles = 2 * np.pi * np.arange(n) / n
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)
    return icp.symmetrize(icp.search_neighbors(vectors, k=k)), vectors


@pytest.mark.parametrize("method", ["windows", "path-fit", "best-fit"])
@pytest.mark.parametrize("seq_len", [63, 64, 65])
@pytest.mark.parametrize("split", ["minimal", "never"])
def test_planned_windows_hold_every_token_once(method, seq_len, split):
    random = np.random.default_rng(7)
    lengths = random.integers(0, 30, 200).astype(np.int64)
    lengths[lengths == 1] = 0
    lengths[[5, 50]] = 3 * seq_len + 7, seq_len
    graph, vectors = ring(200)
    order = random.permutation(200).astype(np.int32)
    options = {"seq_len": seq_len, "method": method, "split": split, "specials": (0, 1), "min_fill": 0.9}
    plan = plan_windows(graph, vectors, order, lengths, **options)
    again = plan_windows(graph, vectors, order, lengths, **options)
    assert rows_of(plan) == rows_of(again)
    tokens = np.bincount(plan.window, weights=plan.stop - plan.start)
    assert tokens.max() <= seq_len
    assert np.all(tokens > 0)
    pieces = sorted(rows_of(plan))
    for doc in range(200):
        spans = sorted((start, stop) for row, start, stop, _ in pieces if row == doc)
        assert [span[0] for span in spans] == [0, *(span[1] for span in spans[:-1])][: len(spans)]
        assert (spans[-1][1] if spans else 0) == lengths[doc]
        assert all(stop == lengths[doc] or stop < lengths[doc] - 1 for _, stop in spans), "eos keeps its token"
        if split == "never" and lengths[doc] <= seq_len:
            assert len(spans) <= 1


def test_conflicting_documents_never_share_a_planned_window():
    graph, vectors = ring(120)
    order, lengths = np.arange(120, dtype=np.int32), np.full(120, 10, dtype=np.int64)
    conflicts = np.array([[n, n + 1] for n in range(0, 118, 3)])
    free = plan_windows(graph, vectors, order, lengths, seq_len=64, method="windows")
    assert broken_conflicts(free, conflicts).size, "the plan would put them together if it were let"
    for method in ("windows", "path-fit", "best-fit"):
        plan = plan_windows(graph, vectors, order, lengths, seq_len=64, method=method, conflicts=conflicts)
        assert broken_conflicts(plan, conflicts).size == 0, method


FILL_MISSED = 0.01
"""Share of windows of a few hundred tokens that may be more than wanted: with two loose ends a window and no small
piece, few of them can be filled to the last token."""


def test_planned_windows_are_more_related_than_cut_ones():
    from icp.pack.similarity import window_figures

    random = np.random.default_rng(3)
    topics = np.linalg.qr(random.normal(size=(40, 40)))[0]
    vectors = topics[random.integers(0, 40, 800)] + 0.15 * random.normal(size=(800, 40))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    graph = icp.symmetrize(icp.search_neighbors(vectors, k=10))
    order = icp.visit_order(graph, vectors, method="algorithm1", improve=False).order
    lengths = random.integers(20, 200, 800).astype(np.int64)
    found = {}
    for method in ("path-cut", "windows"):
        plan = plan_windows(graph, vectors, order, lengths, seq_len=512, method=method)
        found[method] = window_figures(plan, vectors, lengths, capacity=512)
    assert found["windows"].mean_similarity > found["path-cut"].mean_similarity
    assert found["windows"].split_documents < found["path-cut"].split_documents
    assert plan.n_windows <= (1 + FILL_MISSED) * lengths.sum() / (0.995 * 512) + 1


def test_refuses_an_unknown_shuffle():
    with pytest.raises(ConfigError, match=r"pack.shuffle is 'jump'; use one of spread, random, none, lanes"):
        training_order(3, shuffle="jump")


ALL_METHODS = ["windows", "path-fit", "best-fit", "path-cut", "random", "single", "knn"]


def first_and_last(plan):
    """(pieces,) bool each: the piece stands first in its window, and last."""
    changes = np.r_[True, plan.window[1:] != plan.window[:-1], True]
    return changes[:-1], changes[1:]


@pytest.mark.parametrize(("mean", "seed"), [(60, 5), (200, 6), (400, 7)], ids=["short", "middle", "mostly-long"])
@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_window_begins_in_mid_document_and_leaves_one_open_once_at_most(method, mean, seed):
    random = np.random.default_rng(seed)
    lengths = np.maximum(2, random.lognormal(np.log(mean), 0.8, 300)).astype(np.int64)
    graph, vectors = ring(300)
    order = random.permutation(300).astype(np.int32)
    plan = plan_windows(graph, vectors, order, lengths, seq_len=256, method=method, specials=(0, 1))
    first, last = first_and_last(plan)
    assert first[plan.start > 0].all()
    assert last[plan.stop < lengths[plan.doc]].all()
    if method in ("windows", "path-fit"):
        fits = lengths <= 256
        assert np.bincount(plan.doc)[fits].max() <= 2
        assert (plan.stop - plan.start)[(lengths > 8)[plan.doc] & fits[plan.doc]].min() >= 8


@pytest.mark.parametrize("least", [1, 8, 40, 64])
def test_no_piece_of_a_planned_document_is_under_the_least(least):
    random = np.random.default_rng(11)
    lengths = random.integers(2, 200, 400).astype(np.int64)
    graph, vectors = ring(400)
    order = random.permutation(400).astype(np.int32)
    plan = plan_windows(graph, vectors, order, lengths, seq_len=256, min_piece=least)
    is_piece = plan.stop - plan.start < lengths[plan.doc]
    assert is_piece.any()
    assert (plan.stop - plan.start)[is_piece].min() >= least
    assert plan.n_windows <= lengths.sum() / (0.995 * 256) * (1 + 2 * FILL_MISSED) + 1


def test_long_documents_keep_their_ends_beside_others():
    """What is left of long documents stands with others: as a rest that begins its window, or a head that ends it."""
    random = np.random.default_rng(4)
    lengths = np.where(np.arange(300) % 10 == 0, 257 + random.integers(0, 256, 300), random.integers(2, 120, 300))
    graph, vectors = ring(300)
    plan = plan_windows(graph, vectors, np.arange(300, dtype=np.int32), lengths, seq_len=256, specials=(0, 1))
    for doc in range(300):
        rows = np.flatnonzero(plan.doc == doc)
        rows = rows[np.argsort(plan.start[rows])]
        assert [0, *plan.stop[rows].tolist()] == [*plan.start[rows].tolist(), lengths[doc]]
    sizes = np.bincount(plan.window)
    of_long = lengths[plan.doc] > 256
    together = of_long & (sizes[plan.window] > 1)
    assert np.unique(plan.doc[together]).size >= 25
    assert (plan.stop - plan.start)[of_long].min() >= 8
