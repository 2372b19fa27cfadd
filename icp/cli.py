"""The commands: parse, call, print. Results go to stdout, progress and messages to stderr."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from icp import __version__
from icp.errors import ConfigError, IcpError, Interrupted

if TYPE_CHECKING:
    from icp.config import Config

STEPS = ("documents", "dedup", "embeddings", "neighbors", "graph", "tokens", "order", "windows", "shards")
LAST_WORD_SECONDS = 25
LOOK_SECONDS = 2.0


def _shared_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Log details, tracebacks of failed parts among them."),
        click.option("--log-json", is_flag=True, help="Log one JSON object a line."),
    ):
        function = option(function)
    return function


def _run_options(function: Callable[..., None]) -> Callable[..., None]:
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
        click.option("-c", "--config", "config_path", required=True, metavar="FILE", help="The YAML configuration."),
    ):
        function = option(function)
    return _shared_options(function)


FRESH = click.option("--fresh", is_flag=True, help="Redo the first step made otherwise, and all after it.")
PACK = click.option("--pack", "pack_name", default="main", show_default=True, help="Which pack of the run.")


class _Group(click.Group):
    """Turns errors of ours into one line and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IcpError as error:
            click.echo(f"icp: {_shown(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("icp: interrupted; what is done is kept, run the same command to go on", err=True)
            ctx.exit(Interrupted.exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="icp")
def main() -> None:
    """Turn documents into pretraining shards whose context windows hold related documents, each exactly once."""


@main.command()
@_run_options
@FRESH
def run(config_path: str, overrides: tuple[str, ...], fresh: bool, **options: Any) -> None:
    """Build the graph, then pack it: from documents to shards."""
    from icp.export import check_exports
    from icp.pipeline import build_graph, check_tokenizer, pack

    config = _start(config_path, overrides, options)
    check_tokenizer(config)
    check_exports(config)
    with _working(config, options) as (executor, progress):
        build_graph(config, executor, progress, fresh=fresh)
        pack(config, executor, progress)
    _print_summary(config, "main")


@main.command("build-graph")
@_run_options
@FRESH
@click.option("--until", type=click.Choice(STEPS[:5]), default="graph", show_default=True, help="The last step to do.")
def build_graph_command(config_path: str, overrides: tuple[str, ...], fresh: bool, until: str, **options: Any) -> None:
    """Documents -> dedup -> embeddings -> neighbors -> graph."""
    from icp.pipeline import build_graph

    config = _start(config_path, overrides, options)
    with _working(config, options) as (executor, progress):
        build_graph(config, executor, progress, until=until, fresh=fresh)
    _print_summary(config, None)


@main.command("pack")
@_run_options
@FRESH
@click.option("--name", default="main", show_default=True, help="Many packs share one graph; each has a name.")
def pack_command(config_path: str, overrides: tuple[str, ...], fresh: bool, name: str, **options: Any) -> None:
    """Tokens -> order -> windows -> shards, into RUN/packs/NAME/."""
    from icp.pipeline import pack

    config = _start(config_path, overrides, options)
    with _working(config, options) as (executor, progress):
        pack(config, executor, progress, name=name, fresh=fresh)
    _print_summary(config, name)


@main.command("step")
@click.argument("step", type=click.Choice(STEPS))
@_run_options
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
    from icp.errors import PartsFailedError
    from icp.executor import SerialExecutor
    from icp.pipeline import run_part

    index, _, n_slices = parts.partition("/")
    if not (index.isdigit() and n_slices.isdigit() and int(index) < int(n_slices)):
        raise ConfigError(f"--parts {parts}: expected I/N with 0 <= I < N, e.g. 0/4")
    config = _start(config_path, overrides, options)
    if options["engine"] != "local":
        raise ConfigError("icp step: a slice has no engine, its process does it; leave --engine out")
    _watch_signals()
    _fill_kernel_cache()
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
    click.echo(f"{step}: done")


@main.command("plan")
@_run_options
@click.option("--name", default="main", show_default=True, help="The pack whose steps are shown.")
@click.option("--docs", type=click.IntRange(1), metavar="N", help="Documents to plan for, instead of those at hand.")
@click.option("--tokens", type=click.IntRange(1), metavar="N", help="Tokens to plan for.")
@click.option("--calibrate", is_flag=True, help="Measure this machine again.")
def plan_command(
    config_path: str, overrides: tuple[str, ...], name: str, docs: int | None, tokens: int | None, **options: Any
) -> None:
    """What would run, what is done already, what the bands of dedup would find; hours, memory, disk, network, files.

    Hours rest on rates measured on this machine, once for each choice of settings (about a minute).
    """
    from icp.forecast.lines import Wanted, show_forecast
    from icp.plan import show_plan

    config = _start(config_path, overrides, options)
    for line in show_plan(config, pack=name, needs_input=docs is None or tokens is None):
        click.echo(line)
    _watch_signals()
    for line in show_forecast(config, Wanted(docs, tokens, options["workers"], options["calibrate"])):
        click.echo(line)


@main.command()
@click.argument("run_folder", metavar="RUN")
@click.option("--format", "fmt", required=True, metavar="F", help="megatron, olmo, datatrove, parquet, mds or litdata.")
@click.option("--out", required=True, metavar="DIR", help="A new or empty folder.")
@PACK
@click.option("--allow-reshuffle", is_flag=True, help="Export though the loader gives up an order that matters.")
@click.option("--allow-padding", is_flag=True, help="Export though the trainer would be trained on padding.")
@click.option("--verify", "audit", is_flag=True, help="Check every promise first, not only hashes and sizes.")
@_shared_options
def export(run_folder: str, fmt: str, out: str, pack_name: str, audit: bool, **options: Any) -> None:
    """Shards in the format of a trainer, with a README that tells how to load them whole."""
    from icp.export import export_pack
    from icp.folders import open_folder

    _set_up_logging(options)
    if audit:
        _audit(run_folder, pack_name)
    allowed = {name: options[name] for name in ("allow_reshuffle", "allow_padding")}
    for line in export_pack(open_folder(run_folder), fmt, Path(out), pack=pack_name, **allowed).lines():
        click.echo(line)


@main.command()
@click.argument("run_folder", metavar="RUN")
@PACK
@_shared_options
def verify(run_folder: str, pack_name: str, **options: Any) -> None:
    """Audit a run from its files alone; exits 0 only if every promise holds."""
    _set_up_logging(options)
    _audit(run_folder, pack_name)


def _audit(run_folder: str, pack_name: str) -> None:
    from icp.audit import verify_run
    from icp.errors import BrokenPromise
    from icp.folders import fresh_folder

    broken = 0
    with fresh_folder(run_folder) as folder:
        for finding in verify_run(folder, pack=pack_name):
            click.echo(_shown(finding.line()))
            broken += not finding.kept
    if broken:
        raise BrokenPromise(f"{run_folder}: {broken} broken {'promise' if broken == 1 else 'promises'}, see above")


@main.command()
@click.argument("run_folder", metavar="RUN")
@click.option("--window", type=click.IntRange(0), help="Show a window: its documents and their text.")
@click.option("--doc", help="Show a document: where it stands, its neighbours. An id or a doc number.")
@click.option("--dup", help="Show a removed document beside the one kept in its place. An id or a doc number.")
@PACK
@_shared_options
def inspect(
    run_folder: str, window: int | None, doc: str | None, dup: str | None, pack_name: str, **options: Any
) -> None:
    """Show a window, a document, or a removed duplicate in the terminal."""
    from icp.folders import open_folder
    from icp.inspection import show_document, show_duplicate, show_window

    _set_up_logging(options)
    if sum(value is not None for value in (window, doc, dup)) != 1:
        raise ConfigError("inspect: give one of --window N, --doc ID, --dup ID")
    folder = open_folder(run_folder)
    if window is not None:
        lines = show_window(folder, window, pack=pack_name)
    elif doc is not None:
        lines = show_document(folder, doc, pack=pack_name)
    else:
        lines = show_duplicate(folder, str(dup))
    for line in lines:
        click.echo(line)


@main.command()
@click.argument("run_folder", metavar="RUN")
@_shared_options
def status(run_folder: str, **options: Any) -> None:
    """Progress of a run: steps, parts done, failed parts with their last error."""
    from icp.folders import open_folder
    from icp.inspection import show_status

    _set_up_logging(options)
    for line in show_status(open_folder(run_folder, records=True)):
        click.echo(_shown(line))


@main.command()
@_shared_options
def doctor(**options: Any) -> None:
    """Check the installation: libraries, both faiss wheels, GPU, Java, threads, kernel cache."""
    from icp.doctor import examine

    _set_up_logging(options)
    sound = True
    for check in examine():
        click.echo(check.line())
        sound &= check.sound
    if not sound:
        raise ConfigError("doctor: something is missing or broken, see above")


def _set_up_logging(options: dict[str, Any]) -> None:
    from icp.progress import set_up_logging

    set_up_logging(as_json=options["log_json"], verbose=options["verbose"])


def _start(config_path: str, overrides: tuple[str, ...], options: dict[str, Any]) -> "Config":
    from icp.config import load_config

    _set_up_logging(options)
    if options["master"] and options["engine"] != "spark":
        raise ConfigError(
            f"--master {options['master']}: this is for --engine spark only; add it, or leave --master out"
        )
    return load_config(config_path, overrides)


class _working:  # noqa: N801 - reads as a verb where it stands
    """Workers and progress for one command, ended in order on SIGINT and SIGTERM."""

    def __init__(self, config: "Config", options: dict[str, Any]) -> None:
        from icp.progress import Reporter

        self._executor = _executor(options)
        self._is_local = options["engine"] == "local"
        self._reporter = Reporter()

    def __enter__(self) -> tuple[Any, Any]:
        _watch_signals()
        if self._is_local:  # on a cluster, each machine fills its own
            _fill_kernel_cache()
        executor = self._executor.__enter__()
        _watch_signals()  # Spark takes SIGINT when it starts
        return executor, self._reporter.__enter__()

    def __exit__(self, *exception: object) -> None:
        self._reporter.__exit__(*exception)
        self._executor.__exit__(*exception)


def _executor(options: dict[str, Any]) -> Any:
    """What runs the parts: worker processes here, or a Spark application."""
    if options["engine"] == "spark":
        from icp.jobs.spark import SparkExecutor

        return SparkExecutor(options["master"], cores=options["workers"], verbose=options["verbose"])
    from icp.executor import ProcessExecutor

    return ProcessExecutor(options["workers"] or len(os.sched_getaffinity(0)))


def _watch_signals() -> None:
    """SIGINT and SIGTERM end the command soon, with what is done kept."""

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, lambda *_: os._exit(Interrupted.exit_code))
        signal.alarm(LAST_WORD_SECONDS)
        # not one of ours: libraries that let no Exception through, logging among them, let this one
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _fill_kernel_cache() -> None:
    from icp.warm import fill_kernel_cache

    fill_kernel_cache()


def _print_summary(config: "Config", pack_name: str | None) -> None:
    from icp.stats import read_stats, summary
    from icp.storage import run_folder

    folder = run_folder(config.run)
    for line in summary(read_stats(folder), folder, pack_name):
        click.echo(_shown(line))


def _shown(text: str) -> str:
    """A text for the user, in which files of a run on a server go by their URL."""
    storage = sys.modules.get("icp.storage")
    return str(storage.shown(text)) if storage is not None else text


if __name__ == "__main__":
    sys.exit(main())
