"""Sums and maxima across the lanes, in an order that is written here, so that their bits are fixed."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.simd.build import INT32, permute, shuffle
from fastnn.kernels.simd.types import Vector


@intrinsic
def first(typingctx, x):
    """The number in the first lane."""
    return x.dtype(x), lambda context, builder, sig, args: _first(builder, args[0])


def _first(builder, x):
    return builder.extract_element(x, ir.Constant(INT32, 0))


def _fold(builder, x, n, combine):
    """Combine all lanes pairwise, the first half with the second, and so on."""
    while n > 1:
        half = n // 2
        x = combine(permute(builder, x, list(range(half))), permute(builder, x, list(range(half, n))))
        n = half
    return _first(builder, x)


@intrinsic
def total(typingctx, x):
    """Sum over the lanes."""
    return x.dtype(x), lambda context, builder, sig, args: _fold(builder, args[0], x.lanes, builder.fadd)


@intrinsic
def totals(typingctx, rows, column):
    """`total` of each vector in a column of a tile, side by side: to the same bits, for fewer operations."""
    result = Vector(rows.vector.dtype, rows.rows)

    def codegen(context, builder, sig, args):
        first, step = builder.gep(args[0], [args[1]]), rows.columns
        x = _joined(builder, [builder.load(builder.gep(first, [INT32(i * step)])) for i in range(rows.rows)])
        while x.type.count > rows.rows:
            x = _halved(builder, [x], rows.rows)
        return x

    return result(rows, types.intp), codegen


def _joined(builder, vectors):
    """One vector with a part for each of the vectors, a power of two of them, in order; a part has its vector's sum."""
    if len(vectors) == 1:
        return vectors[0]
    both = [_joined(builder, vectors[::2]), _joined(builder, vectors[1::2])]
    return _halved(builder, both, len(vectors) // 2)


def _halved(builder, vectors, parts):
    """The parts of one vector, or of two in turn, the second half of each added to the first, if it has two lanes."""
    count = vectors[0].type.count
    length, half = count // parts, max(1, count // parts // 2)
    starts = [first + part * length for part in range(parts) for first in (0, count)[: len(vectors)]]
    low = [start + lane for start in starts for lane in range(half)]
    x = shuffle(builder, vectors[0], vectors[-1], low)
    if length > 1:
        x = builder.fadd(x, shuffle(builder, vectors[0], vectors[-1], [lane + half for lane in low]))
    return x


@intrinsic
def total_everywhere(typingctx, x):
    """Sum over the lanes, in every lane; the same as `total`."""

    def codegen(context, builder, sig, args):
        sums, half = args[0], x.lanes // 2
        while half > 0:
            sums = builder.fadd(sums, permute(builder, sums, [lane ^ half for lane in range(x.lanes)]))
            half //= 2
        return sums

    return x(x), codegen


@intrinsic
def largest(typingctx, x):
    """Maximum over the lanes; any of the numbers where one of them is NaN."""

    def codegen(context, builder, sig, args):
        def larger(a, b):
            return builder.select(builder.fcmp_ordered(">", a, b), a, b)

        return _fold(builder, args[0], x.lanes, larger)

    return x.dtype(x), codegen


@intrinsic
def any_lane(typingctx, mask):
    """Whether a mask holds in any lane."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), codegen
