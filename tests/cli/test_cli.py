import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

import icp
from icp import cli
from icp.run.names import BUILD_STEPS, PACK_STEPS, STEPS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
HELP_SECONDS = 0.5
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


def test_help_is_quick():
    times = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run([sys.executable, "-P", "-m", "icp.cli", "--help"], check=True, capture_output=True)
        times.append(time.monotonic() - started)
    assert min(times) < HELP_SECONDS, f"icp --help took {min(times):.2f} s, should stay under {HELP_SECONDS} s"


def test_importing_icp_loads_no_library():
    heavy = ("numpy", "numba", "pyarrow", "faiss", "torch")
    code = f"import sys, icp, icp.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
