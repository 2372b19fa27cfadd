"""Progress and log lines on stderr: a bar on a terminal, a line every few seconds elsewhere, JSON on request."""

import json
import logging
import sys
import time
import warnings
from typing import Any, TextIO

from icp.cli.terminal import Lines, message_of

LINE_SECONDS = 5.0
log = logging.getLogger("icp")


class Reporter:
    """Called as ``reporter(label, done, total)`` by the steps; use as a context manager."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._last = ("", 0.0)
        self._began = 0.0

    def __enter__(self) -> "Reporter":
        if sys.stderr.isatty() and not any(isinstance(h.formatter, JsonLines) for h in log.handlers):
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True))
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
        else:
            self._end_step()

    def _end_step(self) -> None:
        """Tell how long the step took that was last begun."""
        if self._last[0]:
            log.info("%s: %.1f s", self._last[0], time.monotonic() - self._began)

    def __call__(self, label: str, done: int, total: int) -> None:
        """Tell that `done` of `total` parts of `label` are done."""
        if self._bars is not None:
            if label not in self._tasks:
                self._tasks[label] = self._bars.add_task(label, total=total)
            self._bars.update(self._tasks[label], completed=done, total=total)
            return
        step = label.partition(":")[0]
        before, moment = self._last
        if step != before:
            self._end_step()
            log.info("%s", step)
            self._began = time.monotonic()
        elif time.monotonic() - moment > LINE_SECONDS:
            log.info("%s: %d of %d parts", label, done, total)
        else:
            return
        self._last = step, time.monotonic()


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        row = {"time": f"{stamp}Z", "level": record.levelname.lower(), "message": message_of(record)}
        return json.dumps(row)


def _lines() -> "Lines":
    """Plain lines: on a terminal the message alone, elsewhere, as in a log file, behind the time of day."""
    return Lines("%(message)s" if sys.stderr.isatty() else "%(asctime)s  %(message)s", datefmt="%H:%M:%S")


def set_up_logging(*, as_json: bool, verbose: bool) -> None:
    """Send the library's log to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else _lines())
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.propagate = False
    warnings.showwarning = _tell_warning


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line of the log: Python's own form shows lines of code, which tell a user nothing."""
    log.log(logging.WARNING if issubclass(category, UserWarning) else logging.DEBUG, "%s", message)
