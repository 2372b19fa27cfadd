import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from graph_inputs import build, do, joined, load, make_vectors, topics, unit
from made import finish

from icp.dedup.shingles import shingle_hashes
from icp.steps.graph import crowds
from icp.steps.graph import step as graph
from icp.steps.graph.step import STEP, random_pairs
from icp.steps.neighbors.step import STEP as NEIGHBORS

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def duplicates(context):
    paths = sorted((context.folder("graph") / "duplicates").glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def angle(degrees):
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]


def planted():
    """Docs 0-2 are alike by vector; 1 by words as well; 3 is near them; 4 is far; 5 is like 4 and says the same."""
    vectors = unit([angle(0), angle(1), angle(2), angle(40), angle(90), angle(91)])
    texts = [" ".join(WORDS), " ".join(WORDS) + " eleven", "quite other words", "near", *[" ".join(WORDS[::-1])] * 2]
    return vectors, texts


def test_copies_by_vector_and_words_go_and_by_vector_alone_conflict(tmp_path):
    vectors, texts = planted()
    context, manifest = build(tmp_path, vectors, texts=texts, min_similarity=0.5, k=2)
    assert load(context, "nodes")[0].tolist() == [0, 2, 3, 4]
    assert load(context, "conflicts")[0].tolist() == [[0, 1]]
    first, second = duplicates(context)
    assert (first["doc"], first["duplicate_of"], first["kind"]) == (1, 0, "semantic")
    assert first["jaccard"] == pytest.approx(9 / 10)
    assert first["similarity"] == pytest.approx(np.cos(np.radians(1)), abs=1e-3)
    assert (second["doc"], second["duplicate_of"], second["jaccard"]) == (5, 4, 1.0)
    indptr, indices = load(context, "indptr", "indices")
    assert indptr.tolist() == [0, 1, 2, 5, 6]  # nodes 0 and 1 have no edge between them
    assert indices.tolist() == [2, 2, 1, 0, 3, 2]
    counts = manifest.counts
    assert (counts["semantic_duplicates"], counts["conflicts"], counts["nodes"]) == (2, 1, 4)


def test_arrays_have_the_types_of_the_design(tmp_path):
    vectors, texts = planted()
    context, manifest = build(tmp_path, vectors, texts=texts, parts=(2, 4))
    names = ("nodes", "conflicts", "indptr", "indices", "weights")
    assert [str(a.dtype) for a in load(context, *names)] == ["int64", "int64", "int64", "int32", "float16"]
    assert sorted(manifest.files) == sorted(
        [f"{name}.npy" for name in names] + [f"duplicates/part-{number:05}.parquet" for number in range(3)]
    )
    schema = pq.read_schema(context.folder("graph") / "duplicates" / "part-00001.parquet")
    assert {field.name: str(field.type) for field in schema} == {
        "doc": "int64",
        "duplicate_of": "int64",
        "jaccard": "double",
        "similarity": "double",
        "kind": "string",
    }


def beyond_lists(alike, vectors, n_listed, least):
    """Pairs as alike that no list holds: of rows whose list is half full of such pairs, with all whom pairs lead to."""
    found = set()
    for row in range(len(vectors)):
        if sum(row in pair for pair in alike) < n_listed // 2:
            continue
        reached = {row}
        while more := {other for pair in alike if reached & set(pair) for other in pair} - reached:
            reached |= more
        cosines = {other: float(np.float16(vectors[row].astype(float) @ vectors[other])) for other in reached - {row}}
        found |= {(min(row, other), max(row, other)) for other, cosine in cosines.items() if cosine >= least}
    return found


