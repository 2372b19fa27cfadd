"""A run with held-out documents and evaluation sets, from rows to shards, and its validation packs."""

import contextlib
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import assert_same, data_files, quiet, tiny_config

from icp import WindowDataset
from icp.audit import verify_run
from icp.audit.apart import check_apart
from icp.audit.findings import Breaches
from icp.config import parse_config
from icp.engine.executor import ProcessExecutor, SerialExecutor
from icp.export import export_pack
from icp.pipeline import build_graph, pack
from icp.run.reader import open_run
from icp.validation import pack_validation

HELD = [f"d{k}" for k in range(0, 60, 7)]


def words(rng, n):
    return " ".join(f"w{rng.randrange(500)}" for _ in range(n))


def write_corpus(folder):
    """60 documents, near-copies of the held-out ones, and two that hold text of an evaluation set."""
    rng = random.Random(2)
    rows = [{"id": f"d{k}", "text": words(rng, rng.randrange(40, 90)), "source": f"s{k % 3}"} for k in range(60)]
    texts = {row["id"]: row["text"] for row in rows}
    rows += [{"id": f"near-{name}", "text": f"{texts[name]} {words(rng, 3)}", "source": "n"} for name in HELD]
    questions = [words(rng, 20), words(rng, 9)]
    for k, question in enumerate(questions):
        rows.append({"id": f"asks-{k}", "text": f"{words(rng, 9)} {question}", "source": "q"})
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "eval.jsonl").write_text("".join(json.dumps({"question": one}) + "\n" for one in questions))
    (folder / "held.txt").write_text("\n".join(HELD))
    return texts, questions


def config_of():
    """The configuration, with paths relative to the current folder: they stand in the files."""
    return tiny_config(
        Path(),
        corpus={"input": "corpus.jsonl", "part_mib": 0.005},
        holdout={"ids": "held.txt"},
        decontaminate={"input": "eval.jsonl"},
        tokenizer={"name": "train:500"},
        pack={"seq_len": 128},
    )


def make(executor, *, fresh=False):
    config = config_of()
    build_graph(config, executor, quiet, fresh=fresh)
    pack(config, executor, quiet, fresh=fresh)
    pack_validation(config, executor, quiet)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The run, texts by id, and the questions of the evaluation set."""
    folder = tmp_path_factory.mktemp("held")
    texts, questions = write_corpus(folder)
    with contextlib.chdir(folder):
        make(SerialExecutor())
    return folder / "run", texts, questions


def decoded(run, pack="main"):
    """The text of all windows of a pack, by an independent reader: the rows of its shards and its tokenizer alone."""
    from tokenizers import Tokenizer

    facts = json.loads((run / f"packs/{pack}/shards/manifest.json").read_text())["facts"]
    tokenizer = Tokenizer.from_file(str(run / "tokens" / Path(facts["tokens"]).name / "tokenizer.json"))
    rows = [
        np.fromfile(path, facts["dtype"]).reshape(-1, facts["stride"])
        for path in sorted((run / f"packs/{pack}/shards").glob("shard-*.bin"))
    ]
    return [tokenizer.decode(row.tolist(), skip_special_tokens=False) for row in np.concatenate(rows)]


def spans_of(text):
    """Every six words in a row."""
    parts = text.split()
    return [" ".join(parts[at : at + 6]) for at in range(len(parts) - 5)]


def test_nothing_held_out_nor_evaluated_on_stands_in_the_shards(made):
    run, texts, questions = made
    found = " ".join(decoded(run))
    kept = [text for name, text in texts.items() if name not in HELD]
    assert all(any(span in found for span in spans_of(text)) for text in kept)
    for text in [*(texts[name] for name in HELD), *questions]:
        assert not any(span in found for span in spans_of(text))


def test_all_promises_hold_in_the_run_and_in_its_validation_packs(made):
    run, *_ = made
    findings = list(verify_run(run))
    assert [found.promise for found in findings] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(found.kept for found in findings), findings
    assert findings[-1].text.startswith(f"none of {60 - len(HELD)} documents is one of {len(HELD)} held out")
    for name in ("main", "main-documents"):
        assert all(found.kept for found in verify_run(run / "validation", pack=name))


def test_validation_packs_hold_each_held_out_document_once(made):
    run, texts, _ = made
    wanted = sorted(texts[name] for name in HELD)
    for name in ("main", "main-documents"):
        documents = "".join(decoded(run / "validation", name)).split("<|endoftext|>")
        assert sorted(document for document in documents if document) == wanted
    alone = decoded(run / "validation", "main-documents")
    assert all(len([document for document in row.split("<|endoftext|>") if document]) == 1 for row in alone)
    assert len(WindowDataset(run / "validation", pack="main-documents")) == len(alone)
    theirs, ours = (open_run(folder).manifests["shards"].facts for folder in (run / "validation", run))
    assert theirs["tokenizer_sha256"] == ours["tokenizer_sha256"]
    assert (theirs["stride"], theirs["dtype"], theirs["eos_id"]) == (ours["stride"], ours["dtype"], ours["eos_id"])


def test_workers_and_a_second_time_change_nothing(made, tmp_path, monkeypatch):
    run, *_ = made
    before = data_files(run)
    monkeypatch.chdir(run.parent)
    make(SerialExecutor())
    assert_same(data_files(run), before)
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    with ProcessExecutor(2) as executor:
        make(executor)
    assert_same(data_files(tmp_path / "run"), before)


def test_what_is_found_in_training_breaks_the_promise(made, tmp_path):
    run, texts, _ = made
    opened = open_run(run)
    (tmp_path / "other.txt").write_text("d1\nd2\n")
    (tmp_path / "eval.jsonl").write_text(json.dumps({"question": texts["d3"]}) + "\n")
    tree = {**opened.config.model_dump(mode="json"), "holdout": {"ids": str(tmp_path / "other.txt")}}
    tree["decontaminate"] = {"input": [str(tmp_path / "eval.jsonl")]}
    found = Breaches(8)
    check_apart(replace(opened, config=parse_config(tree)), found)
    assert found.counts == {
        "documents that holdout.ids names in training": 2,
        "documents with text of an evaluation set in training": 1,
    }
    tree["holdout"] |= {"ngram": 1, "jaccard": 0.02}
    found = Breaches(8)
    check_apart(replace(opened, config=parse_config(tree)), found)
    assert found.counts["documents near to a held-out one in training"] >= 40


def test_another_choice_of_documents_makes_the_validation_packs_anew(tmp_path, monkeypatch):
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    make(SerialExecutor())
    (tmp_path / "held.txt").write_text("d1\nd2\n")
    make(SerialExecutor(), fresh=True)
    assert open_run(tmp_path / "run/validation").manifests["documents"].counts["documents"] == 2


def test_validation_packs_are_exported_like_others(made, tmp_path):
    run, *_ = made
    export_pack(run / "validation", "parquet", tmp_path / "out", allow_reshuffle=True, allow_padding=True)
    assert list((tmp_path / "out").glob("*.parquet"))
