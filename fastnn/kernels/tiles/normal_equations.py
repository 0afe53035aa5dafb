"""The normal equations of a least-squares fit: the residuals' Jacobian in blocks of rows, and its products.

For every sample and output there is a residual ``r = s (o - y)``, with s the sample's scale (a `fastnn.LeastSquares`
says what stands for the difference), and a row of J, its derivatives with respect to all parameters. What a
Gauss-Newton step needs is ``[J r]^T [J r]``, of which only the part on and above the diagonal is computed, and J itself
never exists beyond one block of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import sqrt

import numpy as np
from numba import types
from numpy.typing import NDArray

from fastnn.jobs.aligned import aligned_empty, aligned_zeros
from fastnn.jobs.job import Job
from fastnn.kernels.jit.compiling import address_of, inlined, kernel
from fastnn.kernels.simd import broadcast, fma, lanes, load_first, pointer, store_first, total
from fastnn.kernels.simd.calls import KNOWN, call
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.simd.types import pointer_type
from fastnn.kernels.tiles import dense, losses, passes
from fastnn.kernels.tiles.dense import TILE_ROWS, stride_for
from fastnn.kernels.tiles.layers import (
    ALONE,
    BIASES,
    COLUMNS,
    DERIVE,
    N_IN,
    N_OUT,
    PRODUCT,
    STRIDE,
    WEIGHTS,
    D,
    H,
    Z,
    forward_address,
    layout,
    product_address,
)
from fastnn.settings import catalogue

#: Rows of a product that are computed together, in whole tiles: the fewer, the less is computed below the diagonal.
_PANEL = 8 * TILE_ROWS

#: Rows of a Cholesky factor between two matrix products: within, row is subtracted from row, which is slower.
_PIVOTS = 32

#: Operations of one call of a kernel, a tenth of a second or so: between two calls Ctrl-C is answered.
_OPERATIONS = 2e9

#: Rows whose sums stay in float32, if a network computes in it: those of millions would be wrong in the third digit.
_ROWS_IN_SINGLE = 1024


@inlined
def _outer(h, n_in, d, n_out, out):
    """``out[i, j] = h[i] d[j]``: what a sample's weights of one layer do to an output."""
    if n_out == 1:
        for i in range(0, n_in, lanes(h)):
            store_first(out + i, d[0] * load_first(h + i, n_in - i), n_in - i)
    else:
        for j in range(0, n_out, lanes(h)):
            d_j = load_first(d + j, n_out - j)
            for i in range(n_in):
                store_first(out + (i * n_out + j), broadcast(h[i], h) * d_j, n_out - j)


@inlined
def _output_rows(layers, n_layers, zeros, params, k, x, n, scale, slopes, work, jacobian, stride):
    """Rows ``k, k + n_out, ...`` of J, by backpropagation of the k-th output of a block that was fed forward."""
    last, n_outputs = layers + (n_layers - 1) * COLUMNS, layers[(n_layers - 1) * COLUMNS + N_OUT]
    d = work + last[D]
    for r in range(n):
        for j in range(n_outputs):
            d[r * n_outputs + j] = scale[r] * slopes[r * n_outputs + j] if j == k else 0.0
    if last[DERIVE] != 0:
        call(last[DERIVE], KNOWN, d, work + last[Z], work + last[H], n * n_outputs)
    for l in range(n_layers - 1, -1, -1):
        layer, below = layers + l * COLUMNS, layers + (l - 1) * COLUMNS
        n_in, n_out, d, d_stride = layer[N_IN], layer[N_OUT], work + layer[D], layer[STRIDE]
        h, h_stride = (work + below[H], below[STRIDE]) if l > 0 else (x, n_in)
        for r in range(n):
            row = jacobian + (r * n_outputs + k) * stride
            _outer(h + r * h_stride, n_in, d + r * d_stride, n_out, row + layer[WEIGHTS])
            if layer[BIASES] >= 0:
                passes.copy_block(d + r * d_stride, n_out, row + layer[BIASES], n_out, 1, n_out)
        if l > 0:
            dh, w, zero = work + below[D], params + layer[WEIGHTS], (work + zeros, 0)
            call(layer[PRODUCT], n, n_in, n_out, d, d_stride, 1, w, 1, n_out, *zero, dh, h_stride)
            if below[DERIVE] != 0:
                call(below[DERIVE], KNOWN, dh, work + below[Z], h, n * h_stride)


