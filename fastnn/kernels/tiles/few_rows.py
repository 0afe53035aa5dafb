"""Products of few rows with large weights: they wait for memory, and so read the weights in the order of memory.

`fastnn.kernels.dispatch` says which of them a layer takes; arguments and results are those of `dense.product`.
"""

from __future__ import annotations

from fastnn.kernels.jit.compiling import callee, inlined, outlined
from fastnn.kernels.simd import broadcast, fma, lanes, load, load_first, store, store_first, tile
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.tiles.dense import DEPTH, HALF_TILE, HIGH, TILE_ROWS, Ahead, product_tile, strip
from fastnn.kernels.tiles.passes import copy_block

#: Rows of b that are added at once to the sums of few rows.
ROWS_AT_ONCE = 8

#: Rows of a whose factors fit in the registers beside each other: a row of b is loaded once for both.
PAIR = 2 if REGISTER_FILE.number > 16 else 1


# ---------------------------------------------------------------- b is read once, as it lies in memory
@inlined(literals=("rows", "count"))
def _add_rows(rows, count, m, a, row_stride, depth_stride, b, b_stride, c, c_stride):
    """``c += a[:, 0] b[0] + a[:, 1] b[1] + ...``, one after another, for `rows` rows of a and c and `count` of b."""
    factors, sums, width = tile(b, rows, count), tile(b, rows, 1), lanes(b)
    for i in range(rows):
        for s in range(count):
            factors[i, s] = broadcast(a[i * row_stride + s * depth_stride], b)
    for j in range(0, m - m % width, width):
        for i in range(rows):
            sums[i, 0] = load(c + (i * c_stride + j))
        for s in range(count):
            b_sj = load(b + (s * b_stride + j))
            for i in range(rows):
                sums[i, 0] = fma(factors[i, s], b_sj, sums[i, 0])
        for i in range(rows):
            store(c + (i * c_stride + j), sums[i, 0])
    j, left = m - m % width, m % width
    if left > 0:
        for i in range(rows):
            sum_i = load_first(c + (i * c_stride + j), left)
            for s in range(count):
                sum_i = fma(factors[i, s], load_first(b + (s * b_stride + j), left), sum_i)
            store_first(c + (i * c_stride + j), sum_i, left)


@callee
def few_rows_product(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
    """`product` for few rows of a, and a b whose rows are contiguous and that outgrows the first-level cache.

    A tile would walk down b, by a cache line or two of each row. Here whole rows of b, `ROWS_AT_ONCE` of them together,
    are added to the sums in c, which stay in the cache.
    """
    copy_block(init, init_stride, c, c_stride, n, m)
    whole, paired = depth - depth % ROWS_AT_ONCE, n - n % PAIR
    for k in range(0, whole, ROWS_AT_ONCE):
        a_k, b_k = a + k * depth_stride, b + k * b_stride
        for i in range(0, paired, PAIR):
            a_i, c_i = a_k + i * row_stride, c + i * c_stride
            _add_rows(PAIR, ROWS_AT_ONCE, m, a_i, row_stride, depth_stride, b_k, b_stride, c_i, c_stride)
        if paired < n:
            a_i, c_i = a_k + paired * row_stride, c + paired * c_stride
            _add_rows(1, ROWS_AT_ONCE, m, a_i, row_stride, depth_stride, b_k, b_stride, c_i, c_stride)
    for k in range(whole, depth):
        for i in range(n):
            a_i, c_i = a + (i * row_stride + k * depth_stride), c + i * c_stride
            _add_rows(1, 1, m, a_i, row_stride, depth_stride, b + k * b_stride, b_stride, c_i, c_stride)


# ---------------------------------------------------------------- b is fetched ahead
@outlined
def _strip_of_few(n, m, depth, a, b, init, c):
    """A strip of two vectors, whose first tile fetches the next strip's rows of b."""
    (a, a_stride, a_step), (init, init_stride), (c, c_stride) = a, init, c
    beside, a_0, init_0, c_0 = Ahead(0, a, 0, 0, True), (a, a_stride, a_step), (init, init_stride), (c, c_stride)
    if n >= TILE_ROWS:
        done = TILE_ROWS
        product_tile(TILE_ROWS, 2, 0, TILE_ROWS, m, depth, a_0, b, init_0, c_0, beside)
    elif n > HALF_TILE:  # one tile passes over the strip in the time of two half ones
        done = n
        product_tile(TILE_ROWS, 2, 0, n, m, depth, a_0, b, init_0, c_0, beside)
    else:
        done = n
        product_tile(HALF_TILE, 2, 0, n, m, depth, a_0, b, init_0, c_0, beside)
    if done < n:
        a, init, c, rest = a + done * a_stride, init + done * init_stride, c + done * c_stride, n - done
        strip(TILE_ROWS, 2, 0, 0, rest, m, depth, (a, a_stride, a_step), b, (init, init_stride), (c, c_stride))


@callee
def fetching_product(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
    """`product` for few rows of a, and a b whose rows are contiguous and that outgrows the second-level cache.

    Too few tiles pass over a strip of b to make up for the wait for its rows, which are therefore fetched while the
    strip before it is multiplied.
    """
    span = 2 * lanes(b)
    for start in range(0, depth if n > 0 else 0, DEPTH):  # a thread's share of a small batch may have no row
        part, b_k = min(DEPTH, depth - start), b + start * b_stride
        a_k = a + start * depth_stride, row_stride, depth_stride
        z, z_stride = (init, init_stride) if start == 0 else (c, c_stride)
        for j in range(0, m, span):
            b_j, z_j, c_j = (b_k + j, b_stride), (z + j, z_stride), (c + j, c_stride)
            if m - j > lanes(b):
                _strip_of_few(n, min(span, m - j), part, a_k, b_j, z_j, c_j)
            else:
                strip(HIGH, 1, 0, 0, n, m - j, part, a_k, b_j, z_j, c_j)
