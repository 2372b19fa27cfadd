import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers
from made import context_for, do, made_config, make_graph, make_plan
from tokenizers import models, pre_tokenizers

from icp.errors import InputError, PartsFailedError
from icp.steps.shards import step as shards
from icp.steps.tokens import step as tokens

TEXTS = ["abcdef", "removed", "ghi", "", "jklmnopqr", "st"]
KEPT = [0, 2, 3, 4, 5]  # nodes 0..4 of 6, 3, 0, 9, 2 tokens
SOURCES = ["b", "a", "a", None, "c", None]
EOS = 256
# full sequences of 7, 4, 0, 10 and 3 tokens, in windows of 8 that are numbered in training order
PLAN = {
    "doc": [0, 1, 3, 4, 3, 0],
    "start": [5, 0, 0, 0, 8, 0],
    "stop": [7, 4, 8, 3, 10, 5],
    "window": [0, 0, 1, 2, 3, 3],
    "path_rank": [2, 0, 3, 1],
}


def ids(text):
    return [EOS if letter == "$" else (999 if letter == "#" else ord(letter)) for letter in text]


def make(run, config, parts=(2, 4), plan=PLAN, vectors=None):
    make_graph(run, TEXTS, kept=KEPT, parts=parts, sources=SOURCES, vectors=vectors)
    do(tokens.STEP, config)
    make_plan(run, **plan)
    return do(shards.STEP, config)


def rows_of(run, stride, dtype="<u2"):
    folder = run / "packs" / "main" / "shards"
    return [np.fromfile(path, dtype).reshape(-1, stride).tolist() for path in sorted(folder.glob("shard-*.bin"))]


