"""The machine a part is done on: its name, its libraries, and how much memory this process took."""

import logging
import os
import platform
import resource
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "icp",
    "numpy",
    "numba",
    "pyarrow",
    "faiss-cpu",
    "faiss-gpu",
    "tokenizers",
    "gigatoken",
    "datasketch",
    "xxhash",
)
log = logging.getLogger("icp")


def open_files(*, raised: bool = False) -> tuple[int, int]:
    """How many files this process may hold open, and how many it may raise that to; `raised`: raise it first.

    Processes that are started afterwards have the same limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if raised and soft != hard:
        with suppress(ValueError, OSError):  # some systems have a limit beyond which they refuse
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def host_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def library_versions() -> dict[str, str]:
    """What the bytes may depend on besides configuration and input: recorded in every manifest."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def forget_peak() -> None:
    """Start the kernel's high-water mark of this process anew, where it lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        log.debug("the peak of memory is that of the whole process")


def resident_bytes() -> int:
    """The memory that this process holds now, mapped files among it; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def peak_mib() -> float:
    """The most memory this process held since `forget_peak`."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        log.debug("no /proc: the peak of memory is that of the whole process")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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


WORKER = "ICP_WORKER"
"""Environment variable of a worker process: its number, from 0; no two that live at once share one."""
