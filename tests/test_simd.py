"""The vector type: every operation against NumPy, for every number of lanes and both dtypes, to the bit."""

from functools import cache

import numpy as np
import pytest
from numba import njit, types

from fastnn.kernels import simd
from fastnn.kernels.simd import (
    absolute,
    any_lane,
    as_double,
    as_numbers_of,
    broadcast,
    by_dtype,
    copysign,
    first,
    first_lanes,
    fma,
    from_bits,
    lanes,
    largest,
    library_cos,
    library_sin,
    load,
    load_first,
    load_halves,
    pointer,
    pointer_at,
    polynomial,
    prefetch,
    quotient,
    scratch,
    select,
    sqrt,
    store,
    store_first,
    store_halves,
    tile,
    to_bits,
    total,
    total_everywhere,
    totals,
    transpose,
    whole_power,
    widen,
    with_lanes,
)
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.kernels.simd.types import native_lanes

LANES = [1, 2, 4, 8, 16]
DTYPES = ["float32", "float64"]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 3e-310, 1e30, -7.0]

every_shape = pytest.mark.parametrize("dtype", DTYPES)
every_length = pytest.mark.parametrize("n", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 16)), 4, 8])


def numbers(dtype, seed):
    """Ordinary numbers, and every pair of special ones once two arrays of other seeds stand side by side."""
    rng = np.random.default_rng(seed)
    special = np.repeat(SPECIAL, 16) if seed == 0 else np.tile(SPECIAL, 16)
    with np.errstate(over="ignore", under="ignore"):
        return np.concatenate([special, rng.normal(size=256) * 10.0 ** rng.integers(-3, 4, 256)]).astype(dtype)


def same_bits(actual, expected):
    """Equal, with zeros of either sign apart; NaN equals NaN."""
    np.testing.assert_array_equal(actual, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual[known]), np.signbit(expected[known]))


def test_every_operation_is_tested():
    """Of the names in the module that kernels use."""
    public = {name for name, thing in vars(simd).items() if type(thing).__name__ == "_Intrinsic"}
    assert public <= set(globals())


# ---------------------------------------------------------------- lane by lane
@cache
def lanewise(n):
    """A kernel that applies each operation to whole arrays, a row of the result each."""

    @njit(error_model="numpy")
    def kernel(x, y, results):
        for i in range(0, x.size, n):
            a, b = load(with_lanes(pointer(x, i), n)), load(with_lanes(pointer(y, i), n))
            one, zero = broadcast(1.0, a), broadcast(0.0, a)
            less, equal = a < b, a == b
            rows = (
                a + b,
                a - b,
                a * b,
                a / b,
                -a,
                a + 2.0,
                0.5 * a,
                1 - a,
                sqrt(a),
                absolute(a),
                copysign(a, b),
                select(less, a, b),
                select(equal, a, 7.0),
                select(equal, 7.0, b),
                select(a <= b, one, zero),
                select(a > b, one, zero),
                select(a >= b, one, zero),
                select(a != b, one, zero),
                select(a < 1.0, one, zero),
                select(less & (a > 0.0), one, zero),
                select(less | (a > 0.0), one, zero),
                select(~less, one, zero),
                from_bits((to_bits(a) >> 3) << 3),
                from_bits((to_bits(a) & to_bits(b)) | 1),
                from_bits(to_bits(a) + to_bits(b) - 5),
                broadcast(1.25, a),
                by_dtype(a, one, a),
                as_numbers_of(as_double(a) * as_double(b), a),
                as_numbers_of(2, a),
                whole_power(a, 3),
                whole_power(a, -2),
            )
            for k in range(len(rows)):
                store(with_lanes(pointer(results, k * x.size + i), n), rows[k])

    return kernel


def lanewise_by_numpy(a, b):
    """The same operations."""
    bits = np.int32 if a.dtype == np.float32 else np.int64
    i, j = a.view(bits), b.view(bits)
    return [
        a + b,
        a - b,
        a * b,
        a / b,
        -a,
        a + 2,
        a.dtype.type(0.5) * a,
        1 - a,
        np.sqrt(a),
        np.abs(a),
        np.copysign(a, b),
        np.where(a < b, a, b),
        np.where(a == b, a, 7),
        np.where(a == b, 7, b),
        a <= b,
        a > b,
        a >= b,
        a != b,
        a < 1,
        (a < b) & (a > 0),
        (a < b) | (a > 0),
        ~(a < b),
        ((i >> 3) << 3).view(a.dtype),
        ((i & j) | 1).view(a.dtype),
        (i + j - 5).view(a.dtype),
        np.full_like(a, 1.25),
        np.ones_like(a) if a.dtype == np.float32 else a,
        (a.astype(float) * b.astype(float)).astype(a.dtype),
        np.full_like(a, 2),
        a * (a * a),
        1 / (a * a),
    ]


