"""What SIGINT and SIGTERM do: the command ends soon, with what is done kept."""

import os
import signal
import sys

from icp.errors import Interrupted

INTERRUPTED = "icp: interrupted; what is done is kept, run the same command to go on"
LAST_WORD_SECONDS = 25
_asked: list[int] = []


def watch_signals() -> None:
    """End the command on the first SIGINT or SIGTERM; after `LAST_WORD_SECONDS` of cleaning up, at once."""
    _asked.clear()
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)


def stop_if_asked() -> None:
    """Raise KeyboardInterrupt once more where the first was lost.

    Python drops what is raised in a weakref's callback or a finalizer, and py4j has both: a command that a signal
    met there would go on.
    """
    if _asked:
        raise KeyboardInterrupt


def _stop(number: int, _: object) -> None:
    _asked.append(number)
    signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _end)
    signal.alarm(LAST_WORD_SECONDS)
    # not one of ours: libraries that let no Exception through, logging among them, let this one
    raise KeyboardInterrupt


def _end(*_: object) -> None:
    if sys.stderr is not None:
        os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(Interrupted.exit_code)
