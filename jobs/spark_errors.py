"""What Spark's errors mean for a user: a part that took its executors along, executors that cannot run our code.

In: errors of Spark's driver process, as Python shows them. Out: a `Failure` or an error of ours, a line each.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

from icp.engine.executor import Failure
from icp.errors import ConfigError, PartsFailedError

LOST = re.compile(r"Task (\d+) in stage \S+ failed (\d+) times?, most recent failure: ([^\n]*)")


def lost_part(error: Any, positions: Sequence[int]) -> tuple[int, Failure]:
    """The part over which Spark gave up a job, by the positions of its rows.

    Raises: what no other part could do better at.
    """
    text = str(error)
    _refuse_unfit(text)
    found = LOST.search(text)
    if found is None:
        raise PartsFailedError(
            f"the Spark application ended before its work was done ({why(error)}); "
            "what is done is kept, run the same command to go on (-v shows what Spark logs)"
        )
    part, times, last = found.groups()
    reason = last.partition("): ")[2] or last
    return positions[int(part)], Failure(
        f"its executor was lost {times} times ({reason.strip()[:200]}); out of memory? lower corpus.part_mib, or "
        "give Spark more memory outside the JVM (spark.executor.memoryOverhead)",
        text,
    )


def _refuse_unfit(text: str) -> None:
    """Raise ConfigError if executors cannot run our code at all; Spark does not say which."""
    python = f"an executor's Python ({os.environ['PYSPARK_PYTHON']})"
    if re.search(r"No module named 'icp[.']", text):
        raise ConfigError(f"{python} has no icp; install it there, or ship it: see docs/spark.md")
    mismatch = re.search(r"PYTHON_VERSION_MISMATCH\] ([^\n]*)", text)
    if mismatch:
        raise ConfigError(f"{python} is of another version: {mismatch.group(1)}; set PYSPARK_PYTHON")
    if re.search(r'Cannot run program "[^"]*python', text):
        raise ConfigError(f"{python} is not there; set PYSPARK_PYTHON to one that all machines have")


def why(error: Any) -> str:
    """The line of a Python or Java error that says most."""
    lines = [line.strip() for line in str(getattr(error, "java_exception", None) or error).splitlines() if line.strip()]
    inner = [line for line in lines[1:] if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return [*lines[:1], *inner, type(error).__name__][1 if inner else 0][:300]
