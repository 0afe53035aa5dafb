"""Rows of numbers in memory, turned into a vector for each column."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.simd.types import Pointer, native_lanes

_INT32 = ir.IntType(32)


def chunk_of(dtype: types.Type) -> int:
    """How many columns `turn` takes at once: four where a register holds as many numbers."""
    return min(4, native_lanes(dtype))


@intrinsic
def chunks(typingctx, place):
    """The same pointer, but each load takes as many columns as `turn` does."""
    return Pointer(place.dtype, chunk_of(place.dtype))(place), lambda context, builder, sig, args: args[0]


def _shuffle(builder, x, y, places):
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_INT32, len(places)), places))


def _join(builder, vectors, n):
    """Vectors of `n` lanes end to end."""
    while len(vectors) > 1:
        both = list(range(2 * n))
        vectors = [_shuffle(builder, x, y, both) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        n *= 2
    return vectors[0]


def _columns(builder, vectors, rows, columns):
    """From vectors that hold as many rows of so many columns each, a vector of each column."""
    if columns == 1:
        return vectors
    half, result = columns // 2, []
    for first in (0, half):
        places = [r * columns + first + k for r in range(2 * rows) for k in range(half)]
        parts = [_shuffle(builder, x, y, places) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        result += _columns(builder, parts, 2 * rows, half)
    return result


@intrinsic
def turn(typingctx, rows, columns):
    """From a tile with a row of a few numbers for each lane, a tile with a vector for each of these numbers."""
    lanes, chunk = rows.rows, rows.vector.lanes

    def codegen(context, builder, sig, args):
        def place(tile, i):
            return builder.gep(tile, [ir.Constant(_INT32, i)])

        loaded = [builder.load(place(args[0], i)) for i in range(lanes)]
        together = lanes // chunk
        joined = [_join(builder, loaded[i : i + together], chunk) for i in range(0, lanes, together)]
        for i, column in enumerate(_columns(builder, joined, together, chunk)):
            builder.store(column, place(args[1], i))
        return context.get_dummy_value()

    return types.void(rows, columns), codegen
