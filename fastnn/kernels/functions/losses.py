"""The losses: value and derivative in one go.

A loss is a function of the catalogue's name. An elementwise one is ``name(o, y, parameter) -> (loss, derivative)`` on
vectors, with o the output, or its pre-activation where the catalogue's row says `logits_of`; where two outputs describe
one target it is ``name(o, p, y, parameter) -> (loss, dloss/do, dloss/dp)``. Any other takes a row as
vectors, one after another, each with an output of as many rows as it has lanes: ``name(o, d, y, n, share, parameter)``
writes the derivative times the share to d, and returns the loss times the share; there `parameter` points to a number
for each target. `fastnn.kernels.tiles.losses` and `fastnn.kernels.lanes.losses` take whole batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from fastnn.kernels.functions.own import loss_of_vectors
from fastnn.kernels.functions.vecmath import exp, log, log1p_of_fraction, sigmoid, softplus
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.simd import (
    absolute,
    any_lane,
    broadcast,
    copysign,
    fma,
    lanes,
    load,
    polynomial,
    select,
    store,
)
from fastnn.kernels.simd.columns import column
from fastnn.settings import catalogue, own

#: Up to here ``-log(1 - u) = u * (1 + u / 2 + u**2 / 3 + ...)`` is exact to rounding with these coefficients.
_FLOOR_IS_SMALL, _LOGARITHM = 2.0**-7, tuple(1 / k for k in range(1, 8))


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
    """``-y log(p) - (1 - y) log(1 - p)`` with ``p = sigmoid(z)``, which is ``softplus(z) - y z``.

    The large terms cancel before the small one is added, which is all that is left where y is 1 and z is large. There
    the derivative is ``-sigmoid(-z)``.
    """
    e = exp(-absolute(z))
    value = fma(-y, z, select(z < 0.0, 0.0, z)) + log1p_of_fraction(e)
    return value, fma(1.0 - y, select(z < 0.0, e, 1.0), -y * select(z < 0.0, 1.0, e)) / (e + 1.0)


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


@overload(residual, **BY_LITERALS)
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


# ---------------------------------------------------------------- by their codes
def function_of(row: catalogue.Loss) -> Any:
    """The function of a loss: of this file, or of the user's own."""
    return loss_of_vectors(row.value, row.gradient) if isinstance(row, own.Loss) else globals()[row.name]


def element(code, o, y, parameter):
    """The elementwise loss of this literal code."""


@overload(element, **BY_LITERALS)
def _choose_element(code, o, y, parameter):
    row = catalogue.loss_of(code.literal_value)
    function = function_of(row)

    def where_present(code, o, y, parameter):
        value, slope = function(o, y, parameter)
        return select(y == y, value, 0.0), select(y == y, slope, 0.0)

    return where_present if row.masked else lambda code, o, y, parameter: function(o, y, parameter)


def pair(code, o, p, y, parameter):
    """The elementwise loss of this literal code, of two outputs for a target."""


@overload(pair, **BY_LITERALS)
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


@overload(row_loss, **BY_LITERALS)
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
