"""Fields made of a document: its language, or the extension of its file."""

import pyarrow as pa
import pytest
from document_rows import jsonl

from icp.config import parse_config
from icp.errors import ConfigError
from icp.steps.documents import derive
from icp.steps.documents.derive import extension_of

TEXTS = {
    "en": "The river runs past the old mill and into the wide valley where sheep graze.",
    "de": "Der Fluss zieht an der alten Mühle vorbei in das weite Tal, in dem Schafe weiden.",
    "fr": "La rivière passe devant le vieux moulin puis dans la large vallée où paissent des moutons.",
    "ru": "Река течёт мимо старой мельницы.",
    "und": "12 + 34 = 46",
}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_language_of_each_document(step, kind):
    rows = [{"id": code, "text": text, "source": "web"} for code, text in TEXTS.items()]
    files = {"a.jsonl": jsonl(rows)} if kind == "jsonl" else {"a.parquet": pa.Table.from_pylist(rows)}
    found = step(files, derive={"lang": "language"}, part_mib=0.0001)
    assert found["lang"] == list(TEXTS)
    assert found["source"] == ["web"] * 5
    found = step(input=list(files), derive={"source": "language"})
    assert found["source"] == list(TEXTS)


def test_extension_of_files_and_of_a_field(step):
    files = {"code/a.py": b"x", "code/b.tar.C": b"y", "code/Makefile": b"z"}
    found = step(files, input="code", include=["*"], derive={"ext": "extension"})
    assert dict(zip(found["file"], found["ext"], strict=True)) == {
        "code/a.py": "py",
        "code/b.tar.C": "c",
        "code/Makefile": None,
    }
    rows = [{"text": "a", "path": "src/x.rs"}, {"text": "b", "path": 5}, {"text": "c"}]
    for name, content in {"a.jsonl": jsonl(rows), "b.parquet": pa.table({"text": ["a"], "path": ["x.rs"]})}.items():
        found = step({name: content}, keep=["path"], derive={"ext": "extension:path"})
        assert found["ext"][0] == "rs"
        assert set(found["ext"][1:]) <= {None}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/b.PY", "py"), ("a.b/c", None), (".bashrc", None), ("x.jsonl.gz", "jsonl"), ("s3://b/x.c?versionId=1", "c")],
)
def test_extension(path, expected):
    assert extension_of(path) == expected


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({"derive": {"x": "colour"}}, "derive.x is 'colour'"),
        ({"derive": {"x": "language:text"}}, "must be language"),
        ({"derive": {"x": "extension:path"}}, "keep does not name"),
        ({"derive": {"text": "language"}}, "a column of that name"),
        ({"derive": {"n": "language"}, "keep": ["n"]}, "a column of that name"),
    ],
)
def test_what_cannot_be_derived_is_refused(corpus, message):
    with pytest.raises(ConfigError, match=message):
        parse_config({"run": "r", "corpus": {"input": "a.jsonl", **corpus}})


def test_derived_fields_can_group_windows():
    corpus = {"input": "a.jsonl", "derive": {"lang": "language"}}
    assert parse_config({"run": "r", "corpus": corpus, "pack": {"group_by": ["lang"]}}).pack.group_by == ("lang",)


def test_missing_detector_says_how_to_get_it(monkeypatch):
    def missing(name):
        raise derive.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(derive.metadata, "version", missing)
    with pytest.raises(ConfigError, match=r"py3langid, which is not installed; run pip install '\.\[language\]'"):
        derive.detector_version()