def reference(context, vectors, texts, survivors):
    """Nodes, conflicts and edges by the plain words of the design, from the raw neighbours."""
    config = context.config.graph
    neighbors, similarities = joined(context, "neighbors", "neighbors"), joined(context, "neighbors", "similarities")
    sets = [set(shingle_hashes(texts[doc], ngram=2).tolist()) for doc in survivors]
    raw = {}
    for row in range(len(survivors)):
        for other, value in zip(neighbors[row].tolist(), similarities[row].tolist(), strict=True):
            if other >= 0:
                raw[min(row, other), max(row, other)] = value
    alike = {pair for pair, value in raw.items() if value >= config.duplicate_similarity}
    alike = sorted(alike | beyond_lists(alike, vectors, neighbors.shape[1], config.duplicate_similarity))
    kept = []
    for row in range(len(survivors)):
        leaders = [low for low in kept if (low, row) in alike]
        several = [low for low in leaders if min(len(sets[low]), len(sets[row])) > 1]  # a text of one is kept
        words = [len(sets[low] & sets[row]) / len(sets[low] | sets[row]) for low in several]
        if all(share < config.duplicate_jaccard for share in words):
            kept.append(row)
    node = {row: number for number, row in enumerate(kept)}
    conflicts = [[node[a], node[b]] for a, b in alike if a in node and b in node]
    edges = set()
    for row in kept:
        fit = [
            (other, value)
            for other, value in zip(neighbors[row].tolist(), similarities[row].tolist(), strict=True)
            if other in node and config.min_similarity <= value < config.duplicate_similarity
        ]
        edges |= {(min(node[row], node[o]), max(node[row], node[o]), value) for o, value in fit[: config.k]}
    return [survivors[row] for row in kept], conflicts, edges


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_plain_words_of_the_design(tmp_path, seed):
    rng = np.random.default_rng(seed)
    vectors = topics(120, 8, n_topics=12, noise=0.12, seed=seed)
    dropped = (4, 60, 61)
    texts = [" ".join(rng.choice(["a", "b", "c"], 4)) for _ in range(123)]
    options = {"k": 4, "duplicate_similarity": 0.98, "duplicate_jaccard": 0.4, "min_similarity": 0.3}
    context, manifest = build(tmp_path, vectors, texts=texts, parts=(30, 31, 100), dropped=dropped, **options)
    survivors = [doc for doc in range(123) if doc not in dropped]
    nodes, conflicts, edges = reference(context, vectors, texts, survivors)
    indptr, indices, weights = load(context, "indptr", "indices", "weights")
    assert load(context, "nodes")[0].tolist() == nodes
    assert load(context, "conflicts")[0].tolist() == conflicts
    rows = np.repeat(np.arange(len(nodes)), np.diff(indptr))
    found = zip(np.minimum(rows, indices).tolist(), np.maximum(rows, indices).tolist(), weights.tolist(), strict=True)
    assert set(found) == edges
    assert indices.size == 2 * len(edges) == 2 * manifest.counts["edges"]
    assert manifest.counts["semantic_duplicates"] == 120 - len(nodes) == len(duplicates(context)) > 0
    assert manifest.counts["conflicts"] == len(conflicts) > 0
    assert manifest.counts["isolated"] == (np.diff(indptr) == 0).sum()
    for row in duplicates(context):
        assert row["duplicate_of"] in nodes
        assert row["jaccard"] >= 0.4
        assert row["similarity"] >= 0.98
    for node in range(len(nodes)):
        mine = slice(indptr[node], indptr[node + 1])
        assert np.lexsort((indices[mine], -weights[mine].astype(np.float64))).tolist() == list(
            range(mine.stop - mine.start)
        )


def test_parts_change_nothing_but_the_files_of_duplicates(tmp_path):
    vectors, found = topics(150, 8, noise=0.1), []
    for number, parts in enumerate([(), (1, 149), range(20, 150, 20)]):
        context, manifest = build(tmp_path / str(number), vectors, parts=parts, duplicate_jaccard=0.5)
        arrays = {name: record for name, record in manifest.files.items() if name.endswith(".npy")}
        found.append((arrays, duplicates(context), manifest.counts, manifest.facts))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows(tmp_path, n):
    vectors = unit(np.ones((n, 4))) if n else np.zeros((0, 4), np.float16)
    texts = ["same words here"] * max(n, 1)
    context, manifest = build(tmp_path, vectors, texts=texts, dropped=() if n else (0,))
    nodes, indptr, indices, conflicts = load(context, "nodes", "indptr", "indices", "conflicts")
    assert nodes.tolist() == [0][: min(n, 1)]
    assert indptr.tolist() == [0] * (nodes.size + 1)
    assert (indices.size, conflicts.shape) == (0, (0, 2))
    assert manifest.facts["random_p99"] == 0
    assert manifest.counts["isolated"] == nodes.size


def test_zero_rows_are_nodes_without_an_edge(tmp_path):
    vectors = topics(20)
    vectors[[3, 4]] = 0
    context, manifest = build(tmp_path, vectors, texts=["same"] * 20, k=3)
    nodes, indptr = load(context, "nodes", "indptr")
    assert {3, 4} <= set(nodes.tolist())
    assert np.diff(indptr)[np.isin(nodes, [3, 4])].tolist() == [0, 0]
    assert manifest.counts["isolated"] >= 2


