"""Edges that are not vectors: what is read, what is mixed, what is refused."""

import json
from dataclasses import replace
from datetime import date

import graph_inputs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from graph_inputs import do, joined, load, make_vectors, topics, unit
from made import finish

from icp.embed.by_links import link_vectors
from icp.errors import InputError
from icp.steps.graph.links import directory_of
from icp.steps.graph.mixing import combined, heaviest
from icp.steps.graph.step import STEP
from icp.steps.neighbors.step import STEP as NEIGHBORS

ARRAYS = ("nodes", "conflicts", "indptr", "indices", "weights", "links", "link_shares", "link_weights", "link_alike")


def build(run, vectors, **options):
    options.setdefault("columns", {"id": [f"d{doc}" for doc in range(len(vectors) + len(options.get("dropped", ())))]})
    return graph_inputs.build(run, vectors, **options)


def edges_of(context):
    """The edges of the graph as it lies there: (lower, higher) -> weight; each must stand at both ends."""
    indptr, indices, weights = load(context, "indptr", "indices", "weights")
    owner = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    both = {(int(a), int(b)): float(w) for a, b, w in zip(owner, indices, weights, strict=True)}
    assert all(both[b, a] == weight for (a, b), weight in both.items())
    return {pair: weight for pair, weight in both.items() if pair[0] < pair[1]}


def write_links(path, rows, **columns):
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"source": [r[0] for r in rows], "target": [r[1] for r in rows], **columns}), path)
    else:
        lines = (json.dumps(dict(zip(("source", "target", "weight"), r, strict=False))) + "\n" for r in rows)
        with pa.output_stream(str(path), compression="detect") as stream:
            stream.write("".join(lines).encode())
    return str(path)


FOUR = unit([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1], [0, 1, 0]])


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "jsonl.gz", "jsonl.zst"])
def test_links_are_mixed_by_the_rule(tmp_path, suffix):
    # 0-1 are alike (.8) and linked, 0-2 are linked alone, both ways; 1-3 are alike alone (.6)
    path = write_links(tmp_path / f"links.{suffix}", [("d0", "d1"), ("d0", "d2"), ("d2", "d0"), ("d3", "d3")])
    context, manifest = build(tmp_path / "run", FOUR, k=2, min_similarity=0.5, edges=[{"file": path, "weight": 0.5}])
    edges = edges_of(context)
    assert sorted(edges) == [(0, 1), (0, 2), (1, 3)]
    assert edges[0, 1] == pytest.approx(1 - 0.2 * 0.5, abs=1e-3)
    assert edges[0, 2] == pytest.approx(0.5, abs=1e-3)
    assert edges[1, 3] == pytest.approx(0.6, abs=1e-3)
    assert manifest.facts["links"] == [{"of": f"links.{suffix}", "links": 4, "unknown": 0, "loops": 1, "edges": 2}]
    assert (manifest.counts["edges_of_similarity"], manifest.counts["edges_of_links"]) == (2, 2)
    assert load(context, "indices")[0][:2].tolist() == [1, 2]  # the heaviest first


def test_the_rule_by_hand():
    shares = np.array([[0.5, 0.0], [0.5, 0.5], [1.0, 0.0], [0.25, 0.0]], np.float32)
    weights = combined(np.array([0.5, 0.0, 0.3, -0.4], np.float16), shares)
    assert weights.tolist() == [0.75, 0.75, 1.0, 0.25]


def test_weights_of_a_column_lists_of_targets_and_other_names(tmp_path):
    table = pa.table({"page": ["d0", "d3"], "to": [["d2", "d3"], []], "strength": [0.5, 1.0]})
    pq.write_table(table, tmp_path / "pages.parquet")
    columns = {"source": "page", "target": "to", "weight": "strength"}
    entry = {"file": str(tmp_path / "pages.parquet"), "columns": columns, "weight": 0.8}
    context, _ = build(tmp_path / "run", FOUR, k=2, min_similarity=0.5, edges=[entry])
    links, shares = load(context, "links", "link_shares")
    assert links.tolist() == [[0, 2], [0, 3]]
    np.testing.assert_allclose(shares, [[0.4], [0.4]], rtol=1e-6)


