"""Neighbours that somebody else found: what goes in is what the step leaves, scored by the vectors."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from graph_inputs import do, joined, make_vectors, topics, unit
from made import finish

from icp.config import parse_config
from icp.errors import ConfigError, InputError
from icp.steps.neighbors.step import STEP

N, K = 90, 4
FORMS = ("parquet", "numbers", "jsonl", "jsonl.gz", "pairs", "pairs.jsonl", "npy")


def ids_of(n):
    return [f"d{doc}" for doc in range(n)]


def context_of(run, vectors, pattern, *, parts=(20, 21, 60), ids=None, **options):
    n = len(vectors) + len(options.get("dropped", ()))
    graph = {"k": K, **options} | ({"import": str(pattern)} if pattern else {})
    return make_vectors(run, vectors, parts=parts, columns={"id": ids_of(n) if ids is None else ids}, **graph)


def arrays(context):
    return [joined(context, "neighbors", name) for name in ("neighbors", "similarities")]


def write_lists(folder, form, lists):
    """Lists of ids of documents as a file of a form; the glob that names it."""
    path = folder / f"lists.{form}"
    pairs = [(one, other, 0.5) for one, others in lists.items() for other in others]
    if form in ("parquet", "numbers"):
        path = folder / f"lists-{form}.parquet"
        table = {"id": list(lists), "neighbors": list(lists.values())}
        if form == "numbers":
            table = {"id": [int(one) for one in lists], "neighbors": [[*map(int, some)] for some in lists.values()]}
        pq.write_table(pa.table(table | {"similarities": [[0.5] * len(some) for some in lists.values()]}), path)
    elif form == "npy":
        rank = {one: at for at, one in enumerate(lists)}
        table = np.full((len(lists), max(map(len, lists.values()))), -1, np.int64)
        for at, some in enumerate(lists.values()):
            table[at, : len(some)] = [rank[other] for other in some]
        np.save(path, table)
        (folder / "lists.ids.txt").write_text("".join(f"{one}\n" for one in lists))
    elif form == "pairs":
        path = folder / "pairs.parquet"
        columns = zip(*pairs, strict=True)
        pq.write_table(pa.table(dict(zip(("id", "neighbor", "similarity"), map(list, columns), strict=True))), path)
    else:
        rows = [{"id": one, "neighbors": some} for one, some in lists.items()]
        if form == "pairs.jsonl":
            rows = [{"id": one, "neighbor": other, "similarity": score} for one, other, score in pairs]
        opened = gzip.open if form.endswith(".gz") else open
        with opened(path, "wt", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Vectors, one of them zero, and what the search finds among them."""
    vectors = topics(N, 8, n_topics=9, noise=0.3, seed=3)
    vectors[7] = 0
    context = context_of(tmp_path_factory.mktemp("own"), vectors, None)
    do(STEP, context)
    return vectors, arrays(context)


def lists_of(neighbors, name=str):
    return {name(row): [name(other) for other in some if other >= 0] for row, some in enumerate(neighbors.tolist())}


@pytest.mark.parametrize("form", FORMS)
def test_the_lists_of_a_search_give_what_it_gave(tmp_path, own, form):
    vectors, found = own
    ids = [str(doc) for doc in range(N)]
    pattern = write_lists(tmp_path, form, lists_of(found[0]))
    for parts in ((), (20, 21, 60)):
        context = context_of(tmp_path / f"run-{len(parts)}", vectors, pattern, parts=parts, ids=ids)
        manifest = do(STEP, context)
        for one, two in zip(arrays(context), found, strict=True):
            np.testing.assert_array_equal(one, two)
            assert one.dtype == two.dtype
        assert (manifest.facts["method"], manifest.facts["recall"]) == ("imported", 1.0)
        counts = {name: manifest.counts[f"imported_{name}"] for name in ("pairs", "unknown", "left_out")}
        assert counts == {"pairs": int((found[0] >= 0).sum()), "unknown": 0, "left_out": 0}


