"""One writer a run, whatever others left in the place of the lock."""

import errno
import json
import multiprocessing
import os
import socket
import time

import pytest

from icp.errors import ArtifactError, ConfigError
from icp.run import lock, records
from icp.run.lock import RunLock

DEAD = {"host": socket.gethostname(), "pid": 2**22 - 7, "started": "1", "command": "run"}


def hold(run, number, start, results):
    alive = lock.is_alive

    def slow(holder):
        found = alive(holder)
        time.sleep(0.01 * (number % 3))  # as a busy machine does, between looking and breaking
        return found

    lock.is_alive = slow
    start.wait()
    try:
        with RunLock(run, f"command {number}"):
            results.put((time.monotonic(), +1))
            time.sleep(0.02)
            results.put((time.monotonic(), -1))
    except ConfigError:
        results.put((time.monotonic(), 0))


def test_of_many_that_find_a_dead_holder_one_at_a_time_holds_the_run(tmp_path):
    context = multiprocessing.get_context("fork")
    for attempt in range(8):
        run = tmp_path / str(attempt)
        run.mkdir()
        (run / ".lock").write_text(json.dumps(DEAD))
        start, results = context.Event(), context.Queue()
        processes = [context.Process(target=hold, args=(run, number, start, results)) for number in range(4)]
        for process in processes:
            process.start()
        start.set()
        for process in processes:
            process.join(60)
        seen = []
        while not results.empty():
            seen.append(results.get())
        held = [change for _, change in sorted(seen) if change]
        assert held
        assert all(sum(held[:k]) in (0, 1) for k in range(len(held) + 1)), f"two at once: {held}"
        assert not (run / ".lock").exists()


@pytest.mark.parametrize(("kind", "word"), [("link", "link"), ("pipe", "pipe"), ("folder", "folder")])
def test_a_lock_that_is_no_file_is_named(tmp_path, kind, word):
    path = tmp_path / ".lock"
    {"link": lambda: path.symlink_to("/nowhere/at/all"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    with (
        pytest.raises(ArtifactError, match=rf"\.lock: is a {word}, no lock of icp; remove it"),
        RunLock(tmp_path, "run"),
    ):
        pass


def test_a_file_system_without_hard_links_is_named_and_nothing_stays(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(source), None, str(target))

    monkeypatch.setattr(records.os, "link", refuse)
    with pytest.raises(ArtifactError, match="knows no hard links"), RunLock(tmp_path, "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_somebody_else_is_left_where_it_is(tmp_path):
    theirs = {"host": "elsewhere", "pid": 1, "started": "1", "command": "run"}
    with RunLock(tmp_path, "run"):
        (tmp_path / ".lock").unlink()  # a user who was sure that nobody held it
        records.write_json(tmp_path / ".lock", theirs)
    assert json.loads((tmp_path / ".lock").read_text()) == theirs


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"pid": 1}', bytes(99), b"[" * 10_000])
def test_a_damaged_lock_is_named_and_stays(tmp_path, data):
    (tmp_path / ".lock").write_bytes(data)
    with pytest.raises(ArtifactError, match=r"\.lock: says nobody who holds the run"), RunLock(tmp_path, "run"):
        pass
    assert (tmp_path / ".lock").read_bytes() == data
