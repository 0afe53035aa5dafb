"""Products of a layer with one output, or few, which would leave most lanes of a vector empty.

Arguments and results are those of `dense.product`.
"""

from __future__ import annotations

from fastnn.kernels.jit.compiling import callee
from fastnn.kernels.simd import broadcast, fma, lanes, load, load_first, scratch, store, store_first, tile, transpose
from fastnn.kernels.tiles.dense import HALF_TILE, WIDE, Ahead, product_tile

#: Rows that are read side by side: where they lie at a critical stride, the first-level cache has room for no more.
ROWS_TOGETHER = 8

#: Vectors of a tile as high as `HALF_TILE`.
TURNED = HALF_TILE * WIDE


# ---------------------------------------------------------------- of a layer with one output: products with vectors
@callee
def dots(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
    """`product` with a column b, all strides but `row_stride` and `init_stride` being 1: a dot product for each row.

    As many rows as a vector has lanes are taken together: a vector of partial sums for each, transposed so that the
    sums stand side by side.
    """
    width = lanes(b)
    sums, group = tile(b, width, 1), min(width, ROWS_TOGETHER)
    for r in range(0, n, width):
        rows = min(width, n - r)
        for i in range(width):
            sums[i, 0] = broadcast(0.0, b)
        for g in range(0, width, group):
            for k in range(0, depth, width):
                b_k = load_first(b + k, depth - k)
                for i in range(group):
                    a_ik = load_first(a + ((r + min(g + i, rows - 1)) * row_stride + k), depth - k)
                    sums[g + i, 0] = fma(a_ik, b_k, sums[g + i, 0])
        transpose(sums)
        even, odd = sums[0, 0], sums[1, 0]
        for i in range(2, width, 2):
            even, odd = even + sums[i, 0], odd + sums[i + 1, 0]
        start = load_first(init + r, rows) if init_stride == 1 else broadcast(init[0], b)
        store_first(c + r, start + (even + odd), rows)


@callee
def weighted_sum(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
    """`product` with a column b, all strides but `depth_stride` being 1: a's columns weighted by b, in four sums."""
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
def outer(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
    """`product` of a depth of one, a column and a row, where `init_stride` is 0."""
    for j in range(0, m, lanes(b)):
        left = m - j
        b_j, init_j = load_first(b + j, left), load_first(init + j, left)
        for i in range(n):
            store_first(c + (i * c_stride + j), fma(b_j, a[i * row_stride], init_j), left)


# ---------------------------------------------------------------- of a layer with few outputs
@callee
def turned(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
    """`product` with `row_stride` 1 and m at most `HALF_TILE` and a vector: its transpose, whose rows fill vectors."""
    width = lanes(b)
    wide, turned_c, zeros, square = WIDE * width, scratch(b, TURNED), scratch(b, WIDE), tile(b, width, 1)
    for j in range(0, wide, width):
        store(zeros + j, broadcast(0.0, b))
    done, nothing = 0, Ahead(0, a, 0, 0, False)
    while done < n:
        span = wide if n >= wide else min(width, n - done)
        first = min(done, n - span)  # a last tile begins within the one before
        b_turned, a_turned = (b, 1, b_stride), (a + first, depth_stride)
        if n >= wide:
            product_tile(HALF_TILE, WIDE, 0, m, span, depth, b_turned, a_turned, (zeros, 0), (turned_c, wide), nothing)
        else:
            product_tile(HALF_TILE, 1, 0, m, span, depth, b_turned, a_turned, (zeros, 0), (turned_c, wide), nothing)
        for j in range(0, span, width):
            for r in range(width):
                square[r, 0] = load(turned_c + (min(r, m - 1) * wide + j))
            transpose(square)
            for r in range(max(0, done - first - j), min(width, span - j)):
                row = first + j + r
                store_first(c + row * c_stride, square[r, 0] + load_first(init + row * init_stride, m), m)
        done = first + span
