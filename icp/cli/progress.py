"""Progress and log lines on stderr: a few lines that move on a terminal, a line at a time elsewhere, JSON on request.

Nothing is silent for more than `QUIET_SECONDS`: what is at work is told again, with how long it has taken.
"""

import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from icp.cli.signals import stop_if_asked
from icp.cli.terminal import Lines
from icp.plurals import counted
from icp.run.log import JsonLines

if TYPE_CHECKING:
    from icp.cli.panel import Panel
    from icp.config import Config
    from icp.forecast.left import TimeLeft

LINE_SECONDS, QUIET_SECONDS = 5.0, 14.0
log = logging.getLogger("icp")


class Reporter:
    """Called as ``reporter(label, done, total)`` by the steps, `label` being ``step: phase``; a context manager."""

    def __init__(self) -> None:
        self._panel: Panel | None = None
        self._left: TimeLeft | None = None
        self._steps: list[str] = []
        self._label, self._done, self._total = "", 0, 0
        self._began = self._spoke = time.monotonic()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._speak_up, daemon=True)

    def __enter__(self) -> "Reporter":
        if sys.stderr.isatty() and not _tells_json():
            from icp.cli.panel import Panel

            self._panel = Panel()
            self._panel.start()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._panel is not None:
            self._panel.stop()

    def expect(self, config: "Config", steps: Sequence[str], workers: int) -> None:
        """Say which steps there may be, so that the time left can be told."""
        from icp.forecast.left import time_left

        self._steps = list(steps)
        self._left = time_left(config, steps, workers)

    def __call__(self, label: str, done: int, total: int) -> None:
        """Tell that `done` of `total` parts of `label` are done; raises KeyboardInterrupt if the command is to stop."""
        stop_if_asked()
        step, _, phase = label.partition(": ")
        before = self._label
        self._done, self._total = done, total
        if label != before:
            self._label, self._began = label, time.monotonic()
            if self._left is not None:
                self._left.begin(step, phase)
        if self._panel is not None:
            self._panel.show(self._state())
        if step != before.partition(": ")[0]:
            self._say(f"{step}{self._place(step)}", logging.DEBUG if self._panel is not None else logging.INFO)
        elif self._panel is None and time.monotonic() - self._spoke > LINE_SECONDS:
            self._say(f"{label}: {done} of {counted(total, 'part')}{self._told_left()}")

    def attend(self, label: str) -> None:
        """Tell that something without parts is at work, when it has taken long enough to be worth a line."""
        self._label, self._done, self._total = label, 0, 1
        self._began = self._spoke = time.monotonic()
        if self._panel is not None:
            self._panel.show(self._state())

    def _place(self, step: str) -> str:
        return f" (step {self._steps.index(step) + 1} of {len(self._steps)})" if step in self._steps else ""

    def _state(self) -> dict[str, Any]:
        """What is at work, for the panel."""
        step, _, phase = self._label.partition(": ")
        size = self._left.size if self._left is not None else None
        return {
            "steps": self._steps or [step],
            "step": step,
            "phase": phase,
            "done": self._done,
            "total": self._total,
            "began": self._began,
            "left": self._seconds_left,
            "docs": size.n_docs if size is not None else 0,
        }

    def _seconds_left(self) -> float | None:
        """Seconds that the command will still take; None if that is not known."""
        return self._left.seconds(self._done / max(1, self._total)) if self._left is not None else None

    def _told_left(self) -> str:
        left = self._seconds_left()
        return f", about {duration(left)} left" if left is not None else ""

    def _say(self, text: str, level: int = logging.INFO) -> None:
        self._spoke = time.monotonic()
        step, _, phase = self._label.partition(": ")
        left = self._seconds_left()
        fields = {"step": step, "phase": phase, "done": self._done, "total": self._total}
        fields |= {"seconds": round(self._spoke - self._began, 1), "left": None if left is None else round(left, 1)}
        log.log(level, "%s", text, extra=fields)

    def _speak_up(self) -> None:
        """Where nothing moves by itself, tell again what is at work when nothing was said for long."""
        while not self._stop.wait(1.0):
            if self._panel is None and self._label and time.monotonic() - self._spoke > QUIET_SECONDS:
                took = duration(time.monotonic() - self._began)
                of = f"{self._done} of {self._total} parts, " if self._total > 1 else ""
                self._say(f"{self._label}: {of}at work for {took}{self._told_left()}")


@contextmanager
def heartbeat(what: str) -> Iterator[None]:
    """While something without parts is done, say so now and then."""
    with Reporter() as reporter:
        reporter.attend(what)
        yield


def duration(seconds: float) -> str:
    """Seconds as a person reads them: ``41 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Stderr(logging.StreamHandler[Any]):
    """Writes to what `sys.stderr` is at the time: above the lines that move, while there are some."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """Where lines go."""
        return sys.stderr


def _tells_json() -> bool:
    return any(isinstance(handler, Stderr) and isinstance(handler.formatter, JsonLines) for handler in log.handlers)


def tell_error(message: str, exit_code: int) -> bool:
    """Tell what ended a command as JSON, if the log is JSON; returns whether it is."""
    if _tells_json():
        log.error("%s", message, extra={"error": f"exit code {exit_code}"})
    return _tells_json()


def _lines() -> "Lines":
    """Plain lines: on a terminal the message alone, elsewhere, as in a log file, behind the time of day."""
    return Lines("%(message)s" if sys.stderr.isatty() else "%(asctime)s  %(message)s", datefmt="%H:%M:%S")


def set_up_logging(*, as_json: bool, verbose: bool) -> None:
    """Send the library's log to stderr."""
    handler = Stderr()
    handler.setFormatter(JsonLines() if as_json else _lines())
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.propagate = False


def tell_warnings() -> None:
    """Send Python's warnings to the library's log, each as one line."""
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
    told_elsewhere = filename.endswith("_jit.py")  # of where kernels are kept: the line that they are compiled names it
    is_for_user = issubclass(category, UserWarning) and not told_elsewhere
    log.log(logging.WARNING if is_for_user else logging.DEBUG, "%s", message)
