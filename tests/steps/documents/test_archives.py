"""WARC, WET and tar files: their texts, their fields, what is refused."""

import gzip
import io
import json
import tarfile

import pytest

from icp.errors import InputError
from icp.steps.documents import archives
from icp.steps.documents.archives import read_tar, read_warc
from icp.steps.documents.rows import Findings, Rules

TEXTS = ["first text\nof two lines", "zweiter Text ä", "\u4e2d\u6587 \U0001f600"]


def read(reader, path, keep=(), **values):
    findings = Findings()
    rules = Rules(
        **{"text": "text", "id": "id", "source": "source", "keep": keep, "min_chars": 1, "max_chars": 10**6} | values
    )
    batches = list(reader(str(path), rules, findings))
    rows = [row for batch in batches for row in batch.documents.to_pylist()]
    refused = [(row["row"], row["reason"]) for batch in batches for row in batch.rejected.to_pylist()]
    return rows, refused, findings


def record(kind, content_type, body, **headers):
    named = {"WARC-Type": kind, "Content-Type": content_type, "Content-Length": len(body), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return b"WARC/1.0\r\n" + lines.encode() + b"\r\n" + body + b"\r\n\r\n"


def wet(texts, *, packed, extra=()):
    records = [record("warcinfo", "application/warc-fields", b"software: test\r\n")]
    for n, text in enumerate(texts):
        names = {"WARC-Target-URI": f"https://example.org:8080/{n}", "WARC-Record-ID": f"<urn:uuid:0000-{n}>"}
        names["WARC-Identified-Content-Language"] = "eng"
        body = text if isinstance(text, bytes) else text.encode()
        records.append(record("conversion", "text/plain", body, **names))
    for kind, body in extra:
        answer = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode() + body
        records.append(
            record("response", "application/http; msgtype=response", answer, **{"WARC-Target-URI": "http://x"})
        )
    return b"".join(gzip.compress(one) if packed else one for one in records)


@pytest.mark.parametrize("name", ["a.warc.wet", "a.wet.gz"])
def test_texts_of_a_wet_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(wet(TEXTS, packed=name.endswith("gz")))
    rows, refused, _ = read(read_warc, path, keep=("url", "WARC-Identified-Content-Language"), source="host")
    assert [row["text"] for row in rows] == TEXTS
    assert [row["id"] for row in rows] == ["0000-0", "0000-1", "0000-2"]
    assert [row["row"] for row in rows] == [0, 1, 2]
    assert {row["source"] for row in rows} == {"example.org"}
    assert rows[1]["url"] == '"https://example.org:8080/1"'
    assert rows[1]["WARC-Identified-Content-Language"] == '"eng"'
    assert refused == []


def test_web_pages_are_refused_and_plain_responses_are_read(tmp_path):
    path = tmp_path / "a.warc"
    path.write_bytes(
        wet([b"caf\xe9"], packed=False, extra=[("text/html", b"<p>x"), ("text/plain; charset=utf-8", b"plain")])
    )
    rows, refused, _ = read(read_warc, path)
    assert [(row["row"], row["text"]) for row in rows] == [(2, "plain")]
    assert refused == [(0, "not UTF-8"), (1, "not plain text")]


@pytest.mark.parametrize("packed", [False, True])
def test_warc_that_is_cut_short_is_named(tmp_path, packed):
    path = tmp_path / ("a.warc.gz" if packed else "a.warc")
    path.write_bytes(wet(TEXTS, packed=packed)[:-20])
    with pytest.raises(InputError, match=r"a\.warc.*cut short"):
        read(read_warc, path)


def test_warc_that_is_none_is_named(tmp_path):
    (tmp_path / "a.warc").write_bytes(b"not a warc\n" * 10)
    with pytest.raises(InputError, match="no sound WARC"):
        read(read_warc, tmp_path / "a.warc")


def test_record_without_an_address_is_no_traceback(tmp_path):
    (tmp_path / "a.warc").write_bytes(record("response", "application/http", b"HTTP/1.1 200 OK\r\n\r\n"))
    with pytest.raises(InputError, match="no sound WARC"):
        read(read_warc, tmp_path / "a.warc")


def test_header_without_an_end_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_LONGEST_HEADER", 1000)
    monkeypatch.setattr("icp.steps.documents.rows.LONGEST_LINE", 1000)
    (tmp_path / "a.warc").write_bytes(b"WARC/1.0\r\nX: " + b"x" * 100_000)
    with pytest.raises(InputError, match="a line of more than"):
        read(read_warc, tmp_path / "a.warc", max_chars=10)


def tar(members, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **options) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


MEMBERS = [
    ("d/000.txt", TEXTS[0].encode()),
    ("d/000.json", json.dumps({"lang": "en", "n": 1}).encode()),
    ("d/000.jpg", b"\xff\xd8"),
    ("d/001.json", json.dumps({"text": TEXTS[1], "id": 7, "source": "s"}).encode()),
    ("002.txt", TEXTS[2].encode()),
    ("003.txt", b"caf\xe9"),
    ("004.json", b"{"),
]


@pytest.mark.parametrize("name", ["a.tar", "a.tgz"])
def test_samples_of_a_tar(tmp_path, name):
    raw = tar(MEMBERS)
    (tmp_path / name).write_bytes(gzip.compress(raw) if name == "a.tgz" else raw)
    rows, refused, findings = read(read_tar, tmp_path / name, keep=("n",))
    assert [row["text"] for row in rows] == TEXTS
    assert [(row["id"], row["source"], row["n"]) for row in rows] == [
        ("d/000", None, "1"),
        ("7", "s", None),
        ("002", None, None),
    ]
    assert refused == [(3, "not UTF-8"), (4, "bad JSON")]
    assert findings.unread == {".jpg": 1}


def test_member_that_is_too_long_is_refused_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("icp.steps.documents.rows.LONGEST_LINE", 1000)
    (tmp_path / "a.tar").write_bytes(tar([("0.txt", b"x" * 5000), ("1.txt", b"fine")]))
    rows, refused, _ = read(read_tar, tmp_path / "a.tar", max_chars=100)
    assert ([row["text"] for row in rows], refused) == (["fine"], [(0, "too long")])


def test_tar_that_is_damaged_or_holds_no_texts_is_named(tmp_path):
    raw = tar(MEMBERS)
    (tmp_path / "a.tar").write_bytes(raw[:700])
    with pytest.raises(InputError, match=r"a\.tar: is cut short"):
        read(read_tar, tmp_path / "a.tar")
    (tmp_path / "b.tar").write_bytes(tar([("a.jpg", b"x")]))
    with pytest.raises(InputError, match=r"no \.txt or \.json member but 1 \.jpg"):
        read(read_tar, tmp_path / "b.tar")


def test_header_of_a_tar_that_promises_too_much_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 7 << 30
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(10_000))
    with pytest.raises(InputError, match="a header of 7,516,192,768 bytes"):
        read(read_tar, tmp_path / "a.tar")


