import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icp import PackPlan
from icp.pack import similarity
from icp.pack.similarity import context_bits, window_figures, window_similarities
from icp.pack.training_order import renumber

AXES = np.array([[1, 0], [0.6, 0.8], [0, 1], [0, 0]], dtype=np.float16)


def plan_of(rows):
    columns = zip(*rows, strict=True) if rows else [[]] * 4
    return PackPlan(*(np.array(column, dtype=np.int64) for column in columns))


def whole(windows, lengths):
    return plan_of([(doc, 0, lengths[doc], number) for number, docs in enumerate(windows) for doc in docs])


@st.composite
def plans(draw):
    """A plan with pieces of any size in any window, and the lengths of its documents."""
    n, n_windows = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rows, lengths = [], []
    for doc in range(n):
        cuts = sorted(draw(st.sets(st.integers(1, 19), max_size=3)))
        bounds = [0, *cuts, draw(st.integers(20, 30))] if draw(st.booleans()) else [0, 1]
        lengths.append(bounds[-1])
        for start, stop in pairwise(bounds):
            rows.append((doc, start, stop, draw(st.integers(0, n_windows - 1))))
    used = sorted({row[3] for row in rows})
    rows = [(doc, start, stop, used.index(window)) for doc, start, stop, window in rows]
    rows = draw(st.permutations(rows))
    return plan_of(sorted(rows, key=lambda row: row[3])), np.array(lengths, dtype=np.int64)


def reference_figures(plan, vectors, lengths, capacity):
    """The figures of docs/design.md, word for word."""
    rows = list(zip(plan.doc.tolist(), plan.start.tolist(), plan.stop.tolist(), plan.window.tolist(), strict=True))
    vectors = vectors.astype(np.float64)
    means, largest, split = [], [], 0
    for doc in sorted({row[0] for row in rows if lengths[row[0]] <= capacity}):
        mine = [row for row in rows if row[0] == doc]
        split += len({row[3] for row in mine}) > 1
        mean = top = 0.0
        for _, start, stop, window in mine:
            others = sorted({row[0] for row in rows if row[3] == window and row[0] != doc})
            cosines = [float(vectors[doc] @ vectors[other]) for other in others]
            share = (stop - start) / lengths[doc]
            mean += share * (sum(cosines) / len(cosines) if cosines else 0.0)
            top += share * max(cosines, default=0.0)
        means.append(mean)
        largest.append(top)
    fill = sum(stop - start for _, start, stop, _ in rows) / (capacity * (max(row[3] for row in rows) + 1))
    n = max(1, len(means))
    return sum(means) / n, sum(largest) / n, fill, split


def test_mean_and_largest_cosine_to_the_others_of_the_window():
    lengths = np.array([4, 4, 4, 4])
    found = window_figures(whole([[0, 1, 2], [3]], lengths), AXES, lengths, capacity=16)
    mean = ((0.6 + 0) / 2 + (0.6 + 0.8) / 2 + (0 + 0.8) / 2 + 0) / 4  # the lonely document counts 0
    assert found.mean_similarity == pytest.approx(mean, abs=1e-3)
    assert found.max_similarity == pytest.approx((0.6 + 0.8 + 0.8 + 0) / 4, abs=1e-3)
    assert found.fill == 16 / 32
    assert found.split_documents == 0


def test_pieces_count_by_their_share_of_the_tokens():
    lengths = np.array([4, 4, 4])
    plan = plan_of([(0, 0, 4, 0), (1, 0, 1, 0), (1, 1, 4, 1), (2, 0, 4, 1)])
    found = window_figures(plan, AXES[:3], lengths, capacity=8)
    assert found.mean_similarity == pytest.approx((0.6 + (0.6 / 4 + 0.8 * 3 / 4) + 0.8) / 3, abs=1e-3)
    assert found.split_documents == 1


def test_long_document_is_a_member_but_no_subject():
    lengths = np.array([12, 4, 4])
    plan = plan_of([(0, 0, 8, 0), (0, 8, 12, 1), (1, 0, 4, 1), (2, 0, 4, 2)])
    found = window_figures(plan, AXES[:3], lengths, capacity=8)
    assert found.mean_similarity == pytest.approx((0.6 + 0) / 2, abs=1e-3)
    assert found.split_documents == 0


def test_document_as_long_as_a_window_is_a_subject():
    plan = plan_of([(0, 0, 4, 0), (0, 4, 8, 1)])
    assert window_figures(plan, AXES[:1], np.array([8]), capacity=8).split_documents == 1
    assert window_figures(plan, AXES[:1], np.array([8]), capacity=7).split_documents == 0


def test_pieces_of_one_document_in_one_window_are_one_member():
    lengths = np.array([6, 4])
    apart = plan_of([(0, 0, 2, 0), (1, 0, 4, 0), (0, 2, 6, 0)])
    found = window_figures(apart, AXES[:2], lengths, capacity=10)
    assert found.mean_similarity == pytest.approx(0.6, abs=1e-3)
    assert found.split_documents == 0


def test_zero_rows_count_zero_and_are_members():
    lengths = np.array([1, 1, 1])
    vectors = np.array([[1, 0], [1, 0], [0, 0]], dtype=np.float16)
    found = window_figures(whole([[0, 1, 2]], lengths), vectors, lengths, capacity=4)
    assert found.mean_similarity == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert found.max_similarity == pytest.approx((1 + 1 + 0) / 3)