def reference(context, n, rows, weight):
    """The edges in plain words: similar ones as in a graph without links, and the k heaviest links of each node."""
    config, vectors = context.config.graph, joined_vectors(context)
    cosine = {
        (a, b): float(np.float16(np.dot(vectors[a].astype(np.float64), vectors[b]))) for a in range(n) for b in range(n)
    }
    neighbors, similarities = joined(context, "neighbors", "neighbors"), joined(context, "neighbors", "similarities")
    edges = {}
    for a in range(n):
        pairs = zip(neighbors[a].tolist(), similarities[a].tolist(), strict=True)
        fit = [(b, s) for b, s in pairs if b >= 0 and config.min_similarity <= s < config.duplicate_similarity]
        for b, s in fit[: config.k]:
            edges[min(a, b), max(a, b)] = s
    linked = {(min(a, b), max(a, b)) for a, b in rows if a != b}
    linked = {pair for pair in linked if cosine[pair] < config.duplicate_similarity}
    weigh = {pair: float(np.float16(1 - (1 - max(cosine[pair], 0)) * (1 - weight))) for pair in linked}
    listed = set()
    for a in range(n):
        mine = sorted((-weigh[p], p[0] + p[1] - a, p) for p in linked if a in p)
        listed |= {p for _, _, p in mine[: config.k]}
    return edges | {pair: weigh[pair] for pair in listed}


