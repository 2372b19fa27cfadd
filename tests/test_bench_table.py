"""The table of all benches: what they print becomes sections that can be read again."""

import importlib.util
import shlex
from pathlib import Path

BENCH = Path(__file__).resolve().parent / "bench"
spec = importlib.util.spec_from_file_location("bench_table", BENCH / "table.py")
table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(table)


def test_a_table_gets_its_rule_and_other_lines_a_fence():
    printed = "\n## speed\n\n| model | rate |\n| a | 3 |\n\n10 documents\n2 shown\n"
    assert table.tables_of(printed) == (
        "### speed\n\n| model | rate |\n|---|---|\n| a | 3 |\n\n```\n10 documents\n2 shown\n```"
    )


def test_a_failure_is_shown_and_remembered(tmp_path, monkeypatch):
    (tmp_path / "good.py").write_text("import sys; print('| x |'); print('| ' + sys.argv[1] + ' |')")
    (tmp_path / "bad.py").write_text("raise SystemExit('no such corpus')")
    monkeypatch.setattr(table, "HERE", tmp_path)
    text, went = table.measured(table.Bench("", "good.py", "{data}"), Path("corpora"), Path("work"))
    assert went
    assert "`python tests/bench/good.py DATA`" in text
    assert "| corpora |" in text
    text, went = table.measured(table.Bench("", "bad.py", ""), Path("corpora"), Path("work"))
    assert not went
    assert "FAILED" in text
    assert "no such corpus" in text


def test_sections_are_read_again(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Speed\n\nhead\n\n## one: a claim\n\nbody\n\n## two: another\n\n### speed\n\n| x |\n")
    assert table.sections_of(page) == {"one": "body\n", "two": "### speed\n\n| x |\n"}
    assert table.sections_of(tmp_path / "none.md") == {}


def test_every_bench_is_there_and_knows_its_sections():
    for bench in table.BENCHES.values():
        text = (BENCH / bench.script).read_text()
        words = shlex.split(bench.arguments)
        assert [word for word in words if word.startswith("--") and f'"{word}"' not in text] == [], bench
        if "--only" in words:
            only = words[words.index("--only") + 1].split(",")
            assert [name for name in only if name not in text] == [], bench
