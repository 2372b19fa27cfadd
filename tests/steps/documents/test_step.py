"""The documents step: rows in, numbered rows and refused rows out."""

import bz2
import datetime
import decimal
import gzip
import json
import lzma
import os
import sys
import uuid

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import xxhash
from document_rows import ROWS, context_of, jsonl

from icp.engine import basis_of
from icp.engine.executor import ProcessExecutor
from icp.errors import InputError
from icp.failures import TOLERATED
from icp.steps.documents import decoded, jsonl_and_text, lines, parquet_and_arrow, rows
from icp.steps.documents.step import STEP, config_keys


def test_columns_and_types(step):
    found = step({"a.jsonl": jsonl(ROWS)}, keep=["n"])
    assert found.table.schema == pa.schema(
        [
            ("doc", pa.int64()),
            ("key", pa.binary(16)),
            ("id", pa.string()),
            ("text", pa.large_string()),
            ("source", pa.string()),
            ("file", pa.string()),
            ("row", pa.int64()),
            ("n", pa.int64()),
        ]
    )
    assert found.table.drop_columns(["key"]).to_pylist()[1] == {
        "doc": 1, "id": "d1", "text": "text of document 1 é", "source": "s1", "file": "a.jsonl", "row": 1, "n": 1,
    }  # fmt: skip
    assert found["key"][1] == xxhash.xxh3_128_digest(b"s1\0d1")
    assert found.manifest.counts == {"read": 7, "documents": 7, "rejected": 0}


def as_arrow(path, stream, compression=None):
    table = pa.Table.from_pylist(ROWS)
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(str(path), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=3)
    return path.read_bytes()


def every_kind(folder):
    """The same rows as a file of every kind: name -> bytes."""
    folder.mkdir()
    plain = jsonl(ROWS)
    middle = plain.index(b"\n", len(plain) // 2) + 10
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "p", row_group_size=3)
    return {
        "plain.jsonl": plain,
        "open-ended.jsonl": plain.rstrip(b"\n"),
        "crlf.jsonl": jsonl(ROWS, end="\r\n"),
        "bom.jsonl": b"\xef\xbb\xbf" + plain,
        "escaped.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in ROWS),
        "one.jsonl.gz": gzip.compress(plain),
        "members.jsonl.gz": gzip.compress(plain[:middle]) + gzip.compress(b"") + gzip.compress(plain[middle:]),
        "one.jsonl.zst": pa.compress(plain, "zstd", asbytes=True),
        "frames.jsonl.zst": b"".join(pa.compress(p, "zstd", asbytes=True) for p in (plain[:middle], plain[middle:])),
        "p.parquet": (folder / "p").read_bytes(),
        "file.arrow": as_arrow(folder / "f", stream=False),
        "zstd.arrow": as_arrow(folder / "z", stream=False, compression="zstd"),
        "stream.arrow": as_arrow(folder / "s", stream=True),
    }


def test_every_kind_gives_the_same_rows(step, tmp_path):
    files = every_kind(tmp_path / "scratch")
    found = step(files, keep=["n"])
    assert found["id"] == [row["id"] for row in ROWS] * len(files)
    assert found["text"] == [row["text"] for row in ROWS] * len(files)
    assert found["source"] == [row["source"] for row in ROWS] * len(files)
    assert found["row"] == list(range(7)) * len(files)
    assert found["n"] == list(range(7)) * len(files)
    assert found["file"] == [name for name in files for _ in ROWS]


def test_small_blocks_cut_no_line(step, tmp_path, monkeypatch):
    files = every_kind(tmp_path / "scratch")
    monkeypatch.setattr(rows, "BLOCK", 7)
    monkeypatch.setattr(jsonl_and_text, "BLOCK", 7)
    monkeypatch.setattr(decoded, "SLICE", 50)
    found = step(files)
    assert found["id"] == [row["id"] for row in ROWS] * len(files)
    assert found["row"] == list(range(7)) * len(files)


def test_part_size_does_not_change_the_rows(step):
    files = {"a.jsonl": jsonl(ROWS), "b.jsonl": jsonl(ROWS[:3])}
    small, large = step(files, part_mib=0.0002, keep=["n"]), step(files, keep=["n"])
    assert len(small.names) > 2 == len(large.names)
    assert small.table.equals(large.table)


def test_workers_do_not_change_the_bytes(step, tmp_path):
    files = {"a.jsonl": jsonl(ROWS) + b"{\n", "b.jsonl": jsonl(ROWS[:3]), "c.jsonl": jsonl(ROWS[:1])}
    alone = step(files, part_mib=0.0002)
    with ProcessExecutor(2) as executor:
        together = step(files, executor=executor, part_mib=0.0002)
    assert alone.manifest.digest == together.manifest.digest


