"""The activations of the kernels, and their derivatives, against the reference in a longer dtype."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from fastnn.kernels.functions.activations import activate, derivative
from fastnn.kernels.functions.curvatures import second_derivative, third_derivative
from fastnn.kernels.simd import lanes, load_first, pointer, store_first, with_lanes
from fastnn.kernels.simd.registers import FUSES
from fastnn.reference import activations as reference
from fastnn.reference import curvatures
from fastnn.settings.catalogue import ACTIVATIONS

LONG = np.longdouble
DTYPES = (np.float32, np.float64)
NAMES = tuple(name for name, row in ACTIVATIONS.items() if row.elementwise)
CURVED = tuple(name for name in NAMES if ACTIVATIONS[name].derivatives >= 2)

# Largest error of the function, in units of eps max(|f|, |z| eps).
FUNCTION_ERROR = {
    "identity": 0.0,
    "sigmoid": 2.0,
    "tanh": 2.0,
    "relu": 0.0,
    "leaky_relu": 1.0,
    "elu": 1.5,
    "selu": 3.0,
    "silu": 3.0,
    "softplus": 2.0,
    "gelu_tanh": 40.0,
    "exp": 1.0,
    "sin": 2.0,
}

# Largest error of the derivative at the given z and h, in units of eps `derivative_scale`.
DERIVATIVE_ERROR = {
    "identity": 0.0,
    "sigmoid": 1.5,
    "tanh": 0.5 if FUSES else 1.0,
    "relu": 0.0,
    "leaky_relu": 0.5,
    "elu": 0.5,
    "selu": 1.5,
    "silu": 3.0,
    "softplus": 1.5,
    "gelu_tanh": 60.0,
    "exp": 0.0,
    "sin": 2.0,
}


def derivative_scale(name, z, h, d):
    """What the error of a derivative d is measured against."""
    if name in ("silu", "gelu_tanh"):  # a sum whose first term is h / z, and which vanishes somewhere
        first_term = np.abs(h / np.where(z == 0, 1, z))
        return np.maximum(np.maximum(np.abs(d), first_term), np.abs(z) * np.finfo(z.dtype).eps)
    if name == "selu":  # the sum of h and a number that must be rounded
        return np.maximum(np.abs(d), np.abs(h))
    return np.abs(d)


def exact_derivative(name, z, h):
    if name == "tanh":  # the reference's 1 - h**2 rounds too much, even in long double
        return (1 - h) * (1 + h)
    return reference.DERIVATIVES[name](z, h)


needs_long_double = pytest.mark.skipif(np.finfo(LONG).nmant <= 52, reason="long double is double here")


@cache
def loop(name, count=None):
    """``run(z, h, d, d2, d3)``: function and derivatives of z, in vectors of `count` lanes, by default native ones."""
    code = ACTIVATIONS[name].code

    @njit(error_model="numpy")
    def run(z, h, d, d2, d3):
        z_0, h_0, d_0, d2_0, d3_0 = pointer(z, 0), pointer(h, 0), pointer(d, 0), pointer(d2, 0), pointer(d3, 0)
        if count is not None:
            z_0, h_0 = with_lanes(z_0, count), with_lanes(h_0, count)
            d_0, d2_0, d3_0 = with_lanes(d_0, count), with_lanes(d2_0, count), with_lanes(d3_0, count)
        for i in range(0, z.size, lanes(z_0)):
            left = z.size - i
            z_i = load_first(z_0 + i, left)
            h_i = activate(code, z_i)
            store_first(h_0 + i, h_i, left)
            store_first(d_0 + i, derivative(code, z_i, h_i), left)
            store_first(d2_0 + i, second_derivative(code, z_i, h_i), left)
            store_first(d3_0 + i, third_derivative(code, z_i, h_i), left)

    return run


def apply(name, z, count=None):
    out = tuple(np.empty_like(z) for _ in range(4))
    loop(name, count)(z, *out)
    return out


def points(dtype):
    rng = np.random.default_rng(7)
    tiny = np.exp(rng.uniform(-80, 0, 2000)) * rng.choice([-1, 1], 2000)
    parts = [np.linspace(-12, 12, 5001), rng.normal(scale=30.0, size=2000), rng.uniform(-1000, 80, 2000), tiny]
    return np.concatenate(parts).astype(dtype)


def error(got, exact, scale):
    """Largest error in units of eps `scale`, where f is within the dtype's normal range."""
    info = np.finfo(got.dtype)
    inside = (np.abs(exact) <= info.max) & ((np.abs(exact) >= info.tiny) | (exact == 0))
    difference = np.abs(got[inside].astype(LONG) - exact[inside])
    wrong = difference > 0
    return np.max(difference[wrong] / (info.eps * scale[inside][wrong]), initial=0.0)


