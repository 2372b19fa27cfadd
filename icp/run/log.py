"""The log of a run: ``RUN/log.jsonl``, a JSON object a line, kept whatever the terminal shows.

In: records of the logger ``icp``. Out: lines with time, level, message, and fields of what is at work.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from icp.config.addresses import without_secrets
from icp.errors import IcpError
from icp.run.names import LOG
from icp.run.storage import push_small

FIELDS = ("command", "step", "phase", "done", "total", "seconds", "left", "error")
"""What a record may carry besides its message: names, counts of parts, and seconds."""
log = logging.getLogger("icp")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and those of `FIELDS` that the record carries."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        row = {"time": f"{stamp}Z", "level": record.levelname.lower(), "message": without_secrets(record.getMessage())}
        row |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        return json.dumps(row)


@contextmanager
def kept_log(run: Path, command: str) -> Iterator[None]:
    """Keep the log of a command in the folder of its run; what cannot be written there does not end the command."""
    try:
        handler: logging.Handler = logging.FileHandler(run / LOG, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(JsonLines())
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk is told by the part it stops
    log.addHandler(handler)
    started = time.monotonic()
    try:
        log.debug("%s", command, extra={"command": command})
        yield
        _note(handler, logging.INFO, f"{command}: done", {"command": command, "seconds": _since(started)})
    except IcpError as error:
        what = {"command": command, "seconds": _since(started), "error": type(error).__name__}
        _note(handler, logging.ERROR, str(error), what)
        raise
    finally:
        log.removeHandler(handler)
        handler.close()
        with suppress(OSError, IcpError):
            push_small(run, LOG)


def _note(handler: logging.Handler, level: int, message: str, fields: dict[str, object]) -> None:
    """A record for the file alone: the command itself says it to the user."""
    record = log.makeRecord(log.name, level, __file__, 0, message, (), None, extra=fields)
    handler.handle(record)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)
