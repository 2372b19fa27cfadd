"""Run one function over many parts: in this process, or in worker processes that outlive no parent.

An executor's `map` yields ``(position, outcome)`` in the order parts finish; a part that fails is tried again, and
after `ATTEMPTS` reported as a `Failure`, without loss of the others. An `IcpError` is not tried again.
"""

import contextlib
import errno
import itertools
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from icp.errors import IcpError
from icp.machine import WORKER

ATTEMPTS = 3
STOP_SECONDS = 5.0
HOPELESS = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Failure:
    """A part that could not be done: a line that says why, the traceback, and the error if it is an `IcpError`."""

    message: str
    detail: str = ""
    error: IcpError | None = None
    retry: bool = True


class Executor(Protocol):
    """What runs tasks. `task` and `items` must be picklable; results small.

    Attributes:
        workers: how many tasks at once.
        one_machine: all of them on this one.
    """

    workers: int
    one_machine: bool

    def threads(self, n_parts: int) -> int:
        """How many threads each of `n_parts` tasks may use."""
        ...

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield ``(position, result or Failure)`` for every item, in the order they finish."""
        ...


class SerialExecutor:
    """In this process, one after another: for slices of a step, for tests, for debuggers."""

    workers = 1
    one_machine = True

    def threads(self, n_parts: int) -> int:
        """See `Executor.threads`."""
        return 1

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.map`."""
        for position, item in enumerate(items):
            for _ in range(ATTEMPTS):
                outcome = _call(task, item)
                if not (isinstance(outcome, Failure) and outcome.retry):
                    break
            yield position, outcome


class ProcessExecutor:
    """Spawned worker processes, each single-threaded in BLAS; a dead one is replaced and its part tried again.

    Use as a context manager. Workers end when this process does, however it does. A part is tried `attempts` times;
    workers are numbered from `first` on.
    """

    one_machine = True

    def __init__(self, workers: int, *, attempts: int = ATTEMPTS, first: int = 0) -> None:
        self.workers = workers
        self._attempts, self._first = attempts, first
        self._idle: list[_Worker] = []  # the last one takes the next part

    def __enter__(self) -> "ProcessExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        _stop(self._idle)
        self._idle = []

    def threads(self, n_parts: int) -> int:
        """See `Executor.threads`."""
        return max(1, self.workers // max(1, n_parts))

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.map`."""
        queue = [(position, 1) for position in reversed(range(len(items)))]
        busy: dict[_Worker, tuple[int, int]] = {}
        try:
            while queue or busy:
                while queue and len(busy) < self.workers:
                    worker = self._idle.pop() if self._idle else _Worker(_free_number(busy, self._first))
                    position, attempt = queue.pop()
                    busy[worker] = position, attempt
                    worker.send(task, items[position])
                wait([handle for worker in busy for handle in (worker.pipe, worker.process.sentinel)])
                for worker in [worker for worker in busy if worker.ready()]:
                    position, attempt = busy.pop(worker)
                    outcome = worker.receive()
                    if worker.process.is_alive():
                        self._idle.append(worker)
                    if isinstance(outcome, Failure) and outcome.retry and attempt < self._attempts:
                        queue.append((position, attempt + 1))
                    else:
                        yield position, outcome
        finally:
            _stop(list(busy))


class _Worker:
    """One spawned process and the pipe to it."""

    def __init__(self, number: int) -> None:
        self.number = number
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, number), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, task: Callable[[Any], Any], item: Any) -> None:
        # a worker that died while idle: `receive` says so, and the part goes to another
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send((task, item))

    def ready(self) -> bool:
        return self.pipe.poll() or not self.process.is_alive()

    def receive(self) -> Any:
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(STOP_SECONDS)
            code = self.process.exitcode or 0
            why = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            hint = "; out of memory? lower corpus.part_mib or --workers" if code == -signal.SIGKILL else ""
            return Failure(f"its worker process {why}{hint}")


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(STOP_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


def _free_number(busy: Iterable[_Worker], first: int) -> int:
    """The least number from `first` on that no worker has."""
    taken = {worker.number for worker in busy}
    return next(number for number in itertools.count(first) if number not in taken)


def _serve(pipe: Connection, number: int) -> None:
    os.environ[WORKER] = str(number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everybody; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # results must not depend on how many threads a BLAS happens to start; ours are set per task
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task, item = pipe.recv()
        except EOFError:
            return
        pipe.send(_call(task, item))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _call(task: Callable[[Any], Any], item: Any) -> Any:
    try:
        return task(item)
    except IcpError as error:
        return Failure(str(error), traceback.format_exc(), error, retry=False)
    except OSError as error:
        cut_short = error.errno is None and "requested and" in str(error)  # numpy, when the disk is full
        where = f" ({error.filename})" if error.filename else ""
        message = f"{os.strerror(errno.ENOSPC) if cut_short else error.strerror or error}{where}"
        return Failure(message, traceback.format_exc(), retry=not cut_short and error.errno not in HOPELESS)
    except MemoryError:
        return Failure("out of memory; lower corpus.part_mib or --workers", traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - a part that fails must not take the others with it
        return Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
