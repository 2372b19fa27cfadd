"""The options that commands share."""

from collections.abc import Callable

import click

from icp.config.addresses import expanded
from icp.errors import ConfigError
from icp.run.names import STEPS


class Place(click.ParamType):  # type: ignore[type-arg] # generic in the newest click alone
    """A path or URL; ``~`` and variables are filled in as in a configuration, also where no shell has done it."""

    name = "path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType.convert`; raises ConfigError as `expanded` raises ValueError."""
        try:
            return expanded(value)
        except ValueError as error:
            raise ConfigError(f"{value}: {error}") from None


PLACE = Place()


def shared_options(function: Callable[..., None]) -> Callable[..., None]:
    """Those of every command: how it logs."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Log details, tracebacks of failed parts among them."),
        click.option("--log-json", is_flag=True, help="Log one JSON object a line."),
    ):
        function = option(function)
    return function


def run_options(function: Callable[..., None]) -> Callable[..., None]:
    """Those of commands that take a configuration, the shared ones among them."""
    for option in (
        click.option(
            "--workers",
            type=click.IntRange(1),
            help="Worker processes, or cores of a Spark cluster; default: all at hand.",
        ),
        click.option("--master", metavar="URL", help="Spark master; needs --engine spark."),
        click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True),
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. pack.seq_len=4096."
        ),
        click.option(
            "-c", "--config", "config_path", required=True, type=PLACE, metavar="FILE", help="The YAML configuration."
        ),
    ):
        function = option(function)
    return shared_options(function)


def fresh_options(function: Callable[..., None]) -> Callable[..., None]:
    """Those of commands that can redo what is done."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask before --fresh removes anything."),
        click.option(
            "--fresh-step", type=click.Choice(STEPS), help="Redo this step and all after it, though nothing differs."
        ),
        click.option("--fresh", is_flag=True, help="Redo what was made otherwise, all after it, and what is damaged."),
    ):
        function = option(function)
    return function


PACK = click.option("--pack", "pack_name", default="main", show_default=True, help="Which pack of the run.")
