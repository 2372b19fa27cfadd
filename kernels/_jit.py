"""The project's one use of numba's compiler: `kernel` compiles without the GIL and caches on disk.

The cache lies in a folder keyed by what changes the machine code: the version of icp, the bytes of ``kernels/*.py``
(numba does not notice a changed callee), numba, and the CPU. It is set while a function is decorated, not by an
environment variable, so users' own kernels are left alone.
"""

import contextlib
import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding as llvm
import numba

Function = TypeVar("Function", bound=Callable[..., Any])
"""A kernel has the signature of the function that it compiles, for those who check types too."""


def _key() -> str:
    sources = sorted(files("icp.kernels").iterdir(), key=lambda entry: entry.name)
    digest = hashlib.sha256()
    for entry in sources:
        if entry.name.endswith(".py"):
            digest.update(entry.name.encode() + b"\0" + entry.read_bytes() + b"\0")
    digest.update(f"{numba.__version__} {llvm.get_host_cpu_name()}".encode())
    digest.update(llvm.get_host_cpu_features().flatten().encode())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "icp" / "kernels" / _key()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        folder = Path(tempfile.gettempdir()) / f"icp-kernels-{os.getuid()}" / _key()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        warnings.warn(f"{home} cannot be written ({error.strerror}); compiled kernels go to {folder}", stacklevel=2)
        return folder


CACHE_FOLDER = _cache_folder()


@lru_cache
def _source(module: str) -> str:
    """A copy of a kernel module's source in `CACHE_FOLDER`.

    numba keys its cache by the path of the source: that of the copy is the same for every installation of this code,
    in a zip or in a folder that is unpacked anew for every job too.
    """
    path = CACHE_FOLDER / "source" / f"{module.rpartition('.')[2]}.py"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent) as stream:
            stream.write((files("icp.kernels") / path.name).read_bytes())
            stream.flush()
            with contextlib.suppress(FileExistsError):
                os.link(stream.name, path)
    return str(path)


def kernel(function: Function) -> Function:
    """Compile `function` at its first call, without the GIL, and keep the code in `CACHE_FOLDER`."""
    return _compiled(function)


def bare_kernel(function: Function) -> Function:
    """`kernel` for a function called from inside loops that makes no array and returns none.

    It does not count references to the arrays it takes out of tuples: that would cost more than the small work done on
    them, and threads would wait for one another at the counters.
    """
    return _compiled(function, _nrt=False)


def _compiled(function: Callable[..., Any], **options: bool) -> Callable[..., Any]:
    function.__code__ = function.__code__.replace(co_filename=_source(function.__module__))
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE_FOLDER)
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = before