def test_saved_dataset(step, tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"), num_shards=3)
    assert step(input=["saved"], keep=["n"])["id"] == [row["id"] for row in ROWS]
    datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)).save_to_disk(str(tmp_path / "splits"))
    with pytest.raises(InputError, match="holds the splits train of a saved dataset"):
        step(input=["splits"])
    assert step(input=["splits/train"])["row"] == list(range(7))


def test_folder_of_texts(step, monkeypatch):
    monkeypatch.setattr("icp.steps.documents.read_tasks.TEXTS_PER_TASK", 2)
    files = {
        "t/b.txt": b"\xef\xbb\xbfbee\r\n",
        "t/a/x.md": b"ex",
        "t/c.txt": b"caf\xe9",
        "t/d.txt": b"",
        "t/e.txt": b"e",
    }
    found = step(files, input=["t"], keep=[])
    assert found["text"] == ["ex", "bee\r\n", "e"]
    assert found["id"] == ["t/a/x.md:0", "t/b.txt:0", "t/e.txt:0"]
    assert found["source"] == [None] * 3
    assert found.rejected == [("t/c.txt", 0, "not UTF-8", "caf\ufffd"), ("t/d.txt", 0, "too short", "")]


def test_text_file_may_be_cut_only_where_it_is_too_long(step):
    found = step({"t/a.txt": "é".encode() * 10, "t/b.txt": b"x" * 11, "t/c.txt": "é".encode() * 100}, max_chars=10)
    assert found["text"] == ["é" * 10]
    assert found.reasons == [(0, "too long"), (0, "too long")]


def test_url_is_read_like_a_file(step):
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/documents-test/a.jsonl.gz", gzip.compress(jsonl(ROWS)))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    fs.pipe_file("/documents-test/b.parquet", sink.getvalue().to_pybytes())
    fs.pipe_file("/documents-test/t/c.txt", b"text")
    fs.pipe_file("/documents-test/ids.txt", b"d6\n")
    try:
        found = step(
            input=["memory://documents-test/[ab].*", "memory://documents-test/t"],
            exclude="memory://documents-test/ids.txt",
        )
    finally:
        fs.rm("/documents-test", recursive=True)
    assert found["id"][:-1] == [row["id"] for row in ROWS[:6]] * 2
    assert found["text"][-1] == "text"


BAD_LINES = [
    (b"", "empty line"),
    (b"  \r", "empty line"),
    (b'{"text": "x"', "bad JSON"),
    (b"[" * 100_000, "nested too deep"),
    (b'{"text": "x", "n": ' + b"1" * 5000 + b"}", "number too long"),
    (b"\0", "bad JSON"),
    (b'{"text": "caf\xe9"}', "not UTF-8"),
    (b'{"text": "\xed\xa0\x80"}', "not UTF-8"),
    (b'["text"]', "not a JSON object"),
    (b'{"body": "x"}', "missing field"),
    (b'{"text": null}', "null text"),
    (b'{"text": 5}', "text is not a string"),
    (b'{"text": ["x"]}', "text is not a string"),
    (b'{"text": "a \\ud83d b"}', "lone surrogate"),
    (b'{"text": "x", "key": "\\uDE00"}', "lone surrogate"),
    (b'{"text": "x", "n": {"\\ude00": 1}}', "lone surrogate"),
    (b'{"text": ""}', "too short"),
    (b'{"text": "' + b"x" * 31 + b'"}', "too long"),
    (b'{"text": "x", "key": null}', "null id"),
    (b'{"text": "x", "key": ""}', "null id"),
    (b'{"text": "x", "key": NaN}', "id is not a string or number"),
    (b'{"text": "x", "key": true}', "id is not a string or number"),
    (b'{"text": "x", "from": ["x"]}', "source is not a string or number"),
]


def test_each_bad_line_is_refused_with_its_reason(step):
    good = [b'{"text": "fine \\ud83d\\ude00", "key": "\\u00e9"}', b'{"text": "' + "😀".encode() * 30 + b'"}']
    content = b"\n".join([good[0], *(line for line, _ in BAD_LINES), good[1]])
    found = step({"a.jsonl": content}, max_chars=30, max_rejected=1.0, keep=["n"], id="key", source="from")
    assert found.reasons == [(row, reason) for row, (_, reason) in enumerate(BAD_LINES, start=1)]
    assert found["text"] == ["fine 😀", "😀" * 30]
    assert (found["id"], found["row"]) == (["é", f"a.jsonl:{len(BAD_LINES) + 1}"], [0, len(BAD_LINES) + 1])
    assert found.manifest.counts["rejected.bad JSON"] == 2
    assert found.rejected[2] == ("a.jsonl", 3, "bad JSON", '{"text": "x"')
    assert max(len(excerpt) for *_, excerpt in found.rejected) == 200


