"""Rate of each kernel, in the table as a share of this processor's peak or as nanoseconds a number.

The peak is measured in the same run: fused multiply-adds on registers alone. A regression shows where it is.
"""

import numpy as np
import pytest
from calls import tell_each
from numba import njit

from fastnn.kernels.functions import optimizers
from fastnn.kernels.peak import peak
from fastnn.kernels.simd import pointer
from fastnn.kernels.tiles import losses, passes
from fastnn.kernels.tiles.dense import large_product, product
from fastnn.kernels.tiles.few_rows import fetching_product, few_rows_product
from fastnn.kernels.tiles.layers import product_for
from fastnn.settings import catalogue

DTYPES = ("float32", "float64")

#: What a training step multiplies: name, rows, columns, depth, whether a is read down its columns.
PRODUCTS = (
    ("8-32-32-1: x W, second layer", 32, 32, 32, False),
    ("64-100-10: x W", 32, 100, 64, False),
    ("64-100-10: x^T d", 64, 100, 32, True),
    ("64-100-10: h W, ten outputs", 32, 10, 100, False),
    ("784-128-10: x W", 128, 128, 784, False),
    ("784-128-10: x^T d", 784, 128, 128, True),
    ("784-512-512-10: h W", 256, 512, 512, False),
    ("784-512-512-10: x^T d", 784, 512, 256, True),
    ("30-50-20: h W, batch 50", 50, 20, 50, False),
    ("50-4: h W, batch 32", 32, 4, 50, False),
    ("100-37-11-5: x W, batch 13", 13, 37, 100, False),
    ("1000-1000: x W, batch 256", 256, 1000, 1000, False),
    ("4096-4096: x W, batch 256", 256, 4096, 4096, False),
)


def _repeating(kind):
    @njit(error_model="numpy")
    def multiply(repeats, n, m, depth, a, row_stride, depth_stride, b, b_stride, zeros, c, c_stride):
        p, q, r, z = pointer(a, 0), pointer(b, 0), pointer(c, 0), pointer(zeros, 0)
        for _ in range(repeats):
            kind(n, m, depth, p, row_stride, depth_stride, q, b_stride, 1, z, 0, r, c_stride)

    return multiply


_MULTIPLY = {kind: _repeating(kind) for kind in (product, large_product)}


@pytest.fixture(scope="session")
def peaks():
    """Floating-point operations a second in each dtype."""
    return {dtype: peak(dtype) for dtype in DTYPES}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "n", "m", "depth", "turned"), PRODUCTS, ids=[case[0] for case in PRODUCTS])
