"""Bad input from the command line: one line that says what, where and what to do, and the exit code of its kind."""

import gzip
import json
import signal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from tiny import tiny_config, write_jsonl

from icp import cli, warm
from icp.config import dump_config
from icp.engine import executor
from icp.warm import tiny_rows


class InThisProcess(executor.SerialExecutor):
    """Stands in for worker processes, which only cost time here."""

    def __init__(self, workers):
        self.workers = workers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def start_ahead(self):
        """No process to start."""


@pytest.fixture
def icp(tmp_path, monkeypatch):
    """Run a command in `tmp_path`; gives its result."""
    monkeypatch.setattr(executor, "ProcessExecutor", InThisProcess)
    monkeypatch.setattr(warm, "fill_kernel_cache", lambda: None)
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments):
        return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def config(tmp_path):
    """Write a configuration: ``config(corpus={"input": ...})`` gives its path."""

    def write(**sections):
        tree = {
            "run": "run",
            "tokenizer": {"name": "bytes"},
            "pack": {"seq_len": 64},
            "corpus": {"input": "in.jsonl"},
        }
        for name, values in sections.items():
            tree[name] = {**tree.get(name, {}), **values} if isinstance(values, dict) else values
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    return write


def one_line(result):
    lines = [line for line in result.stderr.splitlines() if line.startswith("icp: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


def refused(result, code, *words):
    line = one_line(result)
    assert result.exit_code == code, line
    for word in words:
        assert word in line
    return line


def test_no_file_matches(icp, config):
    refused(icp("run", "-c", config(corpus={"input": "none/*.jsonl"})), 3, "none/*.jsonl")


def test_missing_field_names_the_fields_that_are_there(icp, config, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [{"id": "1", "body": "hello world"}])
    refused(icp("run", "-c", config()), 3, "in.jsonl", "text", "body")


def test_wrong_type_of_a_column(icp, config, tmp_path):
    pq.write_table(pa.table({"id": ["a"], "text": [1.5]}), tmp_path / "in.parquet")
    refused(icp("run", "-c", config(corpus={"input": "in.parquet"})), 3, "in.parquet", "text")


def test_broken_line_is_counted_and_not_fatal(icp, config, tmp_path):
    lines = [json.dumps(row) for row in tiny_rows()[:20]]
    (tmp_path / "in.jsonl").write_text("\n".join([*lines, '{"id": "x", "text": ']) + "\n")
    result = icp("run", "-c", config())
    assert result.exit_code == 0, result.stderr
    stats = json.loads((tmp_path / "run/stats.json").read_text())
    assert (stats["documents"]["read"], stats["documents"]["rejected"]) == (21, 1)


def test_nothing_but_broken_lines_is_fatal(icp, config, tmp_path):
    (tmp_path / "in.jsonl").write_text("{\n{\n")
    refused(icp("run", "-c", config()), 3, "in.jsonl")


@pytest.mark.parametrize("kind", ["gz", "zst", "parquet"])
def test_truncated_files_are_named(icp, config, tmp_path, kind):
    name = f"in.{kind}" if kind == "parquet" else f"in.jsonl.{kind}"
    path = tmp_path / name
    text = "".join(json.dumps(row) + "\n" for row in tiny_rows()).encode()
    if kind == "gz":
        path.write_bytes(gzip.compress(text))
    elif kind == "zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(text)
    else:
        pq.write_table(pa.Table.from_pylist(tiny_rows()), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(icp("run", "-c", config(corpus={"input": name})), 3, name)


def test_invalid_utf8_is_counted(icp, config, tmp_path):
    rows = [json.dumps(row).encode() for row in tiny_rows()[:20]]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([*rows, b'{"id": "x", "text": "caf\xe9 au lait"}']) + b"\n")
    result = icp("run", "-c", config())
    assert result.exit_code == 0, result.stderr
    manifest = json.loads((tmp_path / "run/documents/manifest.json").read_text())
    assert manifest["counts"]["rejected.not UTF-8"] == 1


def test_empty_corpus(icp, config, tmp_path):
    (tmp_path / "in.jsonl").write_text("")
    refused(icp("run", "-c", config()), 3, "in.jsonl")


@pytest.mark.parametrize("model", ["lexical", "static", "hybrid"])
def test_corpus_of_one_document(icp, config, tmp_path, model):
    write_jsonl(tmp_path / "in.jsonl", [{"id": "1", "text": "a document that stands all by itself"}])
    result = icp("run", "-c", config(embed={"model": model}))
    assert result.exit_code == 0, result.stderr
    assert icp("verify", "run").exit_code == 0


def test_corpus_of_identical_documents(icp, config, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [{"id": str(n), "text": "all of us say the same thing"} for n in range(50)])
    result = icp("run", "-c", config())
    assert result.exit_code == 0, result.stderr
    stats = json.loads((tmp_path / "run/stats.json").read_text())
    assert (stats["documents"]["exact_duplicates"], stats["documents"]["kept"]) == (49, 1)
    assert icp("verify", "run").exit_code == 0


def test_document_of_ten_megabytes(icp, config, tmp_path):
    long = " ".join(f"word{n * 7919 % 50021}" for n in range(1_000_000))[:10_000_000]
    write_jsonl(tmp_path / "in.jsonl", [*tiny_rows()[:20], {"id": "long", "text": long}])
    result = icp("run", "-c", config(pack={"seq_len": 4096}))
    assert result.exit_code == 0, result.stderr
    verified = icp("verify", "run")
    assert verified.exit_code == 0, verified.stdout


def test_unknown_key(icp, config):
    refused(icp("run", "-c", config(pack={"seqlen": 5})), 2, "pack.seqlen", "did you mean pack.seq_len?")


def test_seq_len_of_one(icp, config):
    refused(icp("run", "-c", config(pack={"seq_len": 1})), 2, "pack.seq_len is 1, must be at least 2")


def test_tokenizer_without_eos(icp, config, tmp_path):
    from tokenizers import Tokenizer, models

    write_jsonl(tmp_path / "in.jsonl", tiny_rows()[:20])
    Tokenizer(models.WordLevel({"the": 0, "fox": 1, "?": 2}, unk_token="?")).save(str(tmp_path / "tok.json"))
    refused(icp("run", "-c", config(tokenizer={"name": "tok.json"})), 2, "tokenizer.eos")


def test_tokenizer_folder_without_a_tokenizer(icp, config, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", tiny_rows()[:20])
    (tmp_path / "tok").mkdir()
    refused(icp("run", "-c", config(tokenizer={"name": "tok"})), 3, "tokenizer.json")


def test_run_folder_that_cannot_be_written(icp, config, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", tiny_rows()[:20])
    (tmp_path / "file").write_text("x")
    refused(icp("run", "-c", config(run="file/run")), 3, "file/run", "cannot be written")


def test_full_output_folder(icp, config, tmp_path, monkeypatch):
    write_jsonl(tmp_path / "in.jsonl", tiny_rows()[:20])

    def full(*_, **__):
        raise OSError(28, "No space left on device", "part-00000.parquet")

    monkeypatch.setattr(pq.ParquetWriter, "__init__", full)
    refused(icp("run", "-c", config()), 4, "No space left on device", "run the same command")


def test_run_folder_of_another_configuration(icp, config, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", tiny_rows()[:30])
    assert icp("run", "-c", config()).exit_code == 0
    other = config(graph={"k": 3})
    refused(icp("run", "-c", other), 2, "graph.k was 10, is 3", "--fresh")
    assert icp("run", "-c", other, "--fresh").exit_code == 0
    assert icp("verify", "run").exit_code == 0


def test_engine_options_where_they_mean_nothing(icp, config):
    refused(icp("run", "-c", config(), "--master", "yarn"), 2, "this is for --engine spark only")
    refused(icp("step", "dedup", "-c", config(), "--engine", "spark"), 2, "a slice has no engine")


def test_pack_before_the_graph(icp, config, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", tiny_rows()[:20])
    refused(icp("pack", "-c", config()), 3, "documents is not finished", "icp build-graph")


def test_pack_name_that_is_a_path(icp, config):
    refused(icp("pack", "-c", config(), "--name", "../x"), 2, "--name ../x")


def test_slice_that_does_not_exist(icp, config):
    refused(icp("step", "documents", "-c", config(), "--parts", "4/4"), 2, "--parts 4/4")


def test_verify_of_no_run(icp, tmp_path):
    refused(icp("verify", tmp_path / "nothing"), 3, "nothing")


def test_resolved_configuration_can_be_run_again(icp, config, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", tiny_rows()[:20])
    assert icp("run", "-c", config()).exit_code == 0
    result = icp("run", "-c", tmp_path / "run/config.yaml")
    assert result.exit_code == 0, result.stderr


def test_tiny_configuration_round_trips(tmp_path):
    assert "seq_len: 64" in dump_config(tiny_config(tmp_path))