def reference(vectors, lists, keep, rows):
    """Rows and similarities by plain words: of the neighbours listed, the `keep` most alike, ties to the lower row."""
    found = []
    for row in range(len(vectors)):
        others = {rows[one] for one in lists.get(row, ()) if rows.get(one) is not None and rows[one] != row}
        scored = []
        for other in others:
            one, two = (vectors[at].astype(np.float64) for at in (row, other))
            if one.any() and two.any():
                scored.append((-float(np.float16(one @ two)), other))
        found.append(sorted(scored)[:keep])
    return found


@pytest.mark.parametrize("seed", range(3))
def test_any_lists_are_scored_and_their_recall_is_measured(tmp_path, own, seed):
    vectors, exact = own
    rng = np.random.default_rng(seed)
    lists = {row: rng.choice(N, rng.integers(0, 40), replace=True).tolist() for row in range(0, N, 1 + seed)}
    path = write_lists(tmp_path, "parquet", {f"d{row}": [f"d{one}" for one in some] for row, some in lists.items()})
    context = context_of(tmp_path / "run", vectors, path)
    manifest = do(STEP, context)
    neighbors, similarities = arrays(context)
    wanted = reference(vectors, lists, K + 6, {row: row for row in range(N)})
    shares = []
    for row in range(N):
        mine = [
            (other, float(value)) for other, value in zip(neighbors[row], similarities[row], strict=True) if other >= 0
        ]
        assert sorted(value for _, value in mine) == pytest.approx(sorted(-value for value, _ in wanted[row]), abs=1e-3)
        assert {other for other, _ in mine} <= set(lists.get(row, ()))
        assert similarities[row][neighbors[row] >= 0].tolist() == sorted((v for _, v in mine), reverse=True)
        best = [value for other, value in zip(exact[0][row], exact[1][row], strict=True) if other >= 0][:K]
        if best:
            shares.append(sum(value >= best[-1] for _, value in mine[:K]) / len(best))
    assert manifest.facts["recall"] == pytest.approx(np.mean(shares))
    assert manifest.facts["target_missed"]


def test_copies_mean_what_is_kept_and_others_are_counted(tmp_path, caplog):
    # of 7 documents, 4 is a copy of 0, and 5 was removed as a copy of nobody knows what
    vectors = unit([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1], [0, 1, 0], [0.6, 0.8, 0]])
    ids = ["a", "b", "c", "d", "copy", "gone", "e"]
    lists = {"b": ["copy", "gone", "unknown", "b"], "copy": ["b", "a", "d"], "unknown": ["a"], "e": []}
    path = write_lists(tmp_path, "jsonl", lists)
    context = context_of(tmp_path / "run", vectors, path, parts=(2,), ids=ids, dropped=(4, 5), target_recall=0.9)
    folder = context.folder("dedup")
    (folder / "duplicates").mkdir()
    columns = {"doc": [4, 5], "duplicate_of": [0, -1]}
    pq.write_table(pa.table(columns), folder / "duplicates" / "part-00000.parquet")
    (folder / "manifest.json").unlink()
    finish(folder, {})
    manifest = do(STEP, context)
    neighbors, similarities = arrays(context)
    listed = [[one for one in row if one >= 0] for row in neighbors.tolist()]
    assert listed == [[1, 3], [0], [], [], []]
    np.testing.assert_allclose(similarities[0, :2].astype(float), [0.8, 0], atol=1e-3)
    counts = {name: manifest.counts[f"imported_{name}"] for name in ("pairs", "unknown", "left_out")}
    assert counts == {"pairs": 8, "unknown": 2, "left_out": 3}
    warnings = [line for info in manifest.info["given"].values() for line in info["warnings"]]
    assert len(warnings) == 1
    assert (
        "2 of 8 neighbours name an id that no document has, or several have, e.g. 'unknown', 'unknown'" in warnings[0]
    )
    assert "of the lists of graph.import misses graph.target_recall 0.9" in caplog.text


