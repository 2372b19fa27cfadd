import tracemalloc
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from icp import texts
from icp.errors import InputError
from icp.texts import id_hashes, packed_lines, text_buffers, url_key


def as_list(texts):
    bounds = texts.offsets.tolist()
    return [bytes(texts.data[start:stop]).decode() for start, stop in pairwise(bounds)]


STRINGS = ["one", "", "zwei drei", "漢字 😀", "a\0b", "é"]


def test_strings_become_one_buffer():
    texts = text_buffers(["ab", "", "é"])
    assert bytes(texts.data) == b"ab\xc3\xa9"
    assert texts.offsets.tolist() == [0, 2, 2, 4]
    assert texts.n_docs == 3


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda a: a,
        lambda a: pa.chunked_array([a]),
        lambda a: pa.chunked_array([a.slice(0, 2), a.slice(2, 0), a.slice(2)]),
        lambda a: pa.concat_arrays([pa.array(["before"], a.type), a, pa.array(["after"], a.type)]).slice(1, len(a)),
    ],
    ids=["array", "one chunk", "three chunks", "slice"],
)
def test_arrow_in_any_shape_gives_the_same_as_strings(kind, make):
    expected = text_buffers(STRINGS)
    texts = text_buffers(make(pa.array(STRINGS, kind)))
    assert as_list(texts) == STRINGS
    assert texts.offsets.dtype == np.int64
    assert (texts.offsets.tolist(), bytes(texts.data)) == (expected.offsets.tolist(), bytes(expected.data))


@pytest.mark.parametrize(
    "empty",
    [[], (), pa.array([], pa.string()), pa.chunked_array([], pa.large_string()), pa.array(STRINGS).slice(2, 0)],
    ids=["list", "tuple", "array", "no chunk", "slice"],
)
def test_no_texts_are_no_texts(empty):
    texts = text_buffers(empty)
    assert (texts.n_docs, texts.data.size, texts.offsets.tolist()) == (0, 0, [0])


def test_empty_texts_have_no_bytes():
    assert text_buffers(pa.array(["", ""])).offsets.tolist() == [0, 0, 0]
    assert text_buffers(["", ""]).data.size == 0


def test_one_arrow_chunk_is_not_copied_and_cannot_be_written():
    column = pa.array(["x" * 1_000_000])
    tracemalloc.start()
    texts = text_buffers(column)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    with pytest.raises(ValueError, match="read-only"):
        texts.data[0] = 0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", "is one str; pass a sequence"),
        (["a", 3], "row 1 is int, expected str"),
        (["a", None], "row 1 is NoneType, expected str"),
        (["a", "b", "c\ud800"], r"row 2 holds a lone surrogate \(U\+D800\) at character 1"),
        (pa.array(["a", None]), "row 1 is null"),
        (pa.chunked_array([["a", "b"], ["c", None]]), "row 3 is null"),
        (pa.array([1, 2]), "Arrow array of int64, expected string"),
    ],
)
def test_what_is_not_text_is_refused_by_row(texts, message):
    with pytest.raises(InputError, match=message):
        text_buffers(texts)


def test_texts_are_taken_in_any_order():
    texts = text_buffers(STRINGS)
    assert as_list(texts.take(np.array([3, 0, 1, 3]))) == ["漢字 😀", "one", "", "漢字 😀"]
    assert as_list(texts.take(np.zeros(0, np.int64))) == []


def test_a_url_is_one_by_http_and_by_https():
    for url in ("http://A.org/x", "https://a.org/x/", "HTTPS://a.org:443/x#top", "a.org/x", " http://a.org:80/x"):
        assert url_key(url) == "a.org/x"
    assert url_key("http://a.org/X?q=1") == "a.org/X?q=1"
    assert url_key("http://a.org/") == url_key("https://a.org") == "a.org"


def test_ids_are_hashed_as_they_are_written():
    assert id_hashes(iter(["a", 7])).tolist() == [xxhash.xxh3_64_intdigest(b"a"), xxhash.xxh3_64_intdigest(b"7")]
    assert id_hashes([]).dtype == np.uint64


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".bz2"])
@pytest.mark.parametrize("content", [b"", b"one", b"one\ntwo\n", b"\n\none\r\ntwo \xff", b"x" * 40 + b"\n" + b"y" * 7])
def test_lines_of_packed_files_are_those_of_plain_ones(tmp_path, monkeypatch, suffix, content):
    monkeypatch.setattr(texts, "BLOCK_BYTES", 5)
    path = tmp_path / f"a.jsonl{suffix}"
    with pa.output_stream(str(path), compression="detect") as stream:
        stream.write(content)
    assert list(packed_lines(path)) == content.split(b"\n")
