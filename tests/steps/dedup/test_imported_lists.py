"""Documents that other tools list or mark to be removed: NeMo Curator, Dolma, datatrove."""

import gzip
import json
import random
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import quiet, write_jsonl

from icp.audit import verify_run
from icp.config import parse_config
from icp.dedup.imported import covered
from icp.engine.executor import SerialExecutor
from icp.errors import InputError
from icp.inspect.duplicates import show_duplicate
from icp.inspect.lookup import fate_of
from icp.pipeline import build_graph, pack
from icp.remove.wanted import twins
from icp.report.corpus import load_corpus
from icp.run.reader import open_run


def words(rng, n=40):
    return " ".join(f"w{rng.randrange(400)}" for _ in range(n))


def rows(n=48):
    """Documents of two lines; every fourth has near-copies, and d1 an exact one."""
    rng = random.Random(7)
    found = [{"id": f"d{k}", "text": f"{words(rng)}\n{words(rng, 8)}"} for k in range(n)]
    for k in range(0, n, 4):
        found += [{"id": f"n{k}-{m}", "text": f"{found[k]['text']} x{m}"} for m in range(1 + k % 3)]
    found.append({"id": "same", "text": found[1]["text"].upper()})
    rng.shuffle(found)
    return found


def config_of(folder, name, corpus="corpus.jsonl", **dedup):
    return parse_config({
        "run": str(folder / name), "corpus": {"input": str(folder / corpus), "part_mib": 0.005},
        "dedup": dedup, "tokenizer": {"name": "bytes"}, "pack": {"seq_len": 256},
    })  # fmt: skip


def dedup_of(config):
    """Ids that stay; what became of the others: id -> (id of the kept one or None, kind); the manifest."""
    build_graph(config, SerialExecutor(), quiet, until="dedup")
    run = open_run(Path(config.run))
    ids = [one for path in run.paths("documents", "part-*.parquet") for one in pq.read_table(path)["id"].to_pylist()]
    found = pa.concat_tables([pq.read_table(path) for path in run.paths("dedup", "duplicates/part-*.parquet")])
    gone = {
        ids[row["doc"]]: (None if row["duplicate_of"] < 0 else ids[row["duplicate_of"]], row["kind"])
        for row in found.to_pylist()
    }
    survivors = np.load(run.path("dedup", "survivors.npy"))
    assert len(survivors) + len(found) == len(ids)
    return {ids[doc] for doc in survivors}, gone, run.manifests["dedup"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    write_jsonl(folder / "corpus.jsonl", rows())
    return folder


def listed_file(folder, form, ids):
    if form == "jsonl":
        return write_jsonl(folder / "gone.jsonl", [{"id": one} for one in ids])
    path = folder / f"gone-{form}.parquet"
    name = "_curator_dedup_id" if form == "curator" else "id"
    pq.write_table(pa.table({name: list(ids)}), path)
    return path


@pytest.mark.parametrize("form", ["jsonl", "parquet", "curator"])
@pytest.mark.parametrize("near", [True, False])
def test_of_a_list_what_stays_is_what_stays_without_it(folder, form, near):
    rng = random.Random(3)
    gone = ({row["id"] for row in rows() if rng.random() < 0.4} | {"n4-0", "d1"}) - {"same"}
    others = write_jsonl(folder / f"others-{near}.jsonl", [row for row in rows() if row["id"] not in gone])
    wanted, without, _ = dedup_of(config_of(folder, f"without-{form}-{near}", others.name, near=near))
    path = listed_file(folder, form, [*sorted(gone), "unknown"])
    kept, found, manifest = dedup_of(config_of(folder, f"list-{form}-{near}", near=near, **{"import": str(path)}))
    assert kept == wanted
    assert {one: of for one, of in found.items() if one not in gone} == without
    assert found["d1"] == ("same", "exact")  # a copy that stays is named, where there is one
    assert {kind for one, (of, kind) in found.items() if of is None} == {"imported"}
    assert all(of is None or of in kept for of, _ in found.values())
    assert manifest.counts["imported_unknown"] == 1
    assert manifest.counts["imported_ids"] == len(gone) + 1
    n_imported = sum(kind == "imported" for _, kind in found.values())
    assert manifest.counts["imported_duplicates"] == n_imported > 10


def test_parts_change_nothing(folder):
    path = write_jsonl(folder / "some.jsonl", [{"id": f"d{k}"} for k in range(0, 40, 3)])
    found = []
    for part_mib in (0.002, 1):
        config = config_of(folder, f"parts-{part_mib}", **{"import": str(path)})
        config = config.model_copy(update={"corpus": config.corpus.model_copy(update={"part_mib": part_mib})})
        found.append(dedup_of(config)[:2])
    assert found[0] == found[1]


def test_a_run_with_such_removals_is_whole_and_says_what_it_trusts(folder):
    path = write_jsonl(folder / "trusted.jsonl", [{"id": "d5"}, {"id": "d9"}])
    config = config_of(folder, "trusting", **{"import": str(path)})
    build_graph(config, SerialExecutor(), quiet)
    pack(config, SerialExecutor(), quiet)
    findings = list(verify_run(folder / "trusting"))
    assert [finding.text for finding in findings if not finding.kept] == []
    assert "; 2 on the word of dedup.import, 2 of them as copies of documents that it does not name" in findings[1].text
    run = open_run(folder / "trusting")
    doc = next(k for k, row in enumerate(rows()) if row["id"] == "d5")
    assert str(fate_of(run, doc)).startswith("removed on the word of dedup.import")
    with pytest.raises(InputError, match="names no document that it is a copy of, so there is nothing to compare"):
        list(show_duplicate(folder / "trusting", "d5"))
    assert twins(run, np.array([doc])).tolist() == [doc]
    other = next(k for k, row in enumerate(rows()) if row["id"] == "d6")
    assert doc not in twins(run, np.array([other]))
    assert callable(load_corpus)


def write_attributes(path, rows):
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"attributes": marks, "id": one}) + "\n" for one, marks in rows)
    return path


