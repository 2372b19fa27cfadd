"""The surroundings of a command: logging, configuration, workers, and an orderly end on a signal."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from icp.cli.signals import watch_signals
from icp.cli.terminal import say
from icp.errors import ConfigError

if TYPE_CHECKING:
    from icp.config import Config
    from icp.engine.fresh import Fresh


def set_up_logging(options: dict[str, Any]) -> None:
    """Log to stderr as the shared options say."""
    from icp.cli.progress import set_up_logging

    set_up_logging(as_json=options["log_json"], verbose=options["verbose"])


def start(config_path: str, overrides: tuple[str, ...], options: dict[str, Any]) -> "Config":
    """The configuration of a command, and its logging; raises ConfigError for options that do not go together."""
    from icp.config import load_config

    start_logging(options)
    return load_config(config_path, overrides)


def start_logging(options: dict[str, Any]) -> None:
    """Log as the options of a command that makes something say; raises ConfigError if they do not go together."""
    set_up_logging(options)
    if options["master"] and options["engine"] != "spark":
        raise ConfigError(
            f"--master {options['master']}: this is for --engine spark only; add it, or leave --master out"
        )


def fresh_of(options: dict[str, Any]) -> "Fresh | bool":
    """What ``--fresh`` and ``--fresh-step`` ask for; on a terminal the user is asked before anything goes."""
    from icp.engine.fresh import Fresh, go_ahead

    if not options["fresh"] and options["fresh_step"] is None:
        return False
    asked = sys.stdin.isatty() and sys.stderr.isatty() and not options["yes"]
    return Fresh(options["fresh_step"], _agreed if asked else go_ahead)


def _agreed(lines: Sequence[str]) -> bool:
    for line in lines:
        say(f"--fresh removes {line}", err=True)
    return click.confirm("Remove and make again?", err=True)


class working:  # noqa: N801 - reads as a verb where it stands
    """Workers and progress for one command, ended in order on SIGINT and SIGTERM.

    `check` refuses what can be told before kernels are compiled. The first worker imports what it needs meanwhile.
    """

    def __init__(self, options: dict[str, Any], check: Callable[[], None] = lambda: None) -> None:
        from icp.cli.progress import Reporter

        self._check = check
        self._executor = _executor(options)
        self._is_local = options["engine"] == "local"
        self._reporter = Reporter()

    def __enter__(self) -> tuple[Any, Any]:
        from icp.cli.progress import heartbeat

        watch_signals()
        if self._is_local:
            self._executor.start_ahead()
        try:
            self._check()
            if self._is_local:  # on a cluster, each machine fills its own
                with heartbeat("kernels"):
                    fill_kernel_cache()
            executor = self._executor.__enter__()
            watch_signals()  # Spark takes SIGINT when it starts
            return executor, self._reporter.__enter__()
        except BaseException:
            if self._is_local:
                self._executor.__exit__()
            raise

    def __exit__(self, *exception: object) -> None:
        self._reporter.__exit__(*exception)
        self._executor.__exit__(*exception)


def _executor(options: dict[str, Any]) -> Any:
    """What runs the parts: worker processes here, or a Spark application."""
    if options["engine"] == "spark":
        from icp.jobs.spark import SparkExecutor

        return SparkExecutor(options["master"], cores=options["workers"], verbose=options["verbose"])
    from icp.engine.executor import ProcessExecutor

    return ProcessExecutor(options["workers"] or len(os.sched_getaffinity(0)))


def fill_kernel_cache() -> None:
    """Have the kernels compiled before workers ask for them."""
    from icp.warm import fill_kernel_cache, share_kernel_cache

    share_kernel_cache()

    fill_kernel_cache()
