"""Loops over a block of a matrix: activations, their derivatives, sums of columns, copies, transposes.

A block is `rows x columns` numbers whose rows lie `stride` apart.
"""

from __future__ import annotations

from numba.extending import overload

from fastnn import catalogue
from fastnn.kernels.activations import activate, derivative
from fastnn.kernels.compiling import callee, inlined, outlined
from fastnn.kernels.llvm.simd import (
    any_lane,
    broadcast,
    first_lanes,
    fma,
    lanes,
    largest,
    load_first,
    select,
    store_first,
    total,
)
from fastnn.kernels.vecmath import exp


@inlined(literals=("code",))
def activate_block(code, z, z_stride, h, h_stride, rows, columns):
    """``h = f(z)``; h may be z. `code`, a literal, names f."""
    width = lanes(z)
    for r in range(rows):
        for j in range(0, columns, width):
            left = columns - j
            store_first(h + (r * h_stride + j), activate(code, load_first(z + (r * z_stride + j), left)), left)


@inlined
def softmax_block(z, z_stride, h, h_stride, rows, columns):
    """``h = exp(z) / sum(exp(z))`` in each row; h may be z."""
    width = lanes(z)
    for r in range(rows):
        z_r, h_r = z + r * z_stride, h + r * h_stride
        top = broadcast(z_r[0], z)
        for j in range(0, columns, width):
            z_j = select(first_lanes(columns - j, z), load_first(z_r + j, columns - j), top)
            top = select((top > z_j) | (top != top), top, z_j)
        top = broadcast(largest(top), z)
        exps = broadcast(0.0, z)
        for j in range(0, columns, width):
            e_j = select(first_lanes(columns - j, z), exp(load_first(z_r + j, columns - j) - top), 0.0)
            exps = exps + e_j
            store_first(h_r + j, e_j, columns - j)
        factor = broadcast(1.0 / total(exps), z)
        for j in range(0, columns, width):
            store_first(h_r + j, factor * load_first(h_r + j, columns - j), columns - j)


def _activate(code, z, z_stride, h, h_stride, rows, columns):
    """The activation of this catalogue code on a block."""


@overload(_activate, prefer_literal=True, jit_options={"forceinline": True, "error_model": "numpy"})
def _choose_activate(code, z, z_stride, h, h_stride, rows, columns):
    if code.literal_value == catalogue.ACTIVATIONS["softmax"].code:
        return lambda code, z, z_stride, h, h_stride, rows, columns: softmax_block(
            z, z_stride, h, h_stride, rows, columns
        )
    return lambda code, z, z_stride, h, h_stride, rows, columns: activate_block(
        code, z, z_stride, h, h_stride, rows, columns
    )


@inlined(literals=("code",))
def derive_block(code, d, d_stride, z, z_stride, h, h_stride, rows, columns):
    """``d *= f'(z)`` with ``h = f(z)``; z is read only where f' needs it. `code`, a literal, names f."""
    width = lanes(d)
    for r in range(rows):
        for j in range(0, columns, width):
            left = columns - j
            d_rj = load_first(d + (r * d_stride + j), left)
            z_rj, h_rj = load_first(z + (r * z_stride + j), left), load_first(h + (r * h_stride + j), left)
            store_first(d + (r * d_stride + j), d_rj * derivative(code, z_rj, h_rj), left)


@callee
def activation_pass(code, z, z_stride, h, h_stride, rows, columns):
    """An activation for callers that know it by its address; `code` is a literal."""
    _activate(code, z, z_stride, h, h_stride, rows, columns)


@callee
def derivative_pass(code, d, d_stride, z, z_stride, h, h_stride, rows, columns):
    """`derive_block` for callers that know the activation by its address; `code` is a literal."""
    derive_block(code, d, d_stride, z, z_stride, h, h_stride, rows, columns)


@inlined
def sum_columns(d, stride, rows, columns, init, sums):
    """``sums[j] = init[j] + sum_r d[r, j]``, four running sums at a time: rows 0, 4, 8 ... in the first, and so on."""
    width = lanes(d)
    for j in range(0, columns, width):
        left = columns - j
        a, b, c, e = load_first(init + j, left), broadcast(0.0, d), broadcast(0.0, d), broadcast(0.0, d)
        r = 0
        while r + 4 <= rows:
            place = d + (r * stride + j)
            a = a + load_first(place, left)
            b = b + load_first(place + stride, left)
            c = c + load_first(place + 2 * stride, left)
            e = e + load_first(place + 3 * stride, left)
            r += 4
        while r < rows:
            a = a + load_first(d + (r * stride + j), left)
            r += 1
        store_first(sums + j, (a + b) + (c + e), left)


@inlined
def copy_block(source, source_stride, target, target_stride, rows, columns):
    """``target = source``."""
    width = lanes(source)
    for r in range(rows):
        for j in range(0, columns, width):
            left = columns - j
            store_first(target + (r * target_stride + j), load_first(source + (r * source_stride + j), left), left)


@inlined
def transpose_block(source, source_stride, target, target_stride, rows, columns):
    """``target = source.T``, in squares that stay in the nearest cache."""
    side = 16
    for r in range(0, rows, side):
        for j in range(0, columns, side):
            for rr in range(r, min(r + side, rows)):
                for jj in range(j, min(j + side, columns)):
                    target[jj * target_stride + rr] = source[rr * source_stride + jj]


@outlined
def block_finite(x, stride, rows, columns):
    """Whether no number of a block is NaN or infinite."""
    width = lanes(x)
    zeros = broadcast(0.0, x)  # a finite number times zero is zero, any other NaN
    for r in range(rows):
        for j in range(0, columns, width):
            zeros = fma(load_first(x + (r * stride + j), columns - j), 0.0, zeros)
    return not any_lane(zeros != zeros)


@inlined
def sum_of_squares(x, count):
    """``sum(x[:count]**2)``."""
    width = lanes(x)
    squares = broadcast(0.0, x)
    for i in range(0, count, width):
        x_i = load_first(x + i, count - i)
        squares = fma(x_i, x_i, squares)
    return total(squares)


@inlined
def add_scaled(factor, x, y, count):
    """``y += factor x`` over `count` numbers."""
    width = lanes(x)
    for i in range(0, count, width):
        left = count - i
        store_first(y + i, fma(load_first(x + i, left), factor, load_first(y + i, left)), left)


@inlined
def scale(factor, x, count):
    """``x *= factor`` over `count` numbers."""
    width = lanes(x)
    for i in range(0, count, width):
        store_first(x + i, factor * load_first(x + i, count - i), count - i)
