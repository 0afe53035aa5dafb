"""exp, log and their kin on vectors of any length, float32 and float64: one source for all.

Polynomial coefficients are minimax fits (Remez's algorithm in multiple precision), rounded to the
dtype; beside each stands its interval and its largest error. Nothing here relies on a fused
multiply-add for more than the last bit. Errors are stated in the module's tests: exp at most 1.1
units in the last place, all others at most 3.
"""

from __future__ import annotations

from fastnn.kernels.compiling import inlined
from fastnn.kernels.llvm.simd import (
    absolute,
    broadcast,
    by_dtype,
    copysign,
    fma,
    from_bits,
    polynomial,
    select,
    to_bits,
)

_LOG2_E = 1.4426950408889634

# ln 2 in two parts, the first so short that its product with any exponent is exact.
_LN2_HIGH_32, _LN2_LOW_32 = 0.693145751953125, 1.4286068203094173e-06
_LN2_HIGH_64, _LN2_LOW_64 = 0.6931471805598903, 5.497923018708371e-14

# 1.5 * 2**(mantissa bits): added to a number it leaves the nearest whole number in the lowest bits.
# The exponent's bias on top makes those bits the exponent field of a power of two.
_SHIFTER_32, _SHIFTER_64 = 12582912.0 + 127.0, 6755399441055744.0 + 1023.0

# exp(r) - 1 = r + low(r) r**2 + high(r) r**4 (float64: r**6) on |r| <= ln(2) / 2; relative error
# 2**-26.2, 2**-55.6.
_EXP_LOW_32, _EXP_HIGH_32 = (0.5, 0.16666543), (0.04166628, 0.008366584, 0.0013946451)
_EXP_LOW_64 = (0.5000000000000006, 0.16666666666666685, 0.04166666666657362, 0.008333333333314602)
_EXP_HIGH_64 = (
    0.0013888888932379715,
    0.00019841269903009037,
    2.4801504444916253e-05,
    2.7557227973772424e-06,
    2.762632691727211e-07,
    2.5114466705486094e-08,
)

# (2 atanh(s) / s - 2) / s**2 in s**2, on s <= (sqrt 2 - 1) / (sqrt 2 + 1), for logarithms of a
# mantissa; relative error of atanh: 2**-30.2, 2**-59.4.
_LOG_32 = (0.66666776, 0.39977536, 0.29871863)
_LOG_64 = (
    0.6666666666666713,
    0.39999999999524793,
    0.28571428721952313,
    0.22222200402003398,
    0.18183479105175304,
    0.15316042785941616,
    0.1477748645224956,
)

# The same on s <= 1/3, for log(1 + e) with e <= 1; relative error of atanh: 2**-27.7, 2**-54.1.
_LOG1P_32 = (0.6666641, 0.40021706, 0.27999014, 0.2802514)
_LOG1P_64 = (
    0.6666666666667593,
    0.3999999999641774,
    0.2857142902889887,
    0.2222219408247622,
    0.18182786718023763,
    0.15364675140392928,
    0.13583202304064862,
    0.09916725281142506,
    0.17713650917853482,
)


@inlined
def _power_of_two(exponent_bits):
    """The floats whose exponent field is in the lowest bits."""
    return from_bits(exponent_bits << by_dtype(exponent_bits, 23, 52))


@inlined
def _reduce(x, factor):
    """``n, t``: factor * x = n ln 2 + r with a whole n and |r| <= ln(2)/2, and t = exp(r) - 1.

    `n` comes with the shifter added to it: its lowest bits are the exponent field of 2**n.
    """
    shifter = by_dtype(x, _SHIFTER_32, _SHIFTER_64)
    shifted = fma(x, factor * _LOG2_E, shifter)
    n = shifted - shifter
    r = fma(n, -by_dtype(x, _LN2_HIGH_32, _LN2_HIGH_64), factor * x)
    r = fma(n, -by_dtype(x, _LN2_LOW_32, _LN2_LOW_64), r)
    # Two halves of the series, for a short chain of dependent operations.
    r2 = r * r
    r4 = r2 * r2
    low = fma(r2, polynomial(r, by_dtype(x, _EXP_LOW_32, _EXP_LOW_64)), r)
    high = polynomial(r, by_dtype(x, _EXP_HIGH_32, _EXP_HIGH_64))
    return shifted, fma(by_dtype(x, r4, r4 * r2), high, low)


@inlined
def exp(x):
    """Exponential function."""
    largest = by_dtype(x, 89.0, 710.0)
    smallest = by_dtype(x, -105.0, -746.0)
    x = select(x > largest, largest, x)
    x = select(x < smallest, smallest, x)
    shifted, t = _reduce(x, 1.0)
    # 2**n = a b. Where n may be one beyond the largest exponent: a = 2**(n - 1), b = 2; where the
    # result is denormal, or nearly, a = 2**(n + 63), b = 2**-63, so that only the last product rounds.
    tiny = x < by_dtype(x, -85.0, -705.0)
    n = to_bits(shifted)
    a = _power_of_two(n + select(tiny, broadcast(63, n), broadcast(-1, n)))
    b = select(tiny, broadcast(2.0**-63, x), broadcast(2.0, x))
    return fma(a, t, a) * b


