"""Division in less time than the processor's own, where it has an instruction that estimates reciprocals."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.simd.build import call_intrinsic, permute, shuffle, splat
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.simd.types import native_lanes


@intrinsic
def quotient(typingctx, x, y):
    """``x / y``, wrong by up to 1.5 units in the last place.

    y is positive, and normal like its reciprocal; or infinite, or NaN.
    """

    def codegen(context, builder, sig, args):
        numerator, denominator = args
        if not REGISTER_FILE.estimates_reciprocals or y.lanes % native_lanes(y.dtype) != 0:
            return builder.fdiv(numerator, denominator)
        one = splat(builder, ir.Constant(denominator.type.element, 1.0), y.lanes)
        minus = builder.fneg(_bounded(builder, denominator, y))
        inverse = _estimate(builder, denominator, y)
        for _ in range(y.dtype.bitwidth // 32):  # a step of Newton's method doubles the bits that are right
            error = call_intrinsic(builder, "fmuladd", y, one.type, [minus, inverse, one])
            inverse = call_intrinsic(builder, "fmuladd", y, one.type, [inverse, error, inverse])
        return builder.fmul(numerator, inverse)

    return x(x, x), codegen


def _bounded(builder, value, vector):
    """Positive numbers, with the largest finite one for infinity, which times its reciprocal would be NaN.

    They are compared as integers, which keeps the units that multiply free.
    """
    bits = ir.VectorType(ir.IntType(vector.dtype.bitwidth), vector.lanes)
    number = ir.Constant(value.type.element, float(np.finfo(str(vector.dtype)).max))
    largest, given = (builder.bitcast(each, bits) for each in (splat(builder, number, vector.lanes), value))
    return builder.bitcast(builder.select(builder.icmp_signed("<", given, largest), given, largest), value.type)


def _estimate(builder, value, vector):
    """``1 / value`` to 14 bits, by AVX-512's instruction, a register at a time."""
    width, name = native_lanes(vector.dtype), "ps" if vector.dtype.bitwidth == 32 else "pd"
    register, mask = ir.VectorType(value.type.element, width), ir.IntType(width)
    signature = ir.FunctionType(register, [register, register, mask])
    estimate = cgutils.get_or_insert_function(builder.module, signature, f"llvm.x86.avx512.rcp14.{name}.512")
    parts = [permute(builder, value, list(range(i, i + width))) for i in range(0, vector.lanes, width)]
    parts = [builder.call(estimate, [part, part, ir.Constant(mask, -1)]) for part in parts]
    while len(parts) > 1:
        lanes = list(range(2 * parts[0].type.count))
        parts = [shuffle(builder, low, high, lanes) for low, high in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]
