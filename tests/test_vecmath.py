"""The elementary functions: errors in units in the last place, special values, and the same bits in every lane."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numba import from_dtype, njit

from fastnn.kernels.functions import vecmath
from fastnn.kernels.simd import lanes, load_first, pointer, store_first, with_lanes
from fastnn.kernels.simd.types import native_lanes

LONG = np.longdouble
DTYPES = (np.float32, np.float64)

EXACT = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}
NAMES = tuple(EXACT)
CONTRACT = {name: 1.1 if name == "exp" else 3.0 for name in NAMES}

# A long double no longer than a double cannot judge one.
needs_long_double = pytest.mark.skipif(np.finfo(LONG).nmant <= 52, reason="long double is double here")


@cache
def loop(name, count=None):
    """``run(x, out)``: ``out = name(x)`` in vectors of `count` lanes, by default native ones."""
    function = getattr(vecmath, name)

    @njit(error_model="numpy")
    def run(x, out):
        source, target = pointer(x, 0), pointer(out, 0)
        if count is not None:
            source, target = with_lanes(source, count), with_lanes(target, count)
        for i in range(0, x.size, lanes(source)):
            left = x.size - i
            store_first(target + i, function(load_first(source + i, left)), left)

    return run


def apply(name, x, count=None):
    out = np.empty_like(x)
    loop(name, count)(x, out)
    return out


def native(dtype):
    return native_lanes(from_dtype(np.dtype(dtype)))


def bits(x):
    """Bit patterns; one for all NaN, of which neither sign nor payload is promised."""
    return np.where(np.isnan(x), x.dtype.type(np.nan), x).view(f"u{x.itemsize}")


def specials(dtype):
    info = np.finfo(dtype)
    positive = [0.0, info.smallest_subnormal, 3 * info.smallest_subnormal, info.tiny, info.eps, 0.5, 1.0, np.inf]
    positive += [info.max, np.sqrt(info.max), 20.0, 88.0, 104.0, 709.0, 745.0, np.nan]
    x = np.array(positive, dtype=dtype)
    return np.concatenate([x, -x])


def check(name, x, exact):
    """Compare `name` on `x` with its values in a longer dtype."""
    got = apply(name, x)
    rounded = exact.astype(x.dtype)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
    number = ~np.isnan(rounded)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(rounded)[number])
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[number & ~finite], rounded[number & ~finite])
    assert np.isfinite(got[finite]).all()

    info = np.finfo(x.dtype)
    exponent = np.frexp(exact[finite])[1] - 1
    unit = np.ldexp(exact.dtype.type(1), np.maximum(exponent, info.minexp) - info.nmant)
    errors = np.abs(got[finite].astype(exact.dtype) - exact[finite]) / unit
    wrong = errors > CONTRACT[name]
    assert not wrong.any(), f"{errors.max()} units at {x[finite][errors.argmax()]!r}"


def sweep_float32(name, step):
    """Every `step`-th bit pattern, in pieces."""
    piece = step << 20
    for start in range(0, 2**32, piece):
        x = np.arange(start, min(start + piece, 2**32), step, dtype=np.uint64).astype(np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            exact = EXACT[name](x.astype(np.float64))
            check(name, x, exact)


def sweep_float64(name, n, seed):
    """Points of every magnitude, and dense ones where the functions bend, round most or leave the range."""
    rng = np.random.default_rng(seed)
    parts = [
        specials(np.float64),
        rng.integers(0, 2**64, n // 5, dtype=np.uint64).view(np.float64),
        rng.normal(scale=2.0, size=n // 5),
        rng.uniform(-40.0, 40.0, n // 5),
        rng.uniform(-750.0, 715.0, n // 5),
        1.0 + rng.normal(scale=0.2, size=n // 5),
    ]
    x = np.concatenate(parts)
    with np.errstate(all="ignore"):
        check(name, x, EXACT[name](x.astype(LONG)))


@pytest.mark.parametrize("name", NAMES)
def test_errors_in_float32(name):
    sweep_float32(name, 4096)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_errors_in_float32_densely(name):
    sweep_float32(name, 128)


@needs_long_double
@pytest.mark.parametrize("name", NAMES)
def test_errors_in_float64(name):
    sweep_float64(name, 200_000, 0)


@needs_long_double
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_errors_in_float64_densely(name):
    for seed in range(1, 6):
        sweep_float64(name, 1_000_000, seed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values(name, dtype):
    x = specials(dtype)
    with np.errstate(all="ignore"):
        check(name, x, EXACT[name](x.astype(LONG)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_every_lane_and_tail(name, dtype):
    """Each value in each place of arrays of up to three vectors has the same bits, and nothing else is written."""
    values = np.concatenate([specials(dtype), np.linspace(-9, 9, 9, dtype=dtype)])
    expected = bits(apply(name, values))
    for n in range(3 * native(dtype) + 1):
        for shift in range(values.size):
            x = np.resize(np.roll(values, -shift), n)
            out = np.full(n + 1, 7, dtype)
            loop(name)(x, out[:n])
            np.testing.assert_array_equal(bits(out[:n]), np.resize(np.roll(expected, -shift), n))
            assert out[n] == 7


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["exp", "tanh", *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES if n not in ("exp", "tanh"))]
)
def test_any_number_of_lanes(name, dtype):
    """One lane, a native vector and two of them give the same bits."""
    rng = np.random.default_rng(5)
    x = np.concatenate([specials(dtype), rng.normal(scale=10.0, size=500).astype(dtype)])
    expected = apply(name, x)
    for count in (1, 2 * native(dtype)):
        np.testing.assert_array_equal(bits(apply(name, x, count)), bits(expected))


@pytest.mark.slow
def test_processors_that_round_products(tmp_path):
    """Without fused multiply-adds, as for the generic processor, tanh, sigmoid and their slopes are as near."""
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    environment.pop("NUMBA_CPU_FEATURES", None)
    files = [__file__, str(Path(__file__).with_name("test_activations.py"))]
    command = [sys.executable, "-m", "pytest", "-q", *files, "-k", "(tanh or sigmoid) and not lane"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
