"""Blocks of a matrix, transposed square by square in registers."""

from __future__ import annotations

from fastnn.kernels.jit.compiling import inlined, outlined
from fastnn.kernels.simd.memory import load, load_first, store, store_first
from fastnn.kernels.simd.opaque import opaque
from fastnn.kernels.simd.pointers import lanes
from fastnn.kernels.simd.tiles import tile, transpose


@inlined
def _transpose_square(source, source_stride, target, target_stride):
    """`transpose_block` of as many rows and columns as a vector has lanes.

    Opaque addresses follow one another: LLVM would keep one for each row.
    """
    width = lanes(source)
    square = tile(source, width, 1)
    for i in range(width):
        square[i, 0] = load(source)
        source = opaque(source + source_stride)
    transpose(square)
    for i in range(width):
        store(target, square[i, 0])
        target = opaque(target + target_stride)


@inlined
def _transpose_part(source, source_stride, target, target_stride, rows, columns):
    """The same of at most as many rows and columns."""
    width = lanes(source)
    square = tile(source, width, 1)  # what is in the other rows ends in lanes that are not stored
    for i in range(min(rows, width)):
        square[i, 0] = load_first(source + i * source_stride, columns)
    transpose(square)
    for i in range(min(columns, width)):
        store_first(target + i * target_stride, square[i, 0], rows)


@outlined
def transpose_block(source, source_stride, target, target_stride, rows, columns):
    """``target = source.T``, with `source` of this many rows and columns; strides lie between the rows of either.

    The last squares overlap those before them, so that masked stores, which are slow, are for short sides alone.
    """
    width = lanes(source)
    for r in range(0, rows, width):
        row = max(0, min(r, rows - width))
        for j in range(0, columns, width):
            column = max(0, min(j, columns - width))
            from_, to = source + (row * source_stride + column), target + (column * target_stride + row)
            if rows >= width and columns >= width:
                _transpose_square(from_, source_stride, to, target_stride)
            else:
                _transpose_part(from_, source_stride, to, target_stride, rows - row, columns - column)
