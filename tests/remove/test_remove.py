"""Documents are removed from a run with packs of every kind: read back by a reader of this file's own."""

import contextlib
import json
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tiny import quiet, write_jsonl

from icp import WindowDataset
from icp.audit import Sought, verify_removed, verify_run
from icp.cli import main
from icp.config import parse_config
from icp.engine.executor import SerialExecutor
from icp.errors import ArtifactError, ConfigError, InputError
from icp.inspect import show_document, show_status
from icp.pipeline import build_graph, pack
from icp.remove import Asked, Wanted, read_wanted, removal, remove_documents, show_removal
from icp.run.reader import open_run
from icp.run.removed import read_tombstones, removed_docs
from icp.validation import pack_validation

SEQ_LEN = 256
PACKS = {
    "main": {"shard_mib": 0.004},
    "repeat": {"tail": "repeat"},
    "cut": {"method": "path-cut", "tail": "drop"},
    "restart": {"method": "path-cut", "continuation": "restart"},
    "floor": {"least_fill": 0.9, "tail": "repeat"},
    "lanes": {"shuffle": "lanes:4"},
    "mixed": {"mix_random": 0.3},
    "passes": {"epochs": 2},
    "single": {"method": "single", "shuffle": "none"},
    "knn": {"method": "knn"},
    "grouped": {"group_by": ["source"], "inside": "reverse"},
    "fit": {"method": "best-fit", "stride": "seq_len+1"},
}
NAMED = ["d5", "copy-10", "d20", "d33", "far-40"]
"""A document; a copy and a near-copy that dedup removed; one with a copy of its own; a copy found again."""


def words(rng, topic, n):
    return " ".join(rng.choice(topic) for _ in range(n))


def corpus_rows():
    rng = random.Random(3)
    vocabulary = [f"w{k}" for k in range(900)]
    topics = [rng.sample(vocabulary, 80) for _ in range(6)]
    rows = []
    for k in range(130):
        text = words(rng, topics[k % 6], rng.choice((6, 12, 25, 40, 90)))
        rows.append({"id": f"d{k}", "url": f"http://a.org/{k}", "source": f"s{k % 3}", "text": text})
    long = max(rows[:130], key=lambda row: len(row["text"]))["text"]
    rows[40]["text"] = f"{long[::-1]} {long}"
    for k in range(0, 60, 10):
        rows.append({"id": f"copy-{k}", "url": f"http://b.org/{k}", "source": "c", "text": rows[k]["text"].upper()})
    rows.append({"id": "far-40", "url": "http://c.org/", "source": "c", "text": f"{rows[40]['text']} and more"})
    return rows


def config_of(folder, name="main", **sections):
    return parse_config({
        "run": str(folder / "run"),
        "corpus": {"input": str(folder / "corpus.jsonl"), "keep": ["url"], "part_mib": 0.01, "min_chars": 10},
        "holdout": {"ids": str(folder / "held.txt")},
        "tokenizer": {"name": "bytes"},
        "pack": {"seq_len": SEQ_LEN} | PACKS[name],
        **sections,
    })  # fmt: skip


def make_base(folder, names):
    write_jsonl(folder / "corpus.jsonl", [*corpus_rows(), {"id": "short", "url": "u", "text": "tiny"}])
    (folder / "held.txt").write_text("d7\nd50\nd77\n")
    config = config_of(folder)
    build_graph(config, SerialExecutor(), quiet)
    for name in names:
        pack(config_of(folder, name), SerialExecutor(), quiet, name=name)
    pack_validation(config, SerialExecutor(), quiet)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with a corpus and a finished run of all packs; see `copied_in_place`."""
    return make_base(tmp_path_factory.mktemp("all"), PACKS)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with a corpus and a finished run of one pack; see `copied_in_place`."""
    return make_base(tmp_path_factory.mktemp("one"), ["main"])


