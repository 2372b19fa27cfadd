"""Input that was made to hurt: bounded memory, one reason, and the rest of the corpus goes on."""

import bz2
import contextlib
import gzip
import json
import lzma
import os
import subprocess
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from document_rows import ROWS, jsonl

from icp.config import CorpusConfig
from icp.errors import InputError
from icp.steps.documents import arrow_bounds, contents, parquet_bounds, rows
from icp.steps.documents.read_tasks import rules_of

GOOD = json.dumps(ROWS[0]).encode()
MILLION_DIGITS = b'{"text": "x", "n": ' + b"7" * 1_000_000 + b"}"
MILLION_KEYS = b'{"text": "many keys", ' + b",".join(b'"%d":0' % n for n in range(1_000_000)) + b"}"
DEEP = [b'{"text": "x", "n": ' + b"[" * n + b"]" * n + b"}" for n in (930, 970, 5000)]


def test_hostile_rows_are_refused_alone(step, monkeypatch):
    monkeypatch.setattr(rows, "LONGEST_LINE", 16 << 20)
    long = b'{"text": "' + b"y" * (20 << 20) + b'"}'
    lines = [GOOD, MILLION_DIGITS, MILLION_KEYS, long, *DEEP, GOOD]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(4 * limit)  # the frames of the test runner count too
    try:
        found = step({"a.jsonl": b"\n".join(lines)}, keep=["n"], max_chars=1000, max_rejected=1)
    finally:
        sys.setrecursionlimit(limit)
    assert found.reasons == [
        (1, "number too long"),
        (3, "too long"),
        *((row, "nested too deep") for row in (4, 5, 6)),
    ]
    assert found["text"] == [ROWS[0]["text"], "many keys", ROWS[0]["text"]]
    assert max(len(excerpt) for *_, excerpt in found.rejected) <= 200


def test_hostile_objects_of_an_array_are_refused_alone(step):
    deep = b'{"text": "a \\"]}\\" b", "n": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    found = step({"a.json": b"[" + b",".join([GOOD, MILLION_DIGITS, deep, GOOD]) + b"]"}, max_rejected=1)
    assert found.reasons == [(1, "number too long"), (2, "nested too deep")]
    assert found["row"] == [0, 3]


def packed(name, raw):
    return gzip.compress(raw, 1) if name.endswith("gz") else pa.compress(raw, "zstd", asbytes=True)


@pytest.mark.parametrize("name", ["bomb.jsonl.gz", "bomb.jsonl.zst"])
def test_bomb_is_one_refused_row_and_the_rest_goes_on(step, name):
    bomb = packed(name, bytes(100 << 20))
    assert len(bomb) < 1 << 20
    found = step({name: bomb, "good.jsonl": jsonl(ROWS)}, max_chars=1000, max_rejected=0.2)
    assert found["text"] == [row["text"] for row in ROWS]
    assert found.reasons == [(0, "too long")]