@kernel
def _add_up(
    table, n_layers, zeros, forward, residuals, params, X, y, scale, work, room, block_rows, jacobian, stride, sums
):
    """Add every block's ``[J r]^T [J r]`` to `sums`, whose rows lie `stride` apart as those of `jacobian` do.

    `room` takes the residuals of a block, and their derivatives.
    """
    layers, p, w = pointer(table, 0), pointer(params, 0), pointer(work, 0)
    n_in, n_out, n_columns = X.shape[1], y.shape[1], params.size + 1
    output, rows = w + layers[(n_layers - 1) * COLUMNS + H], pointer(jacobian, 0)
    errors, slopes = pointer(room, 0), pointer(room, block_rows * n_out)
    for start in range(0, X.shape[0], block_rows):
        n = min(block_rows, X.shape[0] - start)
        x, y_block, scales = pointer(X, start * n_in), pointer(y, start * n_out), pointer(scale, start)
        call(forward, layers, n_layers, zeros, p, x, n_in, n, w, ALONE)
        call(residuals, KNOWN, output, y_block, n * n_out, errors, slopes)
        for i in range(n * n_out):
            rows[i * stride + params.size] = scales[i // n_out] * errors[i]
        for k in range(n_out):
            _output_rows(layers, n_layers, zeros, p, k, x, n, scales, slopes, w, rows, stride)
        for i in range(0, n_columns, _PANEL):
            c, a = pointer(sums, i * stride + i), rows + i
            height, width = min(_PANEL, n_columns - i), n_columns - i
            call(layers[PRODUCT], height, width, n * n_out, a, 1, stride, a, stride, 1, c, stride, c, stride)


@kernel
def _factorise(product, factor, start, stop, negative):
    """Replace rows `start` to `stop` of a matrix, whose upper triangle counts, by those of its Cholesky factor R.

    Whether it is positive definite so far. What these rows take from those below is subtracted; `negative`, of
    `_PIVOTS` rows, receives ``-R``.
    """
    n, stride = factor.shape
    for top in range(start, stop, _PIVOTS):
        end = min(top + _PIVOTS, n)
        rows, minus = pointer(factor, top * stride), pointer(negative, 0)
        for i in range(top, end):
            row = pointer(factor, i * stride)
            for j in range(top, i):
                above = pointer(factor, j * stride)
                passes.add_scaled(-above[i], above + i, row + i, n - i)
            if not (0.0 < row[i] < np.inf):
                return False
            passes.scale(1.0 / sqrt(row[i]), row + i, n - i)
            for j in range(end, n):
                minus[(i - top) * stride + j] = -row[j]
        for i in range(end, n, _PANEL):
            c, a = pointer(factor, i * stride + i), minus + i
            height, width = min(_PANEL, n - i), n - i
            call(product, height, width, end - top, a, 1, stride, rows + i, stride, 1, c, stride, c, stride)
    return True


@kernel
def _substitute(factor, x):
    """``x = R^-1 R^-T x``, R being upper triangular."""
    n, stride = x.size, factor.shape[1]
    for i in range(n):
        row, left = pointer(factor, i * stride), pointer(x, 0)
        x[i] /= factor[i, i]
        passes.add_scaled(-x[i], row + (i + 1), left + (i + 1), n - i - 1)
    for i in range(n - 1, -1, -1):
        row, solved = pointer(factor, i * stride), pointer(x, 0)
        sums = broadcast(0.0, row)
        for j in range(i + 1, n, lanes(row)):
            sums = fma(load_first(row + j, n - j), load_first(solved + j, n - j), sums)
        x[i] = (x[i] - total(sums)) / factor[i, i]


@kernel
def _invert(product, factor, start, stop, inverse):
    """Rows `start` to `stop` of the inverse of an upper triangular R, of which those below are known."""
    n, stride = inverse.shape[0], inverse.shape[1]
    for end in range(stop, start, -_PIVOTS):
        top = max(start, end - _PIVOTS)
        for j in range(end, n, _PANEL):  # what the rows below add
            a, b = pointer(factor, top * factor.shape[1] + end), pointer(inverse, end * stride + j)
            c, width = pointer(inverse, top * stride + j), min(_PANEL, n - j)
            depth = j + width - end  # beyond which those are zero
            call(product, end - top, width, depth, a, factor.shape[1], 1, b, stride, 1, c, stride, c, stride)
        for i in range(end - 1, top - 1, -1):
            row = pointer(inverse, i * stride)
            for k in range(i + 1, end):
                passes.add_scaled(factor[i, k], pointer(inverse, k * stride + k), row + k, n - k)
            passes.scale(-1.0 / factor[i, i], row + i, n - i)
            row[i] = 1.0 / factor[i, i]


@kernel
def _residuals(address, outputs, y, values, slopes):
    """The residuals of outputs, and their derivatives."""
    arrays = pointer(outputs, 0), pointer(y, 0), pointer(values, 0), pointer(slopes, 0)
    call(address, KNOWN, arrays[0], arrays[1], y.size, arrays[2], arrays[3])


# ---------------------------------------------------------------- from Python
@lru_cache(maxsize=64)
def _residuals_address(loss: catalogue.Loss, dtype: str) -> int:
    place = pointer_type(dtype)
    return address_of(*losses.residuals_of(loss), place, place, types.intp, place, place)


def residuals(job: Job, outputs: NDArray) -> tuple[NDArray, NDArray]:
    """What a job's loss squares: the contract of `fastnn.reference.normal_equations.residuals`."""
    values, slopes = np.empty((2, *outputs.shape), outputs.dtype)
    _residuals(_residuals_address(job.loss, job.spec.dtype), outputs, job.y, values, slopes)
    return values, slopes


def normal_equations(job: Job, scale: NDArray, block_rows: int, answer: Callable[[], None]) -> NDArray:
    """What a Gauss-Newton step is made of: the contract of `fastnn.reference.normal_equations.normal_equations`."""
    spec, dtype = job.spec, job.spec.dtype
    block_rows = min(block_rows, max(1, REGISTER_FILE.jacobian_rows // spec.n_out))
    layers, zeros, size = layout(spec, block_rows, False, True)
    stride = stride_for(spec.n_params + 1, np.dtype(dtype).itemsize)
    if not job.buffers:
        rows = aligned_zeros(block_rows * spec.n_out * stride, dtype)
        sums = aligned_zeros((spec.n_params + 1) * stride, dtype)
        room = aligned_zeros(2 * block_rows * spec.n_out, dtype)
        job.buffers = aligned_zeros(size, dtype), room, rows, sums
    work, room, rows, sums = job.buffers
    in_double = sums if dtype == "float64" else np.zeros(sums.shape)
    addresses = forward_address(dtype), _residuals_address(job.loss, dtype)
    blocks, n = max(1, int(_OPERATIONS / (block_rows * spec.n_out * (spec.n_params + 1) ** 2))), len(job.X)
    summed = n if in_double is sums else max(1, _ROWS_IN_SINGLE // block_rows) * block_rows
    for first in range(0, n, summed):
        sums[:], stop = 0, min(first + summed, n)
        for start in range(first, stop, blocks * block_rows):
            answer()
            part = slice(start, min(start + blocks * block_rows, stop))
            arrays = job.params, job.X[part], job.y[part], scale[part], work, room
            _add_up(layers, spec.n_layers, zeros, *addresses, *arrays, block_rows, rows, stride, sums)
        if in_double is not sums:
            in_double += sums
    return in_double.reshape(-1, stride)[:, : spec.n_params + 1]


def cholesky(
    matrix: NDArray[np.float64], damping: float, answer: Callable[[], None]
) -> NDArray[np.float64] | None:
    """The Cholesky factor of a damped matrix: the contract of `fastnn.reference.normal_equations.cholesky`."""
    n = len(matrix)
    stride = stride_for(n, 8)
    factor = aligned_empty(n * stride, "float64").reshape(n, stride)
    factor[:, :n] = matrix
    np.einsum("ii->i", factor[:, :n])[:] += damping
    negative = aligned_zeros(_PIVOTS * stride, "float64")
    product, rows = product_address(dense.product, "float64"), _rows_a_call(n)
    for start in range(0, n, rows):
        answer()
        if not _factorise(product, factor, start, min(start + rows, n), negative):
            return None
    return factor


def trace_of_inverse(factor: NDArray[np.float64], n: int, answer: Callable[[], None]) -> float:
    """The trace of ``(R^T R)^-1``: the contract of `fastnn.reference.normal_equations.trace_of_inverse`."""
    stride = stride_for(n, 8)
    inverse = aligned_zeros(n * stride, "float64").reshape(n, stride)
    product, rows = product_address(dense.product, "float64"), _rows_a_call(n)
    for stop in range(n, 0, -rows):
        answer()
        _invert(product, factor, max(0, stop - rows), stop, inverse)
    return float(np.square(inverse).sum())


def _rows_a_call(n: int) -> int:
    """How many of n rows of a factor, or of its inverse, one call computes."""
    return max(1, int(_OPERATIONS / (_PIVOTS * n * n))) * _PIVOTS


def cholesky_solve(factor: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The solution of ``R^T R x = b``: the contract of `fastnn.reference.normal_equations.cholesky_solve`."""
    x = b.copy()
    _substitute(np.ascontiguousarray(factor), x)
    return x
