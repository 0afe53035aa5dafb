"""Activations in C99, without branches, so that loops over them are vectorised.

They need no more of the compiler than IEEE arithmetic: it must not be told to reorder sums (``-ffast-math``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Function(NamedTuple):
    """A function's source, and the names of those that it calls."""

    needs: tuple[str, ...]
    source: str


def _horner(x: str, coefficients: tuple[float, ...]) -> str:
    """A polynomial in x, as C."""
    *first, last = [f"R({coefficient!r})" for coefficient in coefficients]
    text = last
    for coefficient in reversed(first):
        text = f"{coefficient} + {x} * ({text})" if text != last else f"{coefficient} + {x} * {text}"
    return text


# ln 2 in two parts, the first so short that its product with any exponent is exact; 1.5 * 2**(mantissa bits) and the
# exponent's bias, which added to a number leaves its nearest whole number in the lowest bits, as an exponent field;
# minimax fits (Remez's algorithm) of exp(r) - 1 = r + low(r) r**2 + high(r) r**4 (double: r**6) on |r| <= ln(2) / 2
# with an error of 2**-26.2 (2**-55.6), and of (e - log(1 + e)) / e**2 on 0 <= e <= 1.
_SINGLE = {
    "MANTISSA": "23",
    "SHIFTER": "R(12583039.0)",
    "LN2_HIGH": "R(0.693145751953125)",
    "LN2_LOW": "R(1.4286068203094173e-06)",
    "LOW": _horner("r", (0.5, 0.16666543)),
    "HIGH": _horner("r", (0.04166628, 0.008366584, 0.0013946451)),
    "POWER": "r4",
    "LOG1P": _horner(
        "e",
        (
            0.4999997,
            -0.3333142,
            0.24967015,
            -0.19735026,
            0.15461633,
            -0.10849945,
            0.059254065,
            -0.021015307,
            0.0034918264,
        ),
    ),
    "EXP_MAX": "R(89.0)",
    "EXP_MIN": "R(-105.0)",
    "EXP_TINY": "R(-85.0)",
    "TANH_MAX": "R(10.0)",
    "SIGMOID_MAX": "R(80.0)",
    "ABS": "fabsf",
    "COPYSIGN": "copysignf",
}
_DOUBLE = {
    "MANTISSA": "52",
    "SHIFTER": "R(6755399441056767.0)",
    "LN2_HIGH": "R(0.6931471805598903)",
    "LN2_LOW": "R(5.497923018708371e-14)",
    "LOW": _horner("r", (0.5000000000000006, 0.16666666666666685, 0.04166666666657362, 0.008333333333314602)),
    "HIGH": _horner(
        "r",
        (
            0.0013888888932379715,
            0.00019841269903009037,
            2.4801504444916253e-05,
            2.7557227973772424e-06,
            2.762632691727211e-07,
            2.5114466705486094e-08,
        ),
    ),
    "POWER": "r4 * r2",
    "LOG1P": _horner(
        "e",
        (
            0.49999999999999944,
            -0.3333333333330119,
            0.24999999996947161,
            -0.1999999987581641,
            0.16666663836808687,
            -0.14285673105372385,
            0.1249958653970625,
            -0.11108098170179924,
            0.09983490952447997,
            -0.09021107177803948,
            0.0810105715820723,
            -0.0707422757519532,
            0.05809150495439752,
            -0.04299895473932283,
            0.027381285520522547,
            -0.014276811116919667,
            0.005762745647033002,
            -0.001671432051143883,
            0.0003077909450967593,
            -2.6902184089689474e-05,
        ),
    ),
    "EXP_MAX": "R(710.0)",
    "EXP_MIN": "R(-746.0)",
    "EXP_TINY": "R(-705.0)",
    "TANH_MAX": "R(22.0)",
    "SIGMOID_MAX": "R(700.0)",
    "ABS": "fabs",
    "COPYSIGN": "copysign",
}
_BOTH = {"LN2": "R(0.6931471805599453)", "LOG2_E": "R(1.4426950408889634)"}


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
        ("bits",), "static inline real leaky_relu_(real z) { return where(z > R(0.0), z, R(0.01) * z); }"
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
    real below = R(1.7580993408473766) * expm1_(where(z > R(0.0), R(0.0), z));
    return where(z > R(0.0), R(1.0507009873554805) * z, below);
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
    real v = y * (R(1.5957691216057308) + y * y * R(0.07135481627260025));
    return where(z < R(-1e4), R(-1e4), z) * sigmoid_(v);
}""",
    ),
    # ------------------------------------------------------------ derivatives at z, where the function has the value h
    "sigmoid_slope": Function((), "static inline real sigmoid_slope(real h) { return h * (R(1.0) - h); }"),
    "tanh_slope": Function((), "static inline real tanh_slope(real h) { return R(1.0) - h * h; }"),
    "relu_slope": Function(("bits",), "static inline real relu_slope(real h) { return where(h > R(0.0), R(1.0), h); }"),
    "leaky_relu_slope": Function(
        ("bits",),
        """\
static inline real leaky_relu_slope(real h)
{
    return where(h > R(0.0), R(1.0), where(h <= R(0.0), R(0.01), h));
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
    return where(h > R(0.0), R(1.0507009873554805), h + R(1.7580993408473766));
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
    real v = y * (R(1.5957691216057308) + y * y * R(0.07135481627260025));
    real s = sigmoid_(v);
    return s + y * s * sigmoid_(-v) * (R(1.5957691216057308) + y * y * R(0.21406444881780073));
}""",
    ),
    "exp_slope": Function((), "static inline real exp_slope(real h) { return h; }"),
    "identity_slope": Function((), ""),
}

#: Activations whose derivative is taken at z; the others' at h.
OF_INPUT = ("silu", "softplus", "gelu_tanh")


def sources(names: Iterable[str], dtype: str) -> str:
    """The functions of these names and all that they call, each before it is needed."""
    chosen: list[str] = []

    def choose(name: str) -> None:
        for needed in _FUNCTIONS[name].needs:
            choose(needed)
        if name not in chosen and _FUNCTIONS[name].source:
            chosen.append(name)

    for name in names:
        choose(name)
    text = "\n\n".join(_FUNCTIONS[name].source for name in chosen)
    for name, value in {**(_SINGLE if dtype == "float32" else _DOUBLE), **_BOTH}.items():
        text = text.replace(f"@{name}@", value)
    return text
