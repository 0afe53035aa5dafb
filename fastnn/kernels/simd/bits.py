"""The bits of floats as integers of the same width, and whole numbers from one to the other."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.simd.types import Vector, llvm_vector

_INTEGERS = {32: types.int32, 64: types.int64}
_FLOATS = {32: types.float32, 64: types.float64}


def _conversion(name, kind, method, meaning):
    """An operation that makes numbers of one width another `kind`, by the builder's `method`."""

    def conversion(typingctx, x):
        result = Vector(kind[x.dtype.bitwidth], x.lanes)
        return result(x), lambda context, builder, sig, args: getattr(builder, method)(args[0], llvm_vector(result))

    conversion.__name__, conversion.__doc__ = name, meaning
    return intrinsic(conversion)


to_bits = _conversion("to_bits", _INTEGERS, "bitcast", "The bit patterns of floats.")
from_bits = _conversion("from_bits", _FLOATS, "bitcast", "The floats that have these bit patterns.")
to_integer = _conversion("to_integer", _INTEGERS, "fptosi", "Floats that are whole numbers within range, as integers.")
to_float = _conversion("to_float", _FLOATS, "sitofp", "Integers as floats.")
