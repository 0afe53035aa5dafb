"""Elementary functions of a vector of any length, float32 or float64, from one source.

Largest errors in units in the last place, with a fused multiply-add and without: exp 1.1; log and
log1p 1.5; sin and cos 2.4; expm1 2.3; softplus 2.5; sigmoid 2.95; tanh 2.9. Infinities, NaN, signed zeros and
denormal numbers give what the mathematics says. The coefficients are those of
`fastnn.kernels.functions.coefficients`.
"""

from __future__ import annotations

from fastnn.kernels.functions.coefficients import (
    EXP_32,
    EXP_64,
    HALF_TANH_P,
    HALF_TANH_Q_32,
    HALF_TANH_Q_64,
    LN2,
    LN2_HIGH_32,
    LN2_HIGH_64,
    LN2_LOW_32,
    LN2_LOW_64,
    LN2_REST_32,
    LN2_REST_64,
    LOG1P_32,
    LOG1P_64,
    LOG2_E,
    LOG_32,
    LOG_64,
    ONE_BY_PI,
    PI_32,
    PI_64,
    SHIFTER_32,
    SHIFTER_64,
    SIN_32,
    SIN_64,
    TANH_P,
    TANH_Q_32,
    TANH_Q_64,
    TURNS_32,
    TURNS_64,
)
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.simd import (
    absolute,
    any_lane,
    broadcast,
    by_dtype,
    copysign,
    fma,
    from_bits,
    library_cos,
    library_sin,
    polynomial,
    select,
    to_bits,
)
from fastnn.kernels.simd.registers import FUSES

_INFINITY, _NAN = float("inf"), float("nan")


@inlined
def _reduce(x):
    """``k, r``: ``exp(x) = 2**n exp(r)``, |r| <= ln(2) / 2; the lowest bits of k are the exponent of 2**n."""
    shifter = by_dtype(x, SHIFTER_32, SHIFTER_64)
    shifted = fma(x, LOG2_E, shifter)
    n = shifted - shifter
    r = fma(n, -by_dtype(x, LN2_HIGH_32, LN2_HIGH_64), x)
    return to_bits(shifted), fma(n, -by_dtype(x, LN2_LOW_32, LN2_LOW_64), r)


@inlined
def _series(r):
    """``exp(r) - 1`` for a reduced argument."""
    return fma(r * r, polynomial(r, by_dtype(r, EXP_32, EXP_64)), r)


@inlined
def _fraction(r, p, q):
    """``r + r**3 p(r**2)`` and ``q(r**2)``, with no p in float32.

    Coefficients of tanh(r / 2) make it ``exp(r) = (q + p) / (q - p)``: half the operations of `_series`, for
    functions that end in a division.
    """
    u = r * r
    return by_dtype(r, r, fma(r * u, polynomial(u, p), r)), polynomial(u, q)


@inlined
def exp(x):
    """Exponential function."""
    largest, smallest, tiny = by_dtype(x, (89.0, -105.0, -85.0), (710.0, -746.0, -705.0))
    x = select(x > largest, largest, x)
    x = select(x < smallest, smallest, x)
    k, r = _reduce(x)
    # 2**n = a b. Where n may be one beyond the largest exponent: a = 2**(n - 1), b = 2. Where the
    # result is denormal, or nearly: a = 2**(n + 63), b = 2**-63, so that only the last product rounds.
    a = from_bits((k + select(x < tiny, broadcast(63, k), -1)) << by_dtype(x, 23, 52))
    b = select(x < tiny, broadcast(2.0**-63, x), 2.0)
    return fma(a, _series(r), a) * b


@inlined
def expm1(x):
    """exp(x) - 1, without cancellation."""
    largest = by_dtype(x, 89.0, 710.0)
    y = select(x > largest, largest, x)
    y = select(y < -80.0, -80.0, y)
    k, r = _reduce(y)
    # 2**n = a b, as in `exp`; the one is lost beside the largest results.
    large = y > 80.0
    a = from_bits((k - select(large, broadcast(1, k), 0)) << by_dtype(x, 23, 52))
    one, b = select(large, broadcast(0.0, x), 1.0), select(large, broadcast(2.0, x), 1.0)
    return copysign(fma(a, _series(r), a - one) * b, x)


@inlined
def tanh(x):
    """Hyperbolic tangent: ``(e - 1) / (e + 1)``, with e = exp(2 x)."""
    if not FUSES:  # all products in what follows would be rounded, too
        t = expm1(-2.0 * absolute(x))
        return copysign(t / (t + 2.0), x)
    largest = by_dtype(x, 10.0, 22.0)
    y = select(x > largest, largest, x)
    y = select(y < -largest, -largest, y)
    # As `_reduce`, of 2 x and halved, but ln 2 to one rounding will do: an error of e matters less, the larger e is.
    shifter = by_dtype(x, SHIFTER_32, SHIFTER_64)
    shifted = fma(y, 2.0 * LOG2_E, shifter)
    r = fma(shifted - shifter, -0.5 * LN2, y)
    p, q = _fraction(r, TANH_P, by_dtype(x, TANH_Q_32, TANH_Q_64))
    a = from_bits(to_bits(shifted) << by_dtype(x, 23, 52))
    less, more = 1.0 - a, a + 1.0  # 1 - a, not a - 1, beside which -0 would lose its sign
    return fma(less, -q, more * p) / fma(more, q, -less * p)