def test_edges_are_better_than_the_best_hundredth_of_random_pairs(tmp_path, monkeypatch):
    vectors = topics(400, 16)
    _, manifest = build(tmp_path / "all", vectors, k=1)
    wide = vectors.astype(np.float32)
    every = (wide @ wide.T)[np.triu_indices(400, 1)]
    assert manifest.facts["random_p99"] == pytest.approx(np.quantile(every, 0.99), abs=1e-5)
    assert manifest.facts["min_similarity"] == manifest.facts["random_p99"]
    assert manifest.facts["edge_similarity"]["0.01"] >= manifest.facts["random_p99"] - 1e-3
    monkeypatch.setattr(graph, "RANDOM_PAIRS", 5000)
    _, sampled = build(tmp_path / "some", vectors, k=1)
    assert sampled.facts["random_p99"] == pytest.approx(manifest.facts["random_p99"], abs=0.05)


def test_few_nodes_have_no_floor_but_zero(tmp_path):
    _, manifest = build(tmp_path, topics(50))
    assert manifest.facts["min_similarity"] == 0
    assert manifest.facts["random_p99"] > 0


def test_at_most_k_neighbours_are_chosen_after_copies_and_conflicts(tmp_path):
    # ten rows of one vector and a ring around them: the copies take no place among the k
    vectors = unit([[1, 0, 0]] * 8 + [[1, 0.5, 0], [1, 0, 0.5], [1, -0.5, 0], [1, 0, -0.5]])
    texts = ["the same words again"] * 8 + ["ring one", "circle two", "loop three", "round four"]
    context, manifest = build(tmp_path, vectors, texts=texts, k=4, min_similarity=0.0)
    assert load(context, "nodes")[0].tolist() == [0, 8, 9, 10, 11]
    assert load(context, "indptr")[0][:2].tolist() == [0, 4]
    assert manifest.facts["degree_max"] == 4
    assert manifest.facts["components"] == 1


def test_random_pairs_differ_within_and_repeat_by_seed(monkeypatch):
    assert random_pairs(3, 0).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert random_pairs(1, 0).shape == random_pairs(0, 0).shape == (0, 2)
    monkeypatch.setattr(graph, "RANDOM_PAIRS", 1000)
    one = random_pairs(500, 7)
    assert one.shape == (1000, 2)
    assert (one[:, 0] != one[:, 1]).all()
    assert one.min() >= 0
    assert one.max() < 500
    np.testing.assert_array_equal(one, random_pairs(500, 7))
    assert (one != random_pairs(500, 8)).any()


def test_the_floor_spares_the_neighbours_of_a_small_corpus(tmp_path):
    # the 99th percentile of random pairs would leave 2 neighbours of the 10 to each of 200 nodes
    vectors = topics(200, 16, n_topics=20, noise=0.8)
    _, manifest = build(tmp_path, vectors, k=10)
    assert manifest.facts["min_similarity"] < manifest.facts["random_p99"]
    assert manifest.counts["below_min_similarity"] < 0.05 * 200 * 16
    assert manifest.facts["degree_mean"] >= 10


def edge_set(context):
    indptr, indices = load(context, "indptr", "indices")
    rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    assert {(b, a) for a, b in zip(rows.tolist(), indices.tolist(), strict=True)} == set(
        zip(rows.tolist(), indices.tolist(), strict=True)
    )
    return set(zip(rows.tolist(), indices.tolist(), strict=True))


@pytest.mark.parametrize("wanted", ["across", "within"])
def test_edges_across_or_within_sources_only(tmp_path, wanted):
    vectors = topics(80, 8, noise=0.3)
    context = make_vectors(tmp_path, vectors, parts=(30,), k=3, same_source=wanted, min_similarity=0.0)
    sources = [["a", "b", None][doc * 7 % 3] for doc in range(80)]
    for path, begin, end in (("part-00000", 0, 30), ("part-00001", 30, 80)):
        file = context.folder("documents") / f"{path}.parquet"
        table = pq.read_table(file).append_column("source", pa.array(sources[begin:end], pa.string()))
        pq.write_table(table, file)
    (context.folder("documents") / "manifest.json").unlink()
    finish(context.folder("documents"), {"part-00000.parquet": 30, "part-00001.parquet": 50})
    do(NEIGHBORS, context)
    do(STEP, context)
    nodes = load(context, "nodes")[0]
    edges = edge_set(context)
    assert len(edges) > 100
    for one, two in edges:
        assert (sources[nodes[one]] == sources[nodes[two]]) == (wanted == "within")


