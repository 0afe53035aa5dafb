"""The losses: value and derivative in one go, on the outputs of a batch.

An elementwise loss is a row of `_ELEMENTWISE`: ``name(o, y, delta) -> (loss, derivative)`` on vectors, with o the
output, or its pre-activation where the catalogue's row says `logits_of`. What the values are divided by stands in
`scale`: one number a row of the batch, its share of the loss.
"""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from fastnn import catalogue
from fastnn.kernels.compiling import callee, inlined
from fastnn.kernels.llvm.simd import (
    absolute,
    broadcast,
    copysign,
    first,
    first_lanes,
    fma,
    lanes,
    largest,
    lift,
    load,
    load_first,
    select,
    store,
    store_first,
    total,
)
from fastnn.kernels.vecmath import exp, log, sigmoid, softplus


@inlined
def squared(o, y, delta):
    """``(o - y)**2``: of sse and mse."""
    r = o - y
    return r * r, r + r


@inlined
def mae(o, y, delta):
    """``|o - y|``."""
    r = o - y
    sign = copysign(broadcast(1.0, r), r)
    return absolute(r), select(r == 0.0, r, sign)


@inlined
def huber(o, y, delta):
    """``r**2 / 2`` where ``|r| <= delta``, else ``delta (|r| - delta / 2)``."""
    r = o - y
    inside = absolute(r) <= delta
    line = copysign(broadcast(delta, r), r)
    return select(inside, 0.5 * r * r, delta * (absolute(r) - 0.5 * delta)), select(inside, r, line)


@inlined
def poisson(z, y, delta):
    """``mu - y log(mu)`` with ``mu = exp(z)``."""
    mu = exp(z)
    return mu - y * z, mu - y


@inlined
def binary_cross_entropy(z, y, delta):
    """``-y log(p) - (1 - y) log(1 - p)`` with ``p = sigmoid(z)``."""
    return softplus(z) - y * z, sigmoid(z) - y


_ELEMENTWISE = {
    "sse": squared,
    "mse": squared,
    "mae": mae,
    "huber": huber,
    "poisson": poisson,
    "binary_cross_entropy": binary_cross_entropy,
}


def _element(code, o, y, delta):
    """The elementwise loss of this catalogue code."""


@overload(_element, prefer_literal=True, jit_options={"forceinline": True, "error_model": "numpy"})
def _choose_element(code, o, y, delta):
    name = next(row.name for row in catalogue.LOSSES.values() if row.code == code.literal_value)
    function = _ELEMENTWISE[name]
    return lambda code, o, y, delta: function(o, y, delta)


@inlined(literals=("code",))
def elementwise_loss(code, o, d, y, scale, rows, n_out, delta):
    """Sum of ``scale * loss`` over the batch; ``d = scale * derivative``. o, d and y are (rows, n_out), contiguous."""
    width = lanes(o)
    loss = broadcast(0.0, o)
    if n_out == 1:  # a vector holds many rows
        for i in range(0, rows, width):
            left = rows - i
            share = load_first(scale + i, left)
            value, derivative = _element(code, load_first(o + i, left), load_first(y + i, left), delta)
            loss = fma(share, value, loss)
            store_first(d + i, share * derivative, left)
        return total(loss)
    for r in range(rows):
        share = broadcast(scale[r], o)
        for j in range(0, n_out, width):
            place, left = r * n_out + j, n_out - j
            value, derivative = _element(code, load_first(o + place, left), load_first(y + place, left), delta)
            # Lanes beyond the last output hold the loss of nothing against nothing, which need not be zero.
            value = select(first_lanes(left, value), value, 0.0)
            loss = fma(share, value, loss)
            store_first(d + place, share * derivative, left)
    return total(loss)


@inlined(literals=("labels_given",))
def cross_entropy(labels_given, z, d, y, labels, scale, rows, n_out):
    """Sum of ``scale * (-sum_j y_j log softmax(z)_j)`` over the batch; ``d = scale * (softmax(z) sum(y) - y)``.

    With `labels_given`, a literal, row r has the one-hot target of ``labels[r]``, and `y` is not read.
    """
    width = lanes(z)
    loss = 0.0
    for r in range(rows):
        z_r, d_r, y_r = z + r * n_out, d + r * n_out, y + r * n_out
        top = broadcast(z_r[0], z)
        for j in range(0, n_out, width):
            z_j = load_first(z_r + j, n_out - j)
            z_j = select(first_lanes(n_out - j, z), z_j, top)
            top = select((top > z_j) | (top != top), top, z_j)
        top = broadcast(largest(top), z)

        exps, targets, hits = broadcast(0.0, z), broadcast(0.0, z), broadcast(0.0, z)
        for j in range(0, n_out, width):
            inside = first_lanes(n_out - j, z)
            z_j = load_first(z_r + j, n_out - j) - top
            e_j = select(inside, exp(z_j), 0.0)
            exps = exps + e_j
            store_first(d_r + j, e_j, n_out - j)
            if not labels_given:
                y_j = load_first(y_r + j, n_out - j)
                targets = targets + y_j
                hits = fma(y_j, z_j, hits)
        exp_sum = total(exps)
        target_sum, hit = (1.0, z_r[labels[r]] - first(top)) if labels_given else (total(targets), total(hits))
        share = scale[r]
        loss += share * (target_sum * first(log(lift(exp_sum))) - hit)

        factor = broadcast(share * target_sum / exp_sum, z)
        if labels_given:
            for j in range(0, n_out, width):
                store_first(d_r + j, factor * load_first(d_r + j, n_out - j), n_out - j)
            d_r[labels[r]] -= share
        else:
            for j in range(0, n_out, width):
                left = n_out - j
                d_j = factor * load_first(d_r + j, left) - share * load_first(y_r + j, left)
                store_first(d_r + j, d_j, left)
    return loss


def _loss(code, labels_given, o, d, y, labels, scale, rows, n_out, delta):
    """The loss of this catalogue code."""


@overload(_loss, prefer_literal=True, jit_options={"forceinline": True, "error_model": "numpy"})
def _choose_loss(code, labels_given, o, d, y, labels, scale, rows, n_out, delta):
    if code.literal_value == catalogue.LOSSES["cross_entropy"].code:
        if labels_given.literal_value:
            return lambda code, labels_given, o, d, y, labels, scale, rows, n_out, delta: cross_entropy(
                True, o, d, y, labels, scale, rows, n_out
            )
        return lambda code, labels_given, o, d, y, labels, scale, rows, n_out, delta: cross_entropy(
            False, o, d, y, labels, scale, rows, n_out
        )
    return lambda code, labels_given, o, d, y, labels, scale, rows, n_out, delta: elementwise_loss(
        code, o, d, y, scale, rows, n_out, delta
    )


@callee
def batch_loss(code, labels_given, o, d, y, labels, scale, rows, n_out, delta):
    """Loss of a batch, and into `d` its derivative: `code` and `labels_given` are literals."""
    return np.float64(_loss(code, labels_given, o, d, y, labels, scale, rows, n_out, delta))