@inlined
def sigmoid(x):
    """``1 / (1 + exp(-x))``."""
    largest, smallest = by_dtype(x, (20.0, -105.0), (40.0, -746.0))
    y = select(x > largest, largest, x)
    y = select(y < smallest, smallest, y)
    if FUSES:  # ln 2 to one rounding: 2**n, for which nothing waits, makes up for the rest
        shifter = by_dtype(x, SHIFTER_32, SHIFTER_64)
        shifted = fma(y, -LOG2_E, shifter)
        n = shifted - shifter
        k, r, rest = to_bits(shifted), fma(n, -LN2, -y), n * -by_dtype(x, LN2_REST_32, LN2_REST_64)
    else:  # the product with ln 2 would be rounded, too
        k, r = _reduce(-y)
        rest = broadcast(0.0, x)
    p, q = _fraction(r, HALF_TANH_P, by_dtype(x, HALF_TANH_Q_32, HALF_TANH_Q_64))
    # Both parts of the fraction are scaled by 2**-64, as 2**n alone overflows where the result is denormal.
    a = from_bits((k - 64) << by_dtype(x, 23, 52))
    a = fma(a, rest, a)
    less = from_bits(to_bits(q - p) - by_dtype(x, 64 << 23, 64 << 52))
    return less / fma(a, q + p, less)


@inlined
def softplus(x):
    """log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|))."""
    return select(x < 0.0, 0.0, x) + log1p_of_fraction(exp(-absolute(x)))


@inlined
def log1p_of_fraction(e):
    """``log(1 + e)``, with e in [0, 1]."""
    return fma(-e * e, polynomial(e, by_dtype(e, LOG1P_32, LOG1P_64)), e)


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
    return k, from_bits(bits - ((biased - bias) << shift)), from_bits((2 * bias + 1 - biased) << shift)


@inlined
def _join(k, f):
    """The sum ``k ln 2 + log(1 + f)``."""
    s = f / (f + 2.0)
    half_square = 0.5 * f * f
    z = s * s
    series = s * fma(z, polynomial(z, by_dtype(f, LOG_32, LOG_64)), half_square)
    rest = half_square - fma(k, by_dtype(f, LN2_LOW_32, LN2_LOW_64), series)
    return fma(k, by_dtype(f, LN2_HIGH_32, LN2_HIGH_64), f - rest)


@inlined
def _logarithm_ends(x, result):
    """`result` where `x` is positive and finite; inf at inf, -inf at zero, NaN below and at NaN."""
    result = select(x < _INFINITY, result, x)
    result = select(x == 0.0, -_INFINITY, result)
    return select(x < 0.0, _NAN, result)


@inlined
def log(x):
    """Natural logarithm."""
    denormal = x < by_dtype(x, 1.1754943508222875e-38, 2.2250738585072014e-308)
    k, m, _ = _split(select(denormal, x * 2.0**64, x))
    k = k - select(denormal, broadcast(64.0, x), 0.0)
    return _logarithm_ends(x, _join(k, m - 1.0))


@inlined
def log1p(x):
    """log(1 + x), also where x vanishes beside 1."""
    u = x + 1.0
    k, m, h = _split(u)
    # What the sum lost (Knuth's two-sum), in the scale of m; nothing where x is large.
    v = u - 1.0
    lost = (1.0 - (u - v)) + (x - v)
    lost = select(x < by_dtype(x, 2.0**40, 2.0**60), lost * h, 0.0)
    result = _join(k, (m - 1.0) + lost)
    return copysign(_logarithm_ends(u, result), x)


@inlined
def _half_turns(x, offset):
    """``s, r``: ``x = (n + offset) pi + r``, |r| <= pi / 2, for a whole n; s is 1 where that is even, -1 where odd."""
    shifter = by_dtype(x, 12582912.0, 6755399441055744.0)  # 1.5 * 2**(mantissa bits)
    shifted = fma(x, ONE_BY_PI, broadcast(-offset, x)) + shifter
    n = (shifted - shifter) + offset
    first, second, third, fourth = by_dtype(x, PI_32, PI_64)
    r = fma(n, -fourth, fma(n, -third, fma(n, -second, fma(n, -first, x))))
    return from_bits((to_bits(shifted) << by_dtype(x, 31, 63)) | to_bits(broadcast(1.0, x))), r


@inlined
def _sin_series(r):
    """``sin(r)`` for |r| <= pi / 2."""
    u = r * r
    return fma(r * u, polynomial(u, by_dtype(r, SIN_32, SIN_64)), r)


@inlined
def sin(x):
    """Sine; the system's own where |x| is beyond `TURNS_32` or `TURNS_64`."""
    s, r = _half_turns(x, 0.0)
    result = select(x == 0.0, x, _sin_series(s * r))  # the series would lose the sign of -0
    far = ~(absolute(x) <= by_dtype(x, TURNS_32, TURNS_64))
    if any_lane(far):
        result = select(far, library_sin(x), result)
    return result


@inlined
def cos(x):
    """Cosine, as ``sin(x + pi / 2)``; the system's own where `sin` is."""
    s, r = _half_turns(x, 0.5)
    result = _sin_series(-s * r)
    far = ~(absolute(x) <= by_dtype(x, TURNS_32, TURNS_64))
    if any_lane(far):
        result = select(far, library_cos(x), result)
    return result