def line_spans(text, marked):
    """Spans as Dolma's deduper gives them: a line and its line end, in characters."""
    spans, start = [], 0
    lines = text.split("\n")
    for at, line in enumerate(lines):
        end = start + len(line) + (at < len(lines) - 1)
        if at in marked:
            spans.append([start, end, 1])
        start = end
    return spans


@pytest.mark.parametrize("share", [None, 0.15, 0, 1])
def test_documents_marked_by_dolma_go_by_the_share_of_their_characters(folder, share):
    rng = random.Random(11)
    table = [{**row, "text": row["text"].replace("w1", "w\u00e4\U0001f600")} for row in rows() if row["id"][0] == "d"]
    write_jsonl(folder / f"dolma-{share}.jsonl", table)
    marks = {row["id"]: rng.choice([(), (0,), (1,), (0, 1)]) for row in table}
    for half in range(2):  # as of two partitions, which mark other lines of the same documents
        attributes = [
            (row["id"], {f"dups_{half}": line_spans(row["text"], [m for m in marks[row["id"]] if m == half])})
            for row in table
        ]
        write_attributes(folder / f"dolma-{share}-{half}.json.gz", attributes)
    section = {"near": False, "import": str(folder / f"dolma-{share}-[01].json.gz")}
    if share is not None:
        section["import_share"] = share
    kept, found, manifest = dedup_of(config_of(folder, f"dolma-{share}", f"dolma-{share}.jsonl", **section))
    wanted, in_part = set(), 0
    for row in table:
        chars = {c for start, end, _ in line_spans(row["text"], marks[row["id"]]) for c in range(start, end)}
        goes = bool(chars) and len(chars) >= (0.8 if share is None else share) * len(row["text"])
        wanted |= {row["id"]} if goes else set()
        in_part += bool(chars) and not goes
    assert set(found) == wanted
    assert kept == {row["id"] for row in table} - wanted
    assert manifest.counts.get("imported_in_part", 0) == in_part
    warnings = [line for info in manifest.info.get("imported", {}).values() for line in info.get("warnings", [])]
    assert [line.split(" documents")[0] for line in warnings] == [f"dedup.import: {in_part}"] * bool(in_part)