def test_no_member_of_a_tar_is_lost_without_a_word(tmp_path):
    members = [
        ("a.txt", b"one"),
        ("a.txt", b"two"),
        ("2310.10638.txt", b"three"),
        ("2310.10639.txt", b"\xef\xbb\xbffour"),
    ]
    raw = io.BytesIO(tar(members))
    with tarfile.open(fileobj=raw, mode="a") as more:
        for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
            link = tarfile.TarInfo("link.txt")
            link.type, link.linkname = kind, "a.txt"
            more.addfile(link)
        more.addfile(tarfile.TarInfo("._b.txt"))
    (tmp_path / "a.tar").write_bytes(raw.getvalue())
    rows, refused, findings = read(read_tar, tmp_path / "a.tar")
    assert [(row["id"], row["text"]) for row in rows] == [
        ("a", "one"), ("a", "two"), ("2310.10638", "three"), ("2310.10639", "four"),
    ]  # fmt: skip
    assert not refused
    assert findings.unread == {"links and devices": 2, ".txt": 1}


def test_names_and_texts_of_a_tar_that_are_no_unicode_end_no_run(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar([("caf\udce9.txt", b"one"), ("b.json", b'{"text": "\\ud800"}')]))
    rows, refused, _ = read(read_tar, tmp_path / "a.tar")
    assert [row["id"] for row in rows] == ["caf\\xe9"]
    assert refused == [(1, "lone surrogate")]


def test_empty_tar_has_no_rows(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar([]))
    assert read(read_tar, tmp_path / "a.tar")[:2] == ([], [])


def test_type_of_a_record_may_be_written_in_any_case(tmp_path):
    (tmp_path / "a.wet").write_bytes(record("conversion", "Text/Plain; charset=UTF-8", b"text"))
    assert [row["text"] for row in read(read_warc, tmp_path / "a.wet")[0]] == ["text"]


@pytest.mark.parametrize("listed", ["0000-1", "<urn:uuid:0000-1>"])
def test_record_is_excluded_by_its_id_in_either_form(tmp_path, listed):
    (tmp_path / "a.wet").write_bytes(wet(TEXTS, packed=False))
    rows, refused, findings = read(read_warc, tmp_path / "a.wet", excluded=frozenset([listed]))
    assert [row["text"] for row in rows] == [TEXTS[0], TEXTS[2]]
    assert refused == [(1, "excluded")]
    assert findings.excluded == {listed}
