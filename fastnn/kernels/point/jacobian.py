"""The Jacobian at one sample: backwards from the outputs where they are fewer than the inputs, otherwise forwards.

The layers run once with a tape of the activations' slopes, then a gradient is pulled back for each output, or a tangent
pushed on for each input. Through a large network many go together, as the rows of a matrix: a weight that is fetched
serves them all.
"""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from fastnn.kernels.dispatch import fetches_weights
from fastnn.kernels.jit.compiling import inlined, inlined_callee
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.point.forward import forward_layers, write
from fastnn.kernels.point.layer import forward_layer
from fastnn.kernels.point.products import AS_IT_IS, TIMES_SLOPES
from fastnn.kernels.point.scratch import JACOBIAN_ROWS, jacobian_rows, padded, sizes_of
from fastnn.kernels.point.vjp import pull_gradient, scale, softmax_slope, unit_vector
from fastnn.kernels.simd import broadcast, lanes, store
from fastnn.kernels.tiles import dense, few_rows, passes
from fastnn.settings import catalogue
from fastnn.settings.spec import Layer

_SOFTMAX = catalogue.ACTIVATIONS["softmax"].code


@inlined_callee
def jacobian(architecture, p, x, x_stride, out, out_stride, jac, row_stride, column_stride, rows, work):
    """The outputs, and their derivatives; `rows` of these go together, if the network is large."""
    size = sizes_of(architecture)
    stride = size.stride if rows > 1 else size.buffer
    here, there, slopes = work, work + rows * stride, work + 2 * rows * stride
    outputs = forward_layers(architecture, 0, 1, p, (x, x_stride), here, there, slopes, slopes)
    write(outputs, out, out_stride, size.n_out)
    _fill(architecture, rows, stride, p, here, there, slopes, (jac, row_stride, column_stride))


def _fill(architecture, rows, stride, p, here, there, slopes, jac):
    """All derivatives; `jac` is a place, and the strides from one row to the next and from one column to the next."""


@overload(_fill, **BY_LITERALS)
def _choose_fill(architecture, rows, stride, p, here, there, slopes, jac):
    spec, last = architecture.spec, architecture.spec.n_layers - 1

    def row_by_row(architecture, rows, stride, p, here, there, slopes, jac):
        size, (jac, row_stride, column_stride) = sizes_of(architecture), jac
        end = slopes + size.last
        for j in range(size.n_out):
            unit_vector(here, j, size.n_out)
            gradient = pull_gradient(architecture, 1, p, here, there, end, end)
            write(gradient, jac + j * row_stride, column_stride, size.n_in)

    def column_by_column(architecture, rows, stride, p, here, there, slopes, jac):
        size, (jac, row_stride, column_stride) = sizes_of(architecture), jac
        for i in range(size.n_in):
            unit_vector(there, i, size.n_in)
            tangent = _push(architecture, 0, p, (there, 1), here, there, slopes)
            write(tangent, jac + i * column_stride, row_stride, size.n_out)

    def rows_together(architecture, rows, stride, p, here, there, slopes, jac):
        size, (jac, row_stride, column_stride) = sizes_of(architecture), jac
        for first in range(0, size.n_out, rows):
            n = min(rows, size.n_out - first)
            for r in range(n):
                unit_vector(here + r * stride, first + r, size.n_out)
            gradients = _pull_together(architecture, last, n, stride, p, here, there, slopes + size.last)
            for r in range(n):
                write(gradients + r * stride, jac + (first + r) * row_stride, column_stride, size.n_in)

    def columns_together(architecture, rows, stride, p, here, there, slopes, jac):
        size, (jac, row_stride, column_stride) = sizes_of(architecture), jac
        for first in range(0, size.n_in, rows):
            n = min(rows, size.n_in - first)
            for r in range(n):
                unit_vector(here + r * stride, first + r, size.n_in)
            tangents = _push_together(architecture, 0, n, stride, p, here, there, slopes)
            for r in range(n):
                write(tangents + r * stride, jac + (first + r) * column_stride, row_stride, size.n_out)

    if jacobian_rows(spec) == 1:
        return row_by_row if spec.n_out < spec.n_in else column_by_column
    return rows_together if spec.n_out <= spec.n_in else columns_together


# ---------------------------------------------------------------- one tangent, forwards
def _push(architecture, l, p, t, here, there, slopes):
    """Push a tangent of the inputs of layer `l`, a literal, to the outputs; returns where it is.

    `t` is a place and a stride.
    """


