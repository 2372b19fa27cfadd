"""Documents whose vectors are too near to those of held-out ones are no nodes."""

import json
import random
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny import copied_run, data_files, make_run, quiet, tiny_config, write_jsonl

from icp.audit import verify_run
from icp.config import load_config
from icp.engine.executor import SerialExecutor
from icp.inspect import show_document
from icp.pipeline import build_graph
from icp.remove import Asked, Wanted, remove_documents
from icp.run.reader import open_run

COSINE = 0.35
HELD = ("d3", "d8", "d11")


def corpus_rows():
    """240 documents of 12 topics, some of more words of their topic than others."""
    rng = random.Random(2)
    vocabulary = [f"w{k}" for k in range(2000)]
    topics = [rng.sample(vocabulary, 25) for _ in range(12)]
    rows = []
    for k in range(240):
        own = rng.randrange(10, 50)
        words = [*rng.choices(topics[k % 12], k=own), *rng.choices(vocabulary, k=50 - own)]
        rows.append({"id": f"d{k}", "text": " ".join(rng.sample(words, 50)), "source": f"s{k % 2}"})
    return rows


def config_of(folder, rows=None, **sections):
    folder.mkdir(exist_ok=True)
    if not (folder / "ids.txt").exists():
        (folder / "ids.txt").write_text("\n".join(HELD), encoding="utf-8")
        write_jsonl(folder / "tiny.jsonl", rows or corpus_rows())
    holdout = {"ids": str(folder / "ids.txt"), "cosine": COSINE}
    return tiny_config(folder, **{"holdout": holdout, "embed": {"model": "lexical"}} | sections)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the tiny corpus in several parts that holds three documents out."""
    return make_run(config_of(tmp_path_factory.mktemp("held"), corpus={"part_mib": 0.01}))


def rows_of(run, step, pattern):
    paths = open_run(run).paths(step, pattern)
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def vectors_of(run, pattern):
    return np.concatenate([np.load(path) for path in open_run(run).paths("embeddings", pattern)]).astype(np.float64)


def test_who_is_left_out_is_who_a_plain_comparison_leaves_out(run):
    vectors, held = vectors_of(run, "part-*.npy"), vectors_of(run, "holdout/part-*.npy")
    ids = [row["id"] for row in rows_of(run, "documents", "holdout/part-*.parquet")]
    survivors = np.load(run / "dedup/survivors.npy")
    cosines = vectors @ held.T
    wanted = {
        int(survivors[row]): (ids[int(np.argmax(cosines[row]))], cosines[row].max())
        for row in np.flatnonzero(cosines.max(axis=1) >= COSINE)
    }
    listed = {row["doc"]: (row["held"], row["cosine"]) for row in rows_of(run, "graph", "near_held/part-*.parquet")}
    assert len(open_run(run).paths("documents", "part-*.parquet")) > 1
    assert 2 < len(wanted) < survivors.size / 2
    assert sorted(listed) == sorted(wanted)
    for doc, (name, cosine) in wanted.items():
        assert listed[doc] == (name, pytest.approx(cosine, abs=1e-5))
    nodes = np.load(run / "graph/nodes.npy").tolist()
    assert not set(nodes) & set(listed)
    semantic = {row["doc"] for row in rows_of(run, "graph", "duplicates/part-*.parquet")}
    assert sorted({*nodes, *listed, *semantic}) == survivors.tolist()
    stats = json.loads((run / "stats.json").read_text())["documents"]
    assert (stats["near_held"], stats["kept"]) == (len(listed), len(nodes))
    doc = min(listed)
    assert f"left out: near to the held-out document {listed[doc][0]}, cosine" in "\n".join(
        show_document(run, str(doc))
    )


def test_what_is_left_out_makes_nobody_a_duplicate(run, tmp_path):
    """A document left out, whose copy in meaning is not near enough, stays out alone."""
    config = config_of(tmp_path, graph={"duplicate_similarity": COSINE, "duplicate_jaccard": 0.05}, dedup={"ngram": 1})
    make_run(config)
    listed = {row["doc"] for row in rows_of(tmp_path / "run", "graph", "near_held/part-*.parquet")}
    duplicates = rows_of(tmp_path / "run", "graph", "duplicates/part-*.parquet")
    assert duplicates
    assert not listed & {row[name] for row in duplicates for name in ("doc", "duplicate_of")}


def test_vectors_of_held_out_documents_are_made_by_the_statistics_of_the_others(run, tmp_path):
    """What a document has that stays in training is what it has if it is held out, but for what it added itself."""
    rows = corpus_rows()
    rows[3], wanted = {**rows[3], "id": "same"}, rows[3]
    held = vectors_of(run, "holdout/part-*.npy")[0]
    make_run(config_of(tmp_path, rows))
    survivors = np.load(tmp_path / "run/dedup/survivors.npy")
    ids = [row["id"] for row in rows_of(tmp_path / "run", "documents", "part-*.parquet")]
    row = int(np.searchsorted(survivors, ids.index("same")))
    assert wanted["id"] == HELD[0]
    assert vectors_of(tmp_path / "run", "part-*.npy")[row] @ held > 0.9


def test_bytes_are_those_of_one_part(run, tmp_path):
    make_run(config_of(tmp_path))
    assert len(open_run(tmp_path / "run").paths("documents", "part-*.parquet")) == 1
    one = rows_of(tmp_path / "run", "graph", "near_held/part-*.parquet")
    assert one == rows_of(run, "graph", "near_held/part-*.parquet")
    for name in ("nodes.npy", "indptr.npy", "indices.npy", "weights.npy", "conflicts.npy"):
        assert (tmp_path / "run/graph" / name).read_bytes() == (run / "graph" / name).read_bytes(), name


def test_without_the_key_a_run_is_as_before(run, tmp_path):
    plain, ids = tmp_path / "plain", {"ids": str(run.parent / "ids.txt")}
    make_run(config_of(run.parent, corpus={"part_mib": 0.01}, holdout=ids, run=str(plain)))
    before, after = data_files(plain), data_files(run)
    assert {name for name in set(after) - set(before) if name.startswith(("documents", "dedup", "embed", "neigh"))} == {
        f"embeddings/holdout/{path.name}" for path in (run / "embeddings/holdout").iterdir()
    }
    early = [name for name in before if name.startswith(("documents/part", "dedup", "embeddings", "neighbors"))]
    assert [name for name in early if before[name] != after[name]] == []
    assert not any("cosine" in key for key in open_run(plain).manifests["documents"].basis["config"])
    assert not [path for path in (plain / "embeddings").rglob("*") if "holdout" in path.as_posix()]


def findings(run):
    return {finding.promise: finding for finding in verify_run(run)}


def test_verify_proves_it_from_the_files(run, tmp_path):
    assert all(finding.kept for finding in verify_run(run))
    text = findings(run)[8].text
    assert f"none has a cosine of {COSINE} or more to a held-out one" in text
    # a run whose threshold is lower than the one that its graph was made with
    copied_run(run, tmp_path)
    configs = [tmp_path / "run/config.yaml", tmp_path / "run/packs/main/config.yaml"]
    for path in configs:
        path.write_text(path.read_text().replace(f"cosine: {COSINE}", "cosine: 0.2"))
        assert load_config(path).holdout.cosine == 0.2
    broken = [finding for finding in verify_run(tmp_path / "run") if finding.promise == 8 and not finding.kept]
    assert "documents with a vector near to a held-out one in training" in broken[0].text
    for path in configs:
        path.write_text(path.read_text().replace("cosine: 0.2", f"cosine: {COSINE}"))
    for name in (tmp_path / "run/embeddings/holdout").glob("*"):
        np.save(name, -np.load(name))
    broken = [finding for finding in verify_run(tmp_path / "run") if finding.promise == 8 and not finding.kept]
    assert "documents listed as near to a held-out one that are not" in broken[0].text


def test_a_removed_held_out_document_leaves_no_vector_and_no_name(run, tmp_path):
    place = tmp_path / "run"
    copied_run(run, tmp_path)
    listed = rows_of(run, "graph", "near_held/part-*.parquet")
    gone = listed[0]["held"]
    remove_documents(place, Wanted(frozenset({gone})), Asked(), SerialExecutor(), quiet)
    assert len(vectors_of(place, "holdout/part-*.npy")) == 2
    after = rows_of(place, "graph", "near_held/part-*.parquet")
    assert [row["doc"] for row in after] == [row["doc"] for row in listed]
    assert gone not in {row["held"] for row in after}
    assert all(finding.kept for finding in verify_run(place))


def test_another_threshold_needs_another_graph_alone(run, tmp_path):
    copied_run(run, tmp_path)
    config = load_config(run / "config.yaml").model_copy(update={"run": str(tmp_path / "run")})
    config = config.model_copy(update={"holdout": config.holdout.model_copy(update={"cosine": 0.45})})
    stamp = (tmp_path / "run/embeddings/manifest.json").stat().st_mtime_ns
    shutil.rmtree(tmp_path / "run/graph")
    build_graph(config, SerialExecutor(), quiet)
    assert (tmp_path / "run/embeddings/manifest.json").stat().st_mtime_ns == stamp
    assert len(rows_of(tmp_path / "run", "graph", "near_held/*")) < len(rows_of(run, "graph", "near_held/*"))


def test_documents_that_are_added_are_compared_with_those_held_out_before(run, tmp_path):
    """The run extended keeps its documents, held-out ones and what was near to these; new ones are compared."""
    rows = [{**row, "id": f"new-{row['id']}", "text": row["text"][::-1]} for row in corpus_rows()[100:160]]
    held = next(row["text"] for row in corpus_rows() if row["id"] == "d8").split()
    rows.append({"id": "like", "text": " ".join(sorted(held)), "source": "s0"})
    config = load_config(run / "config.yaml")
    write_jsonl(tmp_path / "more.jsonl", rows)
    corpus = config.corpus.model_copy(update={"input": (str(tmp_path / "more.jsonl"),)})
    config = config.model_copy(update={"run": str(tmp_path / "run"), "extends": str(run), "corpus": corpus})
    before = rows_of(run, "graph", "near_held/part-*.parquet")
    make_run(config)
    after = rows_of(tmp_path / "run", "graph", "near_held/part-*.parquet")
    docs = {row["doc"]: row["id"] for row in rows_of(tmp_path / "run", "documents", "part-*.parquet")}
    assert after[: len(before)] == before
    assert ("like", "d8") in {(docs[row["doc"]], row["held"]) for row in after[len(before) :]}
    assert all(finding.kept for finding in verify_run(tmp_path / "run"))
    assert json.loads((tmp_path / "run/stats.json").read_text())["documents"]["near_held"] == len(after)


@pytest.mark.parametrize("model", ["hybrid", "files"])
def test_held_out_documents_have_vectors_by_every_kind_of_model(tmp_path, model, caplog):
    if model == "files":
        rng = np.random.default_rng(1)
        vectors = rng.standard_normal((240, 16)).astype(np.float32)
        vectors[20] = vectors[3] + 0.01  # d20 is like d3, which is held out
        np.save(tmp_path / "own.npy", vectors)
        (tmp_path / "own.ids.txt").write_text("\n".join(f"d{k}" for k in range(240) if k != 11) + "\n")
        np.save(tmp_path / "own.npy", np.delete(vectors, 11, axis=0))
        model = f"files:{tmp_path}/own.npy"
    holdout = {"ids": str(tmp_path / "ids.txt"), "cosine": 0.99 if "files" in model else 0.45}
    run = make_run(config_of(tmp_path, embed={"model": model}, holdout=holdout))
    held = vectors_of(run, "holdout/part-*.npy")
    norms = np.linalg.norm(held, axis=1)
    assert norms == pytest.approx([1, 1, 0 if "files" in model else 1], abs=1e-2)
    listed = rows_of(run, "graph", "near_held/part-*.parquet")
    docs = {row["doc"]: row["id"] for row in rows_of(run, "documents", "part-*.parquet")}
    if "files" in model:
        assert [(docs[row["doc"]], row["held"]) for row in listed] == [("d20", "d3")]
        assert "1 of 3 held-out documents has no vector, and no document is compared with it" in caplog.text
    assert all(finding.kept for finding in verify_run(run))
    best = (vectors_of(run, "part-*.npy") @ held.T).max(axis=1)
    assert len(listed) == int((best >= holdout["cosine"]).sum())
