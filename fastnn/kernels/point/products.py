"""The product of one sample, or of several, with a layer's weights, and what is made of each sum as it is stored."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from fastnn.kernels.functions.activations import activate, derivative
from fastnn.kernels.functions.curvatures import second_derivative
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.simd import broadcast, fma, lanes, load, load_first, prefetch, scratch, store, tile, total
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.tiles.few_rows import few_rows_product

#: Vectors of features side by side, and sums in all, with those into which each is split: enough to hide the latency of
#: fma.
BLOCK, SUMS = 4, 8

#: Vectors of features side by side for a single sample: enough sums to hide the latency without being split.
BLOCK_ALONE = REGISTER_FILE.features

#: How many rows ahead weights that outgrow the second-level cache are fetched (bench_embed.py -k large).
AHEAD = 48

#: In place of an order, for a tangent: its product with the weights is written times the slopes, or as it is.
TIMES_SLOPES, AS_IT_IS = -1, -2

#: Samples at once: with BLOCK vectors each, their sums fill the registers.
ROWS = REGISTER_FILE.samples
_ALL_SUMS = ROWS * SUMS


def parts_of(columns: int, n_in: int) -> int:
    """Into how many sums over the inputs a feature is split: a power of two."""
    parts = 1
    while parts * 2 * columns <= SUMS and parts * 4 <= n_in:
        parts *= 2
    return parts


@inlined(literals=("code", "order", "biased", "far", "columns", "last", "parts"))
def product(code, order, biased, far, columns, last, parts, n_in, n_out, w, b, x, to, first):
    """``h = f(x W + b)`` for `columns` vectors of features, the sum over the inputs in `parts`, both literals.

    The features begin at `first`. Of the last vector only `last` are there, all of them if the literal `last` is 0. The
    weights are fetched ahead if the literal `far` is 1.
    """
    (x, x_stride), w, b, width = x, w + first, b + first, lanes(w)
    sums = tile(w, parts, columns)
    for j in range(columns):
        for s in range(parts):
            sums[s, j] = broadcast(0.0, w)
        if biased:
            sums[0, j] = load_features(columns, last, j, b + j * width)
    whole = n_in - n_in % parts
    for k in range(0, whole, parts):
        for s in range(parts):
            x_k = broadcast(x[(k + s) * x_stride], w)
            for j in range(columns if far else 0):
                prefetch(w + ((k + s + AHEAD) * n_out + j * width))
            for j in range(columns):
                sums[s, j] = fma(x_k, load_features(columns, last, j, w + ((k + s) * n_out + j * width)), sums[s, j])
    for k in range(whole, n_in):
        x_k = broadcast(x[k * x_stride], w)
        for j in range(columns):
            sums[0, j] = fma(x_k, load_features(columns, last, j, w + (k * n_out + j * width)), sums[0, j])
    for j in range(columns):
        for distance in (4, 2, 1):
            for s in range(min(distance, parts - distance)):
                sums[s, j] = sums[s, j] + sums[s + distance, j]
        finish(code, order, sums[0, j], to, first + j * width)


@inlined(literals=("columns", "last"))
def load_features(columns, last, j, place):
    """Vector `j` of `columns`; of the last one only `last` numbers are there, or all of them if that is 0."""
    return load_first(place, last) if last > 0 and j == columns - 1 else load(place)


@inlined(literals=("biased",))
def sum_by_rows(biased, terms, n_features, n_in, n_out, w, b, x, h):
    """``h = x W`` for each term of x, and the biases added to the first, of the first `n_features`.

    Whole rows of the weights are added to sums in the cache: down the columns of large weights each row is another page
    of memory. `x` holds a place and the strides from one term to the next and from one number to the next, `h` a place
    and the stride from one term to the next; what is beyond the features in their last vector becomes zero.
    """
    (x, x_row, x_stride), (h, h_row), width, one = x, h, lanes(w), np.intp(1)
    for i in range(terms):
        for j in range(0, n_features, width):
            store(h + (i * h_row + j), broadcast(0.0, w))
    for j in range(0, n_features if biased else 0, width):
        store(h + j, load_first(b + j, n_features - j))
    row, m, depth = np.intp(h_row), np.intp(n_features), np.intp(n_in)
    few_rows_product(
        np.intp(terms), m, depth, x, np.intp(x_row), np.intp(x_stride), w, np.intp(n_out), one, h, row, h, row
    )


@inlined(literals=("code", "order", "biased"))
def product_by_rows(code, order, biased, n_features, n_in, n_out, w, b, x, to):
    """`product` of the first `n_features`, each of which is one sum."""
    sum_by_rows(biased, 1, n_features, n_in, n_out, w, b, (x[0], 0, x[1]), (to[0], 0))
    for j in range(0, n_features, lanes(w)):
        finish(code, order, load(to[0] + j), to, j)


@inlined(literals=("code", "order", "biased"))
def dot(code, order, biased, n_in, w, b, x, to):
    """``h = f(x W + b)`` for one feature: the inputs lie in the lanes, side by side."""
    (x, _), width = x, lanes(w)
    sums = tile(w, 4, 1)
    for s in range(4):
        sums[s, 0] = broadcast(0.0, w)
    for k in range(0, n_in, 4 * width):
        for s in range(4):
            left = n_in - k - s * width
            if left > 0:
                place = k + s * width
                sums[s, 0] = fma(load_first(x + place, left), load_first(w + place, left), sums[s, 0])
    z = total((sums[0, 0] + sums[2, 0]) + (sums[1, 0] + sums[3, 0]))
    if biased:
        z += b[0]
    finish(code, order, broadcast(z, w), to, 0)


def finish(code, order, z, to, j):
    """What `forward_layer` writes of the features from `j` on, whose pre-activations are `z`."""


@overload(finish, **BY_LITERALS)
def _choose_finish(code, order, z, to, j):
    def product(code, order, z, to, j):
        store(to[0] + j, z)

    def tangent(code, order, z, to, j):
        store(to[0] + j, load(to[1] + j) * z)

    def value(code, order, z, to, j):
        store(to[0] + j, activate(code, z))

    def slope(code, order, z, to, j):
        h = activate(code, z)
        store(to[0] + j, h)
        store(to[1] + j, derivative(code, z, h))

    def curvature(code, order, z, to, j):
        h = activate(code, z)
        store(to[0] + j, h)
        store(to[1] + j, derivative(code, z, h))
        store(to[2] + j, second_derivative(code, z, h))

    return {AS_IT_IS: product, TIMES_SLOPES: tangent, 0: value, 1: slope, 2: curvature}[order.literal_value]


# ---------------------------------------------------------------- several samples
@inlined(literals=("code", "order", "biased", "far", "columns", "last", "parts"))
def product_of_rows(code, order, biased, far, columns, last, parts, n_in, n_out, w, b, x, to, first):
    """`product` for `ROWS` samples: a weight that is loaded serves them all.

    The parts of the sums are taken one after the other, for the same bits. `x` holds a place, the strides from one
    sample to the next and from one number to the next, and how many samples there are: beyond them the last is
    repeated. `to` holds the outputs' place and the stride from one sample to the next.
    """
    w, b, width = w + first, b + first, lanes(w)
    sums, summed = tile(w, ROWS, columns), scratch(w, _ALL_SUMS)
    whole = n_in - n_in % parts
    for s in range(parts):
        for j in range(columns):
            start = broadcast(0.0, w)
            if biased and s == 0:
                start = load_features(columns, last, j, b + j * width)
            for i in range(ROWS):
                sums[i, j] = start
        for k in range(s, whole, parts):
            _add_input(far, columns, last, n_out, w, x, k, sums)
        for k in range(whole, n_in if s == 0 else whole):
            _add_input(far, columns, last, n_out, w, x, k, sums)
        for i in range(ROWS):
            for j in range(columns):
                store(summed + ((s * ROWS + i) * columns + j) * width, sums[i, j])
    for i in range(ROWS):
        for j in range(columns):
            place, step = summed + (i * columns + j) * width, ROWS * columns * width
            for distance in (4, 2, 1):
                for s in range(min(distance, parts - distance)):
                    store(place + s * step, load(place + s * step) + load(place + (s + distance) * step))
            finish(code, order, load(place), to, i * to[1] + first + j * width)


@inlined(literals=("far", "columns", "last"))
def _add_input(far, columns, last, n_out, w, x, k, sums):
    """Add what input `k` contributes to the sums of `columns` vectors of features of each sample."""
    x, x_row, x_stride, rows = x
    for j in range(columns if far else 0):
        prefetch(w + ((k + AHEAD) * n_out + j * lanes(w)))
    for j in range(columns):
        w_kj = load_features(columns, last, j, w + (k * n_out + j * lanes(w)))
        for i in range(ROWS):
            sums[i, j] = fma(broadcast(x[min(i, rows - 1) * x_row + k * x_stride], w), w_kj, sums[i, j])


@inlined(literals=("code", "order", "biased"))
def dots(code, order, biased, n_in, w, b, x, to):
    """`dot` for `ROWS` samples; `x` and `to` are as in `product_of_rows`."""
    for i in range(ROWS):
        dot(code, order, biased, n_in, w, b, (x[0] + i * x[1], 1), (to[0] + i * to[1], 0))
