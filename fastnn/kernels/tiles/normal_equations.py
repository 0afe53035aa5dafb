"""The normal equations of a least-squares fit: the residuals' Jacobian in blocks of rows, and its products.

For every sample and output there is a residual ``r = s (o - y)``, with s the sample's scale, and a row of J, its
derivatives with respect to all parameters. What a Gauss-Newton step needs is ``[J r]^T [J r]``, of which only the
part on and above the diagonal is computed, and J itself never exists but for one block of rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job
from fastnn.kernels.jit.compiling import inlined, kernel
from fastnn.kernels.simd import broadcast, fma, lanes, load_first, pointer, store_first, total
from fastnn.kernels.simd.calls import KNOWN, call
from fastnn.kernels.simd.types import REGISTER_BYTES
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.dense import CRITICAL_STRIDE
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
    workspace,
)

#: Rows of the products that are computed together; less of them lies below the diagonal, the fewer they are.
_PANEL = 64


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
def _output_rows(layers, n_layers, zeros, params, k, x, n, scale, work, jacobian, stride):
    """Rows ``k, k + n_out, ...`` of J, by backpropagation of the k-th output of a block that was fed forward."""
    last, n_outputs = layers + (n_layers - 1) * COLUMNS, layers[(n_layers - 1) * COLUMNS + N_OUT]
    d = work + last[D]
    for r in range(n):
        for j in range(n_outputs):
            d[r * n_outputs + j] = scale[r] if j == k else 0.0
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
def _add_up(table, n_layers, zeros, forward, params, X, y, scale, work, block_rows, jacobian, stride, sums):
    """Add every block's ``[J r]^T [J r]`` to `sums`, whose rows lie `stride` apart as those of `jacobian` do."""
    layers, p, w = pointer(table, 0), pointer(params, 0), pointer(work, 0)
    n_in, n_out, n_columns = X.shape[1], y.shape[1], params.size + 1
    output, rows = w + layers[(n_layers - 1) * COLUMNS + H], pointer(jacobian, 0)
    for start in range(0, X.shape[0], block_rows):
        n = min(block_rows, X.shape[0] - start)
        x, y_block, scales = pointer(X, start * n_in), pointer(y, start * n_out), pointer(scale, start)
        call(forward, layers, n_layers, zeros, p, x, n_in, n, w, ALONE)
        for i in range(n * n_out):
            rows[i * stride + params.size] = scales[i // n_out] * (output[i] - y_block[i])
        for k in range(n_out):
            _output_rows(layers, n_layers, zeros, p, k, x, n, scales, w, rows, stride)
        for i in range(0, n_columns, _PANEL):
            c, a = pointer(sums, i * stride + i), rows + i
            height, width = min(_PANEL, n_columns - i), n_columns - i
            call(layers[PRODUCT], height, width, n * n_out, a, 1, stride, a, stride, 1, c, stride, c, stride)


@kernel
def _substitute(factor, x):
    """``x = R^-1 R^-T x``, R being upper triangular."""
    n = x.size
    for i in range(n):
        row, left = pointer(factor, i * n), pointer(x, 0)
        x[i] /= factor[i, i]
        passes.add_scaled(-x[i], row + (i + 1), left + (i + 1), n - i - 1)
    for i in range(n - 1, -1, -1):
        row, solved = pointer(factor, i * n), pointer(x, 0)
        sums = broadcast(0.0, row)
        for j in range(i + 1, n, lanes(row)):
            sums = fma(load_first(row + j, n - j), load_first(solved + j, n - j), sums)
        x[i] = (x[i] - total(sums)) / factor[i, i]


# ---------------------------------------------------------------- from Python
def normal_equations(job: Job, scale: NDArray, block_rows: int) -> NDArray:
    """What a Gauss-Newton step is made of: the contract of `fastnn.reference.normal_equations.normal_equations`."""
    spec, itemsize = job.spec, np.dtype(job.spec.dtype).itemsize
    layers, zeros, size = layout(spec, block_rows, False, True)
    unit = REGISTER_BYTES // itemsize
    stride = -(-(spec.n_params + 1) // unit) * unit
    stride += unit if stride * itemsize % CRITICAL_STRIDE == 0 else 0
    if job.prepared is None:
        rows = workspace(block_rows * spec.n_out * stride, spec.dtype)
        sums = workspace((spec.n_params + 1) * stride, spec.dtype)
        job.prepared = workspace(size, spec.dtype), rows, sums
    work, rows, sums = job.prepared
    sums[:] = 0
    arrays = job.params, job.X, job.y, scale, work
    _add_up(layers, spec.n_layers, zeros, forward_address(spec.dtype), *arrays, block_rows, rows, stride, sums)
    return sums.reshape(-1, stride)[:, : spec.n_params + 1]


def cholesky_solve(factor: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The solution of ``R^T R x = b``: the contract of `fastnn.reference.normal_equations.cholesky_solve`."""
    x = b.copy()
    _substitute(np.ascontiguousarray(factor), x)
    return x