def test_documents_that_dolma_compared_by_a_field_go_whole(folder):
    # as the deduper writes them: a span as long as the field, no attribute for others, an empty one for short fields
    attributes = [
        (row["id"], {"urls": [[0, 12, 1]]} if k % 5 == 0 else {"urls": []} if k % 7 == 0 else {})
        for k, row in enumerate(rows())
    ]
    path = write_attributes(folder / "urls.jsonl.gz", attributes)
    kept, found, _ = dedup_of(config_of(folder, "urls", near=False, **{"import": str(path)}))
    gone = {row["id"] for k, row in enumerate(rows()) if k % 5 == 0}
    assert {one for one, (_, kind) in found.items() if kind == "imported"} | {"same", "d1"} >= gone
    assert not kept & gone
    old = write_attributes(folder / "true.jsonl.gz", [(row["id"], {"dup": k % 5 == 0}) for k, row in enumerate(rows())])
    assert dedup_of(config_of(folder, "true", near=False, **{"import": str(old)}))[0] == kept


def test_ids_of_several_documents_remove_none(folder):
    table = [*rows()[:20], {"id": rows()[0]["id"], "text": "another text of the same id"}]
    write_jsonl(folder / "twice.jsonl", table)
    path = write_jsonl(folder / "twice-gone.jsonl", [{"id": table[0]["id"]}, {"id": table[1]["id"]}])
    kept, found, manifest = dedup_of(config_of(folder, "twice", "twice.jsonl", near=False, **{"import": str(path)}))
    assert set(found) == {table[1]["id"]}
    assert table[0]["id"] in kept
    assert "1 ids to be removed are those of several documents" in str(manifest.info["imported"])


spans = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 14), st.integers(0, 14)), max_size=12)


@given(st.lists(st.integers(0, 12), min_size=4, max_size=4), spans)
def test_characters_in_some_span_are_counted_once(lengths, drawn):
    owners = np.array([one for one, _, _ in drawn], np.int64)
    ends = np.array([sorted(pair) for _, *pair in drawn], np.int64).reshape(-1, 2)
    docs, chars = covered(owners, ends, np.array(lengths, np.int64))
    wanted = {
        doc: len(
            {c for one, (a, b) in zip(owners, ends, strict=True) if one == doc for c in range(a, min(b, lengths[doc]))}
        )
        for doc in set(owners.tolist())
    }
    assert dict(zip(docs.tolist(), chars.tolist(), strict=True)) == wanted


def numbers(path, *values):
    path.write_bytes(struct.pack(f"<{len(values)}I", *values))
    return path


def test_numbers_of_datatrove_mean_files_and_rows(folder):
    place = folder / "numbers"
    place.mkdir()
    table = rows()
    for name, some in (("a", table[:30]), ("b", table[30:])):
        write_jsonl(folder / f"{name}.jsonl", some)
    numbers(place / "000000.remove", 3, 17)
    numbers(place / "000001.remove", 0, 5)
    numbers(place / "000000.clusters", 3, 9, 4, 9, 17, 8)
    numbers(place / "000001.clusters", 5, 9, 0, 8, 7, 7)
    numbers(place / "000000.sizes", 3, 2)
    config = config_of(folder, "numbers-run", "[ab].jsonl", near=False, **{"import": str(place / "*")})
    kept, found, _ = dedup_of(config)

    def at(file, row):
        return table[row + 30 * file]["id"]

    wanted = {at(0, 3): at(0, 4), at(1, 5): at(0, 4), at(0, 17): None, at(1, 0): None}
    imported = {one: of for one, (of, kind) in found.items() if kind == "imported"}
    assert imported == wanted
    assert not kept & set(wanted)
    # a pair with datatrove's index: what is connected to it goes
    pairs = folder / "index"
    pairs.mkdir()
    numbers(pairs / "00000_00.dups", *(2**32 - 1, 2**32 - 1, 0, 6), *(0, 6, 1, 2), *(0, 10, 0, 11))
    found = dedup_of(config_of(folder, "index-run", "[ab].jsonl", near=False, **{"import": str(pairs / "*.dups")}))[1]
    imported = {one: of for one, (of, kind) in found.items() if kind == "imported"}
    assert {one for one, of in imported.items() if of is None} == {at(0, 6), at(1, 2)}
    assert {frozenset(pair) for pair in imported.items() if pair[1]} == {frozenset((at(0, 10), at(0, 11)))}


