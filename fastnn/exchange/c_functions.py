"""Activations in C99, without branches, so that loops over them are vectorised.

They need no more of the compiler than IEEE arithmetic: it must not be told to reorder sums (``-ffast-math``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from fastnn.kernels.functions import coefficients
from fastnn.settings.constants import GELU_FACTOR, GELU_FACTOR_CUBIC, LEAKY_SLOPE, SELU_SCALE, SELU_SCALE_ALPHA


class Function(NamedTuple):
    """A function's source, and the names of those that it calls."""

    needs: tuple[str, ...]
    source: str


def _horner(x: str, series: tuple[float, ...]) -> str:
    """A polynomial in x, by its coefficients, as C."""
    *first, last = [f"R({coefficient!r})" for coefficient in series]
    text = last
    for coefficient in reversed(first):
        text = f"{coefficient} + {x} * ({text})" if text != last else f"{coefficient} + {x} * {text}"
    return text


def _numbers(width: int, terms: int) -> dict[str, str]:
    """What the functions take of `coefficients`, for floats of `width` bits: exp's series is split after some terms."""

    def of(name: str) -> Any:
        return getattr(coefficients, f"{name}_{width}")

    return {
        "SHIFTER": f"R({of('SHIFTER')!r})",
        "LN2_HIGH": f"R({of('LN2_HIGH')!r})",
        "LN2_LOW": f"R({of('LN2_LOW')!r})",
        "LOW": _horner("r", of("EXP")[:terms]),
        "HIGH": _horner("r", of("EXP")[terms:]),
        "LOG1P": _horner("e", of("LOG1P")),
    }


# exp(r) - 1 = r + low(r) r**2 + high(r) r**4 (double: r**6)
_SINGLE = {
    **_numbers(32, 2),
    "MANTISSA": "23",
    "POWER": "r4",
    "EXP_MAX": "R(89.0)",
    "EXP_MIN": "R(-105.0)",
    "EXP_TINY": "R(-85.0)",
    "TANH_MAX": "R(10.0)",
    "SIGMOID_MAX": "R(80.0)",
    "ABS": "fabsf",
    "COPYSIGN": "copysignf",
    "SIN": "sinf",
    "COS": "cosf",
}
_DOUBLE = {
    **_numbers(64, 4),
    "MANTISSA": "52",
    "POWER": "r4 * r2",
    "EXP_MAX": "R(710.0)",
    "EXP_MIN": "R(-746.0)",
    "EXP_TINY": "R(-705.0)",
    "TANH_MAX": "R(22.0)",
    "SIGMOID_MAX": "R(700.0)",
    "ABS": "fabs",
    "COPYSIGN": "copysign",
    "SIN": "sin",
    "COS": "cos",
}
_BOTH = {
    "LN2": f"R({coefficients.LN2!r})",
    "LOG2_E": f"R({coefficients.LOG2_E!r})",
    "LEAKY_SLOPE": f"R({LEAKY_SLOPE!r})",
    "SELU_SCALE": f"R({SELU_SCALE!r})",
    "SELU_SCALE_ALPHA": f"R({SELU_SCALE_ALPHA!r})",
    "GELU_FACTOR": f"R({GELU_FACTOR!r})",
    "GELU_FACTOR_CUBIC": f"R({GELU_FACTOR_CUBIC!r})",
    "THREE_GELU_FACTOR_CUBIC": f"R({3 * GELU_FACTOR_CUBIC!r})",
}


