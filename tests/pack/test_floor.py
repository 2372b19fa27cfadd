"""`pack.least_fill`: windows under a floor are mended, and nothing else is broken by that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import icp
from icp import ConfigError, plan_windows
from icp.pack.floor import floor_tokens
from icp.pack.plan_windows import broken_conflicts
from icp.pack.tail import tokens_of


def problem(seed, n, seq_len):
    """Graph, vectors, path and lengths of documents drawn at random, some longer than a window."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = icp.symmetrize(icp.search_neighbors(vectors, k=min(6, n - 1)))
    lengths = np.maximum(3, rng.lognormal(np.log(seq_len / 4), 0.9, n)).astype(np.int64)
    return graph, vectors, icp.visit_order(graph, vectors).order, lengths


def below(plan, seq_len, least_fill):
    return int((tokens_of(plan) < floor_tokens(least_fill, seq_len)).sum())


def assert_sound(plan, lengths, seq_len):
    """Every token once, windows within their size, rests first, open pieces last, no document that fits cut twice."""
    assert (tokens_of(plan) <= seq_len).all()
    rows = np.lexsort((plan.start, plan.doc))
    doc, start, stop = plan.doc[rows], plan.start[rows], plan.stop[rows]
    for number, length in enumerate(lengths.tolist()):
        spans = list(zip(start[doc == number].tolist(), stop[doc == number].tolist(), strict=True))
        assert [0, *(end for _, end in spans)] == [*(begin for begin, _ in spans), length]
        assert length > seq_len or len(spans) <= 2
    first = np.r_[True, np.diff(plan.window) > 0]
    last = np.r_[np.diff(plan.window) > 0, True]
    assert first[plan.start > 0].all()
    assert last[plan.stop < lengths[plan.doc]].all()


@given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from(["windows", "path-fit", "best-fit"]), st.data())
def test_windows_are_raised_and_stay_sound(seed, n, method, data):
    seq_len, least_fill = 64, data.draw(st.sampled_from([0.5, 0.8, 0.9]))
    graph, vectors, order, lengths = problem(seed, n, seq_len)
    groups = np.random.default_rng(seed).integers(0, data.draw(st.integers(1, 3)), n)
    pairs = np.random.default_rng(seed + 1).integers(0, n, (data.draw(st.integers(0, 10)), 2))
    options = {
        "seq_len": seq_len, "method": method, "min_fill": 0.95, "groups": groups, "conflicts": pairs,
        "split": data.draw(st.sampled_from(["minimal", "never"])), "specials": (0, 1),
    }  # fmt: skip
    plain = plan_windows(graph, vectors, order, lengths, **options)
    plan = plan_windows(graph, vectors, order, lengths, least_fill=least_fill, **options)
    assert_sound(plan, lengths, seq_len)
    assert below(plan, seq_len, least_fill) <= below(plain, seq_len, least_fill)
    assert len(broken_conflicts(plan, pairs)) <= len(broken_conflicts(plain, pairs))
    assert all(np.unique(groups[plan.doc[plan.window == at]]).size == 1 for at in range(plan.n_windows))
    if options["split"] == "never" or method == "best-fit":
        assert np.unique(plan.doc[lengths[plan.doc] <= seq_len], return_counts=True)[1].max(initial=1) == 1


@pytest.mark.parametrize(("method", "split", "min_fill", "floor", "was", "left"), [
    ("path-fit", "minimal", 0.995, 0.99, 50, 10),
    ("windows", "never", 0.97, 0.95, 50, 0),
    ("windows", "minimal", 0.98, 0.97, 50, 10),
    ("best-fit", "minimal", 0.98, 0.97, 1, 0),
])  # fmt: skip
def test_most_windows_reach_a_floor_close_to_the_mean(method, split, min_fill, floor, was, left):
    seq_len = 512
    graph, vectors, order, lengths = problem(3, 900, seq_len)
    lengths = np.minimum(lengths, seq_len)  # pieces of a longer one cannot be filled up
    options = {"seq_len": seq_len, "method": method, "split": split, "min_fill": min_fill}
    plain = plan_windows(graph, vectors, order, lengths, **options)
    plan = plan_windows(graph, vectors, order, lengths, least_fill=floor, **options)
    assert below(plain, seq_len, floor) >= was
    assert below(plan, seq_len, floor) <= left
    is_piece = (plan.start > 0) | (plan.stop < lengths[plan.doc])
    assert (plan.stop - plan.start)[is_piece].min(initial=seq_len) >= seq_len // 32


def test_two_windows_that_fit_one_are_joined():
    vectors = np.eye(3, dtype=np.float32)
    graph = icp.symmetrize(icp.search_neighbors(vectors, k=1))
    lengths, order = np.array([60, 60, 30]), np.arange(3)
    options = {"seq_len": 100, "split": "never", "min_fill": 0.6, "method": "path-fit"}
    groups = np.array([0, 1, 0])
    plan = plan_windows(graph, vectors, order, lengths, groups=groups, least_fill=0.6, **options)
    assert sorted(tokens_of(plan).tolist()) == [60, 90]


def test_a_floor_above_the_mean_or_of_a_method_without_one_is_refused():
    graph, vectors, order, lengths = problem(0, 10, 64)
    with pytest.raises(
        ConfigError, match=r"pack\.least_fill is 0\.9, must be from 0 to pack\.min_fill, the mean, 0\.8"
    ):
        plan_windows(graph, vectors, order, lengths, seq_len=64, min_fill=0.8, least_fill=0.9)
    for method in ("path-cut", "random", "single", "knn"):
        with pytest.raises(ConfigError, match=f"which pack.method {method} cannot do"):
            plan_windows(graph, vectors, order, lengths, seq_len=64, method=method, least_fill=0.9)
