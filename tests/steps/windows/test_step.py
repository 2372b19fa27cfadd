from itertools import pairwise, permutations

import numpy as np
import pytest
from pack_inputs import NODES, do, load, make_inputs

from icp.data import PackPlan
from icp.errors import InputError
from icp.pack.bisection import window_directions
from icp.pack.similarity import window_figures
from icp.steps.order.step import STEP as ORDER
from icp.steps.windows.step import STEP

NAMES = ("doc", "start", "stop", "window")


def windows(tmp_path, conflicts=(), **options):
    context = make_inputs(tmp_path, conflicts=conflicts, **options)
    do(ORDER, context)
    return context, do(STEP, context)


def rows(context):
    return list(zip(*(array.tolist() for array in load(context, "windows", *NAMES)), strict=True))


def test_plan_follows_the_order_and_counts_eos(tmp_path):
    context, manifest = windows(tmp_path, pack={"shuffle": "none"})
    # order 4 0 3 1 2; tokens with eos 11 4 6 7, node 2 has none
    assert rows(context) == [
        (4, 0, 8, 0),
        (4, 8, 11, 1),
        (0, 0, 4, 1),  # one token of room is left, and node 3 may begin there
        (3, 0, 1, 1),
        (3, 1, 6, 2),
        (1, 0, 3, 2),
        (1, 3, 7, 3),
    ]
    assert load(context, "windows", "path_rank")[0].tolist() == [0, 1, 2, 3]
    assert manifest.counts == {"documents": 4, "empty_documents": 1}
    assert {array.dtype for array in load(context, "windows", *NAMES, "path_rank")} == {np.dtype(np.int64)}


def test_windows_are_numbered_in_training_order(tmp_path):
    context, _ = windows(tmp_path, pack={"shuffle": "random"})
    plain, _ = windows(tmp_path / "plain", pack={"shuffle": "none"})
    (path_rank,) = load(context, "windows", "path_rank")
    assert sorted(path_rank.tolist()) == [0, 1, 2, 3]
    moved = [(doc, start, stop, int(path_rank[window])) for doc, start, stop, window in rows(context)]
    assert sorted(moved, key=lambda row: row[3]) == rows(plain)
    assert [row[3] for row in rows(context)] == sorted(row[3] for row in rows(context))


def test_facts_are_the_figures_of_the_plan(tmp_path):
    context, manifest = windows(tmp_path)
    facts = manifest.facts
    assert (facts["count"], facts["seq_len"], facts["empty_documents"]) == (4, 8, 1)
    assert facts["fill"] == 28 / 32
    assert facts["split_documents"] == 2  # 3 and 1; 4 is longer than a window
    assert (facts["cuts"], facts["long_documents"]) == (2, 1)
    cosines = {"0": (0.0 + 0.8) / 2, "3": (0 + 0.8) / 2 / 6 + 0.96 * 5 / 6, "1": 0.96 * 3 / 7}
    assert facts["mean_similarity"] == pytest.approx(sum(cosines.values()) / 3, abs=2e-3)
    largest = 0.8 + (0.8 / 6 + 0.96 * 5 / 6) + 0.96 * 3 / 7
    assert facts["max_similarity"] == pytest.approx(largest / 3, abs=2e-3)
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [0.8, 0.6], [0, 0]], dtype=np.float16)
    plan = PackPlan(*load(context, "windows", *NAMES))
    figures = window_figures(plan, vectors, np.array([4, 7, 0, 6, 11]), capacity=8)
    assert (facts["mean_similarity"], facts["max_similarity"]) == (figures.mean_similarity, figures.max_similarity)


def test_baselines_are_the_same_whatever_the_pack(tmp_path):
    names = [f"{kind}_{what}_similarity" for kind in ("random", "algorithm1") for what in ("mean", "max")]
    options = [{}, {"order": {"method": "random"}}, {"pack": {"method": "random"}}, {"pack": {"method": "source"}}]
    found = [windows(tmp_path / str(number), **option)[1].facts for number, option in enumerate(options)]
    assert len({tuple(facts[name] for name in names) for facts in found}) == 1
    assert found[0]["mean_similarity"] == found[0]["algorithm1_mean_similarity"]
    assert found[2]["mean_similarity"] == found[2]["random_mean_similarity"]