@needs_long_double
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_functions_are_those_in_long_double(name, dtype):
    z = points(dtype)
    exact = reference.FUNCTIONS[name](z.astype(LONG))
    scale = np.maximum(np.abs(exact), np.abs(z) * np.finfo(dtype).eps)
    assert error(apply(name, z)[0], exact, scale) <= FUNCTION_ERROR[name]


@needs_long_double
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_in_long_double(name, dtype):
    z = points(dtype)
    h, d, _, _ = apply(name, z)
    exact = exact_derivative(name, z.astype(LONG), h.astype(LONG))
    assert error(d, exact, derivative_scale(name, z, h, exact)) <= DERIVATIVE_ERROR[name]


@needs_long_double
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CURVED)
def test_second_derivatives_are_those_of_differences(name, dtype):
    """Against a five-point difference of the reference's derivative, away from zero, where some have a kink."""
    z = np.concatenate([np.linspace(-10, -0.1, 500), np.linspace(0.1, 5, 300)]).astype(dtype)
    step = LONG(2.0**-9)

    def slope(shift):
        x = z.astype(LONG) + shift * step
        return reference.DERIVATIVES[name](x, reference.FUNCTIONS[name](x))

    exact = (8 * (slope(1) - slope(-1)) - (slope(2) - slope(-2))) / (12 * step)
    _, _, d2, _ = apply(name, z)
    tolerance = max(1e-9, 10 * np.finfo(dtype).eps)
    np.testing.assert_allclose(d2, exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CURVED)
def test_second_and_third_derivatives_are_those_of_the_reference(name, dtype):
    """Second and third derivatives against the reference's, in float64."""
    z = np.concatenate([np.linspace(-20, 20, 801), [-1e3, 1e3]]).astype(dtype)
    z = np.minimum(z, 80) if name == "exp" else z
    _, _, d2, d3 = apply(name, z)
    exact = z.astype(np.float64)
    h = reference.FUNCTIONS[name](exact)
    for got, table in ((d2, curvatures.SECOND), (d3, curvatures.THIRD))[: ACTIVATIONS[name].derivatives - 1]:
        error = np.abs(got - table[name](exact, h)) / np.maximum(np.abs(table[name](exact, h)), 1)
        assert error.max() < 100 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_zeros_infinities_and_the_largest_numbers(name, dtype):
    """Zeros, infinities, NaN and the largest numbers: as the reference has them."""
    info = np.finfo(dtype)
    z = np.array([0, info.tiny, 1e4, info.max, np.inf, np.nan], dtype)
    z = np.concatenate([z, -z])
    h, d, d2, d3 = apply(name, z)
    with np.errstate(all="ignore"):
        expected_h = reference.FUNCTIONS[name](z)
        expected_d = reference.DERIVATIVES[name](z, expected_h)
    np.testing.assert_allclose(h, expected_h, rtol=1e-6, atol=info.tiny)
    np.testing.assert_allclose(d, expected_d, rtol=1e-6, atol=info.tiny)
    assert np.isnan(h[np.isnan(z)]).all()
    for higher in (d2, d3)[: ACTIVATIONS[name].derivatives - 1]:
        assert np.isfinite(higher[np.isfinite(expected_d)]).all()


#: Between them these branch by masks, divide and take exponentials.
SOME = ("relu", "tanh", "gelu_tanh", "softplus")


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
@pytest.mark.parametrize(
    "name", [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_one_lane_gives_the_bits_of_a_native_vector(name, dtype):
    """A vector of one lane gives the bits of a native one."""
    z = points(dtype)[::7]
    for one, native in zip(apply(name, z, 1), apply(name, z), strict=True):
        np.testing.assert_array_equal(one, native)
        np.testing.assert_array_equal(np.signbit(one), np.signbit(native))


def test_other_codes_do_not_compile():
    @njit
    def unknown(z, h):
        store_first(pointer(h, 0), activate(99, load_first(pointer(z, 0), 1)), 1)

    with pytest.raises(TypingError):
        unknown(np.ones(1), np.ones(1))