def table_of(run, name):
    folder = run / "packs" / "main" / "shards" / name
    return [row for path in sorted(folder.glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_rows_hold_their_pieces_in_training_order(tmp_path):
    manifest = make(tmp_path, made_config(tmp_path))
    assert rows_of(tmp_path, 8) == [[
        ids("f$ghi$$$"),
        ids("jklmnopq"),
        ids("st$$$$$$"),
        ids("r$abcde$"),
    ]]  # fmt: skip
    assert manifest.counts == {"documents_in": 20, "padding": 8, "repeated": 0, "specials": 4, "written": 32}
    assert sum(manifest.counts[name] for name in ("documents_in", "padding", "specials")) == 32


def test_tables_say_what_stands_where(tmp_path):
    vectors = np.zeros((6, 4))
    vectors[0, 0] = vectors[2, 0] = vectors[4, 1] = 1
    vectors[4, 0] = 0.5
    make(tmp_path, made_config(tmp_path), vectors=vectors)
    rows = table_of(tmp_path, "segments")
    names = ("window", "shard", "row", "position", "doc", "doc_start", "doc_stop", "win_start", "win_stop")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (0, 0, 0, 0, 0, 5, 6, 0, 1),
        (0, 0, 0, 1, 2, 0, 3, 2, 5),
        (1, 0, 1, 0, 4, 0, 8, 0, 8),
        (2, 0, 2, 0, 5, 0, 2, 0, 2),
        (3, 0, 3, 0, 4, 8, 9, 0, 1),
        (3, 0, 3, 1, 0, 0, 5, 2, 7),
    ]
    names = ("window", "shard", "row", "n_docs", "n_pad", "path_rank", "mean_similarity", "max_pair_similarity")
    windows = table_of(tmp_path, "windows")
    assert [tuple(row[name] for name in names) for row in windows] == [
        (0, 0, 0, 2, 2, 2, 1.0, 1.0),
        (1, 0, 1, 1, 0, 0, 0.0, 0.0),
        (2, 0, 2, 1, 5, 3, 0.0, 0.0),
        (3, 0, 3, 2, 1, 1, 0.5, 0.5),
    ]
    assert [row["source"] for row in windows] == ["a", "c", None, "b"]


@pytest.mark.parametrize("parts", [(), (1,), (2, 2, 3, 5)])
def test_same_bytes_for_other_parts_of_the_corpus(tmp_path, parts):
    for run, cuts in (("one", (2, 4)), ("other", parts)):
        make(tmp_path / run, made_config(tmp_path / run), parts=cuts)
    assert rows_of(tmp_path / "one", 8) == rows_of(tmp_path / "other", 8)
    for name in ("segments", "windows"):
        assert table_of(tmp_path / "one", name) == table_of(tmp_path / "other", name)


def test_small_shards_hold_whole_windows(tmp_path):
    config = made_config(tmp_path, pack={"shard_mib": 2 * 16 / 2**20})
    manifest = make(tmp_path, config)
    found = rows_of(tmp_path, 8)
    assert [len(rows) for rows in found] == [2, 2]
    assert found[1][0] == ids("st$$$$$$")
    assert [(row["shard"], row["row"]) for row in table_of(tmp_path, "windows")] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [row["window"] for row in table_of(tmp_path, "segments")] == [0, 0, 1, 2, 3, 3]
    assert manifest.files["shard-00001.bin"].rows == 2
    assert manifest.facts["shards"] == 2


def test_manifest_tells_what_a_reader_needs(tmp_path):
    make(tmp_path, made_config(tmp_path))
    tree = json.loads((tmp_path / "packs" / "main" / "shards" / "manifest.json").read_text())
    expected = {
        "seq_len": 8, "stride": 8, "dtype": "uint16", "vocab_size": 257, "bos_id": None, "eos_id": EOS, "pad_id": EOS,
        "policy": {"bos": "none", "eos": "document"}, "tokens": "tokens/made", "windows": 4, "shards": 1,
        "tokenizer": "bytes", "shuffle": "random", "seed": 0,
    }  # fmt: skip
    assert {name: tree[name] for name in expected} == expected
    assert not (tmp_path / "packs" / "main" / "shards" / "sources").exists()


def test_bos_of_documents_and_of_windows(tmp_path):
    texts = ["ab", "c"]
    for bos, plan, expected in (
        ("document", [(0, 0, 4, 0), (1, 0, 3, 0)], [1, "a", "b", 0, 1, "c", 0, 0]),
        ("window", [(0, 0, 3, 0), (1, 0, 2, 0)], [1, "a", "b", 0, "c", 0, 0, 0]),
    ):
        run = tmp_path / bos
        config = made_config(run, tokenizer={"name": "train:258", "bos": bos})
        make_graph(run, texts)
        do(tokens.STEP, config)
        names = ("doc", "start", "stop", "window")
        columns = {name: [row[place] for row in plan] for place, name in enumerate(names)}
        make_plan(run, **columns, path_rank=[0])
        manifest = do(shards.STEP, config)
        number = {"a": 0, "b": 0, "c": 0}
        model = json.loads((run / "tokens" / "made" / "tokenizer.json").read_text())["model"]
        number = {letter: model["vocab"][letter] for letter in number}
        assert rows_of(run, 8) == [[[number.get(cell, cell) for cell in expected]]]
        assert manifest.facts["policy"] == {"bos": bos, "eos": "document"}
        assert manifest.counts["specials"] == (4 if bos == "document" else 3)


def test_large_vocabularies_take_four_bytes(tmp_path):
    inner = tokenizers.Tokenizer(models.WordLevel({f"w{number}": number for number in range(70_000)}, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens(["<eos>"])
    inner.save(str(tmp_path / "large.json"), pretty=False)
    run = tmp_path / "run"
    config = made_config(run, tokenizer={"name": str(tmp_path / "large.json")})
    make_graph(run, ["w69999 w1 w65536"])
    do(tokens.STEP, config)
    make_plan(run, doc=[0], start=[0], stop=[4], window=[0], path_rank=[0])
    manifest = do(shards.STEP, config)
    assert rows_of(run, 8, "<u4") == [[[69_999, 1, 65_536, *[70_000] * 5]]]
    assert (manifest.facts["dtype"], manifest.facts["vocab_size"]) == ("uint32", 70_001)


def test_row_of_seq_len_plus_one(tmp_path):
    config = made_config(tmp_path, pack={"seq_len": 7, "stride": "seq_len+1"})
    manifest = make(tmp_path, config)
    assert (manifest.facts["seq_len"], manifest.facts["stride"]) == (7, 8)
    assert len(rows_of(tmp_path, 8)[0]) == 4


def test_plan_that_leaves_tokens_out_is_our_mistake(tmp_path):
    short = {name: values[1:] for name, values in PLAN.items()} | {"path_rank": [2, 0, 3, 1]}
    with pytest.raises(PartsFailedError, match="the plan does not tile"):
        make(tmp_path, made_config(tmp_path), plan=short)


def test_refuses_specials_that_text_produced(tmp_path):
    config = made_config(tmp_path)
    make_graph(tmp_path, TEXTS, kept=KEPT)
    do(tokens.STEP, config)
    part = tmp_path / "tokens" / "made" / "part-00000.bin"
    ids_there = np.fromfile(part, "<u2")
    ids_there[0] = EOS
    ids_there.tofile(part)
    make_plan(tmp_path, **PLAN)
    with pytest.raises(InputError, match=r"tokenizer.eos is id 256 .* \(1 times here\)"):
        do(shards.STEP, config)


def test_context_translates_nodes_to_docs(tmp_path):
    make_graph(tmp_path, TEXTS, kept=KEPT)
    found = shards.docs_of_nodes(context_for(made_config(tmp_path)), np.array([4, 1]))
    assert found.tolist() == [5, 2]
