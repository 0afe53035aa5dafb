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
from fastnn.kernels.llvm.opaque import opaque
from fastnn.kernels.llvm.simd import (
    broadcast,
    fma,
    lanes,
    load,
    load_first,
    scratch,
    store,
    store_first,
    tile,
    transpose,
)
from fastnn.kernels.llvm.types import REGISTER_BYTES, REGISTERS

#: Rows of the register tile: it is two vectors wide and LOW, or one wide and HIGH. Its many sums hide fma's latency.
LOW = 8 if REGISTERS >= 32 else 6
HIGH = 2 * LOW

#: Rows of a tile whose numbers are addressed from one pointer: an address a row would be more than there are registers.
GROUP = 4 if LOW % 4 == 0 else 3

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


@inlined(literals=("columns", "last"))
def _load_column(columns, last, j, place):
    return load_first(place, last) if last > 0 and j == columns - 1 else load(place)


@inlined(literals=("columns", "last"))
def _store_column(columns, last, j, place, vector):
    if last > 0 and j == columns - 1:
        store_first(place, vector, last)
    else:
        store(place, vector)


@inlined(literals=("height", "columns", "last"))
def product_tile(height, columns, last, depth, a, b, init, c):
    """One tile of ``c = init + a b``: `height` rows by `columns` vectors (literals).

    A matrix is a pointer and its row stride, and for a the stride from one column to the next. Of the last vector
    only `last` lanes are read and written, all of them if the literal `last` is 0.
    """
    (a, a_stride, a_step), (b, b_stride), (init, init_stride), (c, c_stride) = a, b, init, c
    sums, width = tile(b, height, columns), lanes(b)
    for i in range(height):
        for j in range(columns):
            sums[i, j] = _load_column(columns, last, j, init + (i * init_stride + j * width))
    for k in range(depth):
        for g in range(0, height, GROUP):
            a_g = opaque(a + (g * a_stride + k * a_step))
            for i in range(g, g + GROUP):
                a_ik = broadcast(a_g[(i - g) * a_stride], b)
                for j in range(columns):
                    b_kj = _load_column(columns, last, j, b + (k * b_stride + j * width))
                    sums[i, j] = fma(a_ik, b_kj, sums[i, j])
    for i in range(height):
        for j in range(columns):
            _store_column(columns, last, j, c + (i * c_stride + j * width), sums[i, j])


@inlined(literals=("columns",))
def short_tile(columns, last, rows, depth, a, b, init, c):
    """A tile of `LOW` rows at most: those beyond `rows` repeat the last, so that the loop has one shape."""
    (a, a_stride, a_step), (b, b_stride), (init, init_stride), (c, c_stride) = a, b, init, c
    sums, width = tile(b, LOW, columns), lanes(b)
    for i in range(LOW):
        for j in range(columns):
            sums[i, j] = _load_column(columns, last, j, init + (min(i, rows - 1) * init_stride + j * width))
    for k in range(depth):
        for j in range(columns):
            b_kj = _load_column(columns, last, j, b + (k * b_stride + j * width))
            for i in range(LOW):
                a_ik = broadcast(a[min(i, rows - 1) * a_stride + k * a_step], b)
                sums[i, j] = fma(a_ik, b_kj, sums[i, j])
    for i in range(LOW):
        for j in range(columns):
            _store_column(columns, last, j, c + (min(i, rows - 1) * c_stride + j * width), sums[i, j])


@callee
def edge(n, m, depth, a, row_stride, depth_stride, b, b_stride, init, init_stride, c, c_stride):
    """`product` with b two vectors wide at most."""
    width, whole = lanes(b), n - n % HIGH if m <= lanes(b) else 0
    for i in range(0, whole, HIGH):
        a_i, init_i, c_i = a + i * row_stride, init + i * init_stride, c + i * c_stride
        a_i, init_i, c_i = (a_i, row_stride, depth_stride), (init_i, init_stride), (c_i, c_stride)
        product_tile(HIGH, 1, m, depth, a_i, (b, b_stride), init_i, c_i)
    for i in range(whole, n, LOW):
        a_i, init_i, c_i = a + i * row_stride, init + i * init_stride, c + i * c_stride
        a_i, init_i, c_i = (a_i, row_stride, depth_stride), (init_i, init_stride), (c_i, c_stride)
        if m <= width:
            short_tile(1, m, n - i, depth, a_i, (b, b_stride), init_i, c_i)
        else:
            short_tile(2, m - width, n - i, depth, a_i, (b, b_stride), init_i, c_i)