_FUNCTIONS: dict[str, Function] = {
    "bits": Function(
        (),
        """\
/* The bits of a number, and back. */
typedef union { real number; word bits; } both;

static inline word to_bits(real x) { both b; b.number = x; return b.bits; }
static inline real from_bits(word k) { both b; b.bits = k; return b.number; }

/* x where the condition is 1, y where it is 0, without a branch, which would keep loops from being vectorised. */
static inline real where(word condition, real x, real y)
{
    word mask = (word)0 - condition;
    return from_bits((to_bits(x) & mask) | (to_bits(y) & ~mask));
}""",
    ),
    "series": Function(
        ("bits",),
        """\
/* A number is rounded by adding a large one and taking it off again, which reordered or wider sums would undo. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(_M_FP_FAST)
#error "must be compiled without -ffast-math and its like, which reorder sums"
#elif defined(__clang__) && __FLT_EVAL_METHOD__ == 2
#error "must be compiled with -msse2 for this processor, whose other arithmetic keeps more digits than the type has"
#elif defined(__GNUC__) && __FLT_EVAL_METHOD__ == 2 && !defined(__STRICT_ANSI__)
#error "must be compiled with -std=c99 for this processor, which otherwise keeps more digits than the type has"
#endif

/* exp(high - low) - 1 for a difference of at most ln(2) / 2, low but a correction. */
static inline real series(real high, real low)
{
    real r = high - low, r2 = r * r, r4 = r2 * r2;
    real small = r2 * (@LOW@) - low;
    real rest = @HIGH@;
    return high + (@POWER@ * rest + small);
}""",
    ),
    "exp": Function(
        ("series",),
        """\
/* exp(x) = 2**n (1 + t); the lowest bits of shifted are the exponent field of 2**n. */
static inline real exp_(real x)
{
    x = where(x > @EXP_MAX@, @EXP_MAX@, x);
    x = where(x < @EXP_MIN@, @EXP_MIN@, x);
    real shifted = x * @LOG2_E@ + @SHIFTER@, n = shifted - @SHIFTER@;
    real t = series(x - n * @LN2_HIGH@, n * @LN2_LOW@);
    /* 2**n = a b, so that neither overflows and a denormal result is rounded once. */
    word tiny = x < @EXP_TINY@;
    real a = from_bits((to_bits(shifted) - 1 + (tiny << 6)) << @MANTISSA@);
    real b = where(tiny, R(0x1p-63), R(2.0));
    return (a * t + a) * b;
}""",
    ),
    "expm1": Function(
        ("series",),
        """\
/* exp(x) - 1, without cancellation; x is at most 0. */
static inline real expm1_(real x)
{
    real y = where(x < R(-80.0), R(-80.0), x);
    real shifted = y * @LOG2_E@ + @SHIFTER@, n = shifted - @SHIFTER@;
    real t = series(y - n * @LN2_HIGH@, n * @LN2_LOW@);
    real a = from_bits(to_bits(shifted) << @MANTISSA@);
    return a * t + (a - R(1.0));
}""",
    ),
    "tanh": Function(
        ("series",),
        """\
/* e / (e + 2) of |x|, with e = exp(2 |x|) - 1. */
static inline real tanh_(real x)
{
    real y = @ABS@(x);
    y = where(y > @TANH_MAX@, @TANH_MAX@, y);
    real shifted = y * (R(2.0) * @LOG2_E@) + @SHIFTER@;
    real t = series((y + y) - (shifted - @SHIFTER@) * @LN2@, R(0.0));
    real a = from_bits(to_bits(shifted) << @MANTISSA@);
    real e = a * t + (a - R(1.0));
    return @COPYSIGN@(e / (e + R(2.0)), x);
}""",
    ),
    "sigmoid": Function(
        ("series",),
        """\
/* 1 / (1 + exp(-x)); where exp(-x) might overflow, both are scaled. */
static inline real sigmoid_(real x)
{
    real y = where(x > @SIGMOID_MAX@, @SIGMOID_MAX@, x);
    y = where(y < @EXP_MIN@, @EXP_MIN@, y);
    real shifted = y * -@LOG2_E@ + @SHIFTER@, n = shifted - @SHIFTER@;
    real t = series(-y - n * @LN2_HIGH@, n * @LN2_LOW@);
    word tiny = x < @EXP_TINY@;
    real one = where(tiny, R(0x1p-64), R(1.0));
    real a = from_bits((to_bits(shifted) - (tiny << 6)) << @MANTISSA@);
    return one / (a * t + (a + one));
}""",
    ),
    "softplus": Function(
        ("exp",),
        """\
/* log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)) */
static inline real softplus_(real z)
{
    real e = exp_(-@ABS@(z));
    real log1p_e = e - (e * e) * (@LOG1P@);
    return where(z < R(0.0), R(0.0), z) + log1p_e;
}""",
    ),
    "relu": Function(("bits",), "static inline real relu_(real z) { return where(z < R(0.0), R(0.0), z); }"),
    "leaky_relu": Function(
        ("bits",), "static inline real leaky_relu_(real z) { return where(z > R(0.0), z, @LEAKY_SLOPE@ * z); }"
    ),
    "elu": Function(
        ("expm1",),
        """\
static inline real elu_(real z)
{
    real below = expm1_(where(z > R(0.0), R(0.0), z));
    return where(z > R(0.0), z, below);
}""",
    ),
    "selu": Function(
        ("expm1",),
        """\
static inline real selu_(real z)
{
    real below = @SELU_SCALE_ALPHA@ * expm1_(where(z > R(0.0), R(0.0), z));
    return where(z > R(0.0), @SELU_SCALE@ * z, below);
}""",
    ),
    "silu": Function(
        ("sigmoid",),
        """\
static inline real silu_(real z) { return where(z < R(-1e4), R(-1e4), z) * sigmoid_(z); }""",
    ),
    "gelu_tanh": Function(
        ("sigmoid",),
        """\
/* z (1 + tanh(u)) / 2 = z sigmoid(2 u) with u = sqrt(2 / pi) (z + 0.044715 z**3) */
static inline real gelu_tanh_(real z)
{
    real y = where(z < R(-100.0), R(-100.0), where(z > R(100.0), R(100.0), z));
    real v = y * (@GELU_FACTOR@ + y * y * @GELU_FACTOR_CUBIC@);
    return where(z < R(-1e4), R(-1e4), z) * sigmoid_(v);
}""",
    ),
    "sin": Function((), "static inline real sin_(real z) { return @SIN@(z); }"),
    # ------------------------------------------------------------ derivatives at z, where the function has the value h
    "sigmoid_slope": Function((), "static inline real sigmoid_slope(real h) { return h * (R(1.0) - h); }"),
    "tanh_slope": Function((), "static inline real tanh_slope(real h) { return R(1.0) - h * h; }"),
    "relu_slope": Function(("bits",), "static inline real relu_slope(real h) { return where(h > R(0.0), R(1.0), h); }"),
    "leaky_relu_slope": Function(
        ("bits",),
        """\
static inline real leaky_relu_slope(real h)
{
    return where(h > R(0.0), R(1.0), where(h <= R(0.0), @LEAKY_SLOPE@, h));
}""",
    ),
    "elu_slope": Function(
        ("bits",), "static inline real elu_slope(real h) { return where(h > R(0.0), R(1.0), h + R(1.0)); }"
    ),
    "selu_slope": Function(
        ("bits",),
        """\
static inline real selu_slope(real h)
{
    return where(h > R(0.0), @SELU_SCALE@, h + @SELU_SCALE_ALPHA@);
}""",
    ),
    "silu_slope": Function(
        ("sigmoid",),
        """\
static inline real silu_slope(real z)
{
    real y = where(z < R(-1e4), R(-1e4), where(z > R(1e4), R(1e4), z));
    real s = sigmoid_(y);
    return s + y * s * sigmoid_(-y);
}""",
    ),
    "softplus_slope": Function(("sigmoid",), "static inline real softplus_slope(real z) { return sigmoid_(z); }"),
    "gelu_tanh_slope": Function(
        ("sigmoid",),
        """\
static inline real gelu_tanh_slope(real z)
{
    real y = where(z < R(-100.0), R(-100.0), where(z > R(100.0), R(100.0), z));
    real v = y * (@GELU_FACTOR@ + y * y * @GELU_FACTOR_CUBIC@);
    real s = sigmoid_(v);
    return s + y * s * sigmoid_(-v) * (@GELU_FACTOR@ + y * y * @THREE_GELU_FACTOR_CUBIC@);
}""",
    ),
    "exp_slope": Function((), "static inline real exp_slope(real h) { return h; }"),
    "sin_slope": Function((), "static inline real sin_slope(real z) { return @COS@(z); }"),
}

#: Activations whose derivative is taken at z; the others' at h.
OF_INPUT = ("silu", "softplus", "gelu_tanh", "sin")


def sources(names: Iterable[str], dtype: str) -> str:
    """The functions of these names and all that they call, each before it is needed."""
    chosen: list[str] = []

    def choose(name: str) -> None:
        for needed in _FUNCTIONS[name].needs:
            choose(needed)
        if name not in chosen:
            chosen.append(name)

    for name in names:
        choose(name)
    text = "\n\n".join(_FUNCTIONS[name].source for name in chosen)
    for name, value in {**(_SINGLE if dtype == "float32" else _DOUBLE), **_BOTH}.items():
        text = text.replace(f"@{name}@", value)
    return text
