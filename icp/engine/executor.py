"""Run one function over many parts, in this process or in worker processes that end with it.

An executor's `map` yields ``(position, outcome)`` in the order parts finish; a part that fails is tried again, and
after `ATTEMPTS` reported as a `Failure`, without loss of the others. An `IcpError` is not tried again.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any, Protocol

from icp.engine.worker import Failure, Worker, call, stop

__all__ = ["ATTEMPTS", "Executor", "Failure", "ProcessExecutor", "SerialExecutor"]
ATTEMPTS = 3


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
    """Runs tasks in this process, one after another: for slices of a step, for tests, for debuggers."""

    workers = 1
    one_machine = True

    def start_ahead(self) -> None:
        """Nothing: there are no workers to start."""

    def threads(self, n_parts: int) -> int:
        """See `Executor.threads`."""
        return 1

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.map`."""
        for position, item in enumerate(items):
            for _ in range(ATTEMPTS):
                outcome = call(task, item)
                if not (isinstance(outcome, Failure) and outcome.retry):
                    break
            yield position, outcome


class ProcessExecutor:
    """Spawned worker processes, each single-threaded in BLAS; a dead one is replaced and its part tried again.

    Use as a context manager. Workers end when this process does, however it does. A part is tried `attempts` times;
    workers are numbered from `first` on. They stay from one `map` to the next, and one more than is busy, up to
    `workers`, is started ahead: what it imports is loaded by the time a part comes for it.
    """

    one_machine = True

    def __init__(self, workers: int, *, attempts: int = ATTEMPTS, first: int = 0) -> None:
        self.workers = workers
        self._attempts, self._first = attempts, first
        self._idle: list[Worker] = []

    def __enter__(self) -> "ProcessExecutor":
        return self

    def start_ahead(self) -> None:
        """Start a worker if none is idle, for the first part of the next `map`."""
        self._keep_one_idle({})

    def __exit__(self, *_: object) -> None:
        stop(self._idle)
        self._idle = []

    def threads(self, n_parts: int) -> int:
        """See `Executor.threads`."""
        return max(1, self.workers // max(1, n_parts))

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Executor.map`."""
        queue = [(position, 1) for position in reversed(range(len(items)))]
        busy: dict[Worker, tuple[int, int]] = {}
        try:
            while queue or busy:
                while queue and len(busy) < self.workers:
                    self._keep_one_idle(busy)
                    # the oldest has most loaded of what a part needs: modules, kernels
                    worker = min(self._idle, key=lambda worker: worker.number)
                    self._idle.remove(worker)
                    position, attempt = queue.pop()
                    busy[worker] = position, attempt
                    worker.send(task, items[position])
                self._keep_one_idle(busy)
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
            stop(list(busy))

    def _keep_one_idle(self, busy: Mapping["Worker", Any]) -> None:
        if not self._idle and len(busy) < self.workers:
            self._idle.append(Worker(_free_number(busy, self._first)))


def _free_number(busy: Iterable[Worker], first: int) -> int:
    """The least number from `first` on that no worker has."""
    taken = {worker.number for worker in busy}
    return next(number for number in itertools.count(first) if number not in taken)
