"""The commands: parse, call, print. Results go to stdout, progress and messages to stderr."""

import click

from icp import __version__
from icp.cli.group import Group
from icp.cli.growing import add_command
from icp.cli.inspecting import inspect
from icp.cli.looking import doctor, export, plan_command, probe, status, verify
from icp.cli.making import build_graph_command, pack_command, run, step_command
from icp.cli.removing import remove
from icp.cli.reporting import report
from icp.cli.starting import init, presets

__all__ = ["main"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="icp")
def main() -> None:
    """Turn documents into pretraining shards whose context windows hold related documents, each exactly once."""


for command in (init, presets, run, build_graph_command, pack_command, add_command, step_command):
    main.add_command(command)
for command in (plan_command, export, verify, inspect, report, probe, remove, status, doctor):
    main.add_command(command)
