import json
import shutil
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers
from made import context_for, do, made_config, make_graph

from icp.config import TokenizerConfig
from icp.errors import ConfigError, InputError
from icp.run.context import document_parts
from icp.steps.tokens import sample
from icp.steps.tokens import step as tokens
from icp.steps.tokens.step import STEP
from icp.tokenizer.byte_level import train_tokenizer
from icp.tokenizer.tokenizer import load_tokenizer

TEXTS = ["abc", "", "déf", "a <|endoftext|> b", "the cat and the hat", "left out", "the end", "x"]
KEPT = [0, 1, 2, 3, 4, 6, 7]


def files_of(run):
    """Every data file by name, the parts of a kind joined."""
    folder = run / "tokens" / "made"
    found = {name: (folder / name).read_bytes() for name in ("tokenizer.json", "offsets.npy")}
    found["ids"] = b"".join(path.read_bytes() for path in sorted(folder.glob("part-*.bin")))
    return found


def test_bytes_of_kept_documents_in_node_order(tmp_path):
    make_graph(tmp_path, TEXTS, kept=KEPT, parts=(3, 3, 6))
    manifest = do(STEP, made_config(tmp_path))
    folder = tmp_path / "tokens" / "made"
    ids = np.concatenate([np.fromfile(path, "<u2") for path in sorted(folder.glob("part-*.bin"))])
    offsets = np.load(folder / "offsets.npy")
    texts = [bytes(ids[begin:end].tolist()).decode() for begin, end in pairwise(offsets)]
    assert texts == [TEXTS[doc] for doc in KEPT]
    assert manifest.counts == {"documents": 7, "special_strings": 1, "tokens": ids.size}
    assert (manifest.facts["dtype"], manifest.facts["vocab_size"]) == ("uint16", 257)
    assert [manifest.files[f"part-0000{part}.bin"].rows for part in range(4)] == [7, 0, 36, 8]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {*manifest.files, "manifest.json"}
    assert len(json.loads((folder / "tokenizer.json").read_text())["added_tokens"]) == 1


@pytest.mark.parametrize("name", ["bytes", "train:300"])
def test_same_tokens_for_other_parts(tmp_path, name):
    config = {"tokenizer": {"name": name}}
    for run, parts in (("one", ()), ("many", (1, 2, 5, 6))):
        make_graph(tmp_path / run, TEXTS, kept=KEPT, parts=parts)
        do(STEP, made_config(tmp_path / run, **config))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "many")


def test_trained_on_kept_documents_of_smallest_key(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "SAMPLE_CHARS", 40)
    texts = [f"word{number} " * 3 for number in range(30)]
    samples, trained = [], train_tokenizer(texts, 300)
    monkeypatch.setattr(tokens, "train_tokenizer", lambda rows, n: samples.append(rows.strings()) or trained)
    for run, parts in (("one", ()), ("many", (4, 11, 20))):
        make_graph(tmp_path / run, texts, kept=list(range(1, 30)), parts=parts)
        do(STEP, made_config(tmp_path / run, tokenizer={"name": "train:300"}))
    assert samples[0] == samples[1]
    order = sorted(range(1, 30), key=lambda number: (number * 7919 % 65521).to_bytes(16, "little"))
    assert samples[0] == [texts[number] for number in order[: len(samples[0])]]
    assert sum(map(len, samples[0][:-1])) < 40 <= sum(map(len, samples[0]))


def test_only_a_share_of_a_large_corpus_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "SAMPLE_DOCS", 0)
    make_graph(tmp_path, TEXTS[1:])  # the key of doc 0 is zero, which is always looked at
    do(STEP, made_config(tmp_path, tokenizer={"name": "train:300"}))
    tree = json.loads((tmp_path / "tokens" / "made" / "tokenizer.json").read_text())
    assert not tree["model"]["merges"]


def test_folder_of_tokens_is_a_tokenizer_with_its_config(tmp_path):
    make_graph(tmp_path, TEXTS)
    do(STEP, made_config(tmp_path, tokenizer={"name": "train:300"}))
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copy(tmp_path / "tokens" / "made" / "tokenizer.json", mine)
    (mine / "tokenizer_config.json").write_text('{"eos_token": "<|begin_of_text|>"}')
    before = files_of(tmp_path)
    shutil.rmtree(tmp_path / "tokens")
    config = made_config(tmp_path, tokenizer={"name": str(mine)})
    do(STEP, config)
    assert files_of(tmp_path) == before
    assert (tmp_path / "tokens" / "made" / "tokenizer_config.json").exists()
    (mine / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"file tokenizer_config\.json has changed"):
        do(STEP, config)


def test_other_specials_share_the_tokens(tmp_path):
    make_graph(tmp_path, TEXTS)
    first = do(STEP, made_config(tmp_path, tokenizer={"name": "train:300"}))
    again = do(STEP, made_config(tmp_path, tokenizer={"name": "train:300", "bos": "document", "eos": "none"}))
    assert first == again


