"""The project's one use of numba's compiler: `kernel` compiles without the GIL and caches on disk.

The cache lies in a folder keyed by what changes the machine code: the version of icp, the bytes of ``kernels/*.py``
(numba does not notice a changed callee), numba, and the CPU. It is set while a function is decorated, not by an
environment variable, so users' own kernels are left alone.
"""

import atexit
import contextlib
import glob
import hashlib
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding as llvm
import numba

INHERITED = "ICP_KERNELS"
"""Environment variable by which a process tells those it starts of a folder of its own."""
APART = "ICP_KERNELS_APART"
"""Environment variable of a process that leaves what it compiles in a folder of its own, for `take_compiled`."""
ROOM_BYTES = 64 << 20
"""What all compiled kernels need, and some more."""
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
    """A folder that nobody else can write, since what lies there runs as the user's code.

    Raises: OSError if there is room nowhere.
    """
    objections = []
    for base in _bases():
        folder = base / _key()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            objection = _objection(base, folder)
        except OSError as error:
            objection = f"{base} cannot be written ({error.strerror})"
        if not objection:
            break
        objections.append(objection)
    else:
        folder = _new_folder(objections)
    if objections:
        warnings.warn(f"{objections[0]}; compiled kernels go to {folder}", stacklevel=2)
    return folder


def _bases() -> Iterator[Path]:
    """Where compiled kernels may be kept: with the parent process, in the user's cache, among temporary files."""
    if os.environ.get(INHERITED):
        yield Path(os.environ[INHERITED])
    with contextlib.suppress(RuntimeError):  # a user without a name or a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "icp" / "kernels"
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir()) / f"icp-kernels-{os.getuid()}"


def _objection(base: Path, folder: Path) -> str:
    """Why a folder cannot be trusted, or not be written; empty if it can."""
    for place, writers in ((base, stat.S_IWOTH), (folder, stat.S_IWOTH | stat.S_IWGRP)):
        info = place.lstat() if place == folder else place.stat()
        if not stat.S_ISDIR(info.st_mode):
            return f"{place} is no folder"
        if info.st_uid != os.getuid():
            return f"{place} belongs to another user, whose code would run as yours"
        if info.st_mode & writers:
            return f"{place} can be written by others, whose code would run as yours"
    with tempfile.TemporaryFile(dir=folder):
        pass
    if shutil.disk_usage(folder).free < ROOM_BYTES and not (folder / "complete").exists():
        return f"{folder} has less than {ROOM_BYTES >> 20} MiB of room"
    return ""


def _new_folder(objections: list[str]) -> Path:
    """A folder for this process and those that it starts; it goes with this process."""
    try:
        base = Path(tempfile.mkdtemp(prefix="icp-kernels-"))
        folder = base / _key()
        folder.mkdir(mode=0o700)
    except OSError as error:
        reason = f"{error.strerror}; compiled kernels can be kept nowhere, {'; '.join(objections)}"
        raise OSError(error.errno, reason, tempfile.gettempdir()) from None
    os.environ[INHERITED] = str(base)
    atexit.register(shutil.rmtree, base, ignore_errors=True)
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
    numba.config.CACHE_DIR = os.environ.get(APART) or str(CACHE_FOLDER)
    try:
        compiled: Any = numba.njit(nogil=True, cache=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = before
    compiled._cache.save_overload = _saving(compiled._cache.save_overload)
    return compiled  # type: ignore[no-any-return]


def _saving(save: Callable[..., None]) -> Callable[..., None]:
    """A kernel that cannot be kept, on a full disk for one, is compiled all the same."""

    def save_if_it_can_be(signature: Any, data: Any) -> None:
        try:
            save(signature, data)
        except OSError as error:
            warnings.warn(f"{CACHE_FOLDER}: compiled kernels cannot be kept ({error.strerror})", stacklevel=2)

    return save_if_it_can_be


def take_compiled(apart: Path) -> None:
    """Take kernels that another process compiled into `CACHE_FOLDER`, but for those that are there in any form.

    A kernel's index names its files of code by numbers: indices of two processes cannot be joined.
    """
    for index in sorted(apart.rglob("*.nbi")):
        folder = CACHE_FOLDER / index.parent.relative_to(apart)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / index.name).exists():
            for code in sorted(index.parent.glob(f"{glob.escape(index.stem)}.*.nbc")):
                code.replace(folder / code.name)
            index.replace(folder / index.name)
