"""The machine a part is done on: its name, its libraries, and how much memory this process took."""

import logging
import platform
import resource
import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("icp", "numpy", "numba", "pyarrow", "faiss-cpu", "faiss-gpu", "tokenizers", "datasketch", "xxhash")
log = logging.getLogger("icp")


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


def peak_mib() -> float:
    """The most memory this process held since `forget_peak`."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        log.debug("no /proc: the peak of memory is that of the whole process")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