def test_ids_and_sources_become_strings(step):
    rows = [
        {"text": "a", "id": 12, "source": 7},
        {"text": "b", "id": "12", "source": True},
        {"text": "c", "source": None},
        {"text": "d"},
        {"text": "e", "id": 3.0, "source": 2.5},
        {"text": "f", "id": None, "source": ""},
    ]
    found = step({"a.jsonl": jsonl(rows)})
    assert found["id"] == ["12", "12", "a.jsonl:2", "a.jsonl:3", "3", "a.jsonl:5"]
    assert found["source"] == ["7", "true", None, None, "2.5", None]
    assert found["key"][2] == xxhash.xxh3_128_digest(b"\0a.jsonl:2")


def test_ids_and_sources_of_columns_become_strings(step, caplog):
    table = pa.table({"text": ["a", "b"], "id": pa.array([12, None], pa.uint64()), "source": [True, None]})
    found = step({"a.parquet": table, "b.parquet": table.select(["text"])})
    assert found["id"] == ["12", "a.parquet:1", "b.parquet:0", "b.parquet:1"]
    assert found["source"] == ["true", None, None, None]
    assert "the field id: 1 value cannot serve and is left out" in caplog.text


IDS = [
    (pa.array([3.0, 2.5, 1e300, float("nan"), None]), ["3", "2.5", "1e+300", None, None]),
    (pa.array([datetime.date(2026, 11, 2)]), ["2026-11-02"]),
    (pa.array([datetime.datetime(2026, 11, 2, 3, 4, 5, 6)]), ["2026-11-02 03:04:05.000006"]),
    (pa.array([decimal.Decimal("1.50")]), ["1.50"]),
    (pa.array([uuid.UUID(int=5).bytes], pa.uuid()), ["00000000-0000-0000-0000-000000000005"]),
    (pa.array([b"\xab\x01"], pa.binary(2)), ["ab01"]),
    (pa.array([datetime.timedelta(seconds=2)], pa.duration("s")), ["2"]),
    (pa.array(["x", "", None]).dictionary_encode(), ["x", None, None]),
    (pa.array(["x", ""]).cast(pa.string_view()), ["x", None]),
]


@pytest.mark.parametrize(("ids", "expected"), IDS, ids=[str(ids.type) for ids, _ in IDS])
def test_ids_of_every_type_are_plain_text(step, ids, expected):
    table = pa.table({"text": ["text"] * len(ids), "id": ids})
    named = [f"a.parquet:{row}" if value is None else value for row, value in enumerate(expected)]
    assert step({"a.parquet": table})["id"] == named


def test_rows_without_an_id_that_was_asked_for_are_refused(step):
    table = pa.table({"text": ["a", "b", "c"], "key": ["x", None, ""]})
    assert step({"a.parquet": table}, id="key").reasons == [(1, "null id"), (2, "null id")]


NESTED = [{"meta": {"body": "b1", "key": {"n": 1}}, "meta.from": "s"}, {"meta": {"body": "b2", "key": {"n": 2}}}]
NESTED_FIELDS = {"text": "meta.body", "id": "meta.key.n", "source": "meta.from", "keep": ["meta.key"]}


def test_dots_reach_into_nested_fields(step):
    found = step({"a.jsonl": jsonl([*NESTED, {"meta": 5}])}, **NESTED_FIELDS)
    assert (found["text"], found["id"], found["source"]) == (["b1", "b2"], ["1", "2"], ["s", None])
    assert found["meta.key"] == ['{"n":1}', '{"n":2}']
    assert found.reasons == [(2, "missing field")]


def test_dots_reach_into_nested_columns(step, tmp_path):
    table = pa.Table.from_pylist([*NESTED, {"meta": None}])
    with pa.ipc.new_file(str(tmp_path / "b.arrow"), table.schema) as writer:
        writer.write_table(table)
    found = step({"a.parquet": table}, input=["a.parquet", "b.arrow"], **NESTED_FIELDS)
    assert (found["text"], found["id"], found["source"]) == (["b1", "b2"] * 2, ["1", "2"] * 2, ["s", None] * 2)
    assert found["meta.key"] == [{"n": 1}, {"n": 2}] * 2
    assert found.reasons == [(2, "null text")] * 2


def test_bad_rows_of_columns_are_refused(step):
    raw = pa.array([b"fine", b"caf\xe9", None, b"", b"x" * 31, "é".encode() * 30], pa.binary())
    ids = pa.array([b"i0", b"i1", b"i2", b"i3", b"i4", b"\xff"], pa.binary())
    text = pa.StringArray.from_buffers(6, raw.buffers()[1], raw.buffers()[2], raw.buffers()[0])
    files = {"a.parquet": pa.table({"text": text, "id": ids}), "b.parquet": pa.table({"text": raw})}
    found = step(files, max_chars=30)
    assert found["text"] == ["fine", "fine", "é" * 30]
    bad = [(1, "not UTF-8"), (2, "null text"), (3, "too short"), (4, "too long")]
    assert found.reasons == [*bad, (5, "not UTF-8"), *bad]
    assert found.rejected[0] == ("a.parquet", 1, "not UTF-8", "caf\ufffd")


