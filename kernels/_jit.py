"""The project's one use of numba's compiler: `kernel` compiles without the GIL and caches on disk.

The cache lies in a folder keyed by what changes the machine code: the version of icp, the bytes of ``kernels/*.py``
(numba does not notice a changed callee), numba, and the CPU. It is set while a function is decorated, not by an
environment variable, so users' own kernels are left alone.
"""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


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


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` at its first call, without the GIL, and keep the code in `CACHE_FOLDER`."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE_FOLDER)
    try:
        return numba.njit(nogil=True, cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before


@intrinsic
def load64(typingctx, array, index):
    """Eight bytes of a uint8 array from `index` on as one little-endian uint64, unaligned and unchecked."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        at = builder.gep(data, [context.cast(builder, args[1], signature.args[1], types.int64)])
        value = builder.load(builder.bitcast(at, ir.IntType(64).as_pointer()))
        value.align = 1
        return value

    return types.uint64(array, index), codegen
