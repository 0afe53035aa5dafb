"""The matrix product behind the dense layer's three, against NumPy: shapes, strides, either orientation, sums."""

import itertools

import numpy as np
import pytest
from numba import njit

from fastnn.kernels.dispatch import MANY_ROWS
from fastnn.kernels.simd import pointer
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.kernels.tiles.dense import (
    CHUNK_VECTORS,
    DEPTH,
    HALF_TILE,
    HIGH,
    TILE_ROWS,
    WIDE,
    large_product,
    plain_product,
    product,
)
from fastnn.kernels.tiles.few_rows import ROWS_AT_ONCE, fetching_product, few_rows_product
from fastnn.kernels.tiles.narrow import dots, turned, weighted_sum

TOLERANCE = {"float64": 1e-14, "float32": 1e-6}
DTYPES = list(TOLERANCE)
MARGIN = 7.0  # what stands around the result, and must stay


def caller(function):
    @njit(error_model="numpy")
    def multiply(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
        a, b, init, c = pointer(a, 0), pointer(b, 0), pointer(init, 0), pointer(c, 0)
        function(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride)

    return multiply


multiply, multiply_large, multiply_few = caller(product), caller(large_product), caller(turned)
multiply_plain = caller(plain_product)
multiply_rows, multiply_fetching = caller(few_rows_product), caller(fetching_product)
multiply_dots, multiply_weighted = caller(dots), caller(weighted_sum)


def matrix(rng, rows, columns, gap, dtype):
    """Numbers whose rows lie `gap` numbers apart, which are NaN: the flat array, its row stride, the matrix."""
    whole = np.full((rows, columns + gap), np.nan, dtype)
    whole[:, :columns] = rng.normal(size=(rows, columns))
    return whole.reshape(-1), columns + gap, whole[:, :columns]


def check(n, m, depth, dtype, *, turned=False, b_turned=False, gaps=(0, 0, 0), init="row", seed=0, multiply=multiply):
    """``c = init + a b``; `a` lies as its transpose where `turned`, b where `b_turned`."""
    rng = np.random.default_rng(seed)
    a, a_stride, A = matrix(rng, depth, n, gaps[0], dtype) if turned else matrix(rng, n, depth, gaps[0], dtype)
    strides, A = ((1, a_stride), A.T) if turned else ((a_stride, 1), A)
    b, b_stride, B = matrix(rng, m, depth, gaps[1], dtype) if b_turned else matrix(rng, depth, m, gaps[1], dtype)
    b_strides, B = ((1, b_stride), B.T) if b_turned else ((b_stride, 1), B)
    c, c_stride = np.full(n * (m + gaps[2]) + 100, MARGIN, dtype), m + gaps[2]
    C = c[: n * c_stride].reshape(n, c_stride)[:, :m]
    start, init_stride = {
        "row": (rng.normal(size=m).astype(dtype), 0),
        "matrix": (rng.normal(size=n * m).astype(dtype), m),
        "itself": (c, c_stride),
    }[init]
    if init == "itself":
        C[:] = rng.normal(size=(n, m))
    add = start if init == "row" else C.copy() if init == "itself" else start.reshape(n, m)
    expected, scale = A.astype(np.float64) @ B + add, np.abs(A).astype(np.float64) @ np.abs(B) + np.abs(add)
    multiply(n, m, depth, a, *strides, b, *b_strides, start, init_stride, c, c_stride)
    assert (np.abs(C - expected) <= TOLERANCE[dtype] * np.sqrt(depth) * scale).all()
    if init != "itself":  # another c than that of the tiles, and all in the order of the depth
        plain, tiles = np.full_like(c, MARGIN), C.copy()
        multiply_plain(n, m, depth, a, *strides, b, *b_strides, start, init_stride, plain, c_stride)
        difference = plain[: n * c_stride].reshape(n, c_stride)[:, :m] - tiles
        assert (np.abs(difference) <= TOLERANCE[dtype] * np.sqrt(depth) * scale).all()
    C[:] = MARGIN
    np.testing.assert_array_equal(c, MARGIN)


def edges(dtype):
    """Widths around half a vector, one, one and a half, two, two and a half, and three."""
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    whole = (int(k * width) + i for k in (0.5, 1, 1.5, 2, 2.5, 3) for i in (-1, 0, 1))
    return sorted({1, 2, 3, *whole, 4 * width + 3} - {0})


@pytest.mark.parametrize("multiply", [multiply, multiply_large], ids=["product", "large"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "n", [1, 2, TILE_ROWS - 1, TILE_ROWS, TILE_ROWS + 1, HIGH - 1, HIGH, HIGH + 1, HIGH + TILE_ROWS - 2]
)
def test_products_of_any_shape(n, turned, dtype, multiply):
    for m in edges(dtype):
        for depth in (1, 2, 5, 16, 33):
            check(n, m, depth, dtype, turned=turned, multiply=multiply)
            check(n, m, depth, dtype, turned=turned, gaps=(3, 1, 2), init="matrix", multiply=multiply)
            check(n, m, depth, dtype, turned=turned, gaps=(0, 5, 0), init="itself", multiply=multiply)
            check(n, m, depth, dtype, turned=turned, b_turned=True, gaps=(0, 2, 1), multiply=multiply)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_products_of_few_rows(n, dtype):
    """Whole rows of b are added up, in the order in which a tile does it: to the same bits."""
    for m in edges(dtype):
        for depth in (1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 3 * ROWS_AT_ONCE + 2):
            for a_turned, init in ((False, "row"), (True, "matrix"), (False, "itself")):
                check(n, m, depth, dtype, turned=a_turned, gaps=(3, 1, 2), init=init, multiply=multiply_rows)
    rng = np.random.default_rng(0)
    a, b, row = (rng.normal(size=size).astype(dtype) for size in ((n, 70), (70, 67), 67))
    results = np.empty((2, n, 67), dtype)
    for function, c in zip((multiply, multiply_rows), results, strict=True):
        function(n, 67, 70, a.reshape(-1), 70, 1, b.reshape(-1), 67, 1, row, 0, c.reshape(-1), 67)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, HALF_TILE, HALF_TILE + 1, TILE_ROWS, 2 * TILE_ROWS + 1, MANY_ROWS - 1])
