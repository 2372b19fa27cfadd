"""One writer a run: the lock file names its holder, and a dead holder's lock is broken."""

import errno
import fcntl
import json
import logging
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from icp.errors import ArtifactError, ConfigError, PartsFailedError
from icp.run.names import LOCK
from icp.run.records import write_json
from icp.run.storage import Mirror, StagedPath, address_of

TRIES = 1000
"""How often a lock that somebody else leaves and a third one takes is waited for."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What may be otherwise a moment later, so that the same command goes on."""
log = logging.getLogger("icp")


class RunLock:
    """One writer a run: ``RUN/.lock`` names its holder; the lock of a dead holder on this host is broken."""

    def __init__(self, run: Path, command: str) -> None:
        self.path = run / LOCK
        self._run = address_of(run)
        self._me = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _start_time(os.getpid()),
            "command": command,
        }

    def __enter__(self) -> "RunLock":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(TRIES):
                if self._take():
                    return self
                self.check()
        except OSError as error:
            kind = PartsFailedError if error.errno in NO_ROOM else ArtifactError
            raise kind(
                f"{self.path.parent}: the run folder cannot be written ({error.strerror}); "
                "give another folder with --set run=FOLDER or make room there"
            ) from None
        raise ArtifactError(f"{self._run}/.lock: others take and leave it without end; run the same command again")

    def __exit__(self, *_: object) -> None:
        self._release()

    def check(self) -> None:
        """Break the lock of a dead holder; raises ConfigError while a living one holds it.

        Raises: ArtifactError for a lock that is no file.
        """
        with self._one_at_a_time():  # who breaks a lock must see that nobody has taken it in the meantime
            self._check()

    def _check(self) -> None:
        holder = self._read()
        if holder is None:
            return
        if "host" not in holder or "pid" not in holder:
            raise ArtifactError(
                f"{self._run}/{LOCK}: says nobody who holds the run: it is damaged; remove it if no command is at work"
            )
        if holder.get("host") != self._me["host"] or is_alive(holder):
            raise ConfigError(
                f"{self._run}: in use by process {holder.get('pid')} on {holder.get('host')} "
                f"({holder.get('command')}); wait for it, or remove {self._run}/{LOCK} if that process is gone"
            )
        self._break()

    def _take(self) -> bool:
        return write_json(self.path, self._me, replace=False)

    def _read(self) -> dict[str, Any] | None:
        return self.holder(self.path)

    def _release(self) -> None:
        if self._read() == self._me:  # somebody may have removed it, and another taken it
            self.path.unlink(missing_ok=True)

    def _break(self) -> None:
        self.path.unlink(missing_ok=True)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Hold a lock of the system on the run's folder; the system lets go of it when its holder dies."""
        if not self.path.parent.is_dir():
            yield
            return
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems know no such locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    @staticmethod
    def holder(path: Path) -> dict[str, Any] | None:
        """Who holds the lock at `path`; None if nobody does."""
        try:
            kind = path.lstat().st_mode
            if not stat.S_ISREG(kind):
                raise ArtifactError(f"{path}: is a {_kind(kind)}, no lock of icp; remove it")
            return _holder(path.read_bytes())
        except FileNotFoundError:
            return None


class RemoteLock(RunLock):
    """The lock of a run on a server: whose conditional put is first holds it."""

    def __init__(self, run: Path, command: str, mirror: Mirror) -> None:
        super().__init__(run, command)
        self._server = mirror.server
        self._data = json.dumps(self._me, sort_keys=True).encode()

    def _take(self) -> bool:
        if not self._server.create(self.path.name, self._data) and self._server.read(self.path.name) != self._data:
            return False
        if self._server.create(self.path.name, self._data):
            self._release()
            raise ConfigError(
                f"{self._run}: this server overwrites where it is asked not to (no conditional put), so that two "
                "attempts of one task could mix their files; use one that keeps to If-None-Match"
            )
        return True

    def _read(self) -> dict[str, Any] | None:
        data = self._server.read(self.path.name)
        return None if data is None else _holder(data)

    def _release(self) -> None:
        try:
            if self._server.read(self.path.name) == self._data:
                self._server.remove([self.path.name])
        except ArtifactError as error:  # what ended the command is told, not this
            log.warning("%s; remove %s/%s before the next command", error, self._run, LOCK)

    def _break(self) -> None:
        self._server.remove([self.path.name])


def lock_of(run: Path, command: str) -> RunLock:
    """The lock of a run, wherever it lies."""
    mirror = run.mirror if isinstance(run, StagedPath) else None
    return RunLock(run, command) if mirror is None else RemoteLock(run, command, mirror)


def _holder(data: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        tree = {}
    return tree if isinstance(tree, dict) else {}


def _kind(mode: int) -> str:
    names = ((stat.S_ISLNK, "link"), (stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"))
    return next((name for test, name in names if test(mode)), "device")


def _start_time(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_alive(holder: Mapping[str, Any]) -> bool:
    """Whether the process named in a lock of this machine still runs, and is the same one."""
    pid = holder.get("pid")
    if type(pid) is not int or not 0 < pid < 2**31:  # of a damaged lock: to the system 0 and less are groups
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not holder.get("started") or _start_time(pid) in ("", holder["started"])
