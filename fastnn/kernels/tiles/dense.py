"""The dense layer's three matrix products, through one register tile.

With x the layer's input (batch, n_in), W its weights (n_in, n_out), d the gradient of the loss with respect to
its pre-activations (batch, n_out):

    forward   z  = x W + b         (batch, n_out)
    weights   dW = x^T d           (n_in, n_out)
    input     dx = d W^T           (batch, n_in)

Each is ``c = init + a b`` over some depth. A tile of c stays in registers while the depth goes by: a row of b is
loaded as vectors, a number of a is broadcast, whichever way a lies in memory, for it is read through its strides.
A b that lies as its transpose, as W^T does, is turned on the way, a panel of it at a time.
Every element of c is summed in the order of the depth, whatever tile it falls into.
"""

from __future__ import annotations

from typing import NamedTuple

from fastnn.jobs.aligned import CACHE_LINE
from fastnn.kernels.dispatch import MANY_ROWS
from fastnn.kernels.jit.compiling import callee, inlined, outlined
from fastnn.kernels.simd import (
    broadcast,
    first_lanes,
    fma,
    lanes,
    load,
    load_first,
    load_halves,
    prefetch,
    scratch,
    select,
    store,
    store_first,
    store_halves,
    tile,
)
from fastnn.kernels.simd.blocks import transpose_block
from fastnn.kernels.simd.opaque import opaque
from fastnn.kernels.simd.registers import REGISTER_BYTES, REGISTER_FILE
from fastnn.kernels.simd.types import Pointer

#: The register tile has TILE_ROWS rows of two vectors each, HIGH rows of one, or FLAT rows of WIDE: enough independent
#: sums to hide the latency of fma. Half a tile takes the few rows that are left over.
HIGH, TILE_ROWS, FLAT = REGISTER_FILE.tile[0], REGISTER_FILE.tile[1], REGISTER_FILE.tile[-1]
WIDE, HALF_TILE = len(REGISTER_FILE.tile), TILE_ROWS // 2

#: Whether two rows share a vector for their last half vector of columns, which takes a register beside their own two.
SHARED = int(REGISTER_FILE.number > 16)

#: Whether strips are WIDE vectors wide in small products, too; otherwise in large gradients alone.
SMALL_IS_WIDE = REGISTER_FILE.number == 16

#: Deeper products are summed in parts of this depth: two vectors of b for all of it stay in the first-level cache.
DEPTH = REGISTER_FILE.depth

#: Strips of b that are packed at once: where its rows lie on different pages, longer pieces of them are read faster.
STRIPS = 4

#: Least bytes of a b whose next panel is fetched even if it is not packed: it outgrows the second-level cache.
FAR_PANELS = 2**20

#: Vectors of a packed panel of b: `DEPTH` rows of these strips, each two vectors wide.
PANEL = 2 * STRIPS * DEPTH

#: Vectors of a, in rows of `DEPTH` numbers, that stay in the second-level cache while all of b goes by.
CHUNK_VECTORS = REGISTER_FILE.chunk

#: Vectors of these rows once packed, where each tile takes one column more.
PACKED = REGISTER_FILE.packed * (DEPTH + 1) // DEPTH + 1

#: A row stride of a multiple of this many bytes makes the rows of a matrix compete for few cache lines.
CRITICAL_STRIDE = 1024


