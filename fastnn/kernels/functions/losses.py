"""The losses: value and derivative in one go, on the outputs of a batch.

A kernel calls them by address, with ``(o, d, y, labels, scale, rows, n_out, parameter)``. What the values are divided
by stands in `scale`: one number a row of the batch, its share of the loss. `parameter` points to a number for each
target.

A loss is a function of the catalogue's name. An elementwise one is ``name(o, y, parameter) -> (loss, derivative)`` on
vectors, with o the output, or its pre-activation where the catalogue's row says `logits_of`; where two outputs describe
one target it is ``name(o, p, y, parameter) -> (loss, derivative by o, derivative by p)``. Any other takes a row as
vectors, one after another, each with an output of as many rows as it has lanes: ``name(o, d, y, n, share, parameter)``
writes the derivative times the share to d, and returns the loss times the share.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from fastnn.kernels.functions.own import loss_of_vectors
from fastnn.kernels.functions.vecmath import exp, log, sigmoid, softplus, softplus_less
from fastnn.kernels.jit.compiling import callee, inlined
from fastnn.kernels.jit.pipeline import INLINED
from fastnn.kernels.simd import (
    absolute,
    any_lane,
    broadcast,
    copysign,
    first_lanes,
    fma,
    lanes,
    load,
    load_first,
    polynomial,
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
from fastnn.kernels.simd.columns import column
from fastnn.settings import catalogue, own

#: Up to here ``-log(1 - u) = u * (1 + u / 2 + u**2 / 3 + ...)`` is exact to rounding with these coefficients.
_FLOOR_IS_SMALL, _LOGARITHM = 2.0**-7, tuple(1 / k for k in range(1, 8))


#: Outputs of a softmax that are turned at once, and stay turned where there are no more.
TURNED = 256


@inlined
def sse(o, y, parameter):
    """``(o - y)**2``."""
    r = o - y
    return r * r, r + r


mse = sse  # but for the divisor


@inlined
def mae(o, y, parameter):
    """``|o - y|``."""
    r = o - y
    sign = copysign(broadcast(1.0, r), r)
    return absolute(r), select(r == 0.0, r, sign)


@inlined
def huber(o, y, parameter):
    """``r**2 / 2`` where ``|r| <= parameter``, else ``parameter (|r| - parameter / 2)``."""
    r = o - y
    inside = absolute(r) <= parameter
    line = copysign(parameter, r)
    return select(inside, 0.5 * r * r, parameter * (absolute(r) - 0.5 * parameter)), select(inside, r, line)


@inlined
def pinball(o, y, parameter):
    """``max(q (y - o), (q - 1) (y - o))`` with q the parameter."""
    r = o - y
    slope = select(r > 0.0, 1.0 - parameter, select(r == 0.0, r, 0.0 - parameter))
    return slope * r, select(r == r, slope, r)


@inlined
def expectile(o, y, parameter):
    """``|q - [o > y]| (o - y)**2`` with q the parameter."""
    r = o - y
    half = select(r > 0.0, 1.0 - parameter, parameter) * r
    return half * r, half + half


@inlined
def gaussian_nll(m, s, y, parameter):
    """``(log(v) + (m - y)**2 / v) / 2`` with ``v = exp(s) + parameter``."""
    e, r = exp(s), m - y
    v = e + parameter
    inverse = 1.0 / v
    pull = r * inverse
    u = parameter * inverse
    logarithm = fma(u, polynomial(u, _LOGARITHM), s)  # of v = e / (1 - u), as long as the floor is a small part of it
    far = (u > _FLOOR_IS_SMALL) | (e == np.inf) | (u != u)
    if any_lane(far):
        logarithm = select(far, log(v), logarithm)
    return 0.5 * fma(r, pull, logarithm), pull, 0.5 * (e * inverse) * (1.0 - r * pull)


@inlined
def poisson(z, y, parameter):
    """``mu - y log(mu)`` with ``mu = exp(z)``."""
    mu = exp(z)
    return mu - y * z, mu - y


@inlined
def binary_cross_entropy(z, y, parameter):
    """``-y log(p) - (1 - y) log(1 - p)`` with ``p = sigmoid(z)``."""
    value, p = softplus_less(z, y)
    return value, p - y


@inlined
def cross_entropy(z, d, y, n, share, parameter):
    """``-sum_j y_j log softmax(z)_j``."""
    width = lanes(z)
    top = load(z)
    for j in range(1, n):
        z_j = load(z + j * width)
        top = select((top > z_j) | (top != top), top, z_j)
    exps, targets, hits = broadcast(0.0, z), broadcast(0.0, z), broadcast(0.0, z)
    for j in range(n):
        z_j, y_j = load(z + j * width) - top, column(y, j, z)
        e_j = exp(z_j)
        store(d + j * width, e_j)
        exps, targets, hits = exps + e_j, targets + y_j, fma(y_j, z_j, hits)
    factor = share * targets / exps
    for j in range(n):
        store(d + j * width, factor * load(d + j * width) - share * column(y, j, z))
    return share * (targets * log(exps) - hits)


@inlined(literals=("code",))
def ascending_pinball(code, z, d, y, n, share, parameter):
    """The elementwise loss of this literal code, pinball's, of ``z_0, z_0 + softplus(z_1), ...``."""
    width = lanes(z)
    loss, output, pull = broadcast(0.0, z), broadcast(0.0, z), broadcast(0.0, z)
    for j in range(n):
        z_j = load(z + j * width)
        output = output + (softplus(z_j) if j > 0 else z_j)
        value, slope = element(code, output, column(y, j, z), broadcast(parameter[j], z))
        loss = fma(share, value, loss)
        store(d + j * width, share * slope)
    for j in range(n - 1, -1, -1):
        pull = pull + load(d + j * width)
        store(d + j * width, pull * sigmoid(load(z + j * width)) if j > 0 else pull)
    return loss


