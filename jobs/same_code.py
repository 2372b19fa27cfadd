"""Which code a machine has: a task must run there as it would on the machine that sends it."""

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from icp.machine import library_versions

FREE = ("python", "machine")
"""What may differ: Spark itself compares Python's versions, and clusters may be of several kinds."""


@lru_cache(maxsize=1)
def code_here() -> dict[str, str]:
    """Hash of icp's own source, and the versions of the libraries that its bytes may depend on."""
    digest = hashlib.sha256()
    for package in ("icp", "icp.kernels", "icp.jobs"):
        _add(files(package), package, digest)
    versions = {name: found for name, found in library_versions().items() if name not in FREE}
    return {**versions, "source": digest.hexdigest()[:16]}


def code_differences(wanted: dict[str, str]) -> str:
    """How the code of this machine differs from what is wanted, as a phrase; empty if it does not."""
    here = code_here()
    names = [name for name in wanted if name != "source" and here.get(name) != wanted[name]]
    if names:
        return "; ".join(f"{name} {here.get(name, 'missing')}, not {wanted[name]}" for name in names)
    return "" if here["source"] == wanted["source"] else "another state of icp's source"


def _add(folder: Any, name: str, digest: Any) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        inner = f"{name}/{entry.name}"
        if entry.name.endswith(".py"):
            digest.update(inner.encode() + b"\0" + entry.read_bytes() + b"\0")
        elif entry.is_dir() and entry.name not in ("__pycache__", "kernels", "jobs", "configs"):
            _add(entry, inner, digest)