@overload(_push, **BY_LITERALS)
def _choose_push(architecture, l, p, t, here, there, slopes):
    spec, this = architecture.spec, l.literal_value
    following, n_out, width = this + 1, spec.n_out, padded(spec.sizes[this + 1], spec)

    def onward(architecture, l, p, t, here, there, slopes):
        forward_layer(architecture, this, TIMES_SLOPES, p, t, (here, slopes, slopes))
        return _push(architecture, following, p, (here, 1), there, here, slopes + width)

    def outputs(architecture, l, p, t, here, there, slopes):
        forward_layer(architecture, this, TIMES_SLOPES, p, t, (here, slopes, slopes))
        return here

    def softmax_outputs(architecture, l, p, t, here, there, slopes):
        forward_layer(architecture, this, AS_IT_IS, p, t, (here, slopes, slopes))
        softmax_slope(here, slopes, n_out)
        return here

    def ascending_outputs(architecture, l, p, t, here, there, slopes):
        forward_layer(architecture, this, TIMES_SLOPES, p, t, (here, slopes, slopes))
        passes.cumulate(here, n_out)
        return here

    if following < spec.n_layers:
        return onward
    return {"softmax": softmax_outputs, "ascending": ascending_outputs}.get(spec.output_activation, outputs)


# ---------------------------------------------------------------- many at once: rows that lie a stride apart
def _push_together(architecture, l, n, stride, p, t, other, slopes):
    """Push `n` tangents of the inputs of layer `l`, a literal, to the outputs; returns where they are."""


@overload(_push_together, **BY_LITERALS)
def _choose_push_together(architecture, l, n, stride, p, t, other, slopes):
    spec, this = architecture.spec, l.literal_value
    following, width = this + 1, padded(spec.sizes[this + 1], spec)

    def onward(architecture, l, n, stride, p, t, other, slopes):
        _push_layer(architecture, this, n, stride, p, t, other, slopes)
        return _push_together(architecture, following, n, stride, p, other, t, slopes + width)

    def outputs(architecture, l, n, stride, p, t, other, slopes):
        _push_layer(architecture, this, n, stride, p, t, other, slopes)
        return other

    return onward if following < spec.n_layers else outputs


def _push_layer(architecture, l, n, stride, p, t, other, slopes):
    """Layer `l` forwards, from `t` to `other`."""


@overload(_push_layer, **BY_LITERALS)
def _choose_push_layer(architecture, l, n, stride, p, t, other, slopes):
    layer: Layer = architecture.spec.layers[l.literal_value]
    n_in, n_out, weights = layer.n_in, layer.n_out, layer.weights
    softmax, summed = layer.activation.code == _SOFTMAX, layer.activation.name == "ascending"
    fetches = fetches_weights(layer, architecture.spec.dtype, JACOBIAN_ROWS)
    product = few_rows.fetching_product if fetches else dense.product

    def push_layer(architecture, l, n, stride, p, t, other, slopes):
        depth, m = np.intp(n_in), np.intp(n_out)
        _product(product, n, m, depth, t, p + weights, m, np.intp(1), other, stride)
        for r in range(n):
            tangent = other + r * stride
            if softmax:
                softmax_slope(tangent, slopes, n_out)
            else:
                scale(tangent, slopes, n_out)
            if summed:
                passes.cumulate(tangent, n_out)

    return push_layer


def _pull_together(architecture, l, n, stride, p, d, other, slopes):
    """Pull `n` gradients back from the outputs of layer `l`, a literal, to the inputs; returns where they are."""


@overload(_pull_together, **BY_LITERALS)
def _choose_pull_together(architecture, l, n, stride, p, d, other, slopes):
    spec, this = architecture.spec, l.literal_value
    before, step = this - 1, -padded(spec.sizes[this], spec)

    def onward(architecture, l, n, stride, p, d, other, slopes):
        _pull_layer(architecture, this, n, stride, p, d, other, slopes)
        return _pull_together(architecture, before, n, stride, p, other, d, slopes + step)

    def inputs(architecture, l, n, stride, p, d, other, slopes):
        _pull_layer(architecture, this, n, stride, p, d, other, slopes)
        return other

    return onward if this > 0 else inputs


def _pull_layer(architecture, l, n, stride, p, d, other, slopes):
    """Layer `l` backwards, from `d` to `other`."""


@overload(_pull_layer, **BY_LITERALS)
def _choose_pull_layer(architecture, l, n, stride, p, d, other, slopes):
    layer: Layer = architecture.spec.layers[l.literal_value]
    n_in, n_out, weights = layer.n_in, layer.n_out, layer.weights
    softmax, summed = layer.activation.code == _SOFTMAX, layer.activation.name == "ascending"

    def pull_layer(architecture, l, n, stride, p, d, other, slopes):
        depth, m = np.intp(n_out), np.intp(n_in)
        for r in range(n):
            gradient = d + r * stride
            if summed:
                passes.cumulate_back(gradient, n_out)
            if softmax:
                softmax_slope(gradient, slopes, n_out)
            else:
                scale(gradient, slopes, n_out)
        _product(dense.product, n, m, depth, d, p + weights, np.intp(1), depth, other, stride)

    return pull_layer


@inlined
def _product(product, n, m, depth, rows, weights, weights_stride, weights_step, to, stride):
    """``to = rows weights``, where the weights lie as `product` says."""
    for r in range(n):
        for j in range(0, m, lanes(to)):
            store(to + (r * stride + j), broadcast(0.0, to))
    product(n, m, depth, rows, stride, np.intp(1), weights, weights_stride, weights_step, to, stride, to, stride)
