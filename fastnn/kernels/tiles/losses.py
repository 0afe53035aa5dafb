"""The loss of a batch, and its derivative with respect to the outputs, in one pass; what least squares fits.

A kernel calls a loss by its address, with ``(o, d, y, labels, scale, rows, n_out, parameter)``. What the values are
divided by stands in `scale`: one number a row of the batch, its share of the loss. `parameter` points to a number for
each target.
"""

from __future__ import annotations

import numpy as np
from numba import types

from fastnn.kernels.functions.losses import element, pair, residual, row_loss
from fastnn.kernels.functions.vecmath import exp, log
from fastnn.kernels.jit.compiling import callee, inlined
from fastnn.kernels.simd import (
    broadcast,
    first_lanes,
    fma,
    lanes,
    load,
    load_first,
    scratch,
    select,
    store,
    store_first,
    tile,
    total,
    transpose,
    with_lanes,
)
from fastnn.kernels.simd.blocks import transpose_block
from fastnn.settings import catalogue, own

#: Outputs of a softmax that are turned at once, and stay turned where there are no more.
TURNED = 256


@callee
def elementwise_loss(code, o, d, y, labels, scale, rows, n_out, parameter):
    """Sum of ``scale * loss`` over the batch; ``d = scale * derivative``. o, d and y are (rows, n_out), contiguous.

    `code`, a literal, is the loss's in the catalogue.
    """
    width = lanes(o)
    loss = broadcast(0.0, o)
    if n_out == 1:  # a vector holds many rows
        number = broadcast(parameter[0], o)
        for i in range(0, rows, width):
            left = rows - i
            share = load_first(scale + i, left)
            value, derivative = element(code, load_first(o + i, left), load_first(y + i, left), number)
            # Lanes beyond the last row hold the loss of nothing against nothing, which need not be zero.
            loss = fma(share, select(first_lanes(left, value), value, 0.0), loss)
            store_first(d + i, share * derivative, left)
        return np.float64(total(loss))
    for r in range(rows):
        share = broadcast(scale[r], o)
        for j in range(0, n_out, width):
            place, left = r * n_out + j, n_out - j
            number = load_first(parameter + j, left)
            value, derivative = element(code, load_first(o + place, left), load_first(y + place, left), number)
            loss = fma(share, select(first_lanes(left, value), value, 0.0), loss)  # likewise beyond the last output
            store_first(d + place, share * derivative, left)
    return np.float64(total(loss))


@callee
def pairwise_loss(code, o, d, y, labels, scale, rows, n_out, parameter):
    """The same of a loss that takes two outputs a target; y is (rows, n_out / 2)."""
    width, n = lanes(o), n_out // 2
    loss = broadcast(0.0, o)
    if n == 1:  # a vector holds one output of many rows
        pairs, number = tile(o, width, 1), broadcast(parameter[0], o)
        for r in range(0, rows, width):
            left = min(width, rows - r)
            _load_turned(pairs, o + 2 * r, 2, left, 2)
            share, y_r = load_first(scale + r, left), load_first(y + r, left)
            value, by_first, by_second = pair(code, pairs[0, 0], pairs[1, 0], y_r, number)
            loss = fma(share, select(first_lanes(left, value), value, 0.0), loss)  # an infinite one times 0 is NaN
            pairs[0, 0], pairs[1, 0] = share * by_first, share * by_second
            transpose(pairs)
            for i in range(left):
                store_first(d + 2 * (r + i), pairs[i, 0], 2)
        return np.float64(total(loss))
    for r in range(rows):
        share = broadcast(scale[r], o)
        for j in range(0, n, width):
            first, left = r * n_out + j, n - j
            second, number, y_r = first + n, load_first(parameter + j, left), load_first(y + (r * n + j), left)
            o_r, p_r = load_first(o + first, left), load_first(o + second, left)
            value, by_first, by_second = pair(code, o_r, p_r, y_r, number)
            loss = fma(share, select(first_lanes(left, value), value, 0.0), loss)
            store_first(d + first, share * by_first, left)
            store_first(d + second, share * by_second, left)
    return np.float64(total(loss))


@callee
def loss_by_rows(code, o, d, y, labels, scale, rows, n_out, parameter):
    """The same of a loss that is not elementwise: row after row, each alone in its lane."""
    o, d, y = with_lanes(o, 1), with_lanes(d, 1), with_lanes(y, 1)
    loss = 0.0
    for r in range(rows):
        place = r * n_out
        share = broadcast(scale[r], o)
        loss += np.float64(total(row_loss(code, o + place, d + place, y + place, n_out, share, parameter)))
    return loss