def test_edges_within_a_band_of_similarities_only(tmp_path):
    context, manifest = build(tmp_path, topics(120, 8), k=4, max_similarity=0.9, min_similarity=0.5)
    weights = load(context, "weights")[0]
    assert weights.min() >= 0.5
    assert weights.max() <= 0.9
    assert manifest.counts["edges"] > 0


def test_hubs_keep_their_most_similar_neighbours(tmp_path):
    # everybody's nearest is row 0; edges beyond its best five go, at both ends
    rng = np.random.default_rng(3)
    spokes = np.eye(40)[1:] * rng.uniform(0.7, 0.9, (39, 1))
    vectors = unit(np.concatenate([np.eye(40)[:1], np.eye(40)[0] + spokes]))
    context, free = build(tmp_path / "free", vectors, k=1, min_similarity=0.0, parts=(10, 20))
    assert free.facts["degree_max"] == 39
    context, manifest = build(tmp_path / "bound", vectors, k=1, min_similarity=0.0, parts=(10, 20), max_degree=5)
    assert manifest.facts["degree_max"] == 5
    assert manifest.counts["cut_at_hubs"] == free.counts["edges"] - manifest.counts["edges"] == 34
    assert len(edge_set(context)) == 10
    indptr, indices, weights = load(context, "indptr", "indices", "weights")
    similarities = vectors[1:].astype(np.float32) @ vectors[0].astype(np.float32)
    assert weights[:5].min() >= np.sort(similarities)[-5] - 1e-3
    assert manifest.facts["components"] == 35
    assert (indptr[-1], indices.size) == (10, 10)


def test_the_graph_is_told_in_figures(tmp_path):
    _, manifest = build(tmp_path, topics(300, 16), k=3, min_similarity=0.0)
    facts = manifest.facts
    assert facts["degree"]["0.5"] <= facts["degree_mean"] * 2
    assert facts["degree_max"] >= facts["degree"]["0.99"]
    assert 0.01 <= facts["hub_share"] <= 1
    assert facts["largest_component"] <= 300
    assert manifest.counts["exchanged_bytes"] > 0


@pytest.mark.parametrize("n_alike", [6, 40])
def test_of_a_crowd_larger_than_a_list_every_pair_is_in_conflict(tmp_path, n_alike):
    """The crowd lies along an arc: its ends are alike, and too far apart to be in each other's lists."""
    arc = [angle(10 * number / n_alike) for number in range(n_alike)]
    others = [angle(30 + number) for number in range(0, 300, 15)]
    texts = [f"w{number} x{number} y{number}" for number in range(n_alike + len(others))]
    context, manifest = build(tmp_path, unit(arc + others), texts=texts, k=2, parts=(3, 20))
    conflicts = {tuple(pair) for pair in load(context, "conflicts")[0].tolist()}
    assert conflicts == {(low, high) for high in range(n_alike) for low in range(high)}
    indptr, indices = load(context, "indptr", "indices")
    edges = set(zip(np.repeat(np.arange(indptr.size - 1), np.diff(indptr)).tolist(), indices.tolist(), strict=True))
    assert not edges & conflicts
    assert "pairs" not in manifest.info, "it would tell of crowds too large"


def test_a_crowd_too_large_to_compare_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(crowds, "MOST_PAIRS", 100)
    arc = [angle(10 * number / 40) for number in range(40)]
    _, manifest = build(tmp_path, unit(arc), texts=[f"w{number} x{number}" for number in range(40)], k=2)
    assert "1 group of look-alikes, too large to compare all pairs" in manifest.info["pairs"]["all"]["warnings"][0]
    assert 0 < manifest.counts["conflicts"] < 40 * 39 // 2


def test_pairs_of_groups_by_hand():
    linked = np.array([[4, 1], [1, 2], [1, 4], [7, 9], [1, 8]])  # 1 is linked to three others, nobody else to more
    found, left = crowds.pairs_within(linked, least=3, most=10)
    assert (found.tolist(), left) == ([[1, 2], [1, 4], [1, 8]], 0)
    found, left = crowds.pairs_within(linked, least=1, most=10)
    assert (found.tolist(), left) == ([[7, 9]], 1)  # the group of four would need 16
    found, left = crowds.pairs_within(linked, least=1, most=20)
    assert (found.tolist(), left) == ([[1, 2], [1, 4], [2, 4], [1, 8], [2, 8], [4, 8], [7, 9]], 0)
    assert crowds.pairs_within(linked[:0], least=1, most=10)[0].shape == (0, 2)
