"""One step of training in lanes: the pass of a batch, its gradient, and the optimizer's update along it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from fastnn.kernels.functions.optimizers import RULES, apply_rule, clipping_unit, numbers_of
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.options import INLINED
from fastnn.kernels.lanes.layers import NOTHING, backward, forward
from fastnn.kernels.lanes.losses import output_loss
from fastnn.kernels.simd import (
    any_lane,
    broadcast,
    fma,
    lanes,
    load,
    select,
    sqrt,
    store,
    tile,
    total_everywhere,
    totals,
    with_lanes,
)
from fastnn.kernels.simd.columns import column
from fastnn.kernels.simd.types import Pointer


@inlined(literals=("training",))
def pass_batch(kind, pointers, batch, parameter, training):
    """Loss of a batch; if the literal `training` is true, its gradient is added to the parts of the gradient."""
    rows, n_in = _shape(kind)
    loss = broadcast(0.0, pointers.values)
    for start in range(0, batch.rows, rows):
        last = min(rows, batch.rows - start) - 1
        x = batch.x + start * n_in * lanes(batch.x)
        forward(kind, 0, pointers, x, last)
        loss = loss + output_loss(kind, pointers, batch, start, last, parameter, training)
        if training:
            _backward_all(kind, pointers, x, last)
    return loss


def _shape(kind):
    """Rows of a block, and width of the input."""


@overload(_shape, jit_options=INLINED)
def _choose_shape(kind):
    rows, n_in = kind.value.rows, kind.value.spec.n_in
    return lambda kind: (rows, n_in)


def _backward_all(kind, pointers, x, last):
    """`backward` from the output's layer."""


@overload(_backward_all, jit_options=INLINED)
def _choose_backward_all(kind, pointers, x, last):
    top = kind.value.spec.n_layers - 1
    return lambda kind, pointers, x, last: backward(kind, top, pointers, x, last)


def gradient_step(kind, pointers, batch, l2, max_grad_norm, parameter):
    """Loss of a batch and its whole gradient: with the penalty, summed over lanes of samples, its norm bounded.

    For lanes of samples `l2` holds in the first lane alone, so that the penalty counts once.
    """


@overload(gradient_step, jit_options=INLINED)
def _choose_gradient_step(kind, pointers, batch, l2, max_grad_norm, parameter):
    kind = kind.value
    n_params, samples, penalised, clipped = kind.spec.n_params, kind.lanes_hold_samples, kind.penalised, kind.clipped
    first, selective, side_by_side, count = kind.spec.layers[0], kind.selective, kind.side_by_side, kind.param_vectors
    start, n_in, n_hidden = first.weights, first.n_in, first.n_out
    spans = tuple((layer.weights, layer.weights + layer.n_in * layer.n_out) for layer in kind.spec.layers)

    def impl(kind, pointers, batch, l2, max_grad_norm, parameter):
        p, g, width = pointers.params, pointers.parts, lanes(pointers.parts)
        for i in range(n_params):
            store(g + i * width, broadcast(NOTHING, g))
        loss = pass_batch(kind, pointers, batch, parameter, True)
        if selective:
            for i in range(n_in):
                seen = load(pointers.features + i * width)
                for place in range(start + i * n_hidden, start + (i + 1) * n_hidden):
                    store(g + place * width, seen * load(g + place * width))
        if penalised:
            squares = broadcast(0.0, g)
            for begin, end in spans:
                for i in range(begin, end):
                    p_i = column(p, i, g)
                    squares = fma(p_i, p_i, squares)
                    store(g + i * width, fma(l2, p_i, load(g + i * width)))
            loss = fma(0.5 * l2, squares, loss)
        if samples:
            loss = total_everywhere(loss)
            _sum_lanes(kind, pointers)
        if clipped:
            g = with_lanes(pointers.gradient, width)
            squares, unit = _sum_of_squares(g, count, side_by_side), broadcast(1.0, g)
            if any_lane(squares == np.inf):
                unit = select(squares == np.inf, broadcast(clipping_unit(g), g), unit)
                for i in range(count):
                    store(g + i * width, unit * load(g + i * width))
                squares = _sum_of_squares(g, count, side_by_side)
            factor = max_grad_norm / fma(1e-6, unit, sqrt(squares))
            factor = select(factor * unit < 1.0, factor, 1.0 / unit)
            for i in range(count):
                store(g + i * width, factor * load(g + i * width))
        return loss

    return impl


@inlined
def _sum_of_squares(g, count, side_by_side):
    """The sum of squares of this many vectors; over the lanes, too, if a network's numbers lie side by side."""
    squares = broadcast(0.0, g)
    for i in range(count):
        g_i = load(g + i * lanes(g))
        squares = fma(g_i, g_i, squares)
    return total_everywhere(squares) if side_by_side else squares


def _sum_lanes(kind, pointers):
    """The gradient, from its parts in each lane."""


@overload(_sum_lanes, jit_options=INLINED)
def _choose_sum_lanes(kind, pointers):
    kind = kind.value
    n_params, width = kind.spec.n_params, kind.lanes

    def into_every_lane(kind, pointers):
        for i in range(n_params):
            store(pointers.gradient + i * width, total_everywhere(load(pointers.parts + i * width)))

    def side_by_side(kind, pointers):
        parts, gradient = pointers.parts, with_lanes(pointers.gradient, width)
        for start in range(0, n_params, width):
            block = tile(parts, width, 1)
            for r in range(width):
                i = start + r
                block[r, 0] = load(parts + i * width) if i < n_params else broadcast(0.0, parts)
            store(gradient + start, totals(block, 0))

    return side_by_side if kind.side_by_side else into_every_lane


class Pace(NamedTuple):
    """Pointers to whatever in a step differs from lane to lane; see `fastnn.kernels.functions.optimizers`."""

    rate: Pointer
    momentum: Pointer
    m_correction: Pointer
    root_correction: Pointer


def update(kind, pointers, pace, settings):
    """One step of the optimizer, along the gradient."""


@overload(update, jit_options=INLINED)
def _choose_update(kind, pointers, pace, settings):
    rule, count, width = kind.value.rule, kind.value.param_vectors, kind.value.lanes
    slots, corrected = RULES[rule].slots, RULES[rule].corrects_bias

    def impl(kind, pointers, pace, settings):
        p, g = with_lanes(pointers.params, width), with_lanes(pointers.gradient, width)
        s, t = with_lanes(pointers.slot_0, width), with_lanes(pointers.slot_1, width)
        rate = load(pace.rate)
        corrections = (load(pace.m_correction), load(pace.root_correction)) if corrected else (rate, rate)
        c = numbers_of(rule, rate, load(pace.momentum), settings, corrections[0], corrections[1])
        for i in range(count):
            g_i = load(g + i * width)
            s_i = load(s + i * width) if slots > 0 else g_i
            t_i = load(t + i * width) if slots > 1 else g_i
            p_i, s_i, t_i = apply_rule(rule, load(p + i * width), g_i, s_i, t_i, c)
            store(p + i * width, p_i)
            if slots > 0:
                store(s + i * width, s_i)
            if slots > 1:
                store(t + i * width, t_i)

    return impl
