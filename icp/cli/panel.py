"""The lines that move on a terminal: one for the run, one for the phase at work, one for what is to come.

In: what is at work. Out: three lines that fit any terminal, however narrow; they go when the command ends.
"""

import time
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BAR = 24


class Panel:
    """Three lines at the foot of the terminal, drawn anew a few times a second."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._began = time.monotonic()
        self._state: dict[str, Any] = {}
        self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def stop(self) -> None:
        """Take the lines away."""
        self._live.stop()

    def show(self, state: dict[str, Any]) -> None:
        """Draw this from now on: `steps`, `step`, `phase`, `done`, `total`, `began`, `left` (asked), `docs`."""
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._state:
            yield Group(self._of_run(), self._of_phase(), self._to_come())
        else:
            yield _line(f"getting ready  {_clock(time.monotonic() - self._began)}")

    def _of_run(self) -> Table:
        """The step, the time that has gone, the time left."""
        steps, step = self._state["steps"], self._state["step"]
        place = f"step {steps.index(step) + 1} of {len(steps)}: " if step in steps else ""
        left = self._state["left"]()
        told = f"{_clock(time.monotonic() - self._began)} gone"
        told += f", about {_clock(left)} left" if left is not None else ""
        return _ends(Text.assemble(place, (step, "bold")), Text(told))

    def _of_phase(self) -> Table:
        """The phase, a bar, how much of it is done, how fast."""
        done, total, took = self._state["done"], self._state["total"], time.monotonic() - self._state["began"]
        bar = ProgressBar(total=total, completed=done, width=BAR, pulse=total <= 1)
        many = f"{done} of {total} parts  " if total > 1 else ""
        per_second = self._state["docs"] * done / total / took if done and took > 1 else 0
        fast = f"{per_second:,.0f} documents/s  " if per_second >= 1 and done < total else ""
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text(f"  {self._state['phase']:<12}", no_wrap=True), bar, Text(f"{many}{fast}{_clock(took)}", no_wrap=True)
        )
        return row

    def _to_come(self) -> Text:
        steps, step = self._state["steps"], self._state["step"]
        later = steps[steps.index(step) + 1 :] if step in steps else []
        return _line(f"  then {', '.join(later)}" if later else "  the last step", "dim")


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _ends(left: Text, right: Text) -> Table:
    """A line with something at both ends."""
    row = Table.grid(expand=True)
    row.add_column(no_wrap=True, overflow="ellipsis")
    row.add_column(no_wrap=True, justify="right")
    row.add_row(left, right)
    return row


def _clock(seconds: float) -> str:
    """Seconds as on a clock: 0:41, 3:20, 2:05:00."""
    whole = round(seconds)
    hours = f"{whole // 3600}:{whole // 60 % 60:02d}" if whole >= 3600 else f"{whole // 60}"
    return f"{hours}:{whole % 60:02d}"