def test_ids_of_several_documents_are_unknown(tmp_path):
    path = write_lists(tmp_path, "jsonl", {"a": ["b", "c"], "b": ["a"]})
    context = context_of(tmp_path / "run", np.eye(4, dtype=np.float16), path, parts=(), ids=["a", "b", "b", "c"])
    manifest = do(STEP, context)
    assert manifest.counts["imported_unknown"] == 2
    assert [[one for one in row if one >= 0] for row in arrays(context)[0].tolist()] == [[3], [], [], []]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "l.jsonl",
            '{"id": "d1", "text": "x"}',
            "has id, text; give Parquet or JSONL with id and a list of ids in neigh",
        ),
        ("l.jsonl", '{"id": "d1", "neighbors": ["d2"]}\n{"neighbors": []}', "l.jsonl: line 2: 'id'; give"),
        ("l.jsonl", '{"id": "d1", "neighbors": [["d2", 0.5]]}', r"row 0: 'd1', \[\['d2', 0.5\]\] are no ids"),
        ("l.jsonl", '{"id": null, "neighbors": ["d2"]}', "row 0: 'None'"),
        ("l.jsonl", '{"id": "d1", "neighbors": [0.5]}', "are no ids"),
        ("l.jsonl", '["d1"]', "l.jsonl: "),
        ("l.jsonl", '{"id": "d1"', "line 1: "),
        ("l.jsonl", '{"id": "x", "neighbors": ["y"]}', "none of its 1 pairs joins two documents .* as in corpus.id"),
        ("l.jsonl", "", "none of its 0 pairs"),
        ("l.parquet", "PAR1, or not", "l.parquet: cannot be read"),
        ("l.txt", "d1 d2", "neither Parquet, JSONL nor .npy; give"),
        ("l.npy", "none", "l.ids.txt: is missing beside l.npy"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path, own, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        do(STEP, context_of(tmp_path / "run", own[0], tmp_path / name))
    with pytest.raises(InputError, match=r"graph.import .*no-.*: no such file; give"):
        do(STEP, context_of(tmp_path / "none", own[0], tmp_path / "no-*.parquet"))


@pytest.mark.parametrize(
    ("table", "n_ids", "message"),
    [
        (np.zeros((3, 2), np.float32), 3, "float32 of shape .3, 2., expected integers"),
        (np.zeros((3, 2), np.int64), 2, "2 ids for 3 rows; one line a row"),
        (np.full((3, 2), 3), 3, "numbers from 3 to 3 for 3 rows"),
        (np.full((3, 2), -2), 3, "numbers from -2 to -2"),
    ],
)
def test_tables_of_numbers_that_do_not_fit_are_refused(tmp_path, own, table, n_ids, message):
    np.save(tmp_path / "l.npy", table)
    (tmp_path / "l.ids.txt").write_text("".join(f"d{at}\n" for at in range(n_ids)))
    with pytest.raises(InputError, match=message):
        do(STEP, context_of(tmp_path / "run", own[0], tmp_path / "*.npy"))


def test_a_method_beside_an_import_is_refused():
    tree = {"run": "r", "corpus": {"input": "x.jsonl"}, "graph": {"import": "l.parquet", "method": "exact"}}
    with pytest.raises(ConfigError, match="import gives the neighbours, so nothing is searched, but method is exact"):
        parse_config(tree)


@pytest.mark.parametrize("name", ["ids", "given", "tune", "search", "parts", "facts"])
def test_a_step_that_was_killed_goes_on_to_the_same_bytes(tmp_path, own, name):
    vectors, found = own

    def broken(phase):
        def work(context, part, output):
            phase.work(context, part, output)
            raise KeyboardInterrupt

        return replace(phase, work=work)

    path = write_lists(tmp_path, "parquet", lists_of(found[0], lambda row: f"d{row}"))
    context = context_of(tmp_path / "killed", vectors, path)
    with pytest.raises(KeyboardInterrupt):
        do(replace(STEP, phases=tuple(broken(one) if one.name == name else one for one in STEP.phases)), context)
    do(STEP, context)
    for one, two in zip(arrays(context), found, strict=True):
        np.testing.assert_array_equal(one, two)