@contextlib.contextmanager
def copied_in_place(folder, saved):
    """The folder, whose run is put back afterwards: configurations hold its path."""
    shutil.copytree(folder / "run", saved)
    yield folder
    shutil.rmtree(folder / "run")
    saved.rename(folder / "run")


@pytest.fixture
def copied(small, tmp_path):
    with copied_in_place(small, tmp_path / "saved") as folder:
        yield folder


@pytest.fixture
def copied_all(base, tmp_path):
    with copied_in_place(base, tmp_path / "saved") as folder:
        yield folder


def ids(*names):
    return Wanted(frozenset(names))


def remove(folder, wanted, how="replan", **asked):
    return remove_documents(folder / "run", wanted, Asked(how, **asked), SerialExecutor(), quiet)


def rows_of(run, name):
    """Each row of a pack's shards as bytes, in training order."""
    facts = json.loads((run / f"packs/{name}/shards/manifest.json").read_text())
    data = b"".join(path.read_bytes() for path in sorted((run / f"packs/{name}/shards").glob("shard-*.bin")))
    width = facts["stride"] * np.dtype(facts["dtype"]).itemsize
    return [data[at : at + width] for at in range(0, len(data), width)], facts


def texts_of(run, name):
    """The text of each document that stands in the rows, put together from its pieces; and docs by row."""
    rows, facts = rows_of(run, name)
    pieces, of_row = {}, {}
    for path in sorted((run / f"packs/{name}/shards/segments").glob("*.parquet")):
        for piece in pq.read_table(path).to_pylist():
            row = np.frombuffer(rows[piece["window"]], facts["dtype"])
            tokens = row[piece["win_start"] : piece["win_stop"]].tolist()
            parts = pieces.setdefault(piece["doc"], {})
            parts[piece["doc_start"]] = max(tokens, parts.get(piece["doc_start"], []), key=len)
            of_row.setdefault(piece["window"], set()).add(piece["doc"])
    found = {}
    for doc, parts in pieces.items():
        tokens = []
        for start in sorted(parts):
            tokens += parts[start][max(0, len(tokens) - start) :]
        found[doc] = bytes(tokens).decode()
    return found, of_row


def broken(run, name="main"):
    return [finding.text for finding in verify_run(run, pack=name) if not finding.kept]


def left_of(run, *names):
    return [finding.text for finding in verify_removed(run, Sought(frozenset(names))) if not finding.kept]


def gone_ids():
    """All that goes with `NAMED`."""
    return {"d5", "d10", "copy-10", "d20", "copy-20", "d33", "d40", "copy-40", "far-40"}


