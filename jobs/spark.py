"""Run the tasks of a step on a Spark cluster: the same interface as `icp.engine.executor.ProcessExecutor`.

In: an application on a cluster, and storage that all its machines share. A row of a job is one part: its number and the
pickled task, which names files; results are the small counts a task returns. Documents never go through Spark.
Out: outcomes as they arrive, in the form of the local engine.
"""

import contextlib
import logging
import os
import pickle
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from icp.engine.executor import ATTEMPTS, Failure, ProcessExecutor
from icp.errors import ConfigError, IcpError, PartsFailedError
from icp.jobs.cluster import check_master, local_with_retries, needs_loopback, start_gateway
from icp.jobs.same_code import code_differences, code_here
from icp.jobs.spark_errors import lost_part, why
from icp.machine import host_name

try:
    from pyspark import SparkConf, SparkContext, TaskContext
    from pyspark.accumulators import AccumulatorParam
except ModuleNotFoundError:
    raise ConfigError('--engine spark needs pyspark, which is not installed: pip install ".[spark]"') from None

SETTINGS = {
    "spark.ui.showConsoleProgress": "false",
    # before numpy is imported by whatever runs there; icp sets them again for its own processes
    "spark.executorEnv.OMP_NUM_THREADS": "1",
    "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
    "spark.executorEnv.MKL_NUM_THREADS": "1",
    "spark.executorEnv.NUMBA_NUM_THREADS": "1",
}
"""Where neither the user nor the cluster says otherwise."""
PATIENCE = 30.0
"""Seconds without an executor after which the user is told that the run waits."""
log = logging.getLogger("icp")


