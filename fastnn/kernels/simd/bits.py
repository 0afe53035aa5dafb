"""The bits of floats as integers of the same width."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.simd.types import Vector, llvm_vector

_INTEGERS = {32: types.int32, 64: types.int64}
_FLOATS = {32: types.float32, 64: types.float64}


def _conversion(name, kind, meaning):
    """An operation that reads the bits of one kind of number as those of another."""

    def conversion(typingctx, x):
        result = Vector(kind[x.dtype.bitwidth], x.lanes)
        return result(x), lambda context, builder, sig, args: builder.bitcast(args[0], llvm_vector(result))

    conversion.__name__, conversion.__doc__ = name, meaning
    return intrinsic(conversion)


to_bits = _conversion("to_bits", _INTEGERS, "The bit patterns of floats.")
from_bits = _conversion("from_bits", _FLOATS, "The floats that have these bit patterns.")