def stride_for(columns: int, itemsize: int) -> int:
    """A stride for rows of this many numbers: whole registers, and not critical."""
    unit = REGISTER_BYTES // itemsize
    stride = -(-columns // unit) * unit
    return stride + unit if stride * itemsize % CRITICAL_STRIDE == 0 else stride


@outlined
def plain_product(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
    """What every product here computes, number by number: to be read, and for tests to compare with.

    The arguments are those of `product`.
    """
    for i in range(n):
        for j in range(m):
            total = init[i * init_stride + j]
            for k in range(depth):
                total += a[i * row_stride + k * depth_stride] * b[k * b_stride + j * b_step]
            c[i * c_stride + j] = total


# ---------------------------------------------------------------- the same by tiles
@inlined
def _load(columns, j, row, m):
    """Vector `j` of the first `m` numbers of a row; the last of several ends with them, overlapping the one before."""
    if columns == 1:
        return load_first(row, m)
    return load(row + (j * lanes(row) if j < columns - 1 else m - lanes(row)))


@inlined
def _store(columns, j, row, m, vector):
    """Write what `_load` reads."""
    if columns == 1:
        store_first(row, vector, m)
    else:
        store(row + (j * lanes(row) if j < columns - 1 else m - lanes(row)), vector)


@inlined(literals=("height",))
def _group(height):
    """Rows of a tile that share a pointer: one for each row would take more registers than there are."""
    return 4 if height % 4 == 0 else 3 if height % 3 == 0 else 2


@inlined
def _group_at(g, group, rows, matrix, stride):
    """Where group `g` of the rows begins; the last of several ends with the last row, overlapping the one before."""
    return opaque(matrix + max(min(g, rows - group), 0) * stride)


class Ahead(NamedTuple):
    """The cache lines that a tile fetches ahead while it is computed: `n` of them for each line of a row of a.

    More at once, or all of them between two tiles, would keep the tile's own loads waiting.
    """

    n: int  # TILE_ROWS or 0, known to LLVM
    place: Pointer  # of the first line
    stride: int  # from one of the `n` lines to the next
    step: int  # from the first of them to the first of the next `n`
    beside: bool  # whether to fetch, in each row of b, what lies behind the tile's columns, too; known to LLVM


@inlined
def product_tile(height, columns, shared, rows, m, depth, a, b, init, c, ahead):
    """One tile of ``c = init + a b``: `rows` by `m` numbers in a tile of `height` rows by `columns` vectors.

    A matrix is given as a pointer and its row stride, a also with the stride from one column to the next. LLVM knows
    `height`, `columns` and `shared`. Where fewer rows are left than a tile or a group has, some are computed twice, as
    all is read before anything is written. `shared` is 1 where the last columns take half a vector more, for which two
    rows share one vector; otherwise 0.
    """
    (a, a_stride, a_step), (b, b_stride), (init, init_stride), (c, c_stride) = a, b, init, c
    sums, row_of_b = tile(b, HIGH, WIDE), tile(b, WIDE, 1)
    group = _group(height)
    vectors, tail = columns + shared, m - lanes(b) // 2
    # Opaque: if LLVM knew that these are halves, it would permute, in a unit that multiplies, where AVX-512 can blend.
    first_half = first_lanes(opaque(lanes(b) // 2), b)
    for g in range(0, height, group):
        init_g = _group_at(g, group, rows, init, init_stride)
        for i in range(group):
            row = init_g + min(i, rows - 1) * init_stride
            for j in range(columns):
                sums[g + i, j] = _load(vectors, j, row, m)
            if shared and i % 2 == 1:
                above = init_g + min(i - 1, rows - 1) * init_stride
                sums[g + i, columns] = load_halves(above + tail, row + tail)
    if REGISTER_FILE.fetches_sums and height == TILE_ROWS:  # c of the next tile; with AVX2 in large products alone
        for i in range(height):
            prefetch(c + (height + i) * c_stride)
    line = lanes(b) * CACHE_LINE // REGISTER_BYTES
    for k in range(depth):
        if ahead.n > 0 and k % line == 0:
            for g in range(0, ahead.n, group):
                place = opaque(ahead.place + (k // line * ahead.step + g * ahead.stride))
                for i in range(group):
                    prefetch(place + i * ahead.stride)
        b_k = b + k * b_stride
        for j in range(columns):
            row_of_b[j, 0] = _load(vectors, j, b_k, m)
        # Each line is fetched by its end: a strip that begins within a line shares its last line with the next strip.
        for j in range(line, columns * lanes(b) + 1 if ahead.beside else 0, line):
            prefetch(b_k + (columns * lanes(b) + j - 1))
        for g in range(0, height, group):
            a_g = _group_at(g, group, rows, a + k * a_step, a_stride)
            for i in range(group):
                a_ik = broadcast(a_g[min(i, rows - 1) * a_stride], b)
                for j in range(columns):
                    sums[g + i, j] = fma(a_ik, row_of_b[j, 0], sums[g + i, j])
                if shared and i % 2 == 1:
                    a_pair = select(first_half, broadcast(a_g[min(i - 1, rows - 1) * a_stride], b), a_ik)
                    sums[g + i, columns] = fma(a_pair, load_halves(b_k + tail, b_k + tail), sums[g + i, columns])
    for g in range(0, height, group):
        c_g = _group_at(g, group, rows, c, c_stride)
        for i in range(group):
            row = c_g + min(i, rows - 1) * c_stride
            for j in range(columns):
                _store(vectors, j, row, m, sums[g + i, j])
            if shared and i % 2 == 1:
                store_halves(c_g + min(i - 1, rows - 1) * c_stride + tail, row + tail, sums[g + i, columns])


@outlined(literals=("height", "columns", "shared", "packed"))
def strip(height, columns, shared, packed, n, m, depth, a, b, init, c):
    """``c = init + a b`` for `n` rows and the columns of one tile: whole tiles, whose rows LLVM knows, and the rest.

    If the rest is at most half a tile, a tile of half the height takes it. `packed` is 1 if a is packed as `_pack_rows`
    does it, otherwise 0.
    """
    (a, a_stride, a_step), (init, init_stride), (c, c_stride) = a, init, c
    whole, nothing = n - n % height, Ahead(0, a, 0, 0, False)
    a_row = depth + 1 if packed else a_stride
    for i in range(0, whole, height):
        a_i = a + i * a_row, a_stride, a_step
        init_i, c_i = (init + i * init_stride, init_stride), (c + i * c_stride, c_stride)
        product_tile(height, columns, shared, height, m, depth, a_i, b, init_i, c_i, nothing)
    if whole < n:
        rows, a_i = n - whole, (a + whole * a_row, a_stride, a_step)
        init_i, c_i = (init + whole * init_stride, init_stride), (c + whole * c_stride, c_stride)
        if rows <= height // 2:
            product_tile(height // 2, columns, shared, rows, m, depth, a_i, b, init_i, c_i, nothing)
        else:
            product_tile(height, columns, shared, rows, m, depth, a_i, b, init_i, c_i, nothing)


@outlined
def _fetching_strip(n, m, depth, a, b, init, c, after, n_columns, b_after, far):
    """`strip` for two vectors of columns; its first tiles fetch what the strips after it would wait for.

    The next strip begins with column `after` of `n_columns`, and its part of b lies at `b_after`. If b is `far`, panels
    of it are fetched.
    """
    (a, a_stride, a_step), (init, init_stride), (c, c_stride) = a, init, c
    b_after, b_stride, b_step = b_after
    line = lanes(a) * CACHE_LINE // REGISTER_BYTES
    place, stride, step, tile_step, done = a + TILE_ROWS * a_stride, a_stride, line, TILE_ROWS * a_stride, 0
    if b_step != 1:  # the next panel of b, to be transposed
        place, stride, tile_step, done = b_after, b_step, TILE_ROWS * b_step, min(m, n_columns - after)
    elif far and after % (STRIPS * m) == 0 and after < n_columns:  # the next panel
        place, stride, step, tile_step, done = b_after, line, b_stride, depth // line * b_stride, TILE_ROWS * line
    elif after == m and a_step == 1:  # the next rows of a
        done = n
    done = min(done, n) // TILE_ROWS * TILE_ROWS
    for i in range(0, done, TILE_ROWS):
        a_i = a + i * a_stride, a_stride, a_step
        ahead = Ahead(TILE_ROWS, place + i // TILE_ROWS * tile_step, stride, step, False)
        init_i, c_i = (init + i * init_stride, init_stride), (c + i * c_stride, c_stride)
        product_tile(TILE_ROWS, 2, 0, TILE_ROWS, m, depth, a_i, b, init_i, c_i, ahead)
    if done < n:
        a_i, rest = (a + done * a_stride, a_stride, a_step), n - done
        init_i, c_i = (init + done * init_stride, init_stride), (c + done * c_stride, c_stride)
        strip(TILE_ROWS, 2, 0, 0, rest, m, depth, a_i, b, init_i, c_i)


@outlined
def _pack(b, stride, depth, strips, panel):
    """Copy this many strips of b, two vectors wide each, to where the rows of a strip lie side by side."""
    width = lanes(b)
    for k in range(depth):
        for s in range(strips):
            row, packed = b + (k * stride + 2 * s * width), panel + 2 * (s * DEPTH + k) * width
            store(packed, load(row))
            store(packed + width, load(row + width))


@outlined
def _pack_rows(a, stride, n, depth, panel):
    """Copy `n` rows of a, which lies transposed, so that the columns of each tile of `TILE_ROWS` rows are contiguous.

    Where they are, each step of a tile's depth would touch another page. The last vector of a column reaches into the
    place of the next column, which is written after it.
    """
    for k in range(depth):
        for i in range(0, n, TILE_ROWS):
            column, packed = a + (k * stride + i), panel + (i * (depth + 1) + k * TILE_ROWS)
            rows = min(TILE_ROWS, n - i)
            for j in range(0, TILE_ROWS, lanes(a)):
                store(packed + j, load_first(column + j, rows - j))


def _product_of(large):
    """`product` with the code that packs and fetches ahead, if `large`, or without it: Numba drops dead branches."""
    low = TILE_ROWS if large else FLAT  # a small product has few rows, and lower tiles leave fewer of them over
    may_pack_rows = large and REGISTER_FILE.packed > 0

    @callee
    def product(n, m, depth, a, row_stride, depth_stride, b, b_stride, b_step, init, init_stride, c, c_stride):
        """``c = init + a b`` with c (n, m), a (n, depth), b (depth, m).

        ``a[i, k]`` stands at ``a + i row_stride + k depth_stride``, ``b[k, j]`` at ``b + k b_stride + j b_step``, where
        `b_step` or, in a transpose, `b_stride` is 1; rows of init and c are contiguous. An `init_stride` of 0 adds the
        same row everywhere.
        """
        width = lanes(b)
        packs = n >= MANY_ROWS and b_step == 1 and b_stride * REGISTER_BYTES // width % CRITICAL_STRIDE == 0
        far = packs or (REGISTER_FILE.fetches_panels and depth * b_stride * REGISTER_BYTES // width >= FAR_PANELS)
        gradient = large and row_stride == 1
        spans_pages = gradient and depth * depth_stride * REGISTER_BYTES // width >= REGISTER_FILE.packs_rows
        packs_rows = may_pack_rows and spans_pages and n >= STRIPS * TILE_ROWS and m >= 2 * STRIPS * width
        # A large gradient is shallow: wider tiles begin and end less often, where columns fill whole vectors.
        is_wide = gradient and m % width == 0 and not (packs or packs_rows) if large else SMALL_IS_WIDE
        wide = WIDE if is_wide else 2
        chunk = (REGISTER_FILE.packed if packs_rows else CHUNK_VECTORS) * width // DEPTH // HIGH * HIGH
        panel, rows_panel = scratch(b, PANEL), scratch(b, PACKED)
        for start in range(0, depth, DEPTH):
            part, a_k, b_k = min(DEPTH, depth - start), a + start * depth_stride, b + start * b_stride
            z, z_stride = (init, init_stride) if start == 0 else (c, c_stride)
            for i in range(0, n, chunk):
                rows, a_i = min(chunk, n - i), (a_k + i * row_stride, row_stride, depth_stride)
                if may_pack_rows and packs_rows:
                    _pack_rows(a_i[0], depth_stride, rows, part, rows_panel)
                j = 0
                while j < m:
                    left = m - j
                    span = left if left <= WIDE * width else width * (wide if left >= (WIDE + 2) * width else 2)
                    b_j = b_k + j * b_step, b_stride
                    if b_step != 1:
                        transpose_block(b_j[0], b_step, panel, WIDE * width, span, part)
                        b_j = panel, WIDE * width
                    elif large and packs and span == 2 * width:
                        s = j // span % STRIPS
                        if s == 0:
                            _pack(b_j[0], b_stride, part, min(STRIPS, (m - j) // span), panel)
                        b_j = panel + s * span * DEPTH, span
                    z_ij, c_ij = (z + (i * z_stride + j), z_stride), (c + (i * c_stride + j), c_stride)
                    # No starred arguments here: Numba would lose which of these numbers are literals.
                    if span <= width:
                        strip(HIGH, 1, 0, 0, rows, span, part, a_i, b_j, z_ij, c_ij)
                    elif span <= 2 * width:
                        if may_pack_rows and packs_rows:
                            strip(TILE_ROWS, 2, 0, 1, rows, span, part, (rows_panel, 1, TILE_ROWS), b_j, z_ij, c_ij)
                        elif large:
                            b_after = b_k + (j + span) * b_step, b_stride, b_step
                            _fetching_strip(rows, span, part, a_i, b_j, z_ij, c_ij, j + span, m, b_after, far)
                        else:
                            strip(low, 2, 0, 0, rows, span, part, a_i, b_j, z_ij, c_ij)
                    elif SHARED and span <= 2 * width + width // 2:
                        strip(low, 2, SHARED, 0, rows, span, part, a_i, b_j, z_ij, c_ij)
                    else:
                        strip(FLAT, WIDE, 0, 0, rows, span, part, a_i, b_j, z_ij, c_ij)
                    j += span

    return product


#: The product of small matrices, and that of many rows with more weights than the nearest cache holds.
product, large_product = _product_of(False), _product_of(True)