class SparkExecutor:
    """Tasks of one Spark application, a part each. Use as a context manager.

    Args:
        master: URL of the master; None: what Spark is configured for, as under ``spark-submit``.
        cores: cores to take of a standalone cluster; None: all that it gives.
        verbose: show what Spark logs.
    """

    one_machine = False

    def __init__(self, master: str | None = None, *, cores: int | None = None, verbose: bool = False) -> None:
        self._master, self._cores, self._verbose = master, cores, verbose
        self._context: Any = None
        self.workers = 1

    def __enter__(self) -> "SparkExecutor":
        check_master(self._master)
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if needs_loopback(self._master):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        try:
            with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of a pandas that is not used here
                self._context = self._start()
        except IcpError:
            raise
        except Exception as error:
            raise ConfigError(f"--engine spark: Spark cannot be started: {why(error)}") from error
        self.workers = max(1, self._context.defaultParallelism)
        return self

    def _start(self) -> Any:
        gateway = SparkContext._gateway or start_gateway(self._verbose)
        settings = SparkConf(_jvm=gateway.jvm)
        if self._master is not None:
            settings.set("spark.master", local_with_retries(self._master))
        if self._cores is not None:
            settings.set("spark.cores.max", str(self._cores))
        settings.setAppName("icp")
        for key, value in {**SETTINGS, "spark.log.level": "WARN" if self._verbose else "ERROR"}.items():
            settings.setIfMissing(key, value)
        return SparkContext(conf=settings, gateway=gateway)

    def __exit__(self, *_: object) -> None:
        context, self._context = self._context, None
        if context is not None:
            with contextlib.suppress(Exception):  # a driver process that died has said so already
                context.stop()

    def threads(self, n_parts: int) -> int:
        """See `icp.engine.executor.Executor.threads`."""
        return int(self._context.getConf().get("spark.task.cpus", "1"))

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.map`; a job that Spark gives up is started again without the part it fell over."""
        left = {position: pickle.dumps((task, item)) for position, item in enumerate(items)}
        while left:
            job = _Job(self._context, str(items[0]), sorted(left.items()))
            for position, outcome in job.outcomes():
                if left.pop(position, None) is not None:
                    yield position, outcome
            if left and job.error is None:
                raise PartsFailedError("Spark ended a job without all of its results; run the same command to go on")
            if left:
                position, failure = lost_part(job.error, [position for position, _ in job.rows])
                if left.pop(position, None) is not None:
                    yield position, failure


class _Outcomes(AccumulatorParam[list[Any]]):
    """Outcomes of tasks: Spark sends each to the driver once, as its task ends."""

    def zero(self, value: list[Any]) -> list[Any]:
        return []

    def addInPlace(self, value1: list[Any], value2: list[Any]) -> list[Any]:  # noqa: N802 - Spark's name
        value1.extend(value2)
        return value1


class _Job:
    """One Spark job over rows ``(position, pickled task and item)``, and what has arrived of it."""

    def __init__(self, context: Any, name: str, rows: Sequence[tuple[int, bytes]]) -> None:
        self.rows = rows
        self.error: Exception | None = None
        self._context, self._name = context, name
        self._group = f"icp-{time.monotonic_ns()}"
        self._arrived = context.accumulator([], _Outcomes())
        self._thread = threading.Thread(target=self._run, daemon=True)

    def outcomes(self) -> Iterator[tuple[int, Any]]:
        """Outcomes as they arrive, until the job is over; `error` then says why it did not end well."""
        self._thread.start()
        seen, asked = 0, time.monotonic()
        try:
            while True:
                alive = self._thread.is_alive()
                arrived = self._arrived.value
                while seen < len(arrived):
                    yield arrived[seen]
                    seen += 1
                if not alive:
                    return
                if not seen and time.monotonic() - asked > PATIENCE:
                    asked = time.monotonic()
                    self._tell_if_waiting()
                self._thread.join(0.02)
        finally:
            if self._thread.is_alive():
                with contextlib.suppress(Exception):  # the driver process may be gone
                    self._context.cancelJobGroup(self._group)
                self._thread.join(5.0)

    def _run(self) -> None:
        conf = self._context.getConf()
        run_part = _RunPart(Path.cwd(), code_here(), _tries(self._context.master, conf), self._arrived)
        try:
            self._context.setJobGroup(self._group, self._name)
            self._context.parallelize(self.rows, len(self.rows)).foreachPartition(run_part)
        except Exception as error:  # noqa: BLE001 - told by whoever waits for the outcomes
            self.error = error

    def _tell_if_waiting(self) -> None:
        if self._context.master.startswith("local"):
            return
        with contextlib.suppress(Exception):
            if self._context._jsc.sc().getExecutorMemoryStatus().size() < 2:
                log.warning(
                    "waiting: %s has given no executor yet; this takes a worker with a free core and %s of memory",
                    self._context.master,
                    self._context.getConf().get("spark.executor.memory", "1g"),
                )


class _RunPart:
    """What Spark runs for a part, in its own Python process: hands it to a worker process like those of one machine."""

    def __init__(self, folder: Path, code: dict[str, str], tries: int, arrived: Any) -> None:
        self.folder, self.code, self.tries, self.arrived = folder, code, tries, arrived

    def __call__(self, rows: Iterator[tuple[int, bytes]]) -> None:
        attempt = TaskContext.get()
        assert attempt is not None, "Spark gives each task its context"
        gpu = attempt.resources().get("gpu")
        for position, packed in rows:
            sys.path[:] = [str(Path(entry).absolute()) for entry in sys.path]
            if not self.folder.is_dir():
                error = ConfigError(
                    f"{self.folder}: the folder this was started in is not seen from {host_name()}; "
                    "start it from storage that all machines share"
                )
                self.arrived.add([(position, Failure(str(error), error=error, retry=False))])
                continue
            with contextlib.chdir(self.folder):
                worker = _worker(int(gpu.addresses[0]) if gpu else 0)
                ((_, outcome),) = worker.map(_do, [(self.code, packed)])
            if isinstance(outcome, Failure) and outcome.retry and attempt.attemptNumber() + 1 < self.tries:
                raise RuntimeError(outcome.message)  # Spark tries again, elsewhere if it can
            self.arrived.add([(position, outcome)])


@lru_cache
def _worker(number: int) -> ProcessExecutor:
    """The process that works for this one, for as long as Spark keeps it."""
    return ProcessExecutor(1, attempts=1, first=number)


def _do(order: tuple[dict[str, str], bytes]) -> Any:
    """One part, in the worker process; the first on a machine compiles the kernels."""
    from icp.warm import fill_in_this_process

    code, packed = order
    differs = code_differences(code)
    if differs:
        raise ConfigError(f"{host_name()} has {differs}; ship the environment of the driver, see docs/spark.md")
    try:
        fill_in_this_process()
        task, item = pickle.loads(packed)
        return task(item)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{host_name()}: {error}; install it there, or ship the environment, see docs/spark.md"
        ) from None


def _tries(master: str, conf: Any) -> int:
    """How often a part is tried before its failure is told: Spark must still be willing to start it again."""
    local = re.fullmatch(r"local(\[[^,]+(,\s*(\d+))?\])?", master)
    allowed = int(local.group(3) or 1) if local else int(conf.get("spark.task.maxFailures", "4"))
    return min(ATTEMPTS, allowed)