@callee
def product(n, m, depth, a, row_stride, depth_stride, b, b_stride, init, init_stride, c, c_stride):
    """``c = init + a b`` with c (n, m), a (n, depth), b (depth, m).

    ``a[i, k]`` stands at ``a + i row_stride + k depth_stride``; rows of b, init and c are contiguous. An
    `init_stride` of 0 adds the same row everywhere.
    """
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
                i = first
                while left >= 2 * width and i + LOW <= end:
                    a_i = a_k + i * row_stride, row_stride, depth_stride
                    z_i, c_i = (z + (i * z_stride + j), z_stride), (c + (i * c_stride + j), c_stride)
                    product_tile(LOW, 2, 0, part, a_i, b_j, z_i, c_i)
                    i += LOW
                if i < end:
                    a_i, z_i, c_i = a_k + i * row_stride, z + (i * z_stride + j), c + (i * c_stride + j)
                    span, columns = end - i, min(left, 2 * width)
                    edge(span, columns, part, a_i, row_stride, depth_stride, *b_j, z_i, z_stride, c_i, c_stride)


# ---------------------------------------------------------------- of a layer with one output: products with vectors
@callee
def dots(n, m, depth, a, row_stride, depth_stride, b, b_stride, init, init_stride, c, c_stride):
    """`product` with a column b, where only `row_stride` and `init_stride` are not 1: a dot product a row.

    A vector of products for each of as many rows as it has lanes, turned so that their sums stand side by side.
    """
    width = lanes(b)
    sums = tile(b, width, 1)
    for r in range(0, n, width):
        rows = min(width, n - r)
        for i in range(width):
            sums[i, 0] = broadcast(0.0, b)
        for k in range(0, depth, width):
            b_k = load_first(b + k, depth - k)
            for i in range(width):
                a_ik = load_first(a + ((r + min(i, rows - 1)) * row_stride + k), depth - k)
                sums[i, 0] = fma(a_ik, b_k, sums[i, 0])
        transpose(sums)
        even, odd = sums[0, 0], sums[1, 0]
        for i in range(2, width, 2):
            even, odd = even + sums[i, 0], odd + sums[i + 1, 0]
        start = load_first(init + r, rows) if init_stride == 1 else broadcast(init[0], b)
        store_first(c + r, start + (even + odd), rows)


@callee
def weighted_sum(n, m, depth, a, row_stride, depth_stride, b, b_stride, init, init_stride, c, c_stride):
    """`product` with a column b, where only `depth_stride` is not 1: a sum of a's columns, four sums at a time."""
    width = lanes(b)
    for i in range(0, n, width):
        left = n - i
        sum_0, sum_1 = load_first(init + i, left), broadcast(0.0, b)
        sum_2, sum_3 = sum_1, sum_1
        whole = depth - depth % 4
        for k in range(0, whole, 4):
            a_k = a + (k * depth_stride + i)
            sum_0 = fma(load_first(a_k, left), b[k], sum_0)
            sum_1 = fma(load_first(a_k + depth_stride, left), b[k + 1], sum_1)
            sum_2 = fma(load_first(a_k + 2 * depth_stride, left), b[k + 2], sum_2)
            sum_3 = fma(load_first(a_k + 3 * depth_stride, left), b[k + 3], sum_3)
        for k in range(whole, depth):
            sum_0 = fma(load_first(a + (k * depth_stride + i), left), b[k], sum_0)
        store_first(c + i, (sum_0 + sum_1) + (sum_2 + sum_3), left)


@callee
def outer(n, m, depth, a, row_stride, depth_stride, b, b_stride, init, init_stride, c, c_stride):
    """`product` of a depth of one, a column and a row, where `init_stride` is 0."""
    for j in range(0, m, lanes(b)):
        left = m - j
        b_j, init_j = load_first(b + j, left), load_first(init + j, left)
        for i in range(n):
            store_first(c + (i * c_stride + j), fma(b_j, a[i * row_stride], init_j), left)