@inlined
def expm1(x):
    """exp(x) - 1, without cancellation."""
    limit = by_dtype(x, 89.0, 710.0)
    y = select(x > limit, limit, x)
    y = select(y < -limit, -limit, y)
    shifted, t = _reduce(y, 1.0)
    n = to_bits(shifted)
    large = y > 80.0
    a = _power_of_two(n - select(large, broadcast(1, n), broadcast(0, n)))
    # Below, where 2**n falls out of range, the result has long been -1.
    a = select(y < -80.0, broadcast(0.0, x), a)
    one = select(large, broadcast(0.0, x), broadcast(1.0, x))
    b = select(large, broadcast(2.0, x), broadcast(1.0, x))
    return copysign(fma(a, t, a - one) * b, x)


@inlined
def tanh(x):
    """Hyperbolic tangent, ``e / (e + 2)`` with e = exp(2 |x|) - 1."""
    limit = by_dtype(x, 10.0, 22.0)
    y = absolute(x)
    y = select(y > limit, limit, y)
    shifted, t = _reduce(y, 2.0)
    a = _power_of_two(to_bits(shifted))
    e = fma(a, t, a - 1.0)
    return copysign(e / (e + 2.0), x)


@inlined
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    # Towards the left the reciprocal becomes denormal, and then its denominator too large:
    # numerator and denominator are scaled there. Towards the right the limit is reached early.
    right, left, far_left = by_dtype(x, 80.0, 700.0), by_dtype(x, -105.0, -746.0), by_dtype(x, -85.0, -705.0)
    y = select(x > right, right, x)
    y = select(y < left, left, y)
    shifted, t = _reduce(y, -1.0)
    one = select(x < far_left, broadcast(2.0**-64, x), broadcast(1.0, x))
    n = to_bits(shifted)
    p = _power_of_two(n - select(x < far_left, broadcast(64, n), broadcast(0, n)))
    return one / fma(p, t, p + one)


@inlined
def softplus(x):
    """log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|))."""
    e = exp(-absolute(x))
    return select(x < 0.0, broadcast(0.0, x), x) + _log_of(e, by_dtype(x, _LOG1P_32, _LOG1P_64))


@inlined
def _log_of(f, coefficients):
    """log(1 + f) as f - f**2/2 + ..., through 2 atanh(s), s = f / (2 + f)."""
    s = f / (f + 2.0)
    half_square = 0.5 * f * f
    z = s * s
    return f - (half_square - s * fma(z, polynomial(z, coefficients), half_square))


@inlined
def _split(x):
    """``k, m, h``: x = 2**k m for a positive normal x, sqrt(1/2) <= m < sqrt(2); and h = 2**-k."""
    bits = to_bits(x)
    shift = by_dtype(x, 23, 52)
    bias = by_dtype(x, 126, 1022)
    # Less the mantissa of sqrt(1/2), the exponent field is that of a number from sqrt(1/2) on.
    biased = (bits - by_dtype(x, 0x3504F3, 0x6A09E667F3BCD)) >> shift
    # The bits of 2**mantissa with a small number in the lowest ones are their sum.
    whole = by_dtype(x, 8388608.0, 4503599627370496.0)
    k = from_bits(to_bits(broadcast(whole, x)) | biased) - (whole + bias)
    return k, from_bits(bits - ((biased - bias) << shift)), _power_of_two(2 * bias + 1 - biased)


@inlined
def _join(k, f):
    """k ln 2 + log(1 + f)."""
    s = f / (f + 2.0)
    half_square = 0.5 * f * f
    z = s * s
    series = s * fma(z, polynomial(z, by_dtype(f, _LOG_32, _LOG_64)), half_square)
    rest = half_square - fma(k, by_dtype(f, _LN2_LOW_32, _LN2_LOW_64), series)
    return fma(k, by_dtype(f, _LN2_HIGH_32, _LN2_HIGH_64), f - rest)


@inlined
def _logarithm_ends(x, result):
    """`result` where `x` is positive and finite; inf at inf, -inf at zero, NaN below and at NaN."""
    infinity = float("inf")
    result = select(x < infinity, result, x)
    result = select(x == 0.0, broadcast(-infinity, x), result)
    return select(x < 0.0, broadcast(float("nan"), x), result)


@inlined
def log(x):
    """Natural logarithm."""
    denormal = x < by_dtype(x, 1.1754943508222875e-38, 2.2250738585072014e-308)
    k, m, _ = _split(select(denormal, x * 2.0**64, x))
    k = k - select(denormal, broadcast(64.0, x), broadcast(0.0, x))
    return _logarithm_ends(x, _join(k, m - 1.0))


@inlined
def log1p(x):
    """log(1 + x), also where x vanishes beside 1."""
    u = x + 1.0
    k, m, h = _split(u)
    # What the sum lost (Knuth's two-sum), in the scale of m; nothing where x is large.
    v = u - 1.0
    lost = (1.0 - (u - v)) + (x - v)
    lost = select(x < by_dtype(x, 2.0**40, 2.0**60), lost * h, broadcast(0.0, x))
    result = _join(k, (m - 1.0) + lost)
    return copysign(_logarithm_ends(u, result), x)
