"""`graph.conflict_jaccard` and `.conflict_containment`: versions of one page share no window."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from tiny import make_run, tiny_config, write_jsonl

from icp.audit import verify_run
from icp.audit.unlisted import overlooked
from icp.data import PackPlan
from icp.dedup.shingles import shingle_hashes
from icp.run.reader import open_run
from icp.steps.windows.floors import windows_with


def pages():
    """Forty pages of words of their own, each with a version that shares some seven words of ten, or holds it all."""
    rng = np.random.default_rng(0)
    rows = []
    for page in range(40):
        words = [f"p{page}w{number}" for number in range(60)]
        other = (
            list(words[:50]) + [f"new{page}w{number}" for number in range(10)]
            if page % 2
            else [*words, *(f"more{page}w{number}" for number in range(90))]
        )
        for version, text in enumerate((words, other)):
            noise = [f"common{number}" for number in rng.integers(0, 5, 4)]
            rows.append({"id": f"{page}-{version}", "source": "a", "text": " ".join([*text, *noise])})
    return rows


def shares(one, other):
    a, b = (set(shingle_hashes(text, ngram=5).tolist()) for text in (one, other))
    return len(a & b) / len(a | b), len(a & b) / min(len(a), len(b))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A function that makes a run with options of `graph`; its nodes' texts, its conflicts and its figures."""
    corpus = write_jsonl(tmp_path_factory.mktemp("pages") / "pages.jsonl", pages())

    def make(**graph):
        folder = tmp_path_factory.mktemp("run")
        section = {"duplicate_similarity": 0.999, "min_similarity": 0.0, **graph}
        config = tiny_config(
            folder, corpus={"input": str(corpus)}, graph=section, pack={"seq_len": 2048, "min_fill": 0.8},
            embed={"model": "lexical"},
        )  # fmt: skip
        run = make_run(config)
        assert [finding.line() for finding in verify_run(run) if not finding.kept] == []
        texts = [row["text"] for row in pages()]
        nodes = np.load(run / "graph/nodes.npy")
        pairs = nodes[np.load(run / "graph/conflicts.npy")].tolist()
        figures = json.loads((run / "stats.json").read_text())["packs"]["main"]["windows"]
        return run, [shares(texts[a], texts[b]) for a, b in pairs], figures

    return make


def test_no_conflict_by_words_unless_asked(made):
    run, found, figures = made()
    assert found == []
    assert "near_copy_windows" not in figures
    assert not (run / "graph/near_copies.npy").exists()


def test_pairs_of_a_band_share_no_window_and_no_edge(made):
    run, found, figures = made(conflict_jaccard=0.5, conflict_containment=0.9)
    assert len(found) == 40
    assert all(jaccard >= 0.5 or share >= 0.9 for jaccard, share in found)
    assert any(jaccard < 0.5 for jaccard, _ in found)
    assert figures["near_copy_windows"] == 0 == figures["conflicts_broken"]
    indptr, indices = (np.load(run / f"graph/{name}.npy") for name in ("indptr", "indices"))
    edges = set(zip(np.repeat(np.arange(indptr.size - 1), np.diff(indptr)).tolist(), indices.tolist(), strict=True))
    assert not edges & {tuple(pair) for pair in np.load(run / "graph/conflicts.npy").tolist()}


@pytest.mark.parametrize(("graph", "n"), [({"conflict_jaccard": 0.5}, 20), ({"conflict_containment": 0.9}, 20)])
def test_each_alone_keeps_its_own_pairs_apart(made, graph, n):
    assert len(made(**graph)[1]) == n


def test_windows_with_near_copies_are_counted_without_keeping_them_apart(made):
    run, found, figures = made(conflict_jaccard=1.0)
    assert found == []
    pairs = np.load(run / "graph/near_copies.npy")
    assert figures["near_copies"] == len(pairs) > 0
    plan = {name: np.load(run / f"packs/main/plan/{name}.npy") for name in ("doc", "window")}
    held = {
        window
        for a, b in pairs.tolist()
        for window in set(plan["window"][plan["doc"] == a].tolist()) & set(plan["window"][plan["doc"] == b].tolist())
    }
    assert figures["near_copy_windows"] == len(held) > 0


