"""The machine at hand: its processor, cores, memory, room on disk; and where rates measured on it are kept."""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icp import __version__


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run can use: cores, bytes of memory, bytes free where the run is to lie (None: not known)."""

    cores: int
    memory: int | None
    disk: int | None


def this_machine(run: str) -> Machine:
    """This one; room is that of the nearest folder above the run that is there."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        memory = None
    folder = Path(run).absolute()
    while not folder.exists():
        folder = folder.parent
    disk = None if "://" in run else shutil.disk_usage(folder).free
    return Machine(len(os.sched_getaffinity(0)), memory, disk)


def processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def rates_path(settings: Mapping[str, Any]) -> Path:
    """Where rates for these settings, this version and this processor are kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = json.dumps([__version__, processor(), dict(settings)], sort_keys=True)
    return home / "icp" / "rates" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