@pytest.mark.parametrize("how", ["replan", "drop", "mask"])
def test_nothing_is_left_in_any_pack_and_nothing_else_is_lost(copied_all, how):
    copied = copied_all
    if how == "drop":
        with pytest.raises(ConfigError, match="pack passes has several passes"):
            remove(copied, ids("d5"), how)
        shutil.rmtree(copied / "run/packs/passes")
    run, texts = copied / "run", {row["id"]: row["text"] for row in corpus_rows()}
    before = {name: (rows_of(run, name)[0], *texts_of(run, name)) for name in PACKS
              if (run / "packs" / name).is_dir()}  # fmt: skip
    ids_before = pa.concat_tables([pq.read_table(path) for path in sorted((run / "documents").glob("*.parquet"))])
    docs = {name: doc for doc, name in enumerate(ids_before["id"].to_pylist())}
    found = remove(copied, ids(*NAMED, "d7", "nowhere"), how)
    assert (found.named, found.named + found.copies, found.held) == (len(NAMED), len(gone_ids()), 1)
    assert found.unknown == ["nowhere"]
    gone = {docs[name] for name in gone_ids()}
    assert removed_docs(run / "documents").tolist() == sorted(gone)
    for name in before:
        assert (name, broken(run, name)) == (name, [])
        rows, kept, held_by = before[name]
        new_rows, _ = rows_of(run, name)
        new, _ = texts_of(run, name)
        affected = {window for window, inside in held_by.items() if inside & gone}
        untouched = [row for window, row in enumerate(rows) if window not in affected]
        position = 0
        if name != "lanes":  # whose windows are laid anew when one of them goes
            for row in untouched:  # all there, byte for byte, in the same order
                position = new_rows.index(row, position) + 1
        assert not Counter(untouched) - Counter(new_rows)
        assert len(new_rows) <= len(rows)
        assert not gone & new.keys()
        lost = {doc for doc in kept if doc not in gone and new.get(doc) != kept[doc]}
        touched = set().union(*(held_by[window] for window in affected)) - gone
        told = next(change for change in found.packs if change.name == name)
        if how == "drop":
            names = ids_before["id"].to_pylist()
            assert lost <= touched
            assert lost <= {docs[one] for one in told.lost} <= touched
            assert len(told.lost) == len(set(told.lost)), names
        else:
            assert lost == set()
            assert told.lost == []
        assert not {texts[one] for one in gone_ids()} & set(new.values())
        passes = open_run(run, pack=name).manifests["windows"].facts.get("passes", [0, len(new_rows)])
        assert passes[-1] == len(new_rows)
        assert len(WindowDataset(run, pack=name)) == passes[1]
    assert left_of(run, *NAMED, "d7") == []
    for name in ("main", "main-documents"):
        assert broken(run / "validation", name) == []
    assert "done" in "\n".join(show_status(run))


def test_no_byte_of_the_texts_stands_in_any_file(copied):
    run, texts = copied / "run", {row["id"]: row["text"] for row in corpus_rows()}
    remove(copied, ids(*NAMED, "d7"))
    for path in sorted(run.rglob("*")):
        if not path.is_file():
            continue
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            strings = [c for c in table.column_names if pa.types.is_string(table[c].type)
                       or pa.types.is_large_string(table[c].type)]  # fmt: skip
            data = "\n".join(str(value) for c in strings for value in table[c].to_pylist())
        else:
            data = path.read_bytes().decode("utf-8", "ignore")
        for name in (*gone_ids(), "d7"):
            assert texts[name][:60] not in data, (name, path)
            if path.suffix == ".parquet":
                assert f"http://a.org/{name[1:]}" not in data.split("\n"), path


def test_a_window_that_becomes_empty_goes_and_others_fill_up(copied):
    run = copied / "run"
    before = len(rows_of(run, "main")[0])
    many = [f"d{k}" for k in range(0, 120, 3)]
    remove(copied, ids(*many))
    rows, _ = rows_of(run, "main")
    assert broken(run) == []
    assert len(rows) < 0.9 * before
    fill = json.loads((run / "packs/main/plan/manifest.json").read_text())["fill"]
    assert fill > 0.9


