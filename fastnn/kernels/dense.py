"""The dense layer's three matrix products, through one register tile.

With x the layer's input (batch, n_in), W its weights (n_in, n_out), d the gradient of the loss with respect to
its pre-activations (batch, n_out):

    forward   z  = x W + b         (batch, n_out)
    weights   dW = x^T d           (n_in, n_out)
    input     dx = d W^T           (batch, n_in), on a transposed copy of W

Each is ``c = init + a b`` over some depth. A tile of c stays in registers while the depth goes by: a row of b is
loaded as vectors, a number of a is broadcast, whichever way a lies in memory, for it is read through its strides.
Every element of c is summed in the order of the depth, whatever tile it falls into.
"""

from __future__ import annotations

from fastnn.kernels.compiling import callee, inlined
from fastnn.kernels.llvm.simd import broadcast, fma, lanes, load, load_first, scratch, store, store_first, tile, total
from fastnn.kernels.llvm.types import REGISTER_BYTES, REGISTERS

#: Rows of the register tile: it is two vectors wide and LOW, or one wide and HIGH. Its many sums hide fma's latency.
LOW = 8 if REGISTERS >= 32 else 6
HIGH = 2 * LOW

#: Deeper products are summed in parts of this depth.
DEPTH = 512

#: Vectors of a panel of b: of its depth, two wide.
PANEL = 2 * DEPTH

#: Vectors of a that stay in the second-level cache (384 KiB of AVX-512's) while all of b goes by.
CHUNK_VECTORS = 6144

#: A row stride of a multiple of this many bytes makes the rows of a matrix compete for few cache lines.
CRITICAL_STRIDE = 1024

#: The rows of a from which on a panel of such a b is first copied to where its rows lie side by side.
PACKING_ROWS = 64


@inlined(literals=("height", "columns", "last"))
def product_tile(height, columns, last, rows, depth, a, b, init, c):
    """One tile of ``c = init + a b``: `height` rows by `columns` vectors (literals).

    A matrix is a pointer and its row stride, and for a the stride from one column to the next. Of the last vector
    only `last` lanes are read and written, all of them if the literal `last` is 0. Rows beyond `rows` repeat the last
    row, so that the loop has one shape.
    """
    (a, a_stride, a_step), (b, b_stride), (init, init_stride), (c, c_stride) = a, b, init, c
    sums, width = tile(b, height, columns), lanes(b)
    for i in range(height):
        row = init + min(i, rows - 1) * init_stride
        for j in range(columns):
            sums[i, j] = _load_column(columns, last, j, row + j * width)
    for k in range(depth):
        for j in range(columns):
            b_kj = _load_column(columns, last, j, b + (k * b_stride + j * width))
            for i in range(height):
                a_ik = broadcast(a[min(i, rows - 1) * a_stride + k * a_step], b)
                sums[i, j] = fma(a_ik, b_kj, sums[i, j])
    for i in range(height):
        row = c + min(i, rows - 1) * c_stride
        for j in range(columns):
            if last > 0 and j == columns - 1:
                store_first(row + j * width, sums[i, j], last)
            else:
                store(row + j * width, sums[i, j])


@inlined(literals=("columns", "last"))
def _load_column(columns, last, j, place):
    return load_first(place, last) if last > 0 and j == columns - 1 else load(place)


@inlined
def _dots(n, depth, a, row_stride, b, init, init_stride, c, c_stride):
    """``c = init + a b`` where b is a column and the rows of a are contiguous: a dot product a row."""
    for i in range(n):
        a_i, sums = a + i * row_stride, broadcast(0.0, b)
        for k in range(0, depth, lanes(b)):
            sums = fma(load_first(a_i + k, depth - k), load_first(b + k, depth - k), sums)
        c[i * c_stride] = init[i * init_stride] + total(sums)


@callee
def product(n, m, depth, a, row_stride, depth_stride, b, b_stride, init, init_stride, c, c_stride):
    """``c = init + a b`` with c (n, m), a (n, depth), b (depth, m).

    ``a[i, k]`` stands at ``a + i row_stride + k depth_stride``; rows of b, init and c are contiguous. An
    `init_stride` of 0 adds the same row everywhere.
    """
    if m == 1 and b_stride == 1 and c_stride == 1:  # columns without gaps: what is b^T a^T?
        if depth_stride == 1:
            return _dots(n, depth, a, row_stride, b, init, init_stride, c, c_stride)
        if row_stride == 1 and init_stride == 1:
            n, m, a, row_stride, depth_stride, b, b_stride = 1, n, b, 1, 1, a, depth_stride
    width = lanes(b)
    chunk = max(HIGH, CHUNK_VECTORS * width // min(depth, DEPTH) // HIGH * HIGH)
    packs = n >= PACKING_ROWS and b_stride * REGISTER_BYTES // width % CRITICAL_STRIDE == 0
    panel = scratch(b, PANEL)
    for start in range(0, depth, DEPTH):
        part, a_k, b_k = min(DEPTH, depth - start), a + start * depth_stride, b + start * b_stride
        z, z_stride = (init, init_stride) if start == 0 else (c, c_stride)
        for first in range(0, n, chunk):
            end = min(first + chunk, n)
            for j in range(0, m, 2 * width):
                b_j, left = (b_k + j, b_stride), m - j
                if packs and left >= 2 * width:
                    for k in range(part):
                        row = b_k + (k * b_stride + j)
                        store(panel + 2 * k * width, load(row))
                        store(panel + (2 * k + 1) * width, load(row + width))
                    b_j = panel, 2 * width
                for i in range(first, end, LOW if left > width else HIGH):
                    a_i = a_k + i * row_stride, row_stride, depth_stride
                    z_i, c_i = (z + (i * z_stride + j), z_stride), (c + (i * c_stride + j), c_stride)
                    if left >= 2 * width:
                        product_tile(LOW, 2, 0, end - i, part, a_i, b_j, z_i, c_i)
                    elif left > width:
                        product_tile(LOW, 2, left - width, end - i, part, a_i, b_j, z_i, c_i)
                    else:
                        product_tile(HIGH, 1, left, end - i, part, a_i, b_j, z_i, c_i)
