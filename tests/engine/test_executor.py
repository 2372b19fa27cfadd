import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from icp.engine.executor import ATTEMPTS, Failure, ProcessExecutor, SerialExecutor
from icp.errors import InputError


def outcomes(executor, task, items):
    return dict(executor.map(task, items))


@pytest.fixture(scope="module")
def workers():
    with ProcessExecutor(2) as executor:
        yield executor


def test_serial_results_come_with_their_positions():
    assert outcomes(SerialExecutor(), abs, [-1, -2]) == {0: 1, 1: 2}


def test_serial_failure_is_tried_again_then_reported():
    calls = []

    def task(item):
        calls.append(item)
        raise ValueError("no")

    (failure,) = outcomes(SerialExecutor(), task, ["x"]).values()
    assert calls == ["x"] * ATTEMPTS
    assert failure.message == "ValueError: no"


def test_errors_of_ours_are_not_tried_again():
    calls = []

    def task(item):
        calls.append(item)
        raise InputError("bad file")

    (failure,) = outcomes(SerialExecutor(), task, ["x"]).values()
    assert len(calls) == 1
    assert isinstance(failure.error, InputError)


def test_processes_give_every_result(workers):
    assert outcomes(workers, abs, list(range(-20, 0))) == {i: 20 - i for i in range(20)}


def test_a_failed_part_does_not_lose_the_others(workers):
    found = outcomes(workers, int, ["1", "two", "3"])
    assert (found[0], found[2]) == (1, 3)
    assert "ValueError" in found[1].message


def test_a_dead_worker_is_replaced_and_named(workers):
    found = outcomes(workers, os._exit, [7])
    assert "ended with code 7" in found[0].message
    assert outcomes(workers, abs, [-5, -6]) == {0: 5, 1: 6}


def test_no_room_is_not_tried_again():
    calls = []

    def task(item):
        calls.append(item)
        raise OSError(28, "No space left on device", "out.bin")

    (failure,) = outcomes(SerialExecutor(), task, [0]).values()
    assert isinstance(failure, Failure)
    assert len(calls) == 1
    assert failure.message == "No space left on device (out.bin)"


def test_write_that_numpy_reports_as_cut_short_is_a_full_disk():
    def task(item):
        raise OSError("1048576 requested and 617440 written")

    (failure,) = outcomes(SerialExecutor(), task, [0]).values()
    assert (failure.message, failure.retry) == ("No space left on device", False)


def test_blas_of_workers_has_one_thread(workers):
    assert outcomes(workers, os.getenv, ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]) == {0: "1", 1: "1"}


def test_blas_of_workers_has_one_thread_from_the_start(workers):
    """It reads the variable when numpy is imported, which is before any code of ours runs there."""
    begun_with = outcomes(workers, _read, ["/proc/self/environ"])[0].split("\0")
    assert "OPENBLAS_NUM_THREADS=1" in begun_with


def _read(path):
    return Path(path).read_text()


def test_a_worker_is_started_ahead_and_the_oldest_takes_the_next_part():
    with ProcessExecutor(3) as executor:
        executor.start_ahead()
        (first,) = executor._idle
        pids = [outcomes(executor, _pid, [0])[0] for _ in range(3)]
        assert pids == [first.process.pid] * 3
        assert len(executor._idle) == 2, "one to work and one ahead"


def _pid(_):
    return os.getpid()


def test_as_many_workers_as_asked_for():
    with ProcessExecutor(2) as executor:
        assert len(set(outcomes(executor, _wait_and_tell, [0.2] * 4).values())) == 2
        assert len(executor._idle) == 2


def _wait_and_tell(seconds):
    time.sleep(seconds)
    return os.getpid()


def test_a_worker_started_ahead_knows_what_was_set_since(monkeypatch):
    with ProcessExecutor(1) as executor:
        executor.start_ahead()
        monkeypatch.setenv("ICP_TEST_SET_SINCE", "yes")
        assert outcomes(executor, os.getenv, ["ICP_TEST_SET_SINCE", "OMP_NUM_THREADS"]) == {0: "yes", 1: "1"}


def test_an_interrupt_from_the_terminal_leaves_a_beginning_worker_alone():
    with ProcessExecutor(1) as executor:
        executor.start_ahead()
        (worker,) = executor._idle
        os.kill(worker.process.pid, signal.SIGINT)
        assert outcomes(executor, _pid, [0]) == {0: worker.process.pid}


def test_starting_a_worker_leaves_the_environment_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with ProcessExecutor(1) as executor:
        executor.start_ahead()
        assert os.environ["OMP_NUM_THREADS"] == "7"
        assert "MKL_NUM_THREADS" not in os.environ
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_workers_end_with_their_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from icp.engine.executor import ProcessExecutor\n"
        "if __name__ == '__main__':\n"
        "    executor = ProcessExecutor(2)\n"
        "    list(executor.map(abs, [1, 2, 3, 4]))\n"
        "    print(*[worker.process.pid for worker in executor._idle], flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert pids
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 20
    while any(_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_running(pid) for pid in pids)


def _running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:  # noqa: PTH123
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