def test_what_datatrove_removes_is_removed(folder, tmp_path, monkeypatch):
    from datatrove.data import Document
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature, minhash
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig

    # its tokenizer of English needs a package of its own, and so does its usual hash
    monkeypatch.setattr(minhash, "load_word_tokenizer", lambda _language: SimpleNamespace(word_tokenize=str.split))
    table = [row for row in rows() if row["id"] != "same"]
    halves = [table[:30], table[30:]]
    for name, some in zip(("t-a", "t-b"), halves, strict=True):
        write_jsonl(folder / f"{name}.jsonl", some)
    settings = MinhashConfig(num_buckets=4, hashes_per_bucket=4, hash_config=HashConfig(hash_fc="sha1"))
    for rank, some in enumerate(halves):
        documents = (Document(text=row["text"], id=row["id"]) for row in some)
        MinhashDedupSignature(str(tmp_path / "signatures"), config=settings).run(documents, rank, 2)
    for bucket in range(4):
        MinhashDedupBuckets(str(tmp_path / "signatures"), str(tmp_path / "dups"), config=settings).run(None, bucket, 4)
    cluster = MinhashDedupCluster(
        str(tmp_path / "dups"), str(tmp_path / "gone"), config=settings, save_cluster_id=True, save_cluster_size=True
    )
    cluster.run(None, 0, 1)
    gone = {
        halves[int(path.stem)][row]["id"]
        for path in sorted((tmp_path / "gone").glob("*.remove"))
        for (row,) in struct.iter_unpack("<I", path.read_bytes())
    }
    assert len(gone) > 10
    for name, glob, named in (("remove", "*.remove", False), ("all", "*", True)):
        section = {"near": False, "import": str(tmp_path / "gone" / glob)}
        kept, found, manifest = dedup_of(config_of(folder, f"trove-{name}", "t-[ab].jsonl", **section))
        assert set(found) == gone
        assert kept == {row["id"] for row in table} - gone
        assert all((of in kept) == named for of, _ in found.values())
        assert manifest.counts["imported_duplicates"] == len(gone)
    pairs = dedup_of(
        config_of(folder, "trove-dups", "t-[ab].jsonl", near=False, **{"import": str(tmp_path / "dups/*")})
    )
    assert len(pairs[0]) == len(kept)  # of each cluster one stays, which one dedup.keep says


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("0.remove", b"12345", "5 bytes are no rows of 1 numbers of 4 bytes; fetch it again"),
        ("x.remove", b"1234", "its name is no number of a file, as in 000000.remove"),
        ("0.clusters", b"1234", "are no rows of 2 numbers"),
        ("l.jsonl", b'{"id": "d1"}\n{"id": "d2", "cluster": 3}\n', "line 2: has id, cluster, others id alone; give"),
        ("l.jsonl", b'{"id": "gone"}\n', "none of its 1 ids stands in documents .* written as in corpus.id"),
        ("0.remove", b"\xff\xff\x00\x00", "none of the rows that it numbers is a document"),
        ("d.jsonl", b'{"id": "d1", "attributes": {"a": [[0, 4]]}}\n', "id 'd1': .* are no spans .start, end, score."),
        ("d.jsonl", b'{"id": "d1", "attributes": {"a": [[5, 4, 1]]}}\n', "are no spans"),
        ("d.jsonl", b'{"id": "d1", "attributes": {"a": [], "b": []}}\n', "has attributes a, b; give files of one"),
        ("d.jsonl", b'["d1", "d2"]\n', "give Parquet or JSONL"),
    ],
)
def test_files_that_cannot_be_used(folder, tmp_path, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        dedup_of(config_of(folder, tmp_path / "bad", **{"import": str(folder / name)}))


def test_attributes_without_a_mark_are_no_error(folder):
    path = write_attributes(folder / "none.jsonl.gz", [(row["id"], {"dups": []}) for row in rows()])
    assert (
        dedup_of(config_of(folder, "none", near=False, **{"import": str(path)}))[2].counts["imported_duplicates"] == 0
    )