def bench_product(benchmark, peaks, name, n, m, depth, turned, dtype):
    rng = np.random.default_rng(0)
    a = rng.random((depth, n) if turned else (n, depth)).astype(dtype)
    row_stride, depth_stride = (1, n) if turned else (depth, 1)
    pad = 64 // np.dtype(dtype).itemsize  # as the training kernel lays out its buffers: no critical strides
    b_stride = m + pad if m % pad == 0 else m
    b, c = rng.random((depth, b_stride)).astype(dtype), np.empty((n, b_stride), dtype)
    zeros = np.zeros(m, dtype)
    repeats = max(1, 20_000_000 // (2 * n * m * depth))
    arguments = (repeats, n, m, depth, a, row_stride, depth_stride, b, b_stride, zeros, c, b_stride)
    benchmark.group = f"product, {dtype}"
    batch, width = (depth, n) if turned else (n, depth)
    benchmark.pedantic(_MULTIPLY[product_for(batch, width * m)], arguments, rounds=30, warmup_rounds=2)
    if not benchmark.enabled:
        return
    rate = 2 * n * m * depth * repeats / benchmark.stats.stats.min
    benchmark.extra_info["GFLOP/s"] = round(rate / 1e9, 1)
    benchmark.extra_info["share of peak"] = f"{rate / peaks[dtype]:.0%}"


@pytest.mark.parametrize("rows", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", [few_rows_product, product], ids=["few_rows_product", "product"])
def bench_few_rows(benchmark, kind, rows):
    """Few rows through a layer of 512 by 512 float32."""
    rng, width = np.random.default_rng(0), 512
    a, b = rng.random((rows, width), dtype=np.float32), rng.random((width, width), dtype=np.float32)
    multiply, arguments = _repeating(kind), (10, rows, width, width, a, width, 1, b, width)
    benchmark.group = f"few rows: {rows}"
    c, zeros = np.empty_like(a), np.zeros(width, np.float32)
    benchmark.pedantic(multiply, (*arguments, zeros, c, width), rounds=30, warmup_rounds=2)


@pytest.mark.parametrize("rows", [2, 8, 32])
@pytest.mark.parametrize(
    "kind", [few_rows_product, product, fetching_product], ids=["few_rows_product", "product", "fetching_product"]
)
def bench_few_rows_of_large_weights(benchmark, kind, rows):
    """Few rows through two layers of 1,000 by 1,000 float64, which are too large to stay in the second-level cache."""
    rng, width = np.random.default_rng(0), 1000
    a, weights = rng.random((rows, width)), rng.random((2, width, width))
    multiply, c, zeros = _repeating(kind), np.empty_like(a), np.zeros(width)

    def both_layers():
        for b in weights:
            multiply(1, rows, width, width, a, width, 1, b, width, zeros, c, width)

    benchmark.group = f"few rows, large weights: {rows}"
    benchmark.pedantic(both_layers, rounds=30, warmup_rounds=2)


def _time_pass(benchmark, group, function, arguments, numbers):
    benchmark.group = group
    benchmark.pedantic(function, arguments, rounds=200, warmup_rounds=2)
    tell_each(benchmark, "number", numbers)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", catalogue.ACTIVATIONS.values(), ids=lambda row: row.name)
def bench_activation(benchmark, row, dtype):
    (function, literal), _ = passes.callees_of(row)
    code = literal.literal_value

    @njit(error_model="numpy")
    def run(z, h):
        function(code, pointer(z, 0), pointer(h, 0), z.shape[0], z.shape[1], z.shape[1])

    z = np.random.default_rng(0).normal(size=(256, 128)).astype(dtype)
    _time_pass(benchmark, f"activation, {dtype}", run, (z, np.empty_like(z)), z.size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", [r for r in catalogue.LOSSES.values() if not r.labels], ids=lambda row: row.name)
def bench_loss(benchmark, row, dtype):
    function, literal = losses.callee_of(row, False)
    code = literal.literal_value

    @njit(error_model="numpy")
    def run(o, d, y, labels, scale, parameter):
        p, q, t, u = pointer(o, 0), pointer(d, 0), pointer(y, 0), pointer(parameter, 0)
        return function(code, p, q, t, pointer(labels, 0), pointer(scale, 0), o.shape[0], o.shape[1], u)

    rng = np.random.default_rng(0)
    o, y = (rng.random((1024, n)).astype(dtype) for n in (row.outputs_per_target, 1))
    parameter = np.full(1, 0.5, dtype)
    arguments = o, np.empty_like(o), y, np.zeros(1, np.int64), np.ones(len(o), dtype), parameter
    _time_pass(benchmark, f"loss, {dtype}", run, arguments, o.size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", range(len(optimizers.RULES)), ids=lambda code: optimizers.RULES[code].name)
def bench_optimizer(benchmark, code, dtype):
    settings = np.array([0.9, 0.999, 1e-8, 0.01])

    @njit(error_model="numpy")
    def run(p, g, s, t, settings):
        x, y, u, v = pointer(p, 0), pointer(g, 0), pointer(s, 0), pointer(t, 0)
        optimizers.update(code, x, y, u, v, p.size, 0.001, pointer(settings, 0), 5)

    arrays = [np.random.default_rng(i).random(8192).astype(dtype) for i in range(4)]
    _time_pass(benchmark, f"optimizer, {dtype}", run, (*arrays, settings), 8192)
