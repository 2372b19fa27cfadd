"""Imports of a run that is extended: what was taken over stays, what is new goes by the files of the new documents."""

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from test_growing import add, ids_of, removed, settings
from tiny import make_run, write_jsonl
from tokenizers import Tokenizer

from icp.cli import main
from icp.run.names import NEIGHBORS, OFFSETS, SIMILARITIES, TOKEN_IDS, TOKENIZER
from icp.run.reader import open_run

GROUPS = [["a1", "a2"], ["a2", "b1"], ["a3", "b2", "b3"], ["b4", "b5"], ["b6", "gone"]]
"""Ids that another tool calls copies; a: old documents, b: new ones."""


def rows(name, n=24):
    rng = random.Random(name)
    return [{"id": f"{name}{k}", "text": " ".join(f"w{rng.randrange(400)}" for _ in range(40)) + "."} for k in range(n)]


def groups_file(folder, name, groups=GROUPS):
    lines = [{"id": one, "cluster": k} for k, group in enumerate(groups) for one in group]
    merged = [{"id": row["id"], "duplicate_of": groups[row["cluster"]][0]} for row in lines]
    return write_jsonl(folder / name, merged)


def more_file(folder, name="b", **tree):
    path = folder / f"more-{name}-{len(list(folder.glob('more-*')))}.yaml"
    path.write_text(yaml.safe_dump({"corpus": {"input": [str(folder / f"{name}.jsonl")]}, **tree}))
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder with old and new documents; the last new one repeats one of them that another tool calls a copy."""
    write_jsonl(tmp_path / "a.jsonl", rows("a"))
    write_jsonl(tmp_path / "b.jsonl", [*rows("b"), {"id": "again", "text": rows("a")[2]["text"]}])
    return tmp_path


def assert_verified(run):
    checked = CliRunner().invoke(main, ["verify", str(run)])
    assert checked.exit_code == 0, checked.output


def test_groups_of_old_and_new_documents_are_those_of_one_run_over_everything(folder):
    section = {"keep": "first", "import": str(groups_file(folder, "groups.jsonl"))}
    make_run(settings(folder, "full", ["a.jsonl", "b.jsonl"], dedup=section))
    base = make_run(settings(folder, "base", ["a.jsonl"], dedup=section))
    assert {row[:2] for row in removed(base, "dedup") if row[3] == "imported"} == {("a2", "a1")}
    done = add(base, more_file(folder))
    assert done.exit_code == 0, done.output
    found = {(*row[:2], row[3]) for row in removed(folder / "base-added", "dedup")}
    assert found == {(*row[:2], row[3]) for row in removed(folder / "full", "dedup")}
    gone = [("a2", "a1"), ("b1", "a1"), ("b2", "a3"), ("b3", "a3"), ("b5", "b4"), ("again", "a1")]
    assert found == {(one, of, "imported") for one, of in gone}
    assert "6 more by dedup.import, 1 of whose ids stand in no document" in done.output
    counts = open_run(folder / "base-added").manifests["dedup"].counts
    assert [counts[f"{kind}_duplicates"] for kind in ("imported", "exact", "near")] == [len(gone), 0, 0]
    assert_verified(folder / "base-added")


def test_what_was_kept_stays_whatever_another_tool_says_later(folder):
    base = make_run(settings(folder, "base", ["a.jsonl"]))
    more = more_file(folder, dedup={"import": str(groups_file(folder, "later.jsonl", [["b1", "a4", "a5", "b2"]]))})
    done = add(base, more)
    assert done.exit_code == 0, done.output
    found = {row[:2] for row in removed(folder / "base-added", "dedup") if row[3] == "imported"}
    assert found == {("b1", "a4"), ("b2", "a4")}
    assert_verified(folder / "base-added")


def test_what_was_removed_stays_removed_without_the_files(folder):
    groups = groups_file(folder, "groups.jsonl")
    base = make_run(settings(folder, "base", ["a.jsonl"], dedup={"keep": "first", "import": str(groups)}))
    groups.unlink()
    refused = add(base, more_file(folder))
    assert refused.exit_code == 3, refused.output
    assert "groups.jsonl: no such file" in refused.output
    done = add(base, more_file(folder, dedup={"import": None}))
    assert done.exit_code == 0, done.output
    found = {row[:2] for row in removed(folder / "base-added", "dedup") if row[3] == "imported"}
    assert found == {("a2", "a1"), ("again", "a1")}
    assert open_run(folder / "base-added").manifests["dedup"].counts["imported_duplicates"] == len(found)
    assert json.loads((folder / "base-added/stats.json").read_text())["documents"]["imported_duplicates"] == len(found)
    assert_verified(folder / "base-added")


def test_numbers_of_files_and_rows_are_refused_before_anything_is_done(folder):
    base = make_run(settings(folder, "base", ["a.jsonl"]))
    np.array([(0, 1, 0, 2)], "<u4").tofile(folder / "pairs.dups")
    done = add(base, more_file(folder, dedup={"import": str(folder / "*.dups")}))
    assert done.exit_code == 2, done.output
    assert "number files and rows of one run" in done.output
    assert not (folder / "base-added/documents").exists()


def tokens_of(run):
    """Ids of documents, and the tokens of each."""
    opened, ids = open_run(run), ids_of(run)
    kind = opened.manifests["tokens"].facts["dtype"]
    tokens = np.concatenate([np.fromfile(path, kind) for path in opened.paths("tokens", TOKEN_IDS)])
    offsets, nodes = np.load(opened.path("tokens", OFFSETS)), np.load(run / "graph/nodes.npy")
    return {ids[doc]: tokens[offsets[k] : offsets[k + 1]].tolist() for k, doc in enumerate(nodes)}


def test_tokens_of_old_and_new_documents_stay_bit_for_bit(folder):
    plain = make_run(settings(folder, "plain", ["a.jsonl", "b.jsonl"]))
    name = open_run(plain).path("tokens", TOKENIZER)
    tokenizer, own = Tokenizer.from_file(str(name)), tokens_of(plain)
    vocabulary = tokenizer.get_vocab()
    cut = {one: [vocabulary[c] for piece in ids for c in tokenizer.id_to_token(piece)] for one, ids in own.items()}
    for which in "ab":
        some = {one: ids for one, ids in cut.items() if one.startswith(which) and one != "b3"}
        pq.write_table(pa.table({"id": list(some), "ids": list(some.values())}), folder / f"tokens-{which}.parquet")

    def section(which):
        return {"name": str(name), "import": which and str(folder / f"tokens-{which}.parquet")}

    base = make_run(settings(folder, "base", ["a.jsonl"], tokenizer=section("a")))
    done = add(base, more_file(folder, tokenizer=section("b")))
    assert done.exit_code == 0, done.output
    assert tokens_of(folder / "base-added") == {**cut, "b3": own["b3"]}
    assert open_run(folder / "base-added").manifests["tokens"].counts["imported_missing"] == 1
    for path in open_run(base).paths("tokens", TOKEN_IDS):
        assert any(path.samefile(one) for one in open_run(folder / "base-added").paths("tokens", TOKEN_IDS))
    assert_verified(folder / "base-added")
    done = add(base, more_file(folder, tokenizer=section(None)), "--to", folder / "anew")
    assert done.exit_code == 0, done.output
    assert tokens_of(folder / "anew") == own
    assert_verified(folder / "anew")


def test_documents_listed_to_go_stay_out_and_what_was_kept_stays(folder):
    first = write_jsonl(folder / "gone-a.jsonl", [{"id": "a2"}, {"id": "a7"}])
    base = make_run(settings(folder, "base", ["a.jsonl"], dedup={"keep": "first", "import": str(first)}))
    assert {row[:2] for row in removed(base, "dedup")} == {("a2", None), ("a7", None)}
    later = write_jsonl(folder / "gone-b.jsonl", [{"id": "a4"}, {"id": "b3"}, {"id": "unknown"}])
    done = add(base, more_file(folder, dedup={"import": str(later)}))
    assert done.exit_code == 0, done.output
    found = {(*row[:2], row[3]) for row in removed(folder / "base-added", "dedup")}
    # again repeats a2, which is gone: so it goes; a4 was kept, so it stays
    assert found == {(one, None, "imported") for one in ("a2", "a7", "b3", "again")}
    assert_verified(folder / "base-added")
    alone = add(base, more_file(folder, dedup={"import": None}), "--to", folder / "alone")
    assert alone.exit_code == 0, alone.output
    found = {row[:2] for row in removed(folder / "alone", "dedup")}
    assert found == {(one, None) for one in ("a2", "a7", "again")}
    assert_verified(folder / "alone")


def test_numbers_of_datatrove_to_remove_are_refused_too(folder):
    base = make_run(settings(folder, "base", ["a.jsonl"]))
    np.array([3], "<u4").tofile(folder / "000000.remove")
    done = add(base, more_file(folder, dedup={"import": str(folder / "*.remove")}))
    assert done.exit_code == 2, done.output
    assert ".remove number files and rows of one run" in done.output


def neighbours(run):
    """Ids of the neighbours of each document, most alike first."""
    opened, ids = open_run(run), ids_of(run)
    survivors = np.load(opened.path("dedup", "survivors.npy"))
    lists = np.concatenate([np.load(path) for path in opened.paths("neighbors", NEIGHBORS)])
    names = [ids[doc] for doc in survivors]
    return {one: [names[row] for row in some if row >= 0] for one, some in zip(names, lists, strict=True)}


def lists_file(folder, name, lists):
    return write_jsonl(folder / name, [{"id": one, "neighbors": some} for one, some in lists.items()])


def test_imported_neighbours_of_old_and_new_documents_stay_together(folder):
    lists = {f"a{k}": [f"a{(k + 1) % 24}", f"a{(k + 5) % 24}"] for k in range(24)}
    base = make_run(settings(folder, "base", ["a.jsonl"], graph={"import": str(lists_file(folder, "la.jsonl", lists))}))
    assert {one: set(some) for one, some in neighbours(base).items()} == {one: set(some) for one, some in lists.items()}
    checked = CliRunner().invoke(main, ["verify", str(base)])
    assert checked.exit_code == 0, checked.output
    assert "who is a neighbour is taken on trust (graph.import), 48 similarities made again are equal" in checked.output
    new = {f"b{k}": [f"a{k}", f"b{(k + 1) % 24}"] for k in range(24)} | {"a0": ["b0"]}
    done = add(base, more_file(folder, graph={"import": str(lists_file(folder, "lb.jsonl", new))}))
    assert done.exit_code == 0, done.output
    wanted = {one: {*lists.get(one, ()), *new.get(one, ())} for one in (*lists, *new)}
    assert {one: set(some) for one, some in neighbours(folder / "base-added").items()} == wanted
    assert_verified(folder / "base-added")
    done = add(base, more_file(folder, graph={"import": None}), "--to", folder / "searched")
    assert done.exit_code == 0, done.output
    assert all(len(some) == 16 for one, some in neighbours(folder / "searched").items() if one.startswith("b"))
    assert_verified(folder / "searched")


def test_a_similarity_of_imported_neighbours_that_was_changed_is_found(folder):
    lists = {f"a{k}": [f"a{(k + 1) % 24}"] for k in range(24)}
    base = make_run(settings(folder, "base", ["a.jsonl"], graph={"import": str(lists_file(folder, "la.jsonl", lists))}))
    path = open_run(base).paths("neighbors", SIMILARITIES)[0]
    similarities = np.load(path)
    similarities[3, 0] += np.float16(0.25)
    np.save(path, similarities)
    checked = CliRunner().invoke(main, ["verify", str(base)])
    assert checked.exit_code == 5, checked.output
    assert "imported neighbours whose similarity is not that of their vectors: 1" in checked.output