def test_memory_of_a_bomb_is_bounded(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "' + bytes(150 << 20), 1))
    code = (
        "import resource, sys\n"
        "from icp.steps.documents.jsonl_and_text import read_jsonl\n"
        "from icp.steps.documents.rows import Findings, Rules\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "rows = list(read_jsonl(sys.argv[1], Rules('text', None, None, (), 1, 1000), Findings()))\n"
        "assert rows[-1].rejected['reason'].to_pylist() == ['too long']\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.jsonl.gz")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 90, "MiB for 150 MiB in one line of at most 16"


def test_quote_without_an_end_is_named(step):
    with pytest.raises(InputError, match=r"a\.csv: row 1 cannot be read .*is a quote not closed"):
        step({"a.csv": b'id,text\n1,fine\n2,"' + b"x" * (17 << 20)}, max_chars=1000)


def test_rows_of_csv_with_other_numbers_of_values_are_refused_alone(step):
    found = step({"a.csv": b"id,text\n1,fine\n2,a,b\n3\n\n4,caf\xe9\n5,last\n"}, max_rejected=1)
    odd = "another number of values than the header"
    assert found.reasons == [(1, odd), (2, odd), (3, "empty line"), (4, "not UTF-8")]
    assert found["id"] == ["1", "5"]


def test_quotes_that_are_not_as_in_csv_swallow_no_rows(step):
    found = step({"a.tsv": b'id\ttext\n1\t"5 inches" wide\n2\tfine\n3\t"said \\"so\\""\n4\t5" wide\n'}, max_rejected=1)
    assert found.reasons == [(0, "not sound CSV"), (2, "not sound CSV")]
    assert (found["id"], found["text"]) == (["2", "4"], ["fine", '5" wide'])
    with pytest.raises(InputError, match=r"b\.tsv: row 1 cannot be read .*is a quote not closed"):
        step({"b.tsv": b'id\ttext\n1\tfine\n2\t"Hello, he said.\n3\tlost\n'})


def test_two_columns_of_the_name_of_the_text_are_refused(step):
    with pytest.raises(InputError, match=r"a\.csv: 2 of its columns have the name 'text'"):
        step({"a.csv": b"text,text\na,b\n"})


@pytest.mark.parametrize("kind", ["jsonl.gz", "csv.zst", "txt.bz2", "tar.xz", "wet.gz"])
def test_packed_file_out_of_all_proportion_is_refused(step, kind, monkeypatch):
    monkeypatch.setattr(contents, "MOST", 1 << 20)
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(kind.rpartition(".")[2])
    raw = b'{"text": "' + bytes(40 << 20)
    if kind.startswith("tar"):
        member = tarfile.TarInfo("a.txt")
        member.size = 40 << 20
        raw = member.tobuf() + bytes(40 << 20)
    elif kind.startswith("wet"):
        raw = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 41943040\r\n\r\n" + bytes(40 << 20)
    elif kind.startswith("csv"):
        raw = b"id,text\n" + b"1,aaaaaaaaaa\n" * (3 << 20)
    data = pack(raw) if pack else pa.compress(raw, "zstd", asbytes=True)
    with pytest.raises(InputError, match=rf"^a\.{kind}: unpacks to more than 250 times its size"):
        step({f"a.{kind}": data})


def as_ipc(path, new, table, compression="zstd"):
    with new(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("is_dictionary", [False, True])
def test_record_batch_that_unpacks_to_too_much_is_refused(step, tmp_path, monkeypatch, new, compression, is_dictionary):
    monkeypatch.setattr(arrow_bounds, "MOST", 1 << 20)
    texts = pa.array(["x" * (1 << 18)] * 8)
    if is_dictionary:
        texts = pa.DictionaryArray.from_arrays(pa.array(range(8), pa.int32()), texts)
    as_ipc(tmp_path / "a.arrow", new, pa.table({"text": texts}), compression)
    with pytest.raises(InputError, match=r"^a\.arrow: message \d unpacks to 2,09\d,\d+ bytes, 1,048,576 may be"):
        step(input="a.arrow")
    rng = np.random.default_rng(0)
    honest = [bytes(rng.integers(97, 123, 1 << 18, np.uint8)).decode() for _ in range(8)]
    as_ipc(tmp_path / "b.arrow", new, pa.table({"text": honest}), compression)
    assert step(input="b.arrow")["text"] == honest


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_damaged_heads_of_arrow_files_are_named(tmp_path, new):
    as_ipc(tmp_path / "a", new, pa.Table.from_pylist(ROWS))
    raw = (tmp_path / "a").read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(raw)
        for at in rng.integers(0, len(raw), 3):
            damaged[at] = rng.integers(256)
        source = pa.BufferReader(bytes(damaged))
        with contextlib.suppress(InputError, EOFError, OSError, pa.ArrowInvalid):
            arrow_bounds.check_unpacked("a", source, is_file=new is pa.ipc.new_file)


@pytest.mark.parametrize("options", [{}, {"data_page_version": "2.0"}, {"use_dictionary": True}])
def test_page_that_unpacks_to_too_much_is_refused(step, tmp_path, monkeypatch, options):
    monkeypatch.setattr(parquet_bounds, "MOST", 1 << 20)
    texts = [f"{n % 2}" * (1 << 18) for n in range(8)]
    options = {"use_dictionary": False, "write_statistics": True, "compression": "zstd"} | options
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", data_page_size=1 << 30, **options)
    if not options["use_dictionary"]:
        with pytest.raises(InputError, match=r"a\.parquet: a page of the field 'text' unpacks to 2,097,\d+ bytes"):
            step(input="a.parquet")
    else:  # the two texts stand in the dictionary
        assert step(input="a.parquet")["text"] == texts
    pq.write_table(pa.table({"text": texts}), tmp_path / "b.parquet", data_page_size=1, write_batch_size=1, **options)
    assert step(input="b.parquet")["text"] == texts


def test_list_of_ids_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "ids")
    with pytest.raises(InputError, match="is a pipe or a device"):
        rules_of(CorpusConfig(input=("a",), exclude=str(tmp_path / "ids")))