def test_column_types_that_mean_strings(step, tmp_path):
    text = pa.array(["a", "b", "a"])
    for name, kind in (
        ("d", pa.dictionary(pa.int32(), pa.string())),
        ("v", pa.string_view()),
        ("l", pa.large_string()),
    ):
        table = pa.table({"text": text.cast(kind), "id": text.cast(kind), "tag": text.cast(kind)})
        with pa.ipc.new_stream(str(tmp_path / f"{name}.arrow"), table.schema) as writer:
            writer.write_table(table)
    found = step(input=["*.arrow"], keep=["tag"])
    assert found["text"] == found["id"] == found["tag"] == ["a", "b", "a"] * 3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": [1.5]}, r"a\.parquet: field 'text' is of type double, expected strings; set corpus\.text"),
        ({"text": [["a"]]}, r"field 'text' is of type list<.*>, expected strings"),
        ({"text": ["a"], "key": [[1]]}, r"field 'key' is of type list.*, expected strings or numbers; set corpus\.id"),
        ({"text": ["a"], "from": [["a"]]}, r"field 'from' is of type list"),
        (
            {"body": ["a"], "m": [{"x": 1}]},
            r"a\.parquet: no field 'text'; its fields are: body, m\.x; set corpus\.text",
        ),
    ],
)
def test_columns_of_a_wrong_type_are_refused(step, columns, message):
    named = {key: name for key, name in (("id", "key"), ("source", "from")) if name in columns}
    with pytest.raises(InputError, match=message):
        step({"a.parquet": pa.table(columns)}, **named)


def test_columns_of_default_names_that_cannot_serve_are_left_out(step, caplog):
    table = pa.Table.from_pylist([{"text": "a", "id": {"x": 1}, "source": [1]}])
    found = step({"a.parquet": table})
    assert (found["id"], found["source"]) == (["a.parquet:0"], [None])
    assert "the field source: 1 value cannot serve and is left out" in caplog.text


def test_text_field_without_a_value_is_refused(step):
    table = pa.table({"text": pa.nulls(2), "id": ["a", "b"]})
    with pytest.raises(InputError, match=r"a\.parquet: 2 of 2 rows \(2 null text\)"):
        step({"a.parquet": table})


def test_odd_field_names_can_be_shown(step):
    with pytest.raises(InputError, match=r"its fields are: \\ud800; set") as refusal:
        step({"a.jsonl": b'{"\\ud800": 1}'})
    assert str(refusal.value).encode()


def test_text_field_in_no_row_names_the_fields_that_are_there(step):
    with pytest.raises(
        InputError, match=r"b\.jsonl: no field 'text'; its fields are: body, meta\.url; set corpus\.text"
    ):
        step({"a.jsonl": jsonl(ROWS), "b.jsonl": jsonl([{"body": "x", "meta": {"url": "y"}}, {"body": "z"}])})


@pytest.mark.parametrize(("key", "names"), [("id", "ident"), ("source", "origin"), ("keep", ["n", "url"])])
def test_field_in_no_file_is_refused(step, key, names):
    with pytest.raises(InputError, match=rf"corpus\.{key}: no input file has a field '(ident|origin|url)'"):
        step({"a.jsonl": jsonl(ROWS)}, **{key: names})


def test_excluded_ids_are_not_used_and_not_held_against_the_file(step):
    ids = gzip.compress("d0\r\n\nd2\nd3\nd4\nd5\né\nd6".encode())
    files = {"a.jsonl": jsonl([*ROWS, {"id": "é", "text": "x"}]), "b.parquet": pa.Table.from_pylist(ROWS)}
    found = step({**files, "ids.gz": ids}, input=list(files), exclude="ids.gz", max_rejected=0)
    assert found["id"] == ["d1", "d1"]
    assert found.manifest.counts["rejected.excluded"] == 13
    with pytest.raises(InputError, match=r"no documents in 7 rows"):
        step({"c.jsonl": jsonl(ROWS), "all": jsonl([]) + b"\n".join(f"d{n}".encode() for n in range(7))},
             input=["c.jsonl"], exclude="all")  # fmt: skip


def test_list_of_ids_that_cannot_be_read_is_refused(step):
    with pytest.raises(InputError, match="gone: cannot be read"):
        step({"a.jsonl": jsonl(ROWS)}, exclude="gone")
    with pytest.raises(InputError, match=r"ids: corpus\.exclude is not UTF-8"):
        step({"a.jsonl": jsonl(ROWS), "ids": b"\xff\n"}, input=["a.jsonl"], exclude="ids")


