"""The commands that make a run: `icp run`, `build-graph`, `pack`, and `step`, a slice of one step."""

import re
import time
from typing import TYPE_CHECKING, Any

import click

from icp.cli.options import fresh_options, run_options
from icp.cli.session import fill_kernel_cache, fresh_of, start, working
from icp.cli.signals import watch_signals
from icp.cli.terminal import say
from icp.errors import ConfigError
from icp.run.names import BUILD_STEPS, PACK_STEPS, STEPS, VALIDATION

if TYPE_CHECKING:
    from icp.config import Config

LOOK_SECONDS = 2.0
BEGAN = time.monotonic()
"""When the program was started, within a moment."""


@click.command()
@run_options
@fresh_options
def run(config_path: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Build the graph, then pack it: from documents to shards."""
    config = start(config_path, overrides, options)

    def check() -> None:
        from icp.export import check_exports
        from icp.pipeline import check_tokenizer

        check_tokenizer(config)
        check_exports(config)

    with working(options, check) as (executor, progress):
        from icp.pipeline import build_graph, pack

        progress.expect(config, STEPS, executor.workers)
        build_graph(config, executor, progress, fresh=fresh_of(options))
        pack(config, executor, progress, fresh=fresh_of(options))
        pack_with_validation(config, executor, progress, "main")
    print_summary(config, "main")


@click.command("build-graph")
@run_options
@fresh_options
@click.option(
    "--until", type=click.Choice(BUILD_STEPS), default="graph", show_default=True, help="The last step to do."
)
def build_graph_command(config_path: str, overrides: tuple[str, ...], until: str, **options: Any) -> None:
    """Documents -> dedup -> embeddings -> neighbors -> graph."""
    config = start(config_path, overrides, options)
    with working(options) as (executor, progress):
        from icp.pipeline import build_graph

        progress.expect(config, BUILD_STEPS[: BUILD_STEPS.index(until) + 1], executor.workers)
        build_graph(config, executor, progress, until=until, fresh=fresh_of(options))
    print_summary(config, None)


@click.command("pack")
@run_options
@fresh_options
@click.option("--name", default="main", show_default=True, help="Many packs share one graph; each has a name.")
def pack_command(config_path: str, overrides: tuple[str, ...], name: str, **options: Any) -> None:
    """Tokens -> order -> windows -> shards, into RUN/packs/NAME/."""
    config = start(config_path, overrides, options)
    with working(options) as (executor, progress):
        from icp.pipeline import pack

        progress.expect(config, PACK_STEPS, executor.workers)
        pack(config, executor, progress, name=name, fresh=fresh_of(options))
        pack_with_validation(config, executor, progress, name)
    print_summary(config, name)


@click.command("step")
@click.argument("step", type=click.Choice(STEPS))
@run_options
@click.option("--parts", default="0/1", show_default=True, metavar="I/N", help="Do parts I, I+N, I+2N, ...")
@click.option("--name", default="main", show_default=True, help="The pack, for the steps of a pack.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Wait for other slices, unless none gets on for so long.",
)
def step_command(
    step: str, config_path: str, overrides: tuple[str, ...], parts: str, name: str, wait: float, **options: Any
) -> None:
    """One slice of one step, with no parent process; safe to repeat.

    Exits with 4 while parts of other slices are missing: run it again when they are done, or let it --wait.
    """
    from icp.engine.executor import SerialExecutor
    from icp.errors import PartsFailedError
    from icp.pipeline import run_part

    index, _, n_slices = parts.partition("/")
    if not re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", parts) or int(index) >= int(n_slices):
        raise ConfigError(f"--parts {parts}: expected I/N with 0 <= I < N, e.g. 0/4")
    config = start(config_path, overrides, options)
    if options["engine"] != "local":
        raise ConfigError("icp step: a slice has no engine, its process does it; leave --engine out")
    watch_signals()
    fill_kernel_cache()
    seen, since, missing = None, time.monotonic(), None
    while (missing := run_part(config, step, int(index), int(n_slices), SerialExecutor(), name=name)) is not None:
        if missing != seen:
            seen, since = missing, time.monotonic()
        if time.monotonic() - since >= wait:
            break
        time.sleep(min(LOOK_SECONDS, wait))
    if missing is not None:
        phase, n_missing = missing
        raise PartsFailedError(
            f"{step}: this slice is done as far as it can be; {n_missing} parts of phase {phase} are missing; "
            "run the same command again when the other slices are done"
        )
    say(f"{step}: done")


def pack_with_validation(config: "Config", executor: Any, progress: Any, name: str) -> None:
    """Pack what is held out, if anything is."""
    if config.holdout.is_set:
        from icp.validation import pack_validation

        pack_validation(config, executor, progress, name=name)


def print_summary(config: "Config", pack_name: str | None) -> None:
    """The figures of the run, how long the command took, and what can be done next."""
    from icp.run.stats import read_stats, summary
    from icp.run.storage import run_folder

    folder = run_folder(config.run)
    for line in summary(read_stats(folder), folder, pack_name):
        say(line)
    if pack_name is not None and (folder / VALIDATION).is_dir():
        say(f"validation  {folder / VALIDATION}, packs {pack_name} (documents in a row) and {pack_name}-documents")
    took = time.monotonic() - BEGAN
    say(f"took        {took:,.1f} s")
    for line in _next_commands(config.run, pack_name):
        say(line)


def _next_commands(run: str, pack_name: str | None) -> list[str]:
    """What somebody may want to do with the run as it is."""
    if pack_name is None:
        return [f"next        icp pack -c CONFIG, with the configuration of this run; icp status {run}"]
    pack = "" if pack_name == "main" else f" --pack {pack_name}"
    return [
        f"next        icp report {run}{pack}      a page for a browser: windows, pictures, warnings",
        f"            icp verify {run}{pack}      audits every promise from the files alone",
        f"            icp inspect {run}{pack} --window 0",
    ]