def test_a_dry_run_says_the_same_and_changes_nothing(copied):
    run = copied / "run"
    stamps = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    would = show_removal(run, ids(*NAMED), Asked("drop"))
    assert stamps == {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    did = remove(copied, ids(*NAMED), "drop")
    assert would.packs == did.packs
    assert (would.named, would.copies, would.held) == (did.named, did.copies, did.held)


def test_urls_name_documents_too(copied):
    (copied / "urls.txt").write_text("https://A.org/5#top\nhttp://a.org:80/77/\n")
    before = CliRunner().invoke(main, ["verify", str(copied / "run"), "--removed", str(copied / "urls.txt")])
    assert before.exit_code == 5
    assert "ids of removed documents: 2" in before.output
    found = remove(copied, read_wanted(str(copied / "urls.txt"), by_url=True))
    assert {row.id for row in read_tombstones(copied / "run").rows} == {"d5", "d77"}
    assert (found.named, found.copies, found.held, found.unknown) == (1, 0, 1, [])
    assert "| documents removed on request | 1 |" in (copied / "run/packs/main/shards/README.md").read_text()
    assert "d77" not in held_ids(copied / "run")
    after = CliRunner().invoke(main, ["verify", str(copied / "run"), "--removed", str(copied / "urls.txt")])
    assert after.exit_code == 0


def held_ids(run):
    """The ids of documents/holdout."""
    tables = [pq.read_table(path) for path in (run / "documents/holdout").glob("*.parquet")]
    return [name for table in tables for name in table["id"].to_pylist()]


def test_near_copies_of_held_out_documents_go_with_them_and_never_come_back(tmp_path):
    """``near-h`` is refused as a copy of h; whichever of the two is named, the other goes."""
    rng = random.Random(4)
    text = words(rng, [f"v{k}" for k in range(500)], 90)
    rows = [*corpus_rows(), {"id": "h", "url": "http://h.org", "text": text}]
    rows.append({"id": "near-h", "url": "http://near.org", "text": f"{text} more"})
    rows.append({"id": "half", "url": "http://half.org", "text": " ".join(text.split()[:60])})  # near, but no copy
    write_jsonl(tmp_path / "corpus.jsonl", rows)
    (tmp_path / "held.txt").write_text("d7\nh\n")
    config = config_of(tmp_path)
    build_graph(config, SerialExecutor(), quiet)
    pack(config, SerialExecutor(), quiet)
    run, saved = tmp_path / "run", tmp_path / "saved"
    overlaps = pq.read_table(next((run / "documents/rejected").glob("overlaps*"))).to_pylist()
    assert {(row["id"], row["of"], row["url"]) for row in overlaps} == {
        ("near-h", "h", "http://near.org"), ("half", "h", "http://half.org")
    }  # fmt: skip
    excerpts = list((run / "documents/rejected").glob("part*"))
    for wanted in (ids("h"), ids("near-h"), Wanted(frozenset({"near.org"}), by_url=True)):
        with copied_in_place(tmp_path, saved):
            found = remove(tmp_path, wanted)
            assert (found.named, found.copies, found.held, found.unknown) == (0, 0, 1, [])
            assert found.refused == (wanted.keys != {"h"})
            assert held_ids(run) == ["d7"]
            assert {row.id for row in read_tombstones(run).rows} == {"h", "near-h"}
            assert left_of(run, "near-h") == left_of(run, "h") == []
            shown = "".join(row for path in excerpts for row in pq.read_table(path)["excerpt"].to_pylist())
            assert not {"v1", "v2", "v3"} & set(shown.split())
            shutil.rmtree(run / "documents")
            build_graph(config, SerialExecutor(), quiet, until="documents")
            tables = [pq.read_table(path) for path in (run / "documents").glob("part*.parquet")]
            kept = pa.concat_tables(tables)["id"].to_pylist()
            assert ("near-h" in kept, "half" in kept) == (False, True)


def test_a_finished_removal_changes_nothing_when_asked_again(copied):
    run = copied / "run"
    remove(copied, ids(*NAMED))
    shards = rows_of(run, "main")[0]
    stones = (run / "removed.jsonl").read_text()
    found = remove(copied, ids(*NAMED))
    assert (found.named, found.copies, found.unknown, found.packs) == (0, 0, [], [])
    assert (run / "removed.jsonl").read_text() == stones
    remove(copied, ids("d100"))
    assert broken(run) == []
    assert left_of(run, "d100", *NAMED) == []
    assert rows_of(run, "main")[0] != shards


def test_a_later_run_goes_on_and_a_fresh_one_refuses_what_was_removed(copied, caplog):
    run = copied / "run"
    remove(copied, ids(*NAMED))
    shards = rows_of(run, "main")[0]
    config = config_of(copied)
    build_graph(config, SerialExecutor(), quiet)
    pack(config, SerialExecutor(), quiet)
    pack_validation(config, SerialExecutor(), quiet)
    assert rows_of(run, "main")[0] == shards
    assert "--fresh removes" not in caplog.text
    pack(config_of(copied, pack={"seq_len": 128}), SerialExecutor(), quiet, name="later")
    assert broken(run, "later") == []
    assert left_of(run) == []
    build_graph(config, SerialExecutor(), quiet, fresh=True)  # nothing differs
    other = config_of(copied, corpus={**config.corpus.model_dump(), "min_chars": 11})
    build_graph(other, SerialExecutor(), quiet, fresh=True)
    pack(other, SerialExecutor(), quiet)
    assert broken(run) == []
    assert left_of(run) == []
    opened = open_run(run)
    assert opened.manifests["documents"].counts["rejected.removed"] == len(gone_ids())
    refused = pa.concat_tables([pq.read_table(path) for path in sorted((run / "documents/rejected").glob("p*"))])
    rows = [row for row in refused.to_pylist() if row["reason"] == "removed"]
    assert {row["excerpt"] for row in rows} == {""}


def test_the_same_text_under_another_id_does_not_come_back(copied):
    remove(copied, ids("d5"))
    text = next(row["text"] for row in corpus_rows() if row["id"] == "d5")
    write_jsonl(copied / "more.jsonl", [{"id": "other", "url": "x", "text": text.title()}])
    config = config_of(copied)
    files = [str(copied / "corpus.jsonl"), str(copied / "more.jsonl")]
    more = config_of(copied, corpus={**config.corpus.model_dump(), "input": files})
    build_graph(more, SerialExecutor(), quiet, fresh=True)
    assert open_run(copied / "run").manifests["documents"].counts["rejected.removed"] == 2


@pytest.mark.parametrize("stop", range(0, 60, 7))
def test_whoever_is_stopped_goes_on_with_the_same_command(copied, monkeypatch, stop):
    run, done = copied / "run", []

    def some(self, target):
        if len(done) >= stop:
            raise KeyboardInterrupt
        done.append(target)
        return replace(self, target)

    replace = Path.replace
    real = removal.put_in_place

    def put_in_place(folder):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", some)
            return real(folder)

    monkeypatch.setattr(removal, "put_in_place", put_in_place)
    with pytest.raises(KeyboardInterrupt):
        remove(copied, ids(*NAMED, "d7"))
    monkeypatch.setattr(removal, "put_in_place", real)
    with pytest.raises(ArtifactError, match="was interrupted while it put its files in place"):
        build_graph(config_of(copied), SerialExecutor(), quiet)
    assert left_of(run) != []
    remove(copied, ids(*NAMED, "d7"))
    assert broken(run) == []
    assert left_of(run, *NAMED, "d7") == []
    assert not (run / ".removal").exists()


def test_whoever_is_stopped_before_has_changed_nothing(copied, monkeypatch):
    run = copied / "run"

    def stop(*_):
        raise KeyboardInterrupt

    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "log.jsonl"}
    monkeypatch.setattr(removal, "commit", stop)
    with pytest.raises(KeyboardInterrupt):
        remove(copied, ids(*NAMED))
    after = {
        path: path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name != "log.jsonl" and ".removal" not in path.parts
    }
    assert after == before
    monkeypatch.undo()
    remove(copied, ids(*NAMED))
    assert broken(run) == []