def test_few_refused_rows_are_let_pass(step):
    content = jsonl(ROWS[:1]) + b"{\n" * TOLERATED
    assert step({"a.jsonl": content})["id"] == ["d0"]
    with pytest.raises(InputError) as refusal:
        step({"a.jsonl": content + b"[]\n", "b.jsonl": jsonl(ROWS)})
    assert str(refusal.value) == (
        "too many rows refused (corpus.max_rejected is 0.01): a.jsonl: 11 of 12 rows (10 bad JSON, 1 not a JSON object)"
        "; mend the files, leave them out (corpus.ignore), or raise corpus.max_rejected"
    )
    assert step({"a.jsonl": content + b"[]\n"}, max_rejected=0.95)["id"] == ["d0"]


def test_share_over_all_files_counts_too(step):
    files = {f"{n}.jsonl": jsonl(ROWS[:1]) + b"{\n" * 3 for n in range(4)}
    with pytest.raises(InputError, match=r"0\.jsonl: 3 of 4 rows \(3 bad JSON\); 1\.jsonl: 3 of 4"):
        step(files)


def test_file_without_a_single_document_is_refused(step):
    with pytest.raises(InputError, match=r"b\.jsonl: 2 of 2 rows \(2 bad JSON\)"):
        step({"a.jsonl": jsonl(ROWS), "b.jsonl": b"{\n{\n"})


def test_single_bad_text_file_is_let_pass(step):
    assert step({"t/a.txt": b"\xff", "t/b.txt": b"b"}, input=["t"])["text"] == ["b"]


@pytest.mark.parametrize("content", [b"", b"\n", pa.table({"text": pa.array([], pa.string())})])
def test_no_document_at_all_is_refused(step, content):
    name = "a.parquet" if isinstance(content, pa.Table) else "a.jsonl"
    with pytest.raises(InputError, match=rf"{name}: (no documents in [01] rows|1 of 1 rows)"):
        step({name: content})


def test_empty_file_beside_others_is_fine(step):
    assert len(step({"a.jsonl": b"", "b.jsonl": jsonl(ROWS)})["id"]) == 7


