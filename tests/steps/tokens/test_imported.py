"""Tokens made before: those of one run, in every form, give another the same bytes."""

import csv
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_run, tiny_config

from icp.audit import verify_run
from icp.errors import ConfigError, InputError
from icp.run.names import OFFSETS, TOKEN_IDS, TOKENIZER
from icp.run.reader import open_run
from icp.tokenizer.imported import Encoded, without_ends


def tokens_of(run):
    """Ids of documents, and the tokens of each."""
    opened = open_run(run)
    ids = [one for path in opened.paths("documents", "part-*.parquet") for one in pq.read_table(path)["id"].to_pylist()]
    facts = opened.manifests["tokens"].facts
    tokens = np.concatenate([np.fromfile(path, facts["dtype"]) for path in opened.paths("tokens", TOKEN_IDS)])
    offsets = np.load(opened.path("tokens", OFFSETS))
    nodes = np.load(run / "graph/nodes.npy")
    return {ids[doc]: tokens[offsets[k] : offsets[k + 1]] for k, doc in enumerate(nodes)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a finished run, and its tokens."""
    folder = tmp_path_factory.mktemp("made")
    run = make_run(tiny_config(folder, tokenizer={"name": "train:600"}))
    return folder, run, tokens_of(run), open_run(run).path("tokens", TOKENIZER)


def parquet(folder, tokens, eos):
    lists = [one.tolist() for one in tokens.values()]
    pq.write_table(pa.table({"id": list(tokens), "input_ids": lists}), folder / "t.parquet")
    return folder / "t.parquet"


def dolma(folder, tokens, eos):
    """Raw ids, an eos behind each document, and a table of their places."""
    at = 0
    with (folder / "part-0.npy").open("wb") as stream, gzip.open(folder / "part-0.csv.gz", "wt", newline="") as table:
        writer = csv.writer(table)
        for name, ids in tokens.items():
            stream.write(np.append(ids, eos).astype("<u2").tobytes())
            writer.writerow([at, at + ids.size + 1, name, "some/file.jsonl.gz", 1])
            at += ids.size + 1
    return folder / "part-*.npy"


def megatron(folder, tokens, eos):
    """A sequence a document, an eos behind each."""
    rows = [np.append(ids, eos).astype("<i4") for ids in tokens.values()]
    (folder / "m.bin").write_bytes(b"".join(row.tobytes() for row in rows))
    sizes = np.array([row.size for row in rows], "<i4")
    pointers = (np.cumsum(sizes) - sizes).astype("<i8") * 4
    head = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 4, len(rows), len(rows) + 1)
    docs = np.arange(len(rows) + 1, dtype="<i8")
    (folder / "m.idx").write_bytes(head + sizes.tobytes() + pointers.tobytes() + docs.tobytes())
    (folder / "m.ids.txt").write_text("\n".join(tokens) + "\n")
    return folder / "m.bin"


def run_with(made, folder, pattern, **tokenizer):
    name = made[3]
    corpus = {"input": str(made[0] / "tiny.jsonl")}
    section = {"name": str(name), "import": str(pattern)} | tokenizer
    return make_run(tiny_config(folder, corpus=corpus, tokenizer=section))


@pytest.mark.parametrize("form", [parquet, dolma, megatron])
def test_the_tokens_of_one_run_give_another_the_same(made, tmp_path, form):
    _, run, tokens, _ = made
    eos = open_run(run).manifests["shards"].facts["eos_id"]
    other = run_with(made, tmp_path, form(tmp_path, dict(reversed(tokens.items())), eos))
    found = tokens_of(other)
    assert found.keys() == tokens.keys()
    assert all(np.array_equal(found[name], tokens[name]) for name in tokens)
    assert (other / "packs/main/shards/shard-00000.bin").read_bytes() == (
        run / "packs/main/shards/shard-00000.bin"
    ).read_bytes()
    findings = list(verify_run(other))
    assert [one.text for one in findings if not one.kept] == []
    assert "all are taken on trust" in findings[2].text
    assert open_run(other).manifests["tokens"].counts["imported_missing"] == 0


def test_other_cuts_of_the_same_text_stay_bit_for_bit(made, tmp_path):
    """A byte a token: not what the tokenizer gives."""
    _, _, tokens, name = made
    vocabulary = json.loads(Path(name).read_text(encoding="utf-8"))["model"]["vocab"]
    piece_of = {number: piece for piece, number in vocabulary.items()}
    letters = {one: [letter for piece in ids.tolist() for letter in piece_of[piece]] for one, ids in tokens.items()}
    cut = {one: np.array([vocabulary[letter] for letter in spelled]) for one, spelled in letters.items()}
    found = tokens_of(run_with(made, tmp_path, parquet(tmp_path, cut, 0)))
    assert all(np.array_equal(found[one], cut[one]) for one in cut)
    findings = list(verify_run(tmp_path / "run"))
    assert [one.text for one in findings if not one.kept] == []


def test_documents_that_are_missing_are_encoded_and_counted(made, tmp_path):
    _, _, tokens, _ = made
    some = dict(list(tokens.items())[3:])
    other = run_with(made, tmp_path, parquet(tmp_path, some, 0))
    assert all(np.array_equal(one, tokens[name]) for name, one in tokens_of(other).items())
    assert open_run(other).manifests["tokens"].counts["imported_missing"] == 3


def test_tokens_that_are_not_of_the_text_are_refused(made, tmp_path):
    _, _, tokens, _ = made
    names = list(tokens)
    moved = dict(zip(names, [tokens[name] for name in names[1:] + names[:1]], strict=True))
    with pytest.raises(
        InputError, match=r"tokenizer.import: the tokens of [\d,]+ of [\d,]+ documents decode to another"
    ):
        run_with(made, tmp_path, parquet(tmp_path, moved, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "m.ids.txt").write_text("a\n"), r"m.ids.txt: 1 ids for \d+ documents"),
        (lambda folder: (folder / "m.idx").write_bytes(b"nothing of Megatron's"), r"m.idx: no index of Megatron's"),
        (lambda folder: (folder / "m.idx").unlink(), r"m.idx: is missing beside m.bin"),
        (lambda folder: (folder / "m.bin").write_bytes(b"\0" * 8), r"m.bin: cannot be read \(documents reach to token"),
    ],
)
def test_files_that_cannot_be_used(made, tmp_path, change, message):
    pattern = megatron(tmp_path, made[2], 0)
    change(tmp_path)
    with pytest.raises(InputError, match=message):
        run_with(made, tmp_path, pattern)


def test_ids_beyond_the_vocabulary_are_refused(made, tmp_path):
    tokens = {name: ids.astype(np.int64) + 600 for name, ids in made[2].items()}
    with pytest.raises(InputError, match=r"t.parquet: ids from \d+ to \d+, but .* has 359"):
        run_with(made, tmp_path, parquet(tmp_path, tokens, 0))


def test_a_tokenizer_that_is_yet_to_be_trained_made_no_tokens(tmp_path):
    with pytest.raises(ConfigError, match=r"tokenizer.import needs the tokenizer that made these tokens"):
        tiny_config(tmp_path, tokenizer={"name": "train:600", "import": "t.parquet"})


@given(st.lists(st.lists(st.integers(0, 4), max_size=4), max_size=5))
def test_one_bos_and_one_eos_go(documents):
    flat = np.array([one for row in documents for one in row], np.int64)
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in documents]))).astype(np.int64)
    found = without_ends(Encoded([""] * len(documents), flat, offsets), 0, 4)
    wanted = []
    for row in documents:
        left = row[1:] if row[:1] == [0] else row
        wanted.append(left[:-1] if left[-1:] == [4] else left)
    made = [found.tokens[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:], strict=False)]
    assert made == wanted
