"""`icp inspect` and `icp status`: what a person sees of a window, a document, a duplicate, a run."""

import csv
import json
import os
import random
import shutil
import socket

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tiny import make_run, tiny_config, write_jsonl

from icp.cli import main
from icp.errors import ArtifactError, ConfigError, InputError
from icp.inspect import (
    show_alone,
    show_document,
    show_duplicate,
    show_groups,
    show_hubs,
    show_rows,
    show_status,
    show_text,
    show_window,
    write_sample,
)
from icp.inspect.duplicates import compare_words
from icp.inspect.lookup import WIDTH, excerpt

FOX = "the quick brown fox jumps over a lazy dog while seven wizards mix bright potions for us"
SUBJECTS = ("river stone bridge forest water boat fish", "music paper silver market village winter night")


def corpus_rows():
    """40 documents on a few subjects; a near copy, a repeated id, an id that is a number, an empty source."""
    rng, rows = random.Random(2), []
    for number in range(40):
        words = rng.choices(SUBJECTS[number % 2].split(), k=30)
        rows.append({"id": f"doc-{number}", "text": f"{number} {' '.join(words)}", "source": "s"})
    rows.append({"id": "near", "text": (FOX + " ") * 3 + "at last"})
    rows.append({"id": "original", "text": (FOX + " ") * 3 + "at last they all go home again"})
    rows.append({"id": "twice", "text": "an article on rivers and their bridges, long ago"})
    rows.append({"id": "twice", "text": "an essay about music that nobody wrote down in winter"})
    rows.append({"id": "7", "text": "a document whose id is the number seven, though it is not the seventh"})
    return rows


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A finished run whose near copy is removed."""
    folder = tmp_path_factory.mktemp("inspect")
    config = tiny_config(
        folder,
        corpus={"input": str(write_jsonl(folder / "rows.jsonl", corpus_rows())), "part_mib": 0.004},
        dedup={"threshold": 0.5, "bands": 40, "rows": 3},
        pack={"seq_len": 256, "shard_mib": 0.002},
    )
    return make_run(config)


@pytest.fixture
def run(sound, tmp_path):
    """A copy, to be changed."""
    return shutil.copytree(sound, tmp_path / "run")


def text_of(lines):
    return "\n".join(lines)


def doc_of(run, wanted):
    """The doc that carries an id, found without the code under test."""
    for path in sorted((run / "documents").glob("part-*.parquet")):
        for row in pq.read_table(path, columns=["doc", "id"]).to_pylist():
            if row["id"] == wanted:
                return row["doc"]
    raise AssertionError(wanted)


def segments(run):
    paths = sorted((run / "packs/main/shards/segments").glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_a_window_shows_its_figures_and_every_piece(sound):
    rows = [row for row in segments(sound) if row["window"] == 2]
    lines = list(show_window(sound, 2))
    docs = len({row["doc"] for row in rows})
    assert lines[0].startswith(f"window 2  {docs} document{'' if docs == 1 else 's'}, ")
    assert "of 256 tokens, mean similarity" in lines[0]
    assert "along the path" in lines[1]
    for row in rows:
        at = lines.index(
            next(line for line in lines if line.startswith(f"{row['position']:>3}  doc {row['doc']}  id "))
        )
        assert f"tokens {row['doc_start']} to {row['doc_stop']} at {row['win_start']}" in lines[at + 1]
    assert sum("similarity to the previous" in line for line in lines) == len(rows) - 1


def test_a_window_shows_the_text_that_stands_in_it(sound):
    row = next(row for row in segments(sound) if row["doc_start"] == 0 and row["doc"] == doc_of(sound, "doc-11"))
    assert "11 " in text_of(show_window(sound, row["window"]))
    assert max(map(len, show_window(sound, row["window"]))) < 2 * WIDTH


def test_windows_in_later_shards_are_found(sound):
    last = segments(sound)[-1]
    assert last["shard"] > 0
    assert f"shard-{last['shard']:05d}.bin row {last['row']}" in text_of(show_window(sound, last["window"]))


def test_an_unknown_window_names_the_range(sound):
    last = segments(sound)[-1]["window"]
    with pytest.raises(ConfigError, match=rf"window 9999: pack main has windows 0 to {last}"):
        list(show_window(sound, 9999))


def test_an_unknown_pack_names_those_there(sound):
    with pytest.raises(ArtifactError, match=r"pack other is not there or not finished \(finished packs: main\)"):
        list(show_window(sound, 0, pack="other"))


def test_a_kept_document_shows_where_it_stands_and_what_is_like_it(sound):
    doc = doc_of(sound, "original")
    lines = text_of(show_document(sound, "original"))
    pieces = [row for row in segments(sound) if row["doc"] == doc]
    n_chars = len(corpus_rows()[41]["text"])
    assert lines.startswith(f"doc {doc}  id original  source -")
    assert "rows.jsonl row 41" in lines
    assert f"{n_chars} characters, {n_chars} tokens" in lines
    assert "fate      kept" in lines
    assert f"copies    1 removed: docs {doc_of(sound, 'near')}" in lines
    for piece in pieces:
        span = f"tokens {piece['doc_start']} to {piece['doc_stop']}"
        assert f" {piece['window']}, position {piece['position']}: {span}" in lines
    assert "text      the quick brown fox" in lines


def test_neighbors_come_most_similar_first(sound):
    lines = list(show_document(sound, "doc-3"))
    start = next(at for at, line in enumerate(lines) if line.startswith("similar"))
    values = [float(line.split("  doc ")[0].split()[-1]) for line in lines[start:] if "  doc " in line]
    assert len(values) > 1
    assert values == sorted(values, reverse=True)


def test_a_removed_document_names_the_one_kept(sound):
    lines = text_of(show_document(sound, "near"))
    assert f"fate      near duplicate of doc {doc_of(sound, 'original')}, Jaccard 0." in lines
    assert "windows" not in lines


def test_a_repeated_id_lists_all_that_carry_it(sound):
    first = doc_of(sound, "twice")
    lines = text_of(show_document(sound, "twice"))
    assert lines.startswith(f"id twice is carried by 2 documents: docs {first}, {first + 1}")
    assert "an article on rivers" in lines
    assert "an essay about music" in lines


def test_digits_are_an_id_first_and_a_doc_number_otherwise(sound):
    assert text_of(show_document(sound, "7")).startswith(f"doc {doc_of(sound, '7')}  id 7")
    assert text_of(show_document(sound, "8")).startswith("doc 8  id doc-8")


def test_an_unknown_id_names_near_ones_and_the_range(sound):
    with pytest.raises(InputError, match=r"orginal: no document has this id \(ids like it: original.*0 to 44"):
        list(show_document(sound, "orginal"))
    with pytest.raises(InputError, match=r"12345: no document has this id \(ids look like doc-0"):
        list(show_document(sound, "12345"))


def test_a_document_is_shown_before_there_is_a_pack(run):
    shutil.rmtree(run / "packs")
    assert "pack main is not finished" in text_of(show_document(run, "original"))
    shutil.rmtree(run / "graph")
    assert "fate      not decided yet: step graph is not finished" in text_of(show_document(run, "original"))


def test_a_duplicate_is_shown_beside_the_kept_text(sound):
    lines = list(show_duplicate(sound, "near"))
    assert lines[0].startswith("near duplicate, Jaccard 0.")
    assert lines[1].startswith("- removed ")
    assert "id near" in lines[1]
    assert lines[4].startswith("+ kept ")
    assert "+ they all go home again" in lines
    assert not any(line.startswith("- ") for line in lines[7:])
    assert all(len(line) <= WIDTH for line in lines[7:])


def test_a_kept_document_is_no_duplicate(sound):
    with pytest.raises(InputError, match=rf"kept, so it is no duplicate; .* docs {doc_of(sound, 'near')}"):
        list(show_duplicate(sound, "original"))
    with pytest.raises(InputError, match="it has no copies"):
        list(show_duplicate(sound, "7"))


def test_words_are_compared_and_long_equal_runs_shortened():
    same = " ".join(str(number) for number in range(100))
    lines = list(compare_words(f"a {same} b", f"c {same}"))
    assert lines[:2] == ["- a", "+ c"]
    assert "[76 words]" in lines[2]
    assert lines[-1] == "- b"
    assert next(iter(compare_words("a b", "a b"))) == "  the texts are the same:"
    assert next(iter(compare_words("a  b", "a b"))) == "  the words of both are the same:"


def test_an_excerpt_is_one_line():
    assert excerpt("a\n b", 10) == "a b"
    assert excerpt("word " * 50, 12) == "word word..."


def test_the_status_of_a_finished_run_lists_steps_and_packs(sound):
    lines = list(show_status(sound))
    assert "lock        free" in lines
    assert any(line.startswith("documents   done, 45 documents, ") for line in lines)
    assert any(line.startswith("dedup       done, ") and "survivors" in line for line in lines)
    assert any(line.startswith("tokenizer   bytes-") for line in lines)
    assert "pack        main" in lines
    assert any(line.startswith("shards      done, ") for line in lines)


def test_the_status_tells_parts_done_and_why_others_failed(run):
    parts = run / "embeddings" / ".parts"
    (run / "embeddings" / "manifest.json").unlink()
    parts.mkdir()
    (parts / "count.part-00000.json").write_text("{}")
    (parts / "count.part-00001.failed").write_text(
        json.dumps({"part": "part-00001", "phase": "count", "error": "MemoryError: no room"})
    )
    shutil.rmtree(run / "graph")
    lines = list(show_status(run))
    n_parts = len(list((run / "documents").glob("part-*.parquet")))
    assert any(line.startswith("embeddings  started: ") and f"of {n_parts} parts done" in line for line in lines)
    assert any("failed: count part-00001: MemoryError: no room" in line for line in lines)
    assert "graph       not started" in lines


def test_the_status_tells_who_holds_the_lock(run):
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "command": "pack", "started": ""}
    (run / ".lock").write_text(json.dumps(holder))
    assert f"lock        held by process {os.getpid()} on {holder['host']} (pack), running" in list(show_status(run))
    (run / ".lock").write_text(json.dumps({**holder, "pid": 2**22 + 1}))
    assert any("gone: the next command goes on" in line for line in show_status(run))
    (run / ".lock").write_text(json.dumps({**holder, "host": "elsewhere"}))
    assert any("another machine" in line for line in show_status(run))


def test_the_status_of_no_run_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="holds no run of icp"):
        list(show_status(tmp_path))


def test_damaged_files_are_named(run):
    np.save(run / "graph/nodes.npy", np.zeros((2, 2), dtype=np.int64))
    with pytest.raises(ArtifactError, match=r"nodes.npy holds int64 .*`icp verify"):
        list(show_document(run, "original"))


def test_a_window_is_shown_whole_or_as_much_as_is_asked_for(sound):
    row = max(segments(sound), key=lambda row: row["doc_stop"] - row["doc_start"])
    text = next(
        piece["text"]
        for line in show_rows(sound, row["window"])
        if (piece := json.loads(line))["position"] == row["position"]
    )
    whole = text_of(show_window(sound, row["window"]))
    assert len(text) == row["doc_stop"] - row["doc_start"]
    assert all(word in whole for word in text.split())
    assert text in text_of(show_text(sound, row["window"]))
    short = text_of(show_window(sound, row["window"], chars=10))
    assert f"{len(text) - 10:,} more characters" in short
    assert len(short) < len(whole)


def test_windows_are_sampled_into_files(sound, tmp_path):
    last = segments(sound)[-1]["window"]
    assert write_sample(sound, 3, tmp_path / "w.jsonl") == 3
    rows = [json.loads(line) for line in (tmp_path / "w.jsonl").read_text().splitlines()]
    assert [row["window"] for row in rows] == [0, last // 2, last]
    assert all(piece["text"] for row in rows for piece in row["pieces"])
    assert write_sample(sound, 10_000, tmp_path / "w.csv") == last + 1
    with (tmp_path / "w.csv").open(newline="") as stream:
        assert [int(row["window"]) for row in csv.DictReader(stream)] == list(range(last + 1))
    with pytest.raises(ConfigError, match=r"neither .jsonl nor .csv"):
        write_sample(sound, 3, tmp_path / "w.txt")


def test_what_stands_out_is_listed(sound):
    hubs, copies, alone = (list(show(sound)) for show in (show_hubs, show_groups, show_alone))
    links = [int(line.split()[0].replace(",", "")) for line in hubs[1:]]
    assert links == sorted(links, reverse=True)
    assert copies[0].startswith("groups      1 group of copies")
    assert f"2  doc {doc_of(sound, 'original')}  id original" in copies[1]
    inside = {}
    for row in segments(sound):
        inside.setdefault(row["window"], set()).add(row["doc"])
    shared = {doc for docs in inside.values() if len(docs) > 1 for doc in docs}
    assert f"{len(set().union(*inside.values()) - shared)} document" in alone[0]


def test_the_command_asks_for_one_thing(sound, tmp_path):
    def invoke(*arguments):
        return CliRunner().invoke(main, ["inspect", str(sound), *arguments])

    assert invoke("--window", "0").output.startswith("window 0  ")
    assert len(invoke("--window", "0", "--jsonl").output.splitlines()) == len(
        [row for row in segments(sound) if row["window"] == 0]
    )
    assert invoke("--hubs").output.startswith("hubs ")
    assert invoke("--sample", "2", "--out", str(tmp_path / "w.csv")).exit_code == 0
    for wrong in ([], ["--hubs", "--alone"], ["--sample", "2"]):
        assert invoke(*wrong).exit_code == 2
