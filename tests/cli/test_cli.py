import subprocess
import sys
from pathlib import Path

import click
import pytest

import icp
from icp import cli
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
