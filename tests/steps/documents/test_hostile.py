"""Input that was made to hurt: bounded memory, one reason, and the rest of the corpus goes on."""

import gzip
import json
import os
import subprocess
import sys

import pyarrow as pa
import pytest
from document_rows import ROWS, jsonl

from icp.config import CorpusConfig
from icp.errors import InputError
from icp.steps.documents import rows
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


def test_list_of_ids_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "ids")
    with pytest.raises(InputError, match="is a pipe or a device"):
        rules_of(CorpusConfig(input=("a",), exclude=str(tmp_path / "ids")))
