"""One worker process, the pipe to it, and the outcomes of the parts it does."""

import contextlib
import errno
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.resource_tracker import ensure_running
from typing import Any

from icp.engine.libraries import load_libraries
from icp.errors import IcpError
from icp.machine import WORKER

STOP_SECONDS = 5.0
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
HOPELESS = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Failure:
    """A part that could not be done: a line that says why, the traceback, and the error if it is an `IcpError`."""

    message: str
    detail: str = ""
    error: IcpError | None = None
    retry: bool = True


class Worker:
    """One spawned process and the pipe to it."""

    def __init__(self, number: int) -> None:
        self.number = number
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, number), daemon=True)
        ensure_running()  # of what spawned processes share; it would let interrupts through again
        with _as_workers_begin():
            self.process.start()
        theirs.close()
        self._is_new = True

    def send(self, task: Callable[[Any], Any], item: Any) -> None:
        """Have it call ``task(item)``."""
        # a worker that died while idle: `receive` says so, and the part goes to another
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if self._is_new:  # it may have been started before something was set that it is to know
                self.pipe.send({name: os.environ[name] for name in os.environ if name not in ONE_THREAD})
                self._is_new = False
            self.pipe.send((task, item))

    def ready(self) -> bool:
        """Whether it has an outcome, or is dead."""
        return self.pipe.poll() or not self.process.is_alive()

    def receive(self) -> Any:
        """The outcome of what was sent."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(STOP_SECONDS)
            code = self.process.exitcode or 0
            why = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            hint = "; out of memory? lower corpus.part_mib or --workers" if code == -signal.SIGKILL else ""
            return Failure(f"its worker process {why}{hint}")


def stop(workers: Sequence[Worker]) -> None:
    """End these workers, and wait until they have ended."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(STOP_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


@contextlib.contextmanager
def _as_workers_begin() -> Iterator[None]:
    """The environment of a started process: BLAS with one thread, which cannot be set once numpy is imported.

    Results must not depend on how many threads a BLAS happens to start, and those of several workers would wait for
    one another. An interrupt from the terminal waits until the worker is ready to ignore it.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everybody; the parent decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load_libraries()
    with contextlib.suppress(EOFError):
        os.environ.update(pipe.recv())
    os.environ[WORKER] = str(number)
    while True:
        try:
            task, item = pipe.recv()
        except EOFError:
            return
        pipe.send(call(task, item))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def call(task: Callable[[Any], Any], item: Any) -> Any:
    """``task(item)``, or the `Failure` of it."""
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
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a part that fails must not take the others with it; nor a panic
        return Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