def cut_files(folder):
    rng = np.random.default_rng(0)
    many = [{"id": str(n), "text": rng.bytes(300).hex()} for n in range(500)]
    (folder / "w").mkdir()
    table = pa.Table.from_pylist(many)
    for name, new in (("file.arrow", pa.ipc.new_file), ("stream.arrow", pa.ipc.new_stream)):
        with new(str(folder / "w" / name), table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
    pq.write_table(table, folder / "w/a.parquet", row_group_size=100, write_page_checksum=True)
    (folder / "w/a.jsonl.gz").write_bytes(gzip.compress(jsonl(many)))
    (folder / "w/a.jsonl.zst").write_bytes(pa.compress(jsonl(many), "zstd", asbytes=True))
    return {path.name: path.read_bytes() for path in sorted((folder / "w").iterdir())}


@pytest.mark.parametrize("left", [0.0, 0.3, 0.7, -8, -1])
def test_files_that_are_cut_short_are_named(step, tmp_path, left):
    for name, content in cut_files(tmp_path).items():
        cut = content[: int(left * len(content)) if left >= 0 else left]
        with pytest.raises(InputError, match=rf"^{name}: is cut short or damaged \(.*\); fetch it again"):
            step({name: cut})


def test_stream_that_ends_with_a_whole_batch_was_cut_short(step, tmp_path):
    content = as_arrow(tmp_path / "s", stream=True)
    with pytest.raises(InputError, match="no end mark"):
        step({"a.arrow": content[:-8]})


def test_damaged_bytes_are_named(step, tmp_path):
    for name, content in cut_files(tmp_path).items():
        if not name.endswith((".gz", ".parquet")):  # the others carry no checksum
            continue
        broken = bytearray(content)
        broken[len(content) // 2 : len(content) // 2 + 50] = b"\xff" * 50
        with pytest.raises(InputError, match=rf"^{name}: is cut short or damaged"):
            step({name: bytes(broken)}, max_rejected=0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_named(step, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(jsonl(ROWS))
    (tmp_path / "a.jsonl").chmod(0)
    with pytest.raises(InputError, match=r"a\.jsonl: cannot be read \(Permission denied"):
        step(input=["a.jsonl"])


def test_document_of_ten_megabytes(step):
    long = "word " * 2_000_000
    rows = [{"id": "a", "text": "a"}, {"id": "long", "text": long}, {"id": "z", "text": "z"}]
    found = step({"a.jsonl": jsonl(rows), "b.parquet": pa.Table.from_pylist(rows)}, part_mib=1)
    assert found["id"] == ["a", "long", "z"] * 2
    assert [len(text) for text in found["text"]] == [1, 10_000_000, 1] * 2
    assert len(found.names) == 4


def test_line_that_never_ends_is_not_held(step, monkeypatch):
    monkeypatch.setattr(rows, "LONGEST_LINE", 1000)
    monkeypatch.setattr(lines, "BLOCK", 64)
    good = jsonl(ROWS[:1])
    endless = b'{"text": "' + b"y" * 5000 + b'"}'
    found = step({"a.jsonl": good + endless + b"\n" + good + endless}, max_chars=100)
    assert found.reasons == [(1, "too long"), (3, "too long")]
    assert found.rejected[0][3] == endless[:200].decode()
    assert found["row"] == [0, 2]


def test_kept_fields_have_one_type_in_all_parts(step):
    first = [{"text": "a", "q": 1, "tags": ["x"], "lang": "en", "mixed": "a", "none": None}]
    second = [{"text": "b", "q": 0.5, "tags": None, "lang": None, "mixed": 2, "late": True}]
    third = pa.table({"text": ["c"], "q": pa.array([2], pa.int8()), "lang": pa.array(["de"], pa.large_string())})
    found = step(
        {"a.jsonl": jsonl(first), "b.jsonl": jsonl(second), "c.parquet": third},
        keep=["q", "tags", "lang", "mixed", "none", "late"],
    )
    assert found["q"] == [1.0, 0.5, 2.0]
    assert found["tags"] == ['["x"]', None, None]
    assert found["lang"] == ["en", None, "de"]
    assert found["mixed"] == ['"a"', "2", None]
    assert found["none"] == [None] * 3
    assert found["late"] == [None, True, None]


def test_column_type_of_a_kept_field_is_carried(step):
    stamps = pa.array([1, None], pa.timestamp("ms", tz="UTC"))
    table = pa.table({"text": ["a", "b"], "date": stamps, "topics": [["x", "y"], None]})
    found = step({"a.parquet": table, "b.parquet": table.slice(0, 1)}, keep=["date", "topics"])
    assert found.table.schema.field("date").type == stamps.type
    assert found["topics"] == [["x", "y"], None, ["x", "y"]]


def test_max_rejected_is_no_key_and_files_are_sources(step, tmp_path):
    found = step({"a.jsonl": jsonl(ROWS), "t/x.txt": b"x", "ids": b"q\n"}, input=["a.jsonl", "t"], exclude="ids")
    basis = found.manifest.basis
    assert "corpus.max_rejected" not in basis["config"]
    assert basis["config"]["corpus.part_mib"] == 256
    assert sorted(basis["sources"]) == ["a.jsonl", "ids", "text files"]
    context = context_of(tmp_path / "other", {"input": ["a.jsonl", "t"], "exclude": "ids"})
    (tmp_path / "t/x.txt").write_bytes(b"xy")
    changed = basis_of(STEP, context)["sources"]
    assert [name for name in changed if changed[name] != basis["sources"][name]] == ["text files"]
    assert config_keys(context.config) == tuple(sorted(basis["config"], key=config_keys(context.config).index))


@pytest.mark.shared
def test_development_corpora_are_read_whole(step, shared_data):
    files = [str(shared_data / name) for name in ("quickstart.parquet", "versioned-docs.parquet")]
    found = step(input=files, part_mib=8, keep=["url"])
    assert len(found["id"]) == 6100
    assert found["text"] == [text for name in files for text in pq.read_table(name)["text"].to_pylist()]
    assert pq.ParquetFile(found.folder / found.names[0]).metadata.num_row_groups == 1


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.ndjson.xz", "a.jl.bz2", "what is it?.jsonl.gz"])
@pytest.mark.parametrize("array", [False, True])
def test_json_is_read_as_lines_or_as_one_array(step, monkeypatch, name, array):
    monkeypatch.setattr(lines, "BLOCK", 17)
    pack = {".gz": lambda raw: gzip.compress(raw) + bytes(512), "2": bz2.compress, "xz": lzma.compress}
    make = next((make for end, make in pack.items() if name.endswith(end)), bytes)
    content = json.dumps(ROWS, ensure_ascii=False).encode() if array else jsonl(ROWS)
    found = step({name: make(content)}, input=[name], keep=["n"])
    assert (found["id"], found["text"]) == ([row["id"] for row in ROWS], [row["text"] for row in ROWS])
    assert (found["n"], found["row"]) == (list(range(7)), list(range(7)))


def test_array_that_is_cut_short_or_goes_on_is_refused(step):
    with pytest.raises(InputError, match="cut short"):
        step({"a.json": json.dumps(ROWS).encode()[:-1]})
    with pytest.raises(InputError, match="more follows"):
        step({"a.json": json.dumps(ROWS).encode() + b"{}"})


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.tsv.gz", "\t"), ("a.csv", ";"), ("a.csv", "\t"), ("a.csv", "|")]
)
def test_csv_values_are_strings(step, name, separator):
    raw = '"id",text\n007,"two\nlines ""quoted"""\n8,x\n'.replace(",", separator).encode()
    found = step({name: gzip.compress(raw) if name.endswith("gz") else raw})
    assert (found["id"], found["text"]) == (["007", "8"], ['two\nlines "quoted"', "x"])


@pytest.mark.parametrize(
    "ids",
    [
        "\ufeffd3\r\n \"d5\" \n'd6'\n\n",
        "d3\rd5\rd6",
        "\u200bd3\u00a0\nd5\u3000\nd6\t\n",
        '"d3",\n"d5",\n"d6"\n',
    ],
)
def test_list_of_ids_is_cleaned(step, ids):
    files = {"a.jsonl": jsonl(ROWS), "ids": ids.encode()}
    assert step(files, input="a.jsonl", exclude="ids")["id"] == ["d0", "d1", "d2", "d4"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_ids_are_compared_by_what_they_say(step, kind):
    rows = [{"id": name, "text": "x"} for name in ("d0 ", "e\u0301", "\ufeffd2", "7", "3.5", "d5")]
    files = {f"a.{kind}": jsonl(rows) if kind == "jsonl" else pa.Table.from_pylist(rows)}
    files["ids"] = "d0\n\u00e9\nd2\n7.0\n3\n".encode()
    assert step(files, input=f"a.{kind}", exclude="ids")["id"] == ["3.5", "d5"]


def test_text_file_is_excluded_by_its_name(step):
    files = {"d/a.txt": b"one", "d/b.txt": b"two", "ids": b"d/a.txt\n"}
    assert step(files, input="d", exclude="ids")["id"] == ["d/b.txt:0"]


def test_blank_lines_are_held_against_nobody(step):
    files = {"a.jsonl": jsonl(ROWS, "\n\n" * 20), "b.jsonl": b"\n", "c.jsonl": b"\xef\xbb\xbf"}
    found = step(files, max_rejected=0)
    assert found["id"] == [row["id"] for row in ROWS]


def test_id_and_source_can_be_switched_off(step):
    rows = [{"text": "a", "id": {"$oid": 1}, "source": ["x"]}]
    files = {"a.jsonl": jsonl(rows), "b.parquet": pa.Table.from_pylist(rows)}
    found = step(files, id=None, source=None)
    assert (found["id"], found["source"]) == (["a.jsonl:0", "b.parquet:0"], [None, None])


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.jsonl", jsonl(ROWS).decode().encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("a.csv", b"id,text\n1,fine\n".decode().encode("utf-16-le"), "is UTF-16; save it as UTF-8"),
        ("a.jsonl", jsonl(ROWS).decode().encode("utf-32"), "is UTF-32; save it as UTF-8"),
        ("a.jsonl", gzip.compress(jsonl(ROWS)), r"is gzip; let its name end with \.gz"),
        ("a.csv", pa.compress(jsonl(ROWS), "zstd", asbytes=True), r"is zstd; let its name end with \.zst"),
        ("a.json.gz", gzip.compress(gzip.compress(jsonl(ROWS))), "is gzip packed as gzip; unpack it once"),
        ("a.jsonl", b"PAR1\x15\x04", r"is Parquet; let its name end with \.parquet"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS; run git lfs pull"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS; run git lfs pull"),
        ("a.jsonl.gz", b"<!DOCTYPE html><html>", "is a web page or XML; fetch it again"),
        ("a.tar", b"<!DOCTYPE html><html>" * 100, "is a web page or XML; fetch it again"),
        ("a.csv", b"id,text\r1,x\r", "its lines end with CR alone"),
    ],
)
def test_file_that_is_something_else_than_its_name_says_is_named(step, name, raw, message):
    with pytest.raises(InputError, match=rf"^{name}: .*{message}"):
        step({name: raw})


def test_text_files_that_are_no_text_are_refused_by_what_they_are(step):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    without_mark = "without a mark".encode("utf-16-le")
    found = step({"a.txt": b"fine", "b.txt": gzip.compress(b"x"), "c.txt": without_mark, "d.txt": pointer})
    assert found["text"] == ["fine"]
    assert [reason for _, reason in found.reasons] == [
        "gzip, not text", "UTF-16, not text", "a pointer of Git LFS, not text",
    ]  # fmt: skip


@pytest.mark.parametrize("between", ["", " ", "\r", "\r\r"])
def test_objects_without_a_newline_between_them_are_read(step, between, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", 150)
    found = step({"a.jsonl": between.join(json.dumps(row) for row in ROWS).encode()})
    assert found["id"] == [row["id"] for row in ROWS]


def test_files_with_byte_order_marks_may_be_put_together(step):
    one = b"\xef\xbb\xbf" + jsonl(ROWS[:2])
    assert step({"a.jsonl": one + one})["id"] == ["d0", "d1"] * 2


def test_empty_array_has_no_rows(step):
    assert step({"a.json": b" [ ]\n", "b.jsonl": jsonl(ROWS)})["id"] == [row["id"] for row in ROWS]


def by_runs(values):
    return pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(values) + 1), pa.int32()), pa.array(values))