def joined_vectors(context):
    paths = sorted(context.folder("embeddings").glob("part-*.npy"))
    return np.concatenate([np.load(path) for path in paths])


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_plain_words(tmp_path, seed):
    rng = np.random.default_rng(seed)
    n, vectors = 90, topics(90, 8, n_topics=9, noise=0.3, seed=seed)
    rows = [tuple(pair) for pair in rng.integers(0, n, (400, 2)).tolist()]
    path = write_links(tmp_path / "links.jsonl", [(f"d{a}", f"d{b}") for a, b in rows])
    options = {"k": 3, "min_similarity": 0.4, "edges": [{"file": path, "weight": 0.25}]}
    context, manifest = build(tmp_path / "run", vectors, parts=(20, 21, 60), **options)
    assert load(context, "nodes")[0].size == n
    found, wanted = edges_of(context), reference(context, n, rows, 0.25)
    assert sorted(found) == sorted(wanted)
    assert max(abs(found[pair] - wanted[pair]) for pair in wanted) <= 2e-3
    assert manifest.counts["links_beyond_k"] > 0
    # the same bytes of other parts
    other, _ = build(tmp_path / "other", vectors, parts=(45,), **options)
    for one, two in zip(load(context, *ARRAYS), load(other, *ARRAYS), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_node_lists_its_heaviest_and_ties_go_to_the_lower_node():
    pairs = np.array([[0, 1], [0, 2], [0, 3], [4, 5]])
    weights = np.array([0.5, 0.5, 0.5, 0.1], np.float16)
    assert heaviest(pairs, weights, 1).tolist() == [True, True, True, True]  # 2 and 3 list 0
    ring = np.array([[0, 1], [0, 2], [1, 2]])
    assert heaviest(ring, np.array([0.5, 0.5, 0.5], np.float16), 1).tolist() == [True, True, False]


def test_hubs_of_links_are_cut_and_counted(tmp_path):
    vectors = np.eye(32, dtype=np.float16)
    path = write_links(tmp_path / "links.jsonl", [("d0", f"d{other}", other / 32) for other in range(1, 31)])
    options = {"k": 2, "min_similarity": 0.5, "edges": [{"file": path, "weight": 1.0}]}
    context, manifest = build(tmp_path / "run", vectors, parts=(9,), max_degree=4, **options)
    assert sorted(edges_of(context)) == [(0, 27), (0, 28), (0, 29), (0, 30)]
    assert manifest.facts["links"][0]["edges"] == 4
    assert (manifest.counts["edges_of_links"], manifest.counts["cut_at_hubs"]) == (4, 26)


def test_duplicates_and_conflicts_stay_what_they_are(tmp_path):
    # 0-1 are too alike in vectors, not in words: a conflict; 3 says what 2 says: removed, its links are those of 2
    vectors = unit([[1, 0, 0], [0.999, 0.04, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]])
    texts = ["a b c d e", "f g h i j", "one two three four", "one two three four", "k l m n"]
    path = write_links(tmp_path / "links.jsonl", [("d0", "d1"), ("d3", "d4"), ("d2", "d3")])
    options = {"k": 2, "min_similarity": 0.5, "edges": [{"file": path, "weight": 1.0}]}
    context, manifest = build(tmp_path / "run", vectors, texts=texts, **options)
    nodes, conflicts, links = load(context, "nodes", "conflicts", "links")
    assert nodes.tolist() == [0, 1, 2, 4]
    assert conflicts.tolist() == [[0, 1]]
    assert links.tolist() == [[2, 3]]
    assert manifest.counts["links_left_out"] == 1
    assert manifest.facts["links"][0]["loops"] == 1


def test_links_of_documents_that_dedup_removed_are_those_of_the_kept(tmp_path):
    path = write_links(tmp_path / "links.jsonl", [("d4", "d2")])
    options = {"k": 2, "min_similarity": 0.5, "edges": [{"file": path}], "dropped": (4,)}
    columns = {"id": [f"d{doc}" for doc in range(5)]}
    context = make_vectors(tmp_path / "run", FOUR, columns=columns, **options)
    folder = context.folder("dedup")
    (folder / "duplicates").mkdir()
    pq.write_table(pa.table({"doc": [4], "duplicate_of": [0]}), folder / "duplicates" / "part-00000.parquet")
    (folder / "manifest.json").unlink()
    finish(folder, {})
    do(NEIGHBORS, context)
    do(STEP, context)
    assert load(context, "links")[0].tolist() == [[0, 2]]


def test_unknown_ids_are_counted_told_and_beyond_a_share_refused(tmp_path):
    path = write_links(tmp_path / "links.jsonl", [("d0", "d2"), ("d0", "gone"), ("twice", "d1")])
    columns = {"id": ["d0", "d1", "d2", "twice", "twice"]}
    vectors = np.eye(5, dtype=np.float16)
    options = {"k": 2, "min_similarity": 0.5, "columns": columns}
    _context, manifest = build(tmp_path / "a", vectors, edges=[{"file": path, "max_unknown": 0.7}], **options)
    assert (manifest.facts["links"][0]["unknown"], manifest.facts["links"][0]["edges"]) == (2, 1)
    told = [line for info in manifest.info["links"].values() for line in info["warnings"]]
    assert len(told) == 1
    assert "2 of 3 links name an id" in told[0]
    assert "'gone', 'twice'" in told[0]
    with pytest.raises(InputError, match=r"2 of 3 links name an id .* raise its max_unknown \(0.5\)"):
        build(tmp_path / "b", vectors, edges=[{"file": path}], **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"source": "d0", "target": "d1", "weight": 0}', "row 0: its weight is 0, must be above 0 and at most 1"),
        ('{"source": "d0", "target": "d1", "weight": NaN}', "row 0: its weight is nan"),
        ('{"source": "d0", "target": "d1", "weight": "1"}', "row 0: its weight is '1'"),
        ('{"source": "d0", "target": null}', "row 0: an end of a link is no id: 'd0', None"),
        ('{"source": "d0", "target": "d1"}\n{"source": "d0"}', "line 2 has no source or target"),
        ('{"source": "d0"', "cannot be read as JSON lines"),
        ("", "holds no link"),
        ('{"source": "d0", "target": []}', "holds no link"),
    ],
)
def test_what_is_no_link_is_refused(tmp_path, text, message):
    (tmp_path / "links.jsonl").write_text(text + "\n")
    with pytest.raises(InputError, match=message):
        build(tmp_path / "run", FOUR, edges=[{"file": str(tmp_path / "links.jsonl")}])


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.jsonl: No such file"):
        build(tmp_path / "a", FOUR, edges=[{"file": str(tmp_path / "none.jsonl")}])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1, or not")
    with pytest.raises(InputError, match=r"bad\.parquet: cannot be read as Parquet"):
        build(tmp_path / "b", FOUR, edges=[{"file": str(tmp_path / "bad.parquet")}])
    pq.write_table(pa.table({"from": ["d0"], "to": ["d1"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"has no column 'source', but from, to; name it under columns"):
        build(tmp_path / "c", FOUR, edges=[{"file": str(tmp_path / "other.parquet")}])


def test_documents_of_a_directory_are_linked_to_those_before_and_after(tmp_path):
    urls = [
        "https://x/a/3.md?q=/",
        "https://x/b/1.md",
        "https://x/a/1.md",
        None,
        "https://x/a/2.md#/c/",
        "https://x/a/4.md",
    ]
    columns = {"id": list("uvwxyz"), "url": urls}
    options = {"columns": columns, "keep": ["url"], "k": 2, "min_similarity": 0.5}
    vectors = np.eye(6, dtype=np.float16)
    context, manifest = build(tmp_path / "run", vectors, edges=[{"kind": "directory"}], parts=(3,), **options)
    assert load(context, "links")[0].tolist() == [[0, 4], [0, 5], [2, 4]]
    assert manifest.facts["links"] == [{"of": "directory", "links": 3, "unknown": 1, "loops": 0, "edges": 3}]
    files = {"id": list("uvwxyz"), "file": ["d/a", "e/a", "d/b", "e/b", "f/a", "d/c"]}
    context, _ = build(tmp_path / "files", vectors, edges=[{"kind": "directory"}], columns=files, k=2)
    assert load(context, "links")[0].tolist() == [[0, 2], [1, 3], [2, 5]]


def test_directories_of_paths():
    cases = {"a/b/c.md": "a/b", "c.md": "", "https://x.org": "https://x.org", "https://x.org/": "https://x.org"}
    cases |= {"https://x.org/a?b=/c/d": "https://x.org", "s:docs/a/b": "s:docs/a", "a\\b\\c": "a/b"}
    assert {path: directory_of(path) for path in cases} == cases


def test_documents_are_linked_to_those_before_and_after_in_time(tmp_path):
    days = [date(2020, 1, 5), date(2020, 1, 1), None, date(2020, 1, 3), date(2020, 1, 3), date(2021, 1, 1)]
    columns = {"id": list("uvwxyz"), "day": days}
    options = {"columns": columns, "keep": ["day"], "min_similarity": 0.5, "edges": [{"kind": "date", "field": "day"}]}
    vectors = np.eye(6, dtype=np.float16)
    context, manifest = build(tmp_path / "one", vectors, k=1, **options)
    assert load(context, "links")[0].tolist() == [[0, 4], [0, 5], [1, 3], [3, 4]]
    assert manifest.facts["links"][0]["unknown"] == 1
    options["columns"] = {"id": list("uvwxyz"), "day": ["someday"] * 6}
    with pytest.raises(InputError, match="goes by day, which holds no date"):
        build(tmp_path / "two", vectors, k=1, **options)
    options["columns"] = {"id": list("uvwxyz"), "day": [["2020"]] * 6}
    with pytest.raises(InputError, match="but day is list"):
        build(tmp_path / "three", vectors, k=1, **options)


def test_several_entries_add_up_and_a_useless_one_is_told(tmp_path):
    one = write_links(tmp_path / "one.jsonl", [("d0", "d2")])
    two = write_links(tmp_path / "two.jsonl", [("d2", "d0"), ("d1", "d2")])
    own = write_links(tmp_path / "own.jsonl", [("d1", "d1")])
    entries = [{"file": one, "weight": 0.5}, {"file": two, "weight": 0.5}, {"file": own}]
    context, manifest = build(tmp_path / "run", FOUR, k=2, min_similarity=0.9, edges=entries)
    assert edges_of(context) == {(0, 2): 0.75, (1, 2): 0.5}
    assert [entry["edges"] for entry in manifest.facts["links"]] == [1, 2, 0]
    assert any("own.jsonl gives no edge" in line for line in manifest.info["facts"]["all"]["warnings"])


def test_links_alone_make_graph_and_vectors(tmp_path):
    path = write_links(tmp_path / "links.jsonl", [("d0", "d2"), ("d2", "d3")])
    context, manifest = build(tmp_path / "run", FOUR, k=2, edges=[{"file": path}], similarity=False)
    assert edges_of(context) == {(0, 2): 0.5, (2, 3): 0.5}
    assert (manifest.counts["edges_of_similarity"], manifest.counts["edges"]) == (0, 2)
    vectors = load(context, "link_vectors")[0].astype(np.float64)
    assert vectors.shape == (4, 256)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 1], atol=2e-3)
    assert vectors[0] @ vectors[2] > 0.5
    assert vectors[0] @ vectors[3] < vectors[0] @ vectors[2]


def test_vectors_of_links_have_the_cosines_of_rows_of_the_graph():
    rng = np.random.default_rng(0)
    n = 40
    pairs = np.unique(np.sort(rng.integers(0, n - 1, (80, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    weights = rng.uniform(0.2, 1, len(pairs))
    matrix = np.zeros((n, n))
    matrix[pairs[:, 0], pairs[:, 1]] = weights
    matrix += matrix.T
    degree = (matrix > 0).sum(axis=0) + 1
    matrix = (matrix + np.eye(n)) / np.sqrt(np.outer(degree, degree))
    lengths = np.linalg.norm(matrix, axis=1)
    wanted = matrix @ matrix.T / np.outer(lengths, lengths)
    lonely = degree == 1
    wanted[lonely] = wanted[:, lonely] = 0
    mean = np.mean([_cosines(link_vectors(pairs, weights, n, seed=seed)) for seed in range(30)], axis=0)
    assert np.abs(mean - wanted).max() < 0.06
    turned = rng.permutation(len(pairs))
    one, two = link_vectors(pairs, weights, n, seed=1), link_vectors(pairs[turned], weights[turned], n, seed=1)
    np.testing.assert_array_equal(one, two)


def _cosines(vectors):
    return vectors.astype(np.float64) @ vectors.astype(np.float64).T


@pytest.mark.parametrize("name", ["links", "mix", "select", "facts"])
def test_a_step_that_was_killed_goes_on_to_the_same_bytes(tmp_path, name):
    path = write_links(tmp_path / "links.jsonl", [(f"d{a}", f"d{a * 7 % 60}") for a in range(60)])
    options = {
        "k": 3,
        "min_similarity": 0.4,
        "parts": (20, 40),
        "edges": [{"file": path}, {"kind": "directory", "field": "id"}],
    }
    vectors = topics(60, 8, n_topics=6, noise=0.3, seed=1)
    whole, _ = build(tmp_path / "whole", vectors, **options)
    columns = {"id": [f"d{doc}" for doc in range(60)]}
    context = make_vectors(tmp_path / "killed", vectors, columns=columns, **options)
    do(NEIGHBORS, context)
    with pytest.raises(KeyboardInterrupt):
        do(replace(STEP, phases=tuple(broken(one) if one.name == name else one for one in STEP.phases)), context)
    do(STEP, context)
    for one, two in zip(load(whole, *ARRAYS), load(context, *ARRAYS), strict=True):
        np.testing.assert_array_equal(one, two)


def broken(phase):
    """The phase, stopped when its work is done and before it is kept."""

    def work(context, part, output):
        phase.work(context, part, output)
        raise KeyboardInterrupt

    return replace(phase, work=work)
