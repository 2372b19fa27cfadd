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
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
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


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` at its first call, without the GIL, and keep the code in `CACHE_FOLDER`."""
    function.__code__ = function.__code__.replace(co_filename=_source(function.__module__))
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE_FOLDER)
    try:
        return numba.njit(nogil=True, cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before


def bare_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` for a function called from inside loops that makes no array and returns none.

    It does not count references to the arrays it takes out of tuples: that would cost more than the small work done on
    them, and threads would wait for one another at the counters.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE_FOLDER)
    try:
        return numba.njit(nogil=True, cache=True, _nrt=False)(function)
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


LANES = 64
"""Interleaved partial sums of `dot_lanes`: wide enough for any vector unit, so no sum needs reordering."""


@intrinsic
def _dot_lanes(typingctx, left, right):
    """See `dot_lanes`.

    Lane i sums the products of positions i, i + 64, ... in rising order; then the upper half of the lanes is added to
    the lower until one is left. No product is fused with its sum. Numbers of two bytes are float16 and made float32,
    exactly.
    """

    def codegen(context, builder, signature, args):
        row, number, word = ir.VectorType(ir.FloatType(), LANES), ir.IntType(64), ir.IntType(32)
        is_half = [kind.dtype == types.uint16 for kind in signature.args]

        def load(array, half, at, width):
            """`width` numbers from `at` on as float32, or one if that is 0."""
            kind, wanted = (ir.HalfType() if half else ir.FloatType()), ir.FloatType()
            if width:
                kind, wanted = ir.VectorType(kind, width), ir.VectorType(wanted, width)
            value = builder.load(builder.bitcast(builder.gep(array.data, [at]), kind.as_pointer()))
            value.align = 2 if half else 4
            return builder.fpext(value, wanted) if half else value

        arrays = [
            context.make_array(kind)(context, builder, arg) for kind, arg in zip(signature.args, args, strict=True)
        ]
        size = builder.extract_value(arrays[0].shape, 0)
        whole = builder.and_(size, ir.Constant(number, -LANES))

        def loop(name, start, stop, step, sums, advance):
            """``for at in range(start, stop, step): sums = advance(at, sums)``."""
            before, body, after = builder.block, *(builder.append_basic_block(name + part) for part in ("", ".end"))
            builder.cbranch(builder.icmp_signed("<", start, stop), body, after)
            builder.position_at_end(body)
            at, running = builder.phi(number), builder.phi(sums.type)
            added = advance(at, running)
            following = builder.add(at, ir.Constant(number, step))
            for phi, first, later in ((at, start, following), (running, sums, added)):
                phi.add_incoming(first, before)
                phi.add_incoming(later, body)
            builder.cbranch(builder.icmp_signed("<", following, stop), body, after)
            builder.position_at_end(after)
            total = builder.phi(sums.type)
            total.add_incoming(sums, before)
            total.add_incoming(added, body)
            return total

        def add_row(at, sums):
            loads = [load(array, half, at, LANES) for array, half in zip(arrays, is_half, strict=True)]
            return builder.fadd(sums, builder.fmul(*loads))

        def add_one(at, sums):
            loads = [load(array, half, at, 0) for array, half in zip(arrays, is_half, strict=True)]
            product = builder.fmul(*loads)
            lane = builder.trunc(builder.sub(at, whole), word)
            return builder.insert_element(sums, builder.fadd(builder.extract_element(sums, lane), product), lane)

        sums = loop("rows", ir.Constant(number, 0), whole, LANES, ir.Constant(row, [0.0] * LANES), add_row)
        sums = loop("rest", whole, size, 1, sums, add_one)
        width = LANES
        while width > 1:
            width //= 2
            masks = ([ir.Constant(word, first + lane) for lane in range(width)] for first in (0, width))
            halves = [builder.shuffle_vector(sums, sums, ir.Constant(ir.VectorType(word, width), m)) for m in masks]
            sums = builder.fadd(*halves)
        return builder.extract_element(sums, ir.Constant(word, 0))

    return types.float32(left, right), codegen


@kernel
def dot_lanes(left, right):
    """Dot product of two contiguous rows of one length, the same bits on any machine: unchecked.

    Args: (dim,) float32 each, or uint16, the bits of float16.
    """
    return _dot_lanes(left, right)


CACHE_LINE = 64


@intrinsic
def _prefetch(typingctx, row):
    """See `prefetch`."""

    def codegen(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        byte, word, number = ir.IntType(8), ir.IntType(32), ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word, word, word])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        start = builder.bitcast(array.data, byte.as_pointer())
        size = builder.mul(builder.extract_value(array.shape, 0), array.itemsize)
        options = [ir.Constant(word, value) for value in (0, 3, 1)]  # to read, into all caches, data
        with cgutils.for_range_slice(builder, ir.Constant(number, 0), size, ir.Constant(number, CACHE_LINE)) as (at, _):
            builder.call(fetch, [builder.gep(start, [at]), *options])
        return context.get_dummy_value()

    return types.void(row), codegen


@kernel
def prefetch(row):
    """Have a contiguous row come into the cache while other work is done."""
    _prefetch(row)


@intrinsic
def _at_least(typingctx, row, start, least):
    """See `at_least`."""

    def codegen(context, builder, signature, args):
        lanes = ir.VectorType(ir.FloatType(), LANES)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        at = builder.gep(data, [context.cast(builder, args[1], signature.args[1], types.int64)])
        values = builder.load(builder.bitcast(at, lanes.as_pointer()))
        values.align = 4
        least = builder.insert_element(ir.Constant(lanes, ir.Undefined), args[2], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.bitcast(
            builder.fcmp_ordered(">=", values, builder.shuffle_vector(least, least, zeros)), ir.IntType(LANES)
        )

    return types.uint64(row, start, types.float32), codegen


@kernel
def at_least(row, start, least):
    """Which of the `LANES` numbers of a contiguous float32 row from `start` on are at least `least`: one bit each."""
    return _at_least(row, start, least)


@intrinsic
def _lowest_bit(typingctx, bits):
    """See `lowest_bit`."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


@kernel
def lowest_bit(bits):
    """The position of the lowest bit that is set in a uint64, which is not 0."""
    return _lowest_bit(np.uint64(bits))