@inlined
def _load_turned(square, x, stride, rows, columns):
    """A block of x into a square tile, a column a vector; surplus rows repeat the last."""
    for i in range(lanes(x)):
        square[i, 0] = load_first(x + min(i, rows - 1) * stride, columns)
    transpose(square)


@callee
def cross_entropy_of_rows(labels_given, z, d, y, labels, scale, rows, n_out, parameter):
    """Sum of ``scale * (-sum_j y_j log softmax(z)_j)`` over the batch; ``d = scale * (softmax(z) sum(y) - y)``.

    With `labels_given`, a literal, row r has the one-hot target of ``labels[r]``, and `y` is not read. A vector holds
    one output of as many rows as it has lanes.
    """
    width = lanes(z)
    z_turned, y_turned, hits_of_labels = scratch(z, TURNED), scratch(z, TURNED), scratch(z, 1)
    loss = broadcast(0.0, z)
    for r in range(0, rows, width):
        n, place = min(width, rows - r), r * n_out
        share = load_first(scale + r, n)

        top = broadcast(-np.inf, z)
        for j in range(0, n_out, TURNED):
            columns = min(TURNED, n_out - j)
            transpose_block(z + (place + j), n_out, z_turned, width, n, columns)
            for k in range(0, columns * width, width):
                z_k = load(z_turned + k)
                top = select(z_k > top, z_k, top)

        exps, hits, targets = broadcast(0.0, z), broadcast(0.0, z), broadcast(0.0, z)
        for j in range(0, n_out, TURNED):
            columns = min(TURNED, n_out - j)
            if n_out > TURNED:
                transpose_block(z + (place + j), n_out, z_turned, width, n, columns)
            if not labels_given:
                transpose_block(y + (place + j), n_out, y_turned, width, n, columns)
            for k in range(0, columns * width, width):
                above = load(z_turned + k) - top
                if not labels_given:
                    y_k = load(y_turned + k)
                    hits, targets = fma(y_k, above, hits), targets + y_k
                e_k = exp(above)
                store(z_turned + k, e_k)
                exps = exps + e_k
            if n_out > TURNED:
                transpose_block(z_turned, width, d + (place + j), n_out, columns, n)
        if labels_given:
            for i in range(n):
                hits_of_labels[i] = z[place + i * n_out + labels[r + i]]
            hits, targets = load_first(hits_of_labels, n) - top, broadcast(1.0, z)
        loss = fma(share, select(first_lanes(n, z), targets * log(exps) - hits, 0.0), loss)

        factor = targets / exps
        for j in range(0, n_out, TURNED):
            columns = min(TURNED, n_out - j)
            if n_out > TURNED:
                transpose_block(d + (place + j), n_out, z_turned, width, n, columns)
                if not labels_given:
                    transpose_block(y + (place + j), n_out, y_turned, width, n, columns)
            for k in range(0, columns * width, width):
                p = factor * load(z_turned + k)
                store(z_turned + k, share * (p if labels_given else p - load(y_turned + k)))
            transpose_block(z_turned, width, d + (place + j), n_out, columns, n)
        if labels_given:
            for i in range(n):
                d[place + i * n_out + labels[r + i]] -= scale[r + i]
    return np.float64(total(loss))


def callee_of(loss: catalogue.Loss, labels_given: bool) -> tuple:
    """The function of a loss over a batch, for `address_of`, and the literals that it is compiled for."""
    if loss.labels:
        return cross_entropy_of_rows, types.literal(int(labels_given))
    if not loss.elementwise:
        return loss_by_rows, types.literal(loss.code)
    return pairwise_loss if loss.outputs_per_target == 2 else elementwise_loss, types.literal(loss.code)


# ---------------------------------------------------------------- residuals
@callee
def residuals(code, o, y, n, values, slopes):
    """The residuals of `n` outputs, and their derivatives with respect to these."""
    for i in range(0, n, lanes(o)):
        value, slope = residual(code, load_first(o + i, n - i), load_first(y + i, n - i))
        store_first(values + i, value, n - i)
        store_first(slopes + i, slope, n - i)


def residuals_of(loss: catalogue.Loss) -> tuple:
    """The residuals of a squared loss, for `address_of`, and the literal that they are compiled for."""
    if isinstance(loss, own.LeastSquares):
        return residuals, types.literal(loss.code)
    mse = catalogue.LOSSES["mse"].masked_as(loss)  # whose residuals are those of sse
    return residuals, types.literal(mse.code)