def test_specials_of_a_window_count_as_filled():
    lengths = np.array([7, 3])
    found = window_figures(whole([[0], [1]], lengths), AXES[:2], lengths, capacity=7, window_specials=1)
    assert found.fill == (8 + 4) / 16


def test_no_windows_have_figures_of_nothing():
    found = window_figures(plan_of([]), AXES, np.zeros(4, dtype=np.int64), capacity=8)
    assert (found.mean_similarity, found.max_similarity, found.fill, found.split_documents) == (0.0, 0.0, 0.0, 0)
    assert [array.size for array in window_similarities(plan_of([]), AXES)] == [0, 0]


def test_all_documents_longer_than_a_window_leave_no_subject():
    plan = plan_of([(0, 0, 4, 0), (0, 4, 8, 1)])
    found = window_figures(plan, AXES[:1], np.array([8]), capacity=4)
    assert (found.mean_similarity, found.max_similarity, found.fill, found.split_documents) == (0.0, 0.0, 1.0, 0)


@settings(max_examples=60, deadline=None)
@given(plans(), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_figures_match_reference(planned, capacity, seed):
    plan, lengths = planned
    vectors = np.random.default_rng(seed).normal(size=(lengths.size, 3)).astype(np.float16)
    found = window_figures(plan, vectors, lengths, capacity=capacity)
    mean, largest, fill, split = reference_figures(plan, vectors, lengths, capacity)
    assert found.mean_similarity == pytest.approx(mean, abs=1e-6)
    assert found.max_similarity == pytest.approx(largest, abs=1e-5)
    assert found.fill == pytest.approx(fill)
    assert found.split_documents == split
    windows_of = {doc: len({w for d, w in zip(plan.doc, plan.window, strict=True) if d == doc}) for doc in plan.doc}
    assert found.cuts == sum(n - 1 for doc, n in windows_of.items() if lengths[doc] <= capacity)
    assert found.long_documents == sum(lengths[doc] > capacity for doc in windows_of)


@settings(max_examples=20, deadline=None)
@given(plans(), st.integers(0, 2**32 - 1))
def test_figures_have_the_same_bits_under_other_numbers_of_windows(planned, seed):
    plan, lengths = planned
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(lengths.size, 3)).astype(np.float16)
    moved = renumber(plan, rng.permutation(plan.n_windows))
    assert window_figures(moved, vectors, lengths, capacity=25) == window_figures(plan, vectors, lengths, capacity=25)


def test_figures_do_not_depend_on_the_stretches(monkeypatch):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 5, 60)
    windows = np.split(np.arange(60), np.sort(rng.choice(np.arange(1, 60), 12, replace=False)))
    plan, vectors = whole([docs.tolist() for docs in windows], lengths), rng.normal(size=(60, 5)).astype(np.float16)
    expected = window_figures(plan, vectors, lengths, capacity=300)
    for members in (1, 3, 20, 59, 60, 61):
        monkeypatch.setattr(similarity, "STRETCH_MEMBERS", members)
        assert window_figures(plan, vectors, lengths, capacity=300) == expected


def test_similarities_of_windows_are_those_of_their_pairs():
    lengths = np.array([4, 4, 4, 4])
    mean, largest = window_similarities(whole([[3], [0, 1, 2]], lengths), AXES)
    assert mean.tolist() == pytest.approx([0, (0.6 + 0 + 0.8) / 3], abs=1e-3)
    assert largest.tolist() == pytest.approx([0, 0.8], abs=1e-3)
    assert mean.dtype == largest.dtype == np.float32


def saved(text, before):
    """Bytes that deflate saves on `text` when it has seen `before`."""
    options = (6, zlib.DEFLATED, -15, 8, 0)
    alone, primed = zlib.compressobj(*options), zlib.compressobj(*options, before)
    return len(alone.compress(text) + alone.flush()) - len(primed.compress(text) + primed.flush())


def test_context_bits_of_a_repeat_and_of_a_window_of_its_own():
    texts = ["the quick brown fox jumps over the lazy dog " * 3, "the quick brown fox jumps over the lazy cat " * 3]
    lengths = np.array([30, 30])
    together, apart = whole([[0, 1]], lengths), whole([[0], [1]], lengths)
    first, second = (text.encode() for text in texts)
    assert context_bits(texts, together, lengths) == 8 * saved(second, first) / len(first + second)
    assert context_bits(texts, apart, lengths) == 0.0
    assert context_bits([], plan_of([]), np.empty(0, dtype=np.int64)) == 0.0


def test_context_bits_make_a_cut_pay_for_its_lost_context():
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("abcdefgh"), 4000)) * 2
    lengths = np.array([100])
    cut = plan_of([(0, 0, 50, 0), (0, 50, 100, 1)])
    assert context_bits([text], cut, lengths) < -0.5
    assert context_bits([text], plan_of([(0, 0, 100, 0)]), lengths) == 0.0


def test_context_bits_see_32_kib_back_and_no_further():
    rng = np.random.default_rng(1)
    phrase = "".join(rng.choice(list("abcdefgh"), 2000))
    noise = "".join(rng.choice(list("ijklmnop"), 40_000))
    lengths = np.array([10, 200, 10])
    near, far = whole([[0, 2, 1]], lengths), whole([[0, 1, 2]], lengths)
    texts = [phrase, noise, phrase]
    assert context_bits(texts, near, lengths) > context_bits(texts, far, lengths) + 0.1