# ---------------------------------------------------------------- residuals
def residual(code, o, y):
    """What the squared loss of this literal code squares, and its derivative; zero where the target is missing."""


@overload(residual, prefer_literal=True, jit_options=INLINED)
def _choose_residual(code, o, y):
    row = catalogue.loss_of(code.literal_value)
    function = loss_of_vectors(*row.functions) if isinstance(row, own.LeastSquares) else difference

    def where_present(code, o, y):
        value, slope = function(o, y, 1.0)
        return select(y == y, value, 0.0), select(y == y, slope, 0.0)

    return where_present if row.masked else lambda code, o, y: function(o, y, 1.0)


@inlined
def difference(o, y, parameter):
    """``o - y``."""
    return o - y, broadcast(1.0, o)


@callee
def residuals(code, o, y, n, values, slopes):
    """The residuals of `n` outputs, and their derivatives with respect to these."""
    for i in range(0, n, lanes(o)):
        value, slope = residual(code, load_first(o + i, n - i), load_first(y + i, n - i))
        store_first(values + i, value, n - i)
        store_first(slopes + i, slope, n - i)


# ---------------------------------------------------------------- over a batch
def function_of(row):
    """The function of a loss: of this file, or of the user's own."""
    return loss_of_vectors(row.value, row.gradient) if isinstance(row, own.Loss) else globals()[row.name]


def element(code, o, y, parameter):
    """The elementwise loss of this literal code."""


@overload(element, prefer_literal=True, jit_options=INLINED)
def _choose_element(code, o, y, parameter):
    row = catalogue.loss_of(code.literal_value)
    function = function_of(row)

    def where_present(code, o, y, parameter):
        value, slope = function(o, y, parameter)
        return select(y == y, value, 0.0), select(y == y, slope, 0.0)

    return where_present if row.masked else lambda code, o, y, parameter: function(o, y, parameter)


def pair(code, o, p, y, parameter):
    """The elementwise loss of this literal code, of two outputs for a target."""


