import csv
import gzip
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from icp.config import parse_config
from icp.forecast import sizes
from icp.forecast.sizes import corpus_size
from icp.pipeline import context_of

TEXTS = [f"document {number} " + "with words that differ " * (number % 7) for number in range(3000)]
N_BYTES = sum(map(len, TEXTS))


def size_of(tmp_path, pattern, **corpus):
    tree = {"run": str(tmp_path / "run"), "corpus": {"input": str(tmp_path / pattern), **corpus}}
    return corpus_size(context_of(parse_config(tree)))


def write_lines(path, opener=open, repeat=1):
    with opener(path, "wt") as stream:
        for number in range(repeat * len(TEXTS)):
            stream.write(json.dumps({"id": number, "body": {"text": TEXTS[number % len(TEXTS)]}}) + "\n")


def test_parquet_is_counted_by_its_footer(tmp_path):
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "a.parquet")
    assert size_of(tmp_path, "a.parquet") == (3000, pytest.approx(N_BYTES, rel=0.2))


def test_lines_are_counted_whole_where_they_are_few(tmp_path):
    write_lines(tmp_path / "a.jsonl")
    assert size_of(tmp_path, "a.jsonl", text="body.text") == (3000, pytest.approx(N_BYTES, rel=1e-4))


@pytest.mark.parametrize(("name", "opener"), [("a.jsonl", open), ("a.jsonl.gz", gzip.open)])
def test_long_files_are_judged_by_their_beginning(tmp_path, name, opener, monkeypatch):
    monkeypatch.setattr("icp.forecast.sizes.HEAD_BYTES", 4096)
    write_lines(tmp_path / name, opener, repeat=5)
    n_docs, n_bytes = size_of(tmp_path, name, text="body.text")
    assert n_docs == pytest.approx(15_000, rel=0.35)
    assert n_bytes == pytest.approx(5 * N_BYTES, rel=0.35)


def test_texts_are_files(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("abcd")
    assert size_of(tmp_path, "*.txt") == (3, 12)


def test_rows_that_would_be_refused_are_left_out(tmp_path):
    rows = [b'{"text": "abcd"}', b'{"text": "cut', b'{"body": "other"}', b"[1]", b'{"text": null}', b'{"text": "\xe9"}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([*rows, rows[0], b""]))
    assert size_of(tmp_path, "a.jsonl") == (2, pytest.approx(8))


def test_what_cannot_be_told_is_not_guessed(tmp_path):
    (tmp_path / "a.jsonl").write_text("no json\n")
    assert size_of(tmp_path, "a.jsonl") is None
    (tmp_path / "a.arrow").write_text("")
    assert size_of(tmp_path, "a.arrow") is None


def test_finished_documents_are_counted(tiny_run):
    from icp.config import load_config

    config = load_config(tiny_run / "config.yaml").model_copy(update={"run": str(tiny_run)})
    n_docs, n_bytes = corpus_size(context_of(config))
    assert n_docs == 168
    assert n_bytes > 20_000


def test_lines_that_nest_too_deep_are_not_counted(tmp_path):
    deep = '{"text": "x", "a": ' + "[" * 5000 + "]" * 5000 + "}\n"
    (tmp_path / "a.jsonl").write_text('{"text": "abcd"}\n' * 10 + deep)
    assert size_of(tmp_path, "a.jsonl") == (10, 40)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_file_that_grows_without_end_is_looked_at_up_to_a_limit(monkeypatch, packing):
    monkeypatch.setattr(sizes, "UNPACKED_BYTES", 1 << 20)
    head = pa.compress(bytes(64 << 20), packing, asbytes=True)
    assert len(sizes.unpacked("a.gz" if packing == "gzip" else "a.zst", head)) <= 2 << 20


def test_packed_texts_are_counted_unpacked(tmp_path):
    for number in range(40):
        (tmp_path / f"{number}.1.gz").write_bytes(gzip.compress(b"a line of a manual\n" * 1000))
    assert size_of(tmp_path, "*.1.gz", include=["*.gz"]) == (40, pytest.approx(40 * 19_000, rel=1e-3))


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";")])
def test_rows_of_csv_are_counted_with_line_ends_in_quotes(tmp_path, name, separator):
    with (tmp_path / name).open("w", newline="") as stream:
        rows = csv.writer(stream, delimiter=separator)
        rows.writerows([["id", "text"], *([number, f'"{text}"\nmore'] for number, text in enumerate(TEXTS))])
    assert size_of(tmp_path, name) == (3000, pytest.approx(N_BYTES + 7 * 3000, rel=1e-3))


def test_a_long_csv_is_judged_by_its_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr("icp.forecast.sizes.HEAD_BYTES", 4096)
    with (tmp_path / "a.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["text"], *([text] for text in TEXTS)])
    n_docs, n_bytes = size_of(tmp_path, "a.csv")
    assert n_docs == pytest.approx(3000, rel=0.35)
    assert n_bytes == pytest.approx(N_BYTES, rel=0.35)


def test_kinds_that_would_have_to_be_read_leave_the_whole_untold(tmp_path):
    write_lines(tmp_path / "a.jsonl")
    with tarfile.open(tmp_path / "b.tar", "w"):
        pass
    assert size_of(tmp_path, "*", text="body.text") is None