def test_few_rows_that_fetch_weights(n, dtype):
    """Strip after strip, and part after part of the depth: to the bits of a product that fetches nothing."""
    for m in edges(dtype):
        for a_turned, init in ((False, "row"), (True, "matrix"), (False, "itself")):
            check(n, m, 7, dtype, turned=a_turned, gaps=(3, 1, 2), init=init, multiply=multiply_fetching)
    rng, m, depth = np.random.default_rng(0), 181, DEPTH + 5
    a, b, row = (rng.normal(size=size).astype(dtype) for size in ((n, depth), (depth, m), m))
    results = np.empty((2, n, m), dtype)
    for function, c in zip((multiply, multiply_fetching), results, strict=True):
        function(n, m, depth, a.reshape(-1), depth, 1, b.reshape(-1), m, 1, row, 0, c.reshape(-1), m)
    np.testing.assert_array_equal(*results)
    tolerance = 1e-3 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(results[1], row + a.astype(float) @ b, rtol=0, atol=tolerance)


@pytest.mark.parametrize("multiply", [multiply, multiply_large, multiply_rows, multiply_fetching, multiply_few])
def test_a_product_of_no_rows_writes_nothing(multiply):
    """As for a thread that gets none of a small batch."""
    depth = 3
    for m in (2, 40):
        a, b, c = np.ones((2, depth)), np.ones(depth * m), np.full((2, m), MARGIN)
        multiply(0, m, depth, a[1], depth, 1, b, m, 1, b, 0, c[1], m)
        np.testing.assert_array_equal(c, MARGIN)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("init", ["row", "matrix", "itself"])
@pytest.mark.parametrize("gaps", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 3, 4)])
def test_products_with_columns(gaps, init, turned, dtype):
    """A product with a column is a dot product a row, or the other way round, where there are no gaps."""
    lengths = (1, 3, 16, 17, 70)
    for n, m, depth in itertools.product(lengths, (1, 2), lengths):
        check(n, m, depth, dtype, turned=turned, gaps=gaps, init=init)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("init", ["row", "matrix", "itself"])
@pytest.mark.parametrize("m", range(1, HALF_TILE + 1))
def test_products_of_few_columns(m, init, dtype):
    """The gradient of a layer with few outputs."""
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    m = min(m, width)
    for n in edges(dtype) + [WIDE * width + 1, 2 * WIDE * width, 2 * WIDE * width + 3]:
        for depth in (1, 2, 7, 40):
            for gaps in ((0, 0, 0), (2, 3, 1)):
                check(n, m, depth, dtype, turned=True, gaps=gaps, init=init, multiply=multiply_few)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", [1, 3, 16, 17, 70])