@overload(pair, prefer_literal=True, jit_options=INLINED)
def _choose_pair(code, o, p, y, parameter):
    row = catalogue.loss_of(code.literal_value)
    function = globals()[row.name]

    def where_present(code, o, p, y, parameter):
        value, by_first, by_second = function(o, p, y, parameter)
        return select(y == y, value, 0.0), select(y == y, by_first, 0.0), select(y == y, by_second, 0.0)

    return where_present if row.masked else lambda code, o, p, y, parameter: function(o, p, y, parameter)


@inlined
def part_present(y, n):
    """The share of a row's targets that are not NaN."""
    count = 0
    for j in range(n):
        if y[j] == y[j]:
            count += 1
    return count / n


def row_loss(code, o, d, y, n, share, parameter):
    """The loss of this literal code for rows in lanes, times their share; `d` receives the derivative times it."""


@overload(row_loss, prefer_literal=True, jit_options=INLINED)
def _choose_row_loss(code, o, d, y, n, share, parameter):
    row = catalogue.loss_of(code.literal_value)
    if row.logits_of == "ascending":
        each = catalogue.LOSSES["pinball"].masked_as(row).code
        return lambda code, o, d, y, n, share, parameter: ascending_pinball(each, o, d, y, n, share, parameter)
    if not row.elementwise:
        function = function_of(row)
        return lambda code, o, d, y, n, share, parameter: function(o, d, y, n, share, parameter)

    def pairwise(code, o, d, y, n, share, parameter):
        width, half = lanes(o), n // 2
        loss = broadcast(0.0, o)
        for j in range(half):
            first, second = j * width, (half + j) * width
            y_j, number = column(y, j, o), broadcast(parameter[j], o)
            value, by_first, by_second = pair(code, load(o + first), load(o + second), y_j, number)
            loss = fma(share, value, loss)
            store(d + first, share * by_first)
            store(d + second, share * by_second)
        return loss

    if row.outputs_per_target == 2:
        return pairwise

    def elementwise(code, o, d, y, n, share, parameter):
        width = lanes(o)
        loss = broadcast(0.0, o)
        for j in range(n):
            number = broadcast(parameter[j], o)
            value, slope = element(code, load(o + j * width), column(y, j, o), number)
            loss = fma(share, value, loss)
            store(d + j * width, share * slope)
        return loss

    return elementwise


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
            loss = fma(share, select(first_lanes(left, value), value, 0.0), loss)  # for the reason given below
            store_first(d + i, share * derivative, left)
        return np.float64(total(loss))
    for r in range(rows):
        share = broadcast(scale[r], o)
        for j in range(0, n_out, width):
            place, left = r * n_out + j, n_out - j
            number = load_first(parameter + j, left)
            value, derivative = element(code, load_first(o + place, left), load_first(y + place, left), number)
            # Lanes beyond the last output hold the loss of nothing against nothing, which need not be zero.
            value = select(first_lanes(left, value), value, 0.0)
            loss = fma(share, value, loss)
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
            loss = fma(share, value, loss)
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


def residuals_of(loss: catalogue.Loss) -> tuple:
    """The residuals of a squared loss, for `address_of`, and the literal that they are compiled for."""
    if isinstance(loss, own.LeastSquares):
        return residuals, types.literal(loss.code)
    mse = catalogue.LOSSES["mse"].masked_as(loss)  # whose residuals are those of sse
    return residuals, types.literal(mse.code)


def callee_of(loss: catalogue.Loss, labels_given: bool) -> tuple:
    """The function of a loss over a batch, for `address_of`, and the literals that it is compiled for."""
    if loss.labels:
        return cross_entropy_of_rows, types.literal(int(labels_given))
    if not loss.elementwise:
        return loss_by_rows, types.literal(loss.code)
    return pairwise_loss if loss.outputs_per_target == 2 else elementwise_loss, types.literal(loss.code)
