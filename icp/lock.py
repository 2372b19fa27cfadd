"""One writer a run: the lock file names its holder, and a dead holder's lock is broken."""

import json
import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icp.artifacts import TEMPORARY, write_json
from icp.errors import ArtifactError, ConfigError


class RunLock:
    """One writer a run: ``RUN/.lock`` names its holder; the lock of a dead holder on this host is broken."""

    def __init__(self, run: Path, command: str) -> None:
        self.path = run / ".lock"
        self._me = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _start_time(os.getpid()),
            "command": command,
        }

    def __enter__(self) -> "RunLock":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while not write_json(self.path, self._me, replace=False):
                self.check()
        except OSError as error:
            raise ArtifactError(
                f"{self.path.parent}: the run folder cannot be written ({error.strerror}); "
                "give another folder with --set run=FOLDER or make room there"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """Break the lock of a dead holder; raises ConfigError while a living one holds it."""
        holder = self.holder(self.path)
        if holder is None:
            return
        if holder.get("host") != self._me["host"] or is_alive(holder):
            raise ConfigError(
                f"{self.path.parent}: in use by process {holder.get('pid')} on {holder.get('host')} "
                f"({holder.get('command')}); wait for it, or remove {self.path} if that process is gone"
            )
        stale = self.path.with_name(f"{TEMPORARY}lock-{uuid.uuid4().hex}")
        try:
            self.path.rename(stale)
        except FileNotFoundError:
            return
        stale.unlink()

    @staticmethod
    def holder(path: Path) -> dict[str, Any] | None:
        """Who holds the lock at `path`; None if nobody does."""
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            tree = {}
        return tree if isinstance(tree, dict) else {}


def _start_time(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_alive(holder: Mapping[str, Any]) -> bool:
    """Whether the process named in a lock of this machine still runs, and is the same one."""
    pid = holder.get("pid")
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not holder.get("started") or _start_time(pid) in ("", holder["started"])
