"""Columns of numbers in memory as vectors: read as they lie there, or transposed from rows."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastnn.kernels.jit.options import INLINED
from fastnn.kernels.simd.build import INT32, shuffle
from fastnn.kernels.simd.lanewise import broadcast
from fastnn.kernels.simd.memory import load
from fastnn.kernels.simd.pointers import lanes
from fastnn.kernels.simd.types import Pointer, native_lanes


def chunk_of(dtype: types.Type) -> int:
    """How many columns `turn` takes at once: four, or a register's numbers if it holds fewer."""
    return min(4, native_lanes(dtype))


@intrinsic
def chunks(typingctx, place):
    """The same pointer, but each load takes as many columns as `turn` does."""
    return Pointer(place.dtype, chunk_of(place.dtype))(place), lambda context, builder, sig, args: args[0]


def _end_to_end(builder, vectors, n):
    """Vectors of `n` lanes end to end."""
    while len(vectors) > 1:
        both = list(range(2 * n))
        vectors = [shuffle(builder, x, y, both) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        n *= 2
    return vectors[0]


def _columns(builder, vectors, rows, columns):
    """From vectors that hold `rows` rows of `columns` columns each, a vector of each column."""
    if columns == 1:
        return vectors
    half, result = columns // 2, []
    for first in (0, half):
        places = [r * columns + first + k for r in range(2 * rows) for k in range(half)]
        parts = [shuffle(builder, x, y, places) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        result += _columns(builder, parts, 2 * rows, half)
    return result


@intrinsic
def turn(typingctx, rows, columns):
    """Transpose: from a tile with a row of a few numbers for each lane, a tile with a vector for each number."""
    count, chunk = rows.rows, rows.vector.lanes

    def codegen(context, builder, sig, args):
        def place(tile, i):
            return builder.gep(tile, [ir.Constant(INT32, i)])

        loaded = [builder.load(place(args[0], i)) for i in range(count)]
        together = count // chunk
        joined = [_end_to_end(builder, loaded[i : i + together], chunk) for i in range(0, count, together)]
        for i, column in enumerate(_columns(builder, joined, together, chunk)):
            builder.store(column, place(args[1], i))
        return context.get_dummy_value()

    return types.void(rows, columns), codegen


def column(place, k, like):
    """The k-th vector from a pointer on, or the k-th number in every lane."""


@overload(column, jit_options=INLINED)
def _choose_column(place, k, like):
    if place.lanes == 1:
        return lambda place, k, like: broadcast(place[k], like)
    return lambda place, k, like: load(place + k * lanes(place))