@every_shape
@every_length
def test_lane_by_lane(n, dtype):
    x, y = numbers(dtype, 0), numbers(dtype, 1)
    with np.errstate(all="ignore"):
        expected = [np.asarray(row, dtype) for row in lanewise_by_numpy(x, y)]
    results = np.full((len(expected), x.size), 123, dtype)
    lanewise(n)(x, y, results.reshape(-1))
    for k, (row, expected_row) in enumerate(zip(results, expected, strict=True)):
        try:
            same_bits(row, expected_row)
        except AssertionError as error:
            raise AssertionError(f"operation {k}") from error


@cache
def across(n):
    """A kernel of the operations that round in their own way, or make one number of all lanes."""

    @njit(error_model="numpy")
    def kernel(x, y, z, fused, powers, waves, sums, everywhere, maxima, any_negative, firsts, together):
        for i in range(0, x.size, n):
            a, b = load(with_lanes(pointer(x, i), n)), load(with_lanes(pointer(y, i), n))
            c = load(with_lanes(pointer(z, i), n))
            store(with_lanes(pointer(fused, i), n), fma(a, b, c))
            store(with_lanes(pointer(powers, i), n), polynomial(a, (1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0)))
            store(with_lanes(pointer(everywhere, i), n), total_everywhere(a))
            store(with_lanes(pointer(waves[0], i), n), library_sin(a))
            store(with_lanes(pointer(waves[1], i), n), library_cos(a))
            k = i // n
            sums[k], maxima[k], any_negative[k], firsts[k] = total(a), largest(a), any_lane(a < 0.0), first(a)
        block = tile(with_lanes(pointer(x, 0), n), 4, 2)
        for i in range(0, together.size, 8):
            for k in range(8):
                block[k // 2, k % 2] = load(with_lanes(pointer(x, (i + k) * n), n))
            for k in range(2):
                store(with_lanes(pointer(together, i + 4 * k), 4), totals(block, k))

    return kernel


def in_halves(x):
    """The sum of each row: the first half of the lanes plus the second, and so on."""
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        x = x[:, :half] + x[:, half:]
    return x[:, 0]


@every_shape
@every_length
def test_operations_across_lanes(n, dtype):
    rng = np.random.default_rng(2)
    x, y, z = rng.normal(size=(3, 256)).astype(dtype)
    x[64:] = np.abs(x[64:])
    rows = x.reshape(-1, n)
    fused, powers, sums = np.empty_like(x), np.empty_like(x), np.empty(len(rows), dtype)
    maxima, firsts, any_negative = sums.copy(), sums.copy(), np.empty(len(rows), bool)
    everywhere, waves, together = np.empty_like(x), np.empty((2, *x.shape), dtype), np.empty_like(sums)
    across(n)(x, y, z, fused, powers, waves, sums, everywhere, maxima, any_negative, firsts, together)
    same_bits(sums, in_halves(rows))  # in this order on every machine
    same_bits(together, sums.reshape(-1, 4, 2).swapaxes(1, 2).reshape(-1))
    same_bits(everywhere.reshape(-1, n), np.repeat(sums[:, None], n, axis=1))
    same_bits(maxima, rows.max(axis=1))
    same_bits(firsts, rows[:, 0])
    np.testing.assert_array_equal(any_negative, (rows < 0).any(axis=1))

    eps, (a, b, c) = np.finfo(dtype).eps, (array.astype(np.longdouble) for array in (x, y, z))
    np.testing.assert_allclose(waves, [np.sin(a), np.cos(a)], rtol=eps)
    assert (np.abs(fused - (a * b + c)) <= eps * (np.abs(a * b) + np.abs(c))).all()
    coefficients = np.array([1, -2, 3, 4, -5, 6, 7])
    scale = np.polynomial.polynomial.polyval(np.abs(a), np.abs(coefficients))
    assert (np.abs(powers - np.polynomial.polynomial.polyval(a, coefficients)) <= 4 * eps * scale).all()


@every_shape
@every_length
def test_whole_numbers_are_exact(n, dtype):
    """Where nothing rounds, fma and polynomial have one right answer."""
    x, y, z = np.random.default_rng(3).integers(-7, 8, (3, 64)).astype(dtype)
    fused, powers, rest = np.empty_like(x), np.empty_like(x), np.empty(64 // n, dtype)
    waves, everywhere, together = np.empty((2, 64), dtype), np.empty_like(x), np.empty(0, dtype)
    across(n)(x, y, z, fused, powers, waves, rest, everywhere, rest.copy(), rest > 0, rest.copy(), together)
    np.testing.assert_array_equal(fused, x * y + z)
    np.testing.assert_array_equal(powers, np.polynomial.polynomial.polyval(x, [1, -2, 3, 4, -5, 6, 7]))


@cache
def quotients(n):
    """A kernel that divides a row by another, `n` lanes at a time."""

    @njit(error_model="numpy")
    def kernel(x, y, result):
        for i in range(0, x.size, n):
            a, b = load(with_lanes(pointer(x, i), n)), load(with_lanes(pointer(y, i), n))
            store(with_lanes(pointer(result, i), n), quotient(a, b))

    return kernel


@every_shape
@pytest.mark.parametrize("n", [1, 4, 8, 16, 32])
def test_quotients_are_right_to_the_last_bit_but_one(n, dtype):
    rng, limits = np.random.default_rng(4), np.finfo(dtype)
    small, large = limits.minexp + 2, limits.maxexp - 3
    x = rng.uniform(-2, 2, 8192).astype(dtype)
    y = np.ldexp(rng.uniform(1, 2, 8192).astype(dtype), rng.integers(small, large, 8192))
    result, exact = np.empty_like(x), x.astype(np.longdouble) / y.astype(np.longdouble)
    quotients(n)(x, y, result)
    normal = np.abs(exact) > limits.tiny
    assert normal.mean() > 0.9
    assert (np.abs(result - exact) <= 1.5 * np.spacing(np.abs(result)))[normal].all()


@every_shape
@pytest.mark.parametrize("n", [1, 16])
def test_quotients_of_the_ends(n, dtype):
    x = np.array([0.0, -0.0, 1.0, -3.0, np.inf, np.nan, 1.0, np.inf], dtype)
    y = np.array([2.0, 2.0, np.inf, np.inf, 5.0, 1.0, np.nan, np.inf], dtype)
    x, y = np.repeat(x, 2), np.repeat(y, 2)
    result = np.empty_like(x)
    quotients(n)(x, y, result)
    with np.errstate(invalid="ignore"):
        same_bits(result, x / y)


# ---------------------------------------------------------------- memory and masks
@cache
def masked(n):
    @njit(error_model="numpy")
    def kernel(x, count, loaded, stored, mask):
        p = with_lanes(pointer(x, 3), n)
        a = load_first(p, count)
        store(with_lanes(pointer(loaded, 0), n), a)
        store_first(with_lanes(pointer(stored, 0), n) + 3, load(p) + 0.5, count)
        store(with_lanes(pointer(mask, 0), n), select(first_lanes(count, a), broadcast(1.0, a), 0.0))

    return kernel


@every_shape
@every_length
def test_masked_loads_and_stores(n, dtype):
    x = np.arange(1, n + 5, dtype=dtype)
    for count in [*range(-1, n + 2), 2**31, 2**40]:
        loaded, mask, stored = np.full(n, -1, dtype), np.full(n, -1, dtype), np.full(n + 5, -1, dtype)
        masked(n)(x, count, loaded, stored, mask)
        holds = np.arange(n) < count
        np.testing.assert_array_equal(mask, holds)
        np.testing.assert_array_equal(loaded, np.where(holds, x[3 : 3 + n], 0))
        expected = np.full(n + 5, -1, dtype)
        expected[3 : 3 + n][holds] = x[3 : 3 + n][holds] + 0.5
        np.testing.assert_array_equal(stored, expected)


@cache
def by_halves(n):
    @njit(error_model="numpy")
    def kernel(x, joined, stored):
        p, q = with_lanes(pointer(x, 1), n), with_lanes(pointer(stored, 0), n)
        store(with_lanes(pointer(joined, 0), n), load_halves(p, p + n))
        store_halves(q + n, q + 1, load(p))

    return kernel


@every_shape
@pytest.mark.parametrize("n", LANES[1:])
def test_halves_are_joined_and_stored(n, dtype):
    x, half = np.arange(2 * n + 1, dtype=dtype), n // 2
    joined, stored = np.empty(n, dtype), np.full(2 * n, -1, dtype)
    by_halves(n)(x, joined, stored)
    low, high = x[1 : n + 1], x[n + 1 :]
    np.testing.assert_array_equal(joined, [*low[:half], *high[:half]])
    expected = np.full(2 * n, -1, dtype)
    expected[n : n + half], expected[1 : 1 + half] = low[:half], low[half:]
    np.testing.assert_array_equal(stored, expected)


@njit(error_model="numpy")
def through_pointers(x, address, out):
    p = pointer(x, 2)
    q = pointer_at(address, x) + 1
    out[0], out[1], out[2] = p[0], (p + 3)[1], q[4]
    p[1] = 70.0
    q[-1] = 10
    out[3], out[4], out[5] = lanes(p), lanes(load(p)), first(broadcast(out[0], p))
    return pointer_at(address, np.int64)[0]


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
def test_loads_and_stores_through_pointers(dtype):
    x, out = np.arange(40).astype(dtype), np.empty(6, dtype)
    bits = through_pointers(x, x.ctypes.data, out)
    width = REGISTER_BYTES // x.dtype.itemsize
    np.testing.assert_array_equal(out, [2, 6, 5, width, width, 2])
    assert (x[3], x[0]) == (70, 10)
    assert bits == x.view(np.int64)[0]
    assert native_lanes(types.float32) == 2 * native_lanes(types.float64) == REGISTER_BYTES // 4


# ---------------------------------------------------------------- tiles
@cache
def turned(n):
    @njit(error_model="numpy")
    def kernel(x, out):
        p, q = with_lanes(pointer(x, 0), n), with_lanes(pointer(out, 0), n)
        square = tile(p, n, 1)
        for i in range(n):
            square[i, 0] = load(p + i * n)
        transpose(square)
        for i in range(n):
            store(q + i * n, square[i, 0])

    return kernel


@every_shape
@every_length
def test_transposed_squares(n, dtype):
    x = np.arange(n * n, dtype=dtype).reshape(n, n)
    out = np.empty_like(x)
    turned(n)(x.reshape(-1), out.reshape(-1))
    np.testing.assert_array_equal(out, x.T)


@njit(error_model="numpy")
def through_scratch(x, out):
    p, width = pointer(x, 0), lanes(pointer(x, 0))
    room = scratch(p, 5)
    for i in range(5 * width):
        room[i] = 2 * p[i]
    for i in range(4):
        store(pointer(out, i * width), load(room + (i * width + 1)))


@every_shape
def test_scratch_is_memory(dtype):
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    x = np.arange(5 * width, dtype=dtype)
    out = np.empty(4 * width, dtype)
    through_scratch(x, out)
    np.testing.assert_array_equal(out, 2 * x[1 : 4 * width + 1])


@njit(error_model="numpy")
def through_a_tile(x, out):
    p, width = pointer(x, 0), lanes(pointer(x, 0))
    block = tile(p, 3, 2)
    for i in range(3):
        for j in range(2):
            block[i, j] = load(p + (2 * i + j) * width)
    for i in range(3):
        for j in range(2):
            store(pointer(out, (3 * j + i) * width), block[i, j])


@every_shape
def test_tiles_keep_each_vector_apart(dtype):
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    x = np.arange(6 * width, dtype=dtype)
    out = np.empty_like(x)
    through_a_tile(x, out)
    np.testing.assert_array_equal(out.reshape(2, 3, width), x.reshape(3, 2, width).transpose(1, 0, 2))


@every_shape
def test_a_wide_pointer_takes_several_registers_at_once(dtype):
    @njit(error_model="numpy")
    def double(x, y, count):
        source, target = widen(pointer(x, 1), 3), widen(pointer(y, 1), 3)
        store_first(target, 2.0 * load_first(source, count), count)
        return lanes(source)

    x = np.arange(100, dtype=dtype)
    for count in (0, 1, 20, 1000):
        y = np.zeros(100, dtype)
        wide = double(x, y, count)
        assert wide == 3 * REGISTER_BYTES // x.itemsize
        stop = 1 + min(count, wide)
        np.testing.assert_array_equal(y[1:stop], 2 * x[1:stop])
        assert not y[0]
        assert not y[stop:].any()


@every_shape
def test_any_place_may_be_fetched(dtype):
    @njit(error_model="numpy")
    def fetch(x):
        prefetch(pointer(x, 3))
        prefetch(pointer(x, 10**15))  # which is nobody's memory

    x = np.arange(4, dtype=dtype)
    fetch(x)
    np.testing.assert_array_equal(x, np.arange(4))
