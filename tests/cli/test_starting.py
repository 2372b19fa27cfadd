"""`icp init`, `icp presets`, `icp doctor --json`, `icp.make_run`: the first things somebody does."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tiny import write_jsonl

import icp
from icp.cli import main
from icp.config import load_config
from icp.config.loading import preset_names
from icp.errors import ConfigError
from icp.warm import tiny_rows


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_init_finds_the_fields_and_what_it_writes_is_a_configuration(tmp_path):
    rows = [{"uuid": str(n), "body": "word " * 50, "title": "t", "url": "https://a.org", "n": n} for n in range(30)]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    out = tmp_path / "mine.yaml"
    done = invoke("init", tmp_path / "rows.jsonl", "--out", out, "--seq-len", 4096, "--run", tmp_path / "run")
    assert done.exit_code == 0, done.output
    config = load_config(out)
    assert (config.corpus.text, config.corpus.id, config.corpus.source) == ("body", "uuid", None)
    assert config.corpus.keep == ("url", "title")
    assert config.pack.seq_len == 4096
    assert "about 30 documents" in out.read_text()
    assert "Latin 100%" in out.read_text()
    assert invoke("init", tmp_path / "rows.jsonl", "--out", out).exit_code == 2


def test_init_takes_the_longest_text_of_fields_with_odd_names(tmp_path):
    table = pa.table({"passage": ["слово " * 40] * 5, "label": ["x"] * 5})
    pq.write_table(table, tmp_path / "a.parquet")
    done = invoke("init", tmp_path / "a.parquet", "--out", tmp_path / "c.yaml")
    assert done.exit_code == 0, done.output
    assert load_config(tmp_path / "c.yaml").corpus.text == "passage"
    assert "Cyrillic 100%" in done.output


def test_init_takes_no_id_whose_values_repeat(tmp_path):
    rows = [{"title": f"title {number % 3}", "text": f"a text {number}", "url": number} for number in range(9)]
    write_jsonl(tmp_path / "a.jsonl", rows)
    done = invoke("init", tmp_path / "a.jsonl", "--out", tmp_path / "c.yaml")
    assert '  id: "url"' in done.stdout
    write_jsonl(tmp_path / "a.jsonl", [{"title": row["title"], "text": row["text"]} for row in rows])
    done = invoke("init", tmp_path / "a.jsonl", "--out", tmp_path / "d.yaml")
    assert "  id: null" in done.stdout


def test_init_of_a_folder_of_code_names_what_to_include(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    for n in range(3):
        (folder / f"m{n}.py").write_text("def f():\n    return 1\n" * 20)
    (folder / "a.png").write_bytes(b"\x89PNG\0\0")
    done = invoke("init", folder, "--out", tmp_path / "c.yaml", "--run", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert load_config(tmp_path / "c.yaml").corpus.include == ("*.py",)
    assert "3 files, about 3 documents" in done.output


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_init_knows_the_columns_of_a_table_of_text(tmp_path, name, separator):
    rows = [["id", "label", "body"], *([str(n), "x", f"words of row {n} " * 9] for n in range(5))]
    (tmp_path / name).write_text("".join(separator.join(row) + "\n" for row in rows))
    done = invoke("init", tmp_path / name, "--out", tmp_path / "c.yaml", "--run", tmp_path / "run")
    assert done.exit_code == 0, done.output
    config = load_config(tmp_path / "c.yaml")
    assert (config.corpus.text, config.corpus.id) == ("body", "id")


def test_init_of_hostile_rows_writes_nothing_but_names_of_fields(tmp_path):
    deep = '{"text": "x", "a": ' + "[" * 5000 + "]" * 5000 + "}\n"
    names = {"a\rrun: /home/somebody": "", "b\u0085pack: {}": "", "c\u2028\x1b[2J": "", "te\u2029xt": "words " * 9}
    (tmp_path / "a.jsonl").write_text(deep + json.dumps(names) + "\n")
    out = tmp_path / "c.yaml"
    done = invoke("init", tmp_path / "a.jsonl", "--out", out, "--run", tmp_path / "run")
    assert done.exit_code == 0, done.output
    config = load_config(out)
    assert (config.run, config.corpus.text) == (str(tmp_path / "run"), "te\u2029xt")
    assert out.read_text().replace("\n", "").isprintable()


def test_init_of_a_folder_of_texts(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("some words")
    done = invoke("init", folder, "--out", tmp_path / "c.yaml")
    assert done.exit_code == 0, done.output
    assert load_config(tmp_path / "c.yaml").corpus.input == (str(folder),)


def test_init_of_nothing_is_refused(tmp_path):
    assert invoke("init", tmp_path / "absent.jsonl", "--out", tmp_path / "c.yaml").exit_code == 3
    (tmp_path / "a.jsonl").write_text('{"n": 1}\n')
    done = invoke("init", tmp_path / "a.jsonl", "--out", tmp_path / "c.yaml")
    assert done.exit_code == 3
    assert "no field of text" in done.output


def test_presets_are_listed_with_what_they_are_for():
    lines = invoke("presets").output.splitlines()
    assert [line.split()[0] for line in lines] == preset_names()
    assert all(len(line.split()) > 3 for line in lines)


def test_doctor_prints_json():
    done = invoke("doctor", "--json")
    checks = json.loads(done.stdout[: done.stdout.rindex("]") + 1])
    assert {"name", "sound", "text"} == set(checks[0])
    assert "python" in {check["name"] for check in checks}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run made from Python, of a mapping."""
    folder = tmp_path_factory.mktemp("made")
    corpus = {"input": str(write_jsonl(folder / "rows.jsonl", tiny_rows()))}
    tree = {"run": str(folder / "run"), "corpus": corpus, "tokenizer": {"name": "bytes"}, "pack": {"seq_len": 64}}
    return icp.make_run(tree, workers=1)


def test_a_run_is_made_from_python(made, tmp_path):
    assert len(icp.WindowDataset(made)) > 10
    with pytest.raises(ConfigError, match="unknown key"):
        icp.make_run({"run": str(tmp_path), "corpus": {"input": "x"}, "pakc": {}})


def test_shards_come_with_a_card(made):
    text = (made / "packs/main/shards/README.md").read_text()
    head = text.split("---\n")[1]
    assert "task_categories:\n- text-generation" in head
    assert f"| documents read | {len(tiny_rows())} |" in text
    assert ".reshape(-1, 64)" in text


def test_the_status_sees_a_missing_file(made, tmp_path):
    run = shutil.copytree(made, tmp_path / "run")
    (run / "graph/weights.npy").unlink()
    output = invoke("status", run).output
    assert "missing: weights.npy; restore it" in output
    assert invoke("status", made).output.count("missing") == 0


def test_the_card_is_no_stranger_to_an_audit(made):
    done = invoke("verify", made)
    assert done.exit_code == 0, done.output
