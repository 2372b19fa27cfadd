"""Paragraphs that stand in many documents: found, told, left out."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from document_rows import jsonl
from hypothesis import given
from hypothesis import strategies as st

from icp.config import CorpusConfig
from icp.errors import InputError
from icp.steps.documents import paragraphs, strip_tasks
from icp.steps.documents.paragraphs import ParagraphCount, hashes, most_frequent, split, without_repeated
from icp.steps.documents.telling import paragraph_lines, paragraphs_of_input

LICENCE = "Licensed under the Apache License, Version 2.0\nyou may not use this file"
TEXTS = [
    f"{LICENCE}\n\nfirst document speaks of rivers\n\nand of mills",
    f"second document speaks of sheep\n\n  {LICENCE.replace(' ', '  ')}  ",
    f"{LICENCE}\n\n",
    "a menu line of the web site\nthird document, of lines alone",
    "a menu line of the web site\nfourth document, of lines alone",
    "a menu line of the web site\nfifth document, which is\n",
    "short\n\nshort\n\nshort",
]
STRIPPED = [
    "first document speaks of rivers\n\nand of mills",
    "second document speaks of sheep",
    "third document, of lines alone",
    "fourth document, of lines alone",
    "fifth document, which is",
    "short\n\nshort\n\nshort",
]


@pytest.fixture(params=[1 << 24, 4], ids=["one-range", "ranges"])
def ranges(request, monkeypatch):
    monkeypatch.setattr(strip_tasks, "_PER_TASK", request.param)


def test_repeated_paragraphs_are_left_out_counted_and_kept(step, ranges):
    rows = [{"id": str(n), "text": text} for n, text in enumerate(TEXTS)]
    found = step({"a.jsonl": jsonl(rows[:4]), "b.jsonl": jsonl(rows[4:])}, strip_repeated=2)
    assert found["text"] == STRIPPED
    assert found["id"] == ["0", "1", "3", "4", "5", "6"]
    gone = [row for row in found.rejected if row[2] == "repeated paragraph"]
    assert sorted((file, row) for file, row, *_ in gone) == [
        ("a.jsonl", 0), ("a.jsonl", 1), ("a.jsonl", 2), ("a.jsonl", 3), ("b.jsonl", 0), ("b.jsonl", 1)
    ]  # fmt: skip
    assert {row[3] for row in gone if row[1] == 0} == {LICENCE, "a menu line of the web site"}
    assert [row[:3] for row in found.rejected if "only" in row[2]] == [("a.jsonl", 2, "only repeated paragraphs")]
    assert found.manifest.counts["stripped_paragraphs"] == 6
    assert found.manifest.counts["rejected.only repeated paragraphs"] == 1
    assert step(input=["a.jsonl", "b.jsonl"], strip_repeated=3)["text"] == TEXTS
    assert step(input=["a.jsonl", "b.jsonl"])["text"] == TEXTS


def test_refused_rows_of_the_file_stay(step):
    rows = jsonl([{"id": str(n), "text": LICENCE + "\n\n" + "x" * 30 * n} for n in range(4)])
    found = step({"a.jsonl": rows + b"broken\n"}, strip_repeated=1, max_rejected=1)
    assert [(row, reason) for _, row, reason, _ in found.rejected if reason != "repeated paragraph"] == [
        (4, "bad JSON"),
        (0, "only repeated paragraphs"),
    ]


def test_nothing_left_is_refused(step):
    rows = jsonl([{"id": str(n), "text": LICENCE} for n in range(4)])
    with pytest.raises(InputError, match="leaves nothing of any document"):
        step({"a.jsonl": rows}, strip_repeated=1)


def test_most_frequent_paragraphs_of_the_input_are_shown(tmp_path):
    (tmp_path / "code").mkdir()
    for n in range(40):
        (tmp_path / f"code/{n:02}.txt").write_text(f"{LICENCE}\n\ndocument {n} of the corpus" if n % 2 else f"text {n}")
    lines = list(paragraph_lines(paragraphs_of_input(CorpusConfig(input=(str(tmp_path / "code"),)))))
    shown = "'Licensed under the Apache License, Version 2.0 you may not u...'"
    assert [line.strip() for line in lines] == [f"50% of the documents of a sample hold the paragraph {shown}"]
    assert list(paragraph_lines(None)) == list(paragraph_lines([[0.001, "rare"], ["x", 1]])) == []


def test_most_frequent_paragraphs_stand_in_the_manifest(step):
    rows = [{"id": str(n), "text": text} for n, text in enumerate(TEXTS)]
    found = step({"a.jsonl": jsonl(rows)}).manifest.info["merge"]["all"]["paragraphs"]
    assert found == [[3 / 7, " ".join(LICENCE.split())], [3 / 7, "a menu line of the web site"]]
    assert most_frequent([]) == []


@given(st.lists(st.text("ab \n\t\u00e9", max_size=60), max_size=8))
def test_counts_are_those_of_sets_of_paragraphs(texts):
    count = ParagraphCount()
    count.add(texts_of(texts))
    expected = {}
    for text in texts:
        for value in {one for one in hashes(text) if one is not None}:
            expected[value] = expected.get(value, 0) + 1
    found = count.counts()
    assert dict(zip(found["hash"].tolist(), found["docs"].tolist(), strict=True)) == expected
    assert (np.diff(found["hash"].astype(object)) > 0).all()


def texts_of(texts):
    import pyarrow as pa

    return pa.chunked_array([pa.array(texts, pa.string())])


@given(st.text("abc \n\r", max_size=200))
def test_pieces_make_the_text_and_nothing_else_goes(text):
    assert "".join(split(text)) == text
    none = np.zeros(0, np.uint64)
    assert without_repeated(text, none) == (text, [])
    every = np.unique(np.array([value for value in hashes(text) if value is not None], np.uint64))
    left, gone = without_repeated(text, every)
    assert len(gone) == sum(value is not None for value in hashes(text))
    assert all(len(" ".join(piece.split())) < paragraphs.SHORTEST for piece in split(left)[::2])


def test_parquet_of_stripped_paragraphs_has_the_form_of_refused_rows(step):
    rows = jsonl([{"id": str(n), "text": f"{LICENCE}\n\ndocument {n}"} for n in range(3)])
    found = step({"a.jsonl": rows}, strip_repeated=1)
    table = pq.read_table(found.folder / "rejected/paragraphs-part-00000.parquet")
    assert table.column_names == ["file", "row", "reason", "excerpt"]
    assert table.num_rows == 3