def test_broken_conflicts_are_counted_and_listed_as_docs(tmp_path):
    _, manifest = windows(tmp_path, conflicts=((0, 3), (0, 4)), pack={"method": "knn"})
    assert manifest.facts["conflicts_broken"] == 1
    assert manifest.info["plan"]["all"]["broken_conflicts"] == [[NODES[0], NODES[3]]]
    _, manifest = windows(tmp_path / "none", pack={"method": "knn"})
    assert manifest.facts["conflicts_broken"] == 0
    assert manifest.info["plan"]["all"]["broken_conflicts"] == []


@pytest.mark.parametrize("method", ["windows", "path-cut", "path-fit", "best-fit", "random", "source"])
def test_conflicting_documents_never_share_a_window(tmp_path, method):
    pairs = ((0, 3), (0, 4), (1, 3))
    _, manifest = windows(tmp_path, conflicts=pairs, pack={"method": method, "seq_len": 14, "min_fill": 0.5})
    assert manifest.facts["conflicts_broken"] == 0
    unbound = windows(tmp_path / "unbound", pack={"method": "path-cut", "seq_len": 14})[1].facts
    assert manifest.facts["algorithm1_mean_similarity"] == unbound["algorithm1_mean_similarity"]


def test_spread_windows_stand_on_a_path_through_themselves(tmp_path):
    context, manifest = windows(tmp_path, pack={"shuffle": "spread"})
    (path_rank,) = load(context, "windows", "path_rank")
    assert manifest.facts["spread"] == {"stride": 1, "gaps": {"1": 1, "4": 1, "16": 1}}
    assert path_rank.tolist() == [0, 1, 2, 3]
    plan = PackPlan(*load(context, "windows", *NAMES))
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [0.8, 0.6], [0, 0]])
    directions = window_directions(vectors, plan.doc, plan.window).astype(float)
    along = directions[np.argsort(path_rank)]
    best = max(sum(float(a @ b) for a, b in pairwise(directions[list(p)])) for p in permutations(range(4)))
    assert sum(float(a @ b) for a, b in pairwise(along)) == pytest.approx(best)


def test_bos_of_a_window_takes_a_token_of_it_and_counts_as_filled(tmp_path):
    context, manifest = windows(tmp_path, tokenizer={"bos": "window"}, pack={"seq_len": 14, "shuffle": "none"})
    plan = PackPlan(*load(context, "windows", *NAMES))
    tokens = np.bincount(plan.window, weights=plan.stop - plan.start)
    assert tokens.tolist() == [13, 13, 2]
    assert manifest.facts["fill"] == (28 + 3) / 42


def test_stride_of_one_more_token_is_the_capacity(tmp_path):
    context, manifest = windows(tmp_path, pack={"seq_len": 14, "stride": "seq_len+1", "shuffle": "none"})
    plan = PackPlan(*load(context, "windows", *NAMES))
    assert np.bincount(plan.window, weights=plan.stop - plan.start).tolist() == [15, 13]
    assert (manifest.facts["seq_len"], manifest.facts["fill"]) == (14, 28 / 30)


def test_specials_of_documents_count_and_stay_with_their_tokens(tmp_path):
    context, _ = windows(tmp_path, tokenizer={"bos": "document"}, pack={"seq_len": 13, "shuffle": "none"})
    # tokens with both specials 12 5 7 8: the bos of node 0 does not stand alone in the first window
    assert rows(context)[:4] == [(4, 0, 12, 0), (0, 0, 5, 1), (3, 0, 7, 1), (1, 0, 8, 2)]


def test_source_windows_follow_the_sources(tmp_path):
    context, _ = windows(tmp_path, pack={"method": "source", "shuffle": "none"})
    assert list(dict.fromkeys(row[0] for row in rows(context))) == [0, 4, 1, 3]


def test_two_runs_leave_the_same_bytes(tmp_path):
    (_, first), (_, second) = (windows(tmp_path / name) for name in ("a", "b"))
    assert first.files == second.files
    assert first.facts == second.facts


def test_refuses_documents_without_any_token(tmp_path):
    with pytest.raises(InputError, match="none of the 5 documents kept has a token"):
        windows(tmp_path, tokens=[0] * 5)
