"""Blocks of a matrix, turned square by square within registers."""

from __future__ import annotations

from fastnn.kernels.jit.compiling import inlined, outlined
from fastnn.kernels.simd.memory import load_first, store_first
from fastnn.kernels.simd.pointers import lanes
from fastnn.kernels.simd.tiles import tile, transpose


@inlined
def _transpose_square(source, source_stride, target, target_stride, rows, columns):
    """`transpose_block` of at most as many rows and columns as a vector has lanes."""
    width = lanes(source)
    square = tile(source, width, 1)
    for i in range(width):
        square[i, 0] = load_first(source + min(i, rows - 1) * source_stride, columns)
    transpose(square)
    for i in range(width - 1, -1, -1):  # the last column takes the place of what is written for those beyond it
        store_first(target + min(i, columns - 1) * target_stride, square[i, 0], rows)


@outlined
def transpose_block(source, source_stride, target, target_stride, rows, columns):
    """``target = source.T``, with `source` of this many rows and columns; strides lie between the rows of either.

    A last square begins within the one before, so that masks, which are slow to store, are for short sides alone.
    """
    width = lanes(source)
    for r in range(0, rows, width):
        row = max(0, min(r, rows - width))
        for j in range(0, columns, width):
            column = max(0, min(j, columns - width))
            source_rc = source + (row * source_stride + column)
            target_cr = target + (column * target_stride + row)
            if rows >= width and columns >= width:  # as LLVM knows then
                _transpose_square(source_rc, source_stride, target_cr, target_stride, width, width)
            else:
                _transpose_square(source_rc, source_stride, target_cr, target_stride, rows - row, columns - column)