def of_views(values):
    codes = pa.array(range(len(values)), pa.uint8())
    return pa.DictionaryArray.from_arrays(codes, pa.array(values, pa.string_view()))


@pytest.mark.parametrize("make", [by_runs, of_views])
def test_arrow_columns_by_runs_and_of_views_are_read(step, tmp_path, make):
    table = pa.table({name: make([row[name] for row in ROWS]) for name in ("id", "text", "source")})
    table = table.append_column("k", make([f"k{n}" for n in range(7)]))
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_batch(table.to_batches()[0].slice(1))
    found = step(input="a.arrow", keep=["k"])
    for name in ("id", "text", "source"):
        assert found[name] == [row[name] for row in ROWS][1:]
    assert found["k"] == [f"k{n}" for n in range(1, 7)]


def test_column_that_parquet_cannot_hold_is_left_out_or_refused(step, tmp_path):
    spans = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    with pa.ipc.new_file(tmp_path / "a.arrow", pa.table({"text": ["x"], "id": spans}).schema) as writer:
        writer.write_table(pa.table({"text": ["x"], "id": spans}))
    assert step(input="a.arrow")["id"] == ["a.arrow:0"]
    kept = pa.table({"text": ["x"], "span": spans})
    with pa.ipc.new_file(tmp_path / "b.arrow", kept.schema) as writer:
        writer.write_table(kept)
    with pytest.raises(InputError, match=r"b\.arrow: field 'span' is of type month_day_nano_interval, which Parquet"):
        step(input="b.arrow", keep=["span"])


