import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import icp
from icp import cli
from icp.cli import main
from icp.dataset.windows import WindowDataset
from icp.run.names import BUILD_STEPS, PACK_STEPS, STEPS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(cli.main.commands)


def test_steps_of_the_command_line_are_the_pipelines():
    assert (*BUILD_STEPS, *PACK_STEPS) == STEPS


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help_and_stands_in_the_readme(name):
    command = cli.main.commands[name]
    assert command.help
    assert f"icp {name}" in README
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help or option.name in ("engine",), f"{name} {option.opts} has no help"


def test_readme_names_no_command_that_is_not_there():
    words = {line.split("icp ", 1)[1].split()[0].strip("`.,;:()") for line in README.splitlines() if "`icp " in line}
    assert words - {"-h", "--help"} <= {*COMMANDS, *(f"{name}`" for name in COMMANDS)}, words


def test_public_names_load_and_stand_in_the_readme():
    for name in icp.__all__:
        assert getattr(icp, name) is not None
        assert name in README, f"{name} is public and not in the README"


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        icp.nothing  # noqa: B018


@pytest.mark.parametrize(
    "arguments", [["-c", "import icp, icp.cli"], ["-m", "icp.cli", "--help"]], ids=["import", "help"]
)
def test_importing_icp_and_asking_for_help_load_no_library(arguments):
    command = [sys.executable, "-P", "-X", "importtime", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {"icp", "icp.cli", "click"} <= loaded
    assert loaded & {"numpy", "numba", "pyarrow", "pydantic", "yaml", "tokenizers", "fsspec", "faiss", "torch"} == set()


@pytest.mark.parametrize("home", ["~", "$SOMEWHERE"])
def test_paths_of_the_command_line_are_those_of_a_configuration(tiny_run, tmp_path, monkeypatch, home):
    """``--out=~/x`` reaches a program as it is."""
    (tmp_path / "run").symlink_to(tiny_run)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    for name in ("HOME", "SOMEWHERE"):
        monkeypatch.setenv(name, str(tmp_path))
    run = f"{home}/run"
    for command in (
        ["status", run],
        ["inspect", run, "--sample", "2", f"--out={home}/sample.jsonl"],
        ["export", run, "--format", "parquet", f"--out={home}/export"],
        ["init", f"{home}/run/documents/part-00000.parquet", f"--out={home}/mine.yaml"],
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, (command, done.output, done.exception)
    assert len(WindowDataset(run)) == len(WindowDataset(tiny_run))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cwd", "export", "mine.yaml", "run", "sample.jsonl"]
    assert list((tmp_path / "cwd").iterdir()) == []


def test_what_no_variable_or_user_stands_for_is_refused_before_anything_is_written(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for out in ("$NO_SUCH_VARIABLE/x", "~nobody-of-this-name/x"):
        done = CliRunner().invoke(main, ["export", str(tiny_run), "--format", "parquet", "--out", out])
        assert done.exit_code == 2, done.output
    done = CliRunner().invoke(main, ["export", str(tmp_path / "none"), "--format", "parquet", "--out", "new"])
    assert done.exit_code == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nope"], "icp: no such command 'nope'; see icp --help"),
        (["--foo"], "icp: no such option '--foo'; see icp --help"),
        (["report"], "icp: report: missing argument 'RUN'; see icp report --help"),
        (["run"], "icp: run: missing option '-c' / '--config'; see icp run --help"),
        (["report", "a", "b"], "icp: report: got unexpected extra argument (b); see icp report --help"),
        (["report", "a", "--ot", "b"], "icp: report: no such option '--ot'"),
        (["inspect", "a", "--window", "-3"], "icp: inspect: invalid value for '--window'"),
    ],
)
def test_a_wrong_use_is_one_line(arguments, line):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_without_a_command_the_help_is_shown():
    done = CliRunner().invoke(main, [])
    assert "Commands:" in done.output
    assert "icp: " not in done.output
