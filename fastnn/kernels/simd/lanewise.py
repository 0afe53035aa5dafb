"""Functions of vectors that work lane by lane, and vectors made of a number."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.simd.build import call_intrinsic, lanewise, splat
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.simd.types import Vector, llvm_vector


@intrinsic
def broadcast(typingctx, number, like):
    """The vector that holds `number` in every lane: as long as a vector, or a load from a pointer, `like`."""
    vector = Vector(like.dtype, like.lanes)
    return vector(vector.dtype, like), lambda context, builder, sig, args: splat(builder, args[0], vector.lanes)


@intrinsic
def as_double(typingctx, x):
    """The same numbers in double precision."""
    double = Vector(types.float64, x.lanes)
    return double(x), lambda context, builder, sig, args: _resized(builder, args[0], x, double)


@intrinsic
def as_numbers_of(typingctx, x, like):
    """The same numbers, or one number in every lane, in the precision of the vector `like`."""
    if not isinstance(getattr(x, "dtype", x), (types.Float, types.Integer)):
        return None

    def codegen(context, builder, sig, args):
        if isinstance(x, Vector):
            return _resized(builder, args[0], x, like)
        return splat(builder, context.cast(builder, args[0], x, like.dtype), like.lanes)

    return like(x, like), codegen


def _resized(builder, value, given, wanted):
    widths = given.dtype.bitwidth, wanted.dtype.bitwidth
    if widths[0] == widths[1]:
        return value
    return (builder.fpext if widths[0] < widths[1] else builder.fptrunc)(value, llvm_vector(wanted))


@intrinsic
def select(typingctx, mask, x, y):
    """`x` where the mask holds, `y` elsewhere."""
    vector = x if isinstance(x, Vector) else y
    return vector(mask, vector, vector), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def fma(typingctx, x, y, z):
    """``x * y + z``, with one rounding where the processor can (LLVM's fmuladd)."""
    vector = next(arg for arg in (x, y, z) if isinstance(arg, Vector))
    return vector(vector, vector, vector), lanewise("fmuladd")


@intrinsic
def copysign(typingctx, x, sign):
    """The magnitude of `x` with the sign of `sign`."""
    return x(x, x), lanewise("copysign")


def _function(name, llvm_name, meaning):
    """An operation that takes a vector to another of its type, and has a name in LLVM."""

    def function(typingctx, x):
        return x(x), lanewise(llvm_name)

    function.__name__, function.__doc__ = name, meaning
    return intrinsic(function)


sqrt = _function("sqrt", "sqrt", "Square root.")
absolute = _function("absolute", "fabs", "Absolute value.")
library_sin = _function("library_sin", "sin", "Sine, by the system's library, a lane at a time.")
library_cos = _function("library_cos", "cos", "Cosine, as `library_sin`.")


@intrinsic(prefer_literal=True)
def whole_power(typingctx, x, exponent):
    """`x` to the power of a whole number, a literal, by squaring."""
    if not isinstance(exponent, types.IntegerLiteral):
        return None

    def codegen(context, builder, sig, args):
        one, square, left = splat(builder, ir.Constant(args[0].type.element, 1.0), x.lanes), args[0], abs(n)
        power = one
        while left:
            if left & 1:
                power = square if power is one else builder.fmul(power, square)
            square, left = builder.fmul(square, square), left >> 1
        return builder.fdiv(one, power) if n < 0 else power

    n = exponent.literal_value
    return x(x, exponent), codegen


# ---------------------------------------------------------------- polynomials
@intrinsic
def by_dtype(typingctx, x, single, double):
    """The value for numbers of the width of `x`: `single` for 32 bits, `double` for 64; chosen at compile time."""
    position = 1 if x.dtype.bitwidth == 32 else 2
    chosen = (x, single, double)[position]
    return chosen(x, single, double), lambda context, builder, sig, args: args[position]


@intrinsic
def polynomial(typingctx, x, coefficients):
    """``c[0] + c[1] x + c[2] x**2 + ...``; `coefficients` a tuple of floats.

    Either term by term (Horner's scheme), or neighbours in pairs, then the pairs in x**2, and so on (Estrin's), which
    shortens the chain of dependent operations to the logarithm of the degree, but keeps more numbers alive. For three
    terms both chains are of equal length, and Horner's scheme needs no square.
    """

    def codegen(context, builder, sig, args):
        power, numbers = args[0], cgutils.unpack_tuple(builder, args[1])
        terms = [
            splat(builder, context.cast(builder, number, dtype, x.dtype), x.lanes)
            for number, dtype in zip(numbers, sig.args[1], strict=True)
        ]
        while len(terms) > 3 and not REGISTER_FILE.horner:
            pairs = [
                call_intrinsic(builder, "fmuladd", x, power.type, [high, power, low])
                for low, high in zip(terms[::2], terms[1::2], strict=False)
            ]
            terms = pairs + terms[len(pairs) * 2 :]
            power = builder.fmul(power, power)
        while len(terms) > 1:
            low, high = terms[-2:]
            terms[-2:] = [call_intrinsic(builder, "fmuladd", x, power.type, [high, power, low])]
        return terms[0]

    return x(x, coefficients), codegen