def test_value_nested_too_deep_is_refused(step):
    deep = b'{"text": "x", "n": ' + b"[" * 940 + b"]" * 940 + b"}\n"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(4 * limit)  # the frames of the test runner count too: the parser must not give up first
    try:
        reasons = step({"a.jsonl": jsonl(ROWS) + deep}, keep=["n"]).reasons
    finally:
        sys.setrecursionlimit(limit)
    assert reasons == [(7, "nested too deep")]


def as_columns(folder, name, table):
    if name.endswith("parquet"):
        pq.write_table(table, folder / name, row_group_size=1000)
        return
    with pa.ipc.new_file(str(folder / name), table.schema) as writer:
        writer.write_table(table)


LONG = "lorem ipsum " * 500
REPEATED = pa.DictionaryArray.from_arrays(pa.array(np.arange(3000) % 2, pa.int32()), pa.array([LONG, "short"]))


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("a.parquet", REPEATED.cast(pa.string())),
        ("a.arrow", REPEATED),
        ("a.arrow", REPEATED.cast(pa.string()).cast(pa.string_view())),
    ],
    ids=["parquet", "dictionary", "view"],
)
def test_rows_decoded_together_are_bounded_however_they_are_kept(tmp_path, monkeypatch, name, column):
    monkeypatch.setattr(decoded, "SLICE", 40_000)
    monkeypatch.setattr(decoded, "BATCH", 100_000)
    as_columns(tmp_path, name, pa.table({"text": column}))
    rules = rows.Rules("text", None, None, (), 1, 100_000)
    read = parquet_and_arrow.read_parquet if name.endswith("parquet") else parquet_and_arrow.read_arrow
    batches = [batch.documents for batch in read(str(tmp_path / name), rules, rows.Findings())]
    assert max(pc.sum(pc.binary_length(batch["text"])).as_py() for batch in batches) <= 40_000
    assert [text for batch in batches for text in batch["text"].to_pylist()] == [LONG, "short"] * 1500


@pytest.mark.parametrize("encoding", ["RLE_DICTIONARY", "DELTA_BYTE_ARRAY"])
def test_batches_of_a_parquet_file_hold_few_long_texts(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr(decoded, "BATCH", 100_000)
    table = pa.table({"text": [LONG] * 1000, "n": range(1000)})
    coded = (
        {"use_dictionary": True}
        if "DICT" in encoding
        else {"use_dictionary": False, "column_encoding": {"text": encoding}}
    )
    pq.write_table(table, tmp_path / "a.parquet", **coded)
    with pa.OSFile(str(tmp_path / "a.parquet")) as source:
        n_rows = decoded.batch_rows(source, pq.ParquetFile(source), 0, ["text"])
        assert n_rows == 100_000 // len(LONG)
        assert decoded.batch_rows(source, pq.ParquetFile(source), 0, ["n"]) > 1000
