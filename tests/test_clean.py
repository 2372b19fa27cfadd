"""tests/bench/clean.py at a small size: what is planted and must not be trained on is gone, and nothing else."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from icp.cli import main


@pytest.fixture
def clean(monkeypatch):
    """The script, which is no part of a package."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "bench"))
    import clean

    yield clean
    for name in set(sys.modules) - before:
        if name in ("clean", "planted", "plain_reader", "removal", "make_corpus"):
            del sys.modules[name]


def in_this_process(*arguments):
    """Do a command; none in processes of its own, which would take longer to start than to work."""
    alone = ["--workers", "1"] if arguments[0] in ("run", "remove") else []
    result = CliRunner().invoke(main, [*arguments, *alone])
    assert result.exit_code == 0, (arguments, result.output)


def test_nothing_planted_is_left_and_nothing_else_is_missing(clean, tmp_path):
    report, _ = clean.check(tmp_path / "clean", 600, None, 20, in_this_process)
    assert report.wrong == {}
    assert len(report.told["copies planted"]) == 11
    assert len(report.told["contaminations planted"]) >= 8
    assert report.told["removed"] == 42
    assert 400 < report.told["trained on"] < report.told["documents"] - 150


def test_the_reader_finds_what_is_left(clean, tmp_path):
    """Of a run that keeps nothing apart and from which nothing is removed."""
    rows = [{name: row[name] for name in ("id", "text", "source")} for row in clean.base_rows(300, None)]
    planted = clean.plant(rows, 10)
    config = clean.write_files(tmp_path / "clean", planted, apart=False)
    in_this_process("run", "-c", str(config))
    place = str(tmp_path / "clean/run")
    in_this_process("export", place, "--format", "parquet", "--out", f"{place}/{clean.EXPORT}")
    report = clean.look(tmp_path / "clean/run", planted, clean.passages_of(planted))
    assert {name for name in report.wrong if "in training" in name} == {
        "held-out documents in training",
        "planted copies of held-out documents in training",
        "documents like a held-out one in training",
        "planted contamination in training",
        "removed documents in training",
        "copies of removed documents in training",
    }
    assert "files that name a removed document" in report.wrong
    assert len(report.wrong["documents with text of an evaluation set"]) == len(planted.contaminated)