def test_exports_beside_a_pack_are_made_anew_and_old_shards_stay_if_asked(copied):
    run = copied / "run"
    runner = CliRunner()
    folder = run / "packs/main/exports/parquet"
    assert runner.invoke(main, ["export", str(run), "--format", "parquet", "--out", str(folder)]).exit_code == 0
    before = rows_of(run, "main")[0]
    found = remove(copied, ids("d5"), keep_old=True)
    assert "export      main: parquet is made anew" in found.told
    assert broken(run) == []
    assert len(left_of(run)) == 2  # the old shards: segments and texts
    old = run / "packs/main/shards-before-1"
    assert b"".join(path.read_bytes() for path in sorted(old.glob("*.bin"))) == b"".join(before)
    for path in run.glob("packs/*/shards-before-1"):
        shutil.rmtree(path)
    assert left_of(run) == []


def test_what_is_left_is_found(copied):
    run = copied / "run"
    remove(copied, ids("d5"))
    row = next(row for row in corpus_rows() if row["id"] == "d5")
    (run / "notes.txt").write_text("look at copy-10 again\n")
    assert left_of(run, "copy-10")[-1].startswith("files that name a removed document: 1 (notes.txt")
    (run / "notes.txt").unlink()
    assert left_of(run, "d6") == ["ids of removed documents: 1 (documents/part-00000.parquet: d6)"]
    path = run / "documents/part-00000.parquet"
    table = pq.read_table(path)
    texts = table["text"].to_pylist()
    texts[0] = row["text"]
    pq.write_table(table.set_column(table.schema.get_field_index("text"), "text", pa.array(texts)), path)
    assert left_of(run) == ["texts of removed documents: 1 (documents/part-00000.parquet 0)"]