def test_a_conflict_that_shares_few_words_is_found(made):
    run, _, _ = made(conflict_jaccard=0.5)
    path = run / "graph/conflicts.npy"
    np.save(path, np.concatenate((np.array([[0, 5]]), np.load(path)[1:])))
    assert any("that are not as alike" in finding.text for finding in verify_run(run) if not finding.kept)


def test_windows_that_hold_a_pair():
    plan = PackPlan(*(np.array(column) for column in ([0, 1, 2, 0, 2, 1], [0] * 6, [1] * 6, [0, 0, 1, 2, 2, 3])))
    assert windows_with(plan, np.array([[0, 1], [0, 2]])) == 2
    assert windows_with(plan, np.array([[1, 2]])) == 0
    assert windows_with(plan, np.empty((0, 2), np.int64)) == 0


def test_many_versions_of_one_page_share_no_window(tmp_path):
    """More of them than a document has neighbours: no list holds them all."""
    rng = np.random.default_rng(1)
    page, rows = [f"w{number}" for number in range(300)], []
    for version in range(30):
        words = list(page)
        for place in rng.choice(300, 8, replace=False).tolist():
            words[place] = f"v{version}at{place}"
        rows.append({"id": f"v{version}", "source": "a", "text": " ".join(words)})
    rows += [
        {"id": f"o{number}", "source": "b", "text": " ".join(f"o{number}w{place}" for place in range(150))}
        for number in range(60)
    ]
    corpus = write_jsonl(tmp_path / "pages.jsonl", rows)
    config = tiny_config(
        tmp_path / "run", corpus={"input": str(corpus)}, embed={"model": "lexical"}, pack={"seq_len": 2048},
        graph={"k": 3, "duplicate_similarity": 0.999, "conflict_jaccard": 0.5, "min_similarity": 0.0},
        dedup={"near": False},
    )  # fmt: skip
    run = make_run(config)
    texts = [row["text"] for row in rows]
    nodes = np.load(run / "graph/nodes.npy")
    pairs = {tuple(pair) for pair in nodes[np.load(run / "graph/conflicts.npy")].tolist()}
    assert pairs == {(a, b) for b in range(30) for a in range(b) if shares(texts[a], texts[b])[0] >= 0.5}
    assert len(pairs) > 400
    assert [finding.line() for finding in verify_run(run) if not finding.kept] == []
    figures = json.loads((run / "stats.json").read_text())["packs"]["main"]["windows"]
    assert figures["conflicts_broken"] == figures["near_copy_windows"] == 0


def test_verify_tells_of_versions_that_conflicts_lack(made):
    """Whoever keeps nobody apart by words shares windows with versions; an audit with a band of words finds them."""
    run, _, figures = made(conflict_jaccard=1.0)
    assert figures["near_copy_windows"] > 0
    line = [finding.text for finding in verify_run(run) if finding.promise == 7][-1]
    assert re.search(r"none of [\d,]+ other pairs in \d+ windows? are as alike, and none of \d+ compared share", line)
    opened = open_run(run)
    graph = opened.config.graph.model_copy(update={"conflict_jaccard": 0.5})
    opened = replace(opened, config=opened.config.model_copy(update={"graph": graph}))
    nodes, plan = (
        np.load(run / "graph/nodes.npy"),
        [np.load(run / f"packs/main/plan/{n}.npy") for n in ("window", "doc")],
    )
    some = np.stack(plan, axis=1)
    told = overlooked(opened, some, nodes, np.empty((0, 2), np.int64))
    shown = re.search(r"none of ([\d,]+) other pairs in (\d+) windows? are as alike, and (\d+) of (\d+) compared", told)
    assert shown, told
    pairs = {
        tuple(sorted((one, other)))
        for window in set(plan[0].tolist())
        for one in plan[1][plan[0] == window].tolist()
        for other in plan[1][plan[0] == window].tolist()
        if one != other
    }
    assert int(shown[1].replace(",", "")) == len(pairs)
    texts = [row["text"] for row in pages()]
    assert int(shown[3]) == sum(shares(texts[nodes[a]], texts[nodes[b]])[0] >= 0.5 for a, b in pairs) > 0
