"""Division in less time than the processor's own, where it has an instruction that estimates reciprocals."""

from __future__ import annotations

import math

from llvmlite import ir
from numba.extending import intrinsic

from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.simd.build import call_intrinsic, permute, shuffle, splat
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.simd.types import native_lanes


@intrinsic
def quotient(typingctx, x, y):
    """``x / y``, wrong by up to 1.5 units in the last place; y is normal or infinite, and so is 1 / y or zero."""

    def codegen(context, builder, sig, args):
        numerator, denominator = args
        if not REGISTER_FILE.estimates_reciprocals or y.lanes % native_lanes(y.dtype) != 0:
            return builder.fdiv(numerator, denominator)
        number, minus = denominator.type, builder.fneg(denominator)
        one, infinity = (splat(builder, ir.Constant(number.element, value), y.lanes) for value in (1.0, math.inf))
        inverse = _estimate(builder, denominator, y)
        for _ in range(y.dtype.bitwidth // 32):  # Newton's step doubles the bits that are right
            error = call_intrinsic(builder, "fmuladd", y, number, [minus, inverse, one])
            inverse = call_intrinsic(builder, "fmuladd", y, number, [inverse, error, inverse])
        # beside infinity the error is infinity times zero
        is_infinite = builder.fcmp_ordered("==", denominator, infinity)
        return builder.fmul(numerator, builder.select(is_infinite, ir.Constant(number, None), inverse))

    return x(x, x), codegen


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