def test_inspect_tells_of_removed_documents(copied):
    run = copied / "run"
    doc = open_run(run)
    remove(copied, ids("d5"), reason="request 12")
    with pytest.raises(InputError, match=r"d5: no document has this id; it was removed on .* \(request 12\)"):
        list(show_document(run, "d5"))
    hole = int(removed_docs(run / "documents")[0])
    assert "fate      removed by icp remove" in "\n".join(show_document(run, str(hole)))
    assert doc.folder == run


def test_the_command_and_its_refusals(copied):
    run, runner = copied / "run", CliRunner()
    listed = copied / "ids.jsonl"
    write_jsonl(listed, [{"id": "d5"}, {"id": "d6"}])
    result = runner.invoke(main, ["remove", str(run), "--ids", str(listed), "--dry-run"])
    assert result.exit_code == 0
    assert "2 documents of the list" in result.output
    pq.write_table(pa.table({"id": ["d5", "d6"]}), copied / "ids.parquet")
    args = ["remove", str(run), "--ids", str(copied / "ids.parquet"), "--workers", "1"]
    assert runner.invoke(main, args).exit_code == 0
    assert runner.invoke(main, ["verify", str(run), "--removed", str(listed)]).exit_code == 0
    assert runner.invoke(main, ["verify", str(run), "--removed", str(copied / "corpus.jsonl")]).exit_code == 5
    for args, text in (
        ([], "give --ids FILE or --urls FILE"),
        (["--ids", str(copied / "none.txt")], "cannot be read"),
        (["--ids", str(copied / "corpus.jsonl")], "no document would be left"),
    ):
        result = runner.invoke(main, ["remove", str(run), *args, *(["--workers", "1"] if args else [])])
        assert result.exit_code in (2, 3), result.output
        assert text in result.output
    (copied / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match="names no id"):
        read_wanted(str(copied / "empty.txt"))
    with pytest.raises(InputError, match="line 1 is no JSON object with url"):
        read_wanted(str(listed), by_url=True)


def test_a_run_without_urls_says_so(tmp_path):
    write_jsonl(tmp_path / "corpus.jsonl", [{"id": f"d{k}", "text": f"text number {k} " * 9} for k in range(12)])
    config = parse_config({
        "run": str(tmp_path / "run"), "corpus": {"input": str(tmp_path / "corpus.jsonl")},
        "tokenizer": {"name": "bytes"}, "pack": {"seq_len": 64},
    })  # fmt: skip
    build_graph(config, SerialExecutor(), quiet)
    with pytest.raises(ConfigError, match="have no field url"):
        remove(tmp_path, Wanted(frozenset({"x"}), by_url=True))
    found = remove(tmp_path, ids("d1"))  # without any pack
    assert (found.named, found.packs) == (1, [])
    pack(config, SerialExecutor(), quiet)
    assert broken(tmp_path / "run") == []
