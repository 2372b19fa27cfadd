"""Single instructions and short runs of them that numba has no word for, written in LLVM's.

In: contiguous arrays, numbers. Out: numbers, of the same bits on any machine. Nothing is checked.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from icp.kernels._jit import kernel

_NUMBER = ir.IntType(64)


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
        row, word = ir.VectorType(ir.FloatType(), LANES), ir.IntType(32)
        kinds = list(zip(signature.args, args, strict=True))
        arrays = [context.make_array(kind)(context, builder, arg) for kind, arg in kinds]
        data = [(array.data, kind.dtype == types.uint16) for array, (kind, _) in zip(arrays, kinds, strict=True)]
        size = builder.extract_value(arrays[0].shape, 0)
        whole = builder.and_(size, ir.Constant(_NUMBER, -LANES))

        def add_row(at, sums):
            return builder.fadd(sums, builder.fmul(*(_load(builder, each, at, LANES) for each in data)))

        def add_one(at, sums):
            product = builder.fmul(*(_load(builder, each, at, 0) for each in data))
            lane = builder.trunc(builder.sub(at, whole), word)
            return builder.insert_element(sums, builder.fadd(builder.extract_element(sums, lane), product), lane)

        sums = _loop(builder, (ir.Constant(_NUMBER, 0), whole, LANES), ir.Constant(row, [0.0] * LANES), add_row)
        sums = _loop(builder, (whole, size, 1), sums, add_one)
        width = LANES
        while width > 1:
            width //= 2
            masks = ([ir.Constant(word, first + lane) for lane in range(width)] for first in (0, width))
            halves = [builder.shuffle_vector(sums, sums, ir.Constant(ir.VectorType(word, width), m)) for m in masks]
            sums = builder.fadd(*halves)
        return builder.extract_element(sums, ir.Constant(word, 0))

    return types.float32(left, right), codegen


def _load(builder, source, at, width):
    """`width` numbers of a row from `at` on as float32, or one if that is 0; `source`: where, whether float16."""
    data, half = source
    kind, wanted = (ir.HalfType() if half else ir.FloatType()), ir.FloatType()
    if width:
        kind, wanted = ir.VectorType(kind, width), ir.VectorType(wanted, width)
    value = builder.load(builder.bitcast(builder.gep(data, [at]), kind.as_pointer()))
    value.align = 2 if half else 4  # a row may begin anywhere: no wider alignment is promised
    return builder.fpext(value, wanted) if half else value


def _loop(builder, span, sums, advance):
    """``for at in range(*span): sums = advance(at, sums)``."""
    start, stop, step = span
    before, body, after = builder.block, builder.append_basic_block("sum"), builder.append_basic_block("sum.end")
    builder.cbranch(builder.icmp_signed("<", start, stop), body, after)
    builder.position_at_end(body)
    at, running = builder.phi(_NUMBER), builder.phi(sums.type)
    added = advance(at, running)
    following = builder.add(at, ir.Constant(_NUMBER, step))
    for phi, first, later in ((at, start, following), (running, sums, added)):
        phi.add_incoming(first, before)
        phi.add_incoming(later, body)
    builder.cbranch(builder.icmp_signed("<", following, stop), body, after)
    builder.position_at_end(after)
    total = builder.phi(sums.type)
    total.add_incoming(sums, before)
    total.add_incoming(added, body)
    return total


@kernel
def dot_lanes(left, right):
    """Dot product of two contiguous rows of one length, the same bits on any machine: unchecked.

    Args: (dim,) float32 each, or uint16, the bits of float16.
    """
    return _dot_lanes(left, right)


CACHE_LINE = 64  # bytes; where lines are longer, each is asked for more than once, which costs little


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