def test_dot_products(depth, dtype):
    """The output of a layer with one."""
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    for n, init in itertools.product((1, width // 2 + 1, width, 2 * width + 1), ("row", "matrix", "itself")):
        check(n, 1, depth, dtype, gaps=(3, 0, 0), init=init, multiply=multiply_dots)


@pytest.mark.parametrize("dtype", DTYPES)
def test_weighted_sums_of_samples(dtype):
    """The gradient of a layer with one output."""
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    for n, depth in itertools.product((1, 3, width, width + 1, 5 * width + 3), (1, 3, 4, 70)):
        for init in ("matrix", "itself"):
            check(n, 1, depth, dtype, turned=True, gaps=(3, 0, 0), init=init, multiply=multiply_weighted)


@pytest.mark.parametrize("multiply", [multiply, multiply_large], ids=["product", "large"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("depth", [DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 5])
def test_products_of_any_depth(depth, turned, dtype, multiply):
    for n, m in ((1, 1), (9, 1), (9, 2), (11, 37)):
        for init in ("row", "matrix", "itself"):
            for b_turned in (False, True):
                check(
                    n, m, depth, dtype, turned=turned, b_turned=b_turned, gaps=(1, 1, 1), init=init, multiply=multiply
                )


@pytest.mark.parametrize("multiply", [multiply, multiply_large], ids=["product", "large"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_more_rows_than_a_chunk(dtype, multiply):
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    n = CHUNK_VECTORS * width // DEPTH + HIGH + 1
    for a_turned, b_turned, m in ((False, False, 2), (False, True, 2), (True, False, 8)):
        layout = {"turned": a_turned, "b_turned": b_turned, "gaps": (1, 0, 2)}
        check(n, m * width + 3, DEPTH + 3, dtype, **layout, multiply=multiply)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("turned", "b_turned"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("n", [MANY_ROWS - 1, MANY_ROWS, MANY_ROWS + 1, MANY_ROWS + TILE_ROWS])
def test_products_of_many_rows(n, turned, b_turned, dtype):
    """Strips of two vectors, which fetch what comes next, and of three."""
    width = REGISTER_BYTES // np.dtype(dtype).itemsize
    for m in (2 * width - 1, *range(2 * width, 9 * width, width), 5 * width + 1, 6 * width + 2):
        for depth in (1, 15, 16, 17, 40, DEPTH + 3):
            for init in ("row", "itself"):
                layout = {"turned": turned, "b_turned": b_turned, "gaps": (1, 3, 2), "init": init}
                check(n, m, depth, dtype, **layout, multiply=multiply_large)


@pytest.mark.parametrize("multiply", [multiply, multiply_large], ids=["product", "large"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("stride", [128, *(pytest.param(n, marks=pytest.mark.slow) for n in (256, 512, 1024))])
def test_products_at_critical_strides(stride, turned, dtype, multiply):
    check(HIGH + 1, stride, 40, dtype, turned=turned, multiply=multiply)
    check(40, HIGH + 1, stride, dtype, turned=turned, multiply=multiply)
    for n in (MANY_ROWS - 1, MANY_ROWS, MANY_ROWS + TILE_ROWS + 1):
        for m in (stride, stride - 1, stride // 2 + 3):
            check(n, m, 40, dtype, turned=turned, gaps=(1, stride - m, 2), init="itself", multiply=multiply)
    for b_turned in (False, True):
        check(MANY_ROWS + 1, stride, 2 * DEPTH + 3, dtype, turned=turned, b_turned=b_turned, multiply=multiply)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_element_has_the_same_bits_whatever_tile_it_falls_into(dtype):
    rng = np.random.default_rng(1)
    n, m, depth = HIGH + TILE_ROWS, 3 * REGISTER_BYTES // np.dtype(dtype).itemsize, 50
    a, b = rng.normal(size=(n, depth)).astype(dtype), rng.normal(size=(depth, m)).astype(dtype)
    init, whole = np.zeros(m, dtype), np.empty((n, m), dtype)
    multiply(n, m, depth, a.reshape(-1), depth, 1, b.reshape(-1), m, 1, init, 0, whole.reshape(-1), m)
    for i, j in ((1, 0), (5, 3), (TILE_ROWS, 1), (0, 2)):
        rows, columns = n - i - 1, m - j - 2
        part = np.empty((rows, columns), dtype)
        multiply(
            rows,
            columns,
            depth,
            a[i:].reshape(-1),
            depth,
            1,
            b.reshape(-1)[j:],
            m,
            1,
            init,
            0,
            part.reshape(-1),
            columns,
        )
        np.testing.assert_array_equal(part, whole[i : i + rows, j : j + columns])


def test_nothing_to_do():
    c = np.full(4, MARGIN)
    multiply(0, 2, 3, np.empty(0), 3, 1, np.ones(6), 2, 1, np.ones(2), 0, c, 2)
    np.testing.assert_array_equal(c, MARGIN)