def test_no_kept_documents_in_a_part_is_no_problem(tmp_path):
    make_graph(tmp_path, TEXTS, kept=[0, 7], parts=(3, 6))
    manifest = do(STEP, made_config(tmp_path))
    assert [manifest.files[f"part-0000{part}.bin"].bytes for part in range(3)] == [6, 0, 2]
    assert len(document_parts(context_for(made_config(tmp_path)))) == 3


@pytest.mark.parametrize(
    ("tokenizer", "error", "message"),
    [
        ({"name": "train:12"}, ConfigError, "expected train:N"),
        ({"name": "./none.json"}, InputError, "no such file or folder"),
        ({"name": "bytes", "bos": "document"}, ConfigError, "tokenizer.bos needs a token"),
        ({"name": "bytes", "eos": "</s>"}, ConfigError, r"which bytes does not know; its special tokens are"),
    ],
)
def test_refuses_before_anything_is_encoded(tmp_path, tokenizer, error, message):
    make_graph(tmp_path, TEXTS)
    with pytest.raises(error, match=message):
        do(STEP, made_config(tmp_path, tokenizer=tokenizer))
    assert not list((tmp_path / "tokens").rglob("*.bin"))


def refusing_q(folder):
    """A tokenizer whose library panics on texts that begin with Q (huggingface/tokenizers issue 1348)."""
    tree = json.loads(train_tokenizer(TEXTS, 300))
    tree["normalizer"] = {"type": "Replace", "pattern": {"Regex": "^(?=Q)"}, "content": " "}
    path = folder / "refusing.json"
    path.write_text(json.dumps(tree), encoding="utf-8")
    return {"name": str(path), "eos": "<|endoftext|>"}


panics = pytest.mark.skipif(tokenizers.__version__ >= "1", reason="this pattern makes no panic in 1.0")


@panics
@pytest.mark.parametrize("parts", [(), (1, 2, 5, 7)])
def test_a_document_that_breaks_the_tokenizer_is_found_counted_and_named(tmp_path, caplog, parts):
    texts = [*TEXTS[:3], "Quite", *TEXTS[3:]]
    make_graph(tmp_path, texts, parts=parts)
    manifest = do(STEP, made_config(tmp_path, tokenizer=refusing_q(tmp_path)))
    assert manifest.counts["rejected"] == 1
    folder = next((tmp_path / "tokens").iterdir())
    (path,) = folder.glob("rejected/part-*.parquet")
    (row,) = pq.read_table(path).to_pylist()
    assert (row["doc"], row["id"]) == (3, "d3")
    assert "Panic" in row["reason"]
    assert manifest.files[f"rejected/{path.name}"].rows == 1
    assert "failed on 1 documents" in caplog.text
    offsets, used = np.load(folder / "offsets.npy"), load_tokenizer(TokenizerConfig(**refusing_q(tmp_path)))
    ids = np.concatenate([np.fromfile(path, "<u2") for path in sorted(folder.glob("part-*.bin"))])
    for number, text in enumerate(texts):
        assert ids[offsets[number] : offsets[number + 1]].tolist() == ([] if number == 3 else encoded(used, text))


def encoded(tokenizer, text):
    return tokenizer.encode_batch([text])[0].tolist()


@panics
@pytest.mark.parametrize(
    ("n_bad", "limit", "passes"), [(10, 0.01, True), (11, 0.01, False), (11, 0.5, True), (40, 0.9, False)]
)
def test_too_many_rejected_documents_end_the_run_by_name(tmp_path, n_bad, limit, passes):
    make_graph(tmp_path, ["Q"] * n_bad + [f"fine {number}" for number in range(40 - n_bad)])
    corpus = {"input": "none.jsonl", "max_rejected": limit}
    config = made_config(tmp_path, tokenizer=refusing_q(tmp_path), corpus=corpus)
    if passes:
        assert do(STEP, config).counts["rejected"] == n_bad
        return
    message = rf"tokenizer.name: .*refusing.json fails on {n_bad} of 40 documents .*doc 0 \(d0\).*max_rejected"
    with pytest.raises(InputError, match=message):
        do(STEP, config)


def test_map_of_special_tokens_beside_the_file_is_read_and_kept(tmp_path):
    make_graph(tmp_path, TEXTS)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "tokenizer.json").write_text(train_tokenizer(TEXTS, 300), encoding="utf-8")
    (mine / "special_tokens_map.json").write_text('{"eos_token": {"content": "<|begin_of_text|>"}}')
    config = made_config(tmp_path, tokenizer={"name": str(mine)})
    do(STEP, config)
    kept = next((tmp_path / "tokens").iterdir())
    assert load_tokenizer(config.tokenizer, trained=kept / "tokenizer.json").eos_id == 1
    (mine / "special_tokens_map.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"file special_tokens_map\.json has changed"):
        do(STEP, config)


@pytest.mark.parametrize(("n_ids", "is_told"), [(16384, True), (260, False)])
def test_a_trained_tokenizer_with_fewer_ids_than_were_asked_for_says_so(tmp_path, caplog, n_ids, is_told):
    make_graph(tmp_path, TEXTS)
    do(STEP, made_config(tmp_path, tokenizer={"name": f"train:{n_ids}"}))
    assert (f"tokenizer.name train:{n_ids}: this text gives no more than" in caplog.text) == is_told
