"""Loops over a block of a matrix: activations, their derivatives, sums of columns, copies.

A block is `rows x columns` numbers whose rows lie `stride` apart.
"""

from __future__ import annotations

from numba import types

from fastnn.kernels.functions.activations import activate, derivative
from fastnn.kernels.functions.vecmath import exp, softplus
from fastnn.kernels.jit.compiling import callee, inlined, outlined
from fastnn.kernels.simd import (
    any_lane,
    broadcast,
    first_lanes,
    fma,
    lanes,
    largest,
    load,
    load_first,
    select,
    store,
    store_first,
    tile,
    total,
    widen,
)
from fastnn.settings import catalogue


@callee
def activate_all(code, z, h, rows, columns, stride):
    """``h = f(z)`` on a block and what lies between its rows; h may be z. `code`, a literal, names f."""
    count = rows * stride
    wide, wide_h = widen(z, 4), widen(h, 4)
    whole = count - count % lanes(wide)
    for i in range(0, whole, lanes(wide)):
        store(wide_h + i, activate(code, load(wide + i)))
    for i in range(whole, count, lanes(z)):
        store_first(h + i, activate(code, load_first(z + i, count - i)), count - i)


@callee
def derive_all(code, d, z, h, count):
    """``d *= f'(z)`` with ``h = f(z)`` for `count` numbers; z is read only where f' needs it."""
    width = lanes(d)
    whole = count - count % width
    for i in range(0, whole, width):
        store(d + i, load(d + i) * derivative(code, load(z + i), load(h + i)))
    for i in range(whole, count, width):
        left = count - i
        slope = derivative(code, load_first(z + i, left), load_first(h + i, left))
        store_first(d + i, load_first(d + i, left) * slope, left)


@callee
def softmax_rows(code, z, h, rows, columns, stride):
    """``h = exp(z) / sum(exp(z))`` in each row; h may be z."""
    width = lanes(z)
    for r in range(rows):
        z_r, h_r = z + r * stride, h + r * stride
        top = broadcast(z_r[0], z)
        for j in range(0, columns, width):
            z_j = select(first_lanes(columns - j, z), load_first(z_r + j, columns - j), top)
            top = select(z_j > top, z_j, top)
        top = broadcast(largest(top), z)
        exps = broadcast(0.0, z)
        for j in range(0, columns, width):
            e_j = select(first_lanes(columns - j, z), exp(load_first(z_r + j, columns - j) - top), 0.0)
            exps = exps + e_j
            store_first(h_r + j, e_j, columns - j)
        factor = broadcast(1.0 / total(exps), z)
        for j in range(0, columns, width):
            store_first(h_r + j, factor * load_first(h_r + j, columns - j), columns - j)


@callee
def ascending_rows(code, z, h, rows, columns, stride):
    """``h_0 = z_0, h_j = h_(j - 1) + softplus(z_j)`` in each row; h may be z."""
    width = lanes(z)
    for r in range(rows):
        z_r, h_r = z + r * stride, h + r * stride
        first = z_r[0]
        for j in range(0, columns, width):
            store_first(h_r + j, softplus(load_first(z_r + j, columns - j)), columns - j)
        h_r[0] = first
        cumulate(h_r, columns)


@inlined
def cumulate(x, count):
    """``x_j += x_(j - 1)``, from the first to the last."""
    for j in range(1, count):
        x[j] = x[j] + x[j - 1]


@inlined
def cumulate_back(x, count):
    """``x_j += x_(j + 1)``, from the last to the first."""
    for j in range(count - 2, -1, -1):
        x[j] = x[j] + x[j + 1]


def callees_of(activation: catalogue.Activation) -> tuple[tuple, tuple]:
    """The passes of an activation and of its derivative, for `address_of`, and the literal they are compiled for."""
    code = types.literal(activation.code)
    if not activation.elementwise:
        return ({"softmax": softmax_rows, "ascending": ascending_rows}[activation.name], code), ()
    return (activate_all, code), (derive_all, code)


@inlined
def _sum_rows(d, stride, rows, columns, start):
    """``start + sum_r d[r]`` for the first `columns` of a vector, in four sums: the first of rows 0, 4, 8 and so on."""
    a, b, c, e = start, broadcast(0.0, d), broadcast(0.0, d), broadcast(0.0, d)
    whole = rows - rows % 4
    for r in range(0, whole, 4):
        place = d + r * stride
        a = a + load_first(place, columns)
        b = b + load_first(place + stride, columns)
        c = c + load_first(place + 2 * stride, columns)
        e = e + load_first(place + 3 * stride, columns)
    for r in range(whole, rows):
        a = a + load_first(d + r * stride, columns)
    return (a + b) + (c + e)


@inlined
def sum_columns(d, stride, rows, columns, init, sums):
    """``sums[j] = init[j] + sum_r d[r, j]``, two vectors of columns at a time."""
    wide, width = widen(d, 2), lanes(d)
    whole = columns - columns % lanes(wide)
    for j in range(0, whole, lanes(wide)):
        start = load(widen(init, 2) + j)
        store(widen(sums, 2) + j, _sum_rows(wide + j, stride, rows, lanes(wide), start))
    for j in range(whole, columns, width):
        left = columns - j
        store_first(sums + j, _sum_rows(d + j, stride, rows, left, load_first(init + j, left)), left)


@inlined
def copy_block(source, source_stride, target, target_stride, rows, columns):
    """``target = source``."""
    width = lanes(source)
    for r in range(rows):
        for j in range(0, columns, width):
            left = columns - j
            store_first(target + (r * target_stride + j), load_first(source + (r * source_stride + j), left), left)


@outlined
def block_finite(x, stride, rows, columns):
    """Whether no number of a block is NaN or infinite."""
    width = lanes(x)
    zeros = tile(x, 4, 1)  # a finite number times zero is zero, any other NaN; four sums hide the latency
    for i in range(4):
        zeros[i, 0] = broadcast(0.0, x)
    if stride == columns:
        rows, columns = 1, rows * columns
    for r in range(rows):
        x_r = x + r * stride
        whole = columns - columns % (4 * width)
        for j in range(0, whole, 4 * width):
            for i in range(4):
                zeros[i, 0] = fma(load(x_r + (j + i * width)), 0.0, zeros[i, 0])
        for j in range(whole, columns, width):
            zeros[0, 0] = fma(load_first(x_r + j, columns - j), 0.0, zeros[0, 0])
    sums = (zeros[0, 0] + zeros[1, 0]) + (zeros[2, 0] + zeros[3, 0])
    return not any_lane(sums != sums)


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


@callee
def multiply(x, y, z, count):
    """``z = x y`` over `count` numbers."""
    for i in range(0, count, lanes(x)):
        store_first(z + i, load_first(x + i, count - i) * load_first(y + i, count - i), count - i)
