"""Backwards through a series: from the cotangents of the outputs' terms to the gradients of parameters and inputs.

A term's cotangent is its factor in the sum whose gradient is sought. With cotangents ``v, v', v''`` of the terms of a
layer's outputs, and the terms c, c', c'' of its activation's slope, those of its pre-activations are

    d'' = c v'',   d' = c v' + 2 c' v'',   d = c v + c' v' + c'' v''

The weights' gradient is ``h d^T + h' d'^T + h'' d''^T``, h being the layer's inputs, and the biases' is d; the inputs'
cotangents are W d, W d' and W d''. With one term that is backpropagation. With two, and v on the slope alone, the
gradient with respect to the inputs is a product with the Hessian.
"""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.jit.compiling import inlined, inlined_callee
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.point.back import back, back_from_one, rows_of
from fastnn.kernels.point.forward import gather, write
from fastnn.kernels.point.scratch import buffer_size, padded, sizes_of, tapes, tapes_of
from fastnn.kernels.point.series import add_softmax_bend, add_softmax_bend_of_bend, run_series
from fastnn.kernels.point.vjp import softmax_slope
from fastnn.kernels.simd import broadcast, fma, lanes, load, load_first, store, store_first
from fastnn.kernels.tiles import passes
from fastnn.settings import catalogue
from fastnn.settings.spec import Layer

_SOFTMAX = catalogue.ACTIVATIONS["softmax"].code


# ---------------------------------------------------------------- what is called
@inlined_callee
def vjp_params(architecture, p, x, x_stride, v, v_stride, gradient, work):
    """Add the derivative of ``v^T outputs`` with respect to the parameters to `gradient`."""
    run_series(architecture, 1, 1, p, x, x_stride, x, x_stride, work)
    _place(architecture, 1, 0, v, v_stride, work)
    pull_series(architecture, 1, 1, 0, p, gradient, work)


@inlined_callee
def vjp_with_params(architecture, p, x, x_stride, v, v_stride, out, out_stride, gradient, work):
    """`vjp_params`, and the derivative with respect to the inputs to `out`."""
    run_series(architecture, 1, 1, p, x, x_stride, x, x_stride, work)
    _place(architecture, 1, 0, v, v_stride, work)
    write(pull_series(architecture, 1, 1, 1, p, gradient, work), out, out_stride, sizes_of(architecture).n_in)


@inlined_callee
def hvp(architecture, p, x, x_stride, v, v_stride, t, t_stride, out, out_stride, work):
    """The derivative along `t` of the derivative of ``v^T outputs`` with respect to the inputs."""
    size, at = sizes_of(architecture), tapes_of(architecture, 2)
    run_series(architecture, 2, 1, p, x, x_stride, t, t_stride, work)
    for j in range(0, size.n_out, lanes(work)):
        store(work + (at.cotangents + j), broadcast(0.0, work))
    _place(architecture, 2, 1, v, v_stride, work)
    write(pull_series(architecture, 2, 0, 1, p, p, work), out, out_stride, size.n_in)


@inlined_callee
def slope_vjp_params(architecture, p, x, x_stride, t, t_stride, v, v_stride, v1, v1_stride, gradient, work):
    """Add the derivative of ``v^T u + v1^T u'`` with respect to the parameters to `gradient`."""
    run_series(architecture, 2, 1, p, x, x_stride, t, t_stride, work)
    _place(architecture, 2, 0, v, v_stride, work)
    _place(architecture, 2, 1, v1, v1_stride, work)
    pull_series(architecture, 2, 1, 0, p, gradient, work)


@inlined_callee
def curvature_vjp_params(
    architecture, p, x, x_stride, t, t_stride, v, v_stride, v1, v1_stride, v2, v2_stride, gradient, work
):
    """Add the derivative of ``v^T u + v1^T u' + v2^T u''`` with respect to the parameters to `gradient`."""
    run_series(architecture, 3, 1, p, x, x_stride, t, t_stride, work)
    _place(architecture, 3, 0, v, v_stride, work)
    _place(architecture, 3, 1, v1, v1_stride, work)
    _place(architecture, 3, 2, v2, v2_stride, work)
    pull_series(architecture, 3, 1, 0, p, gradient, work)


@inlined(literals=("terms", "term"))
def _place(architecture, terms, term, v, v_stride, work):
    """Copy the cotangents of a term of the outputs to where `pull_series` begins."""
    size, at = sizes_of(architecture), tapes_of(architecture, terms)
    to = work + (at.cotangents + term * size.buffer)
    gather(v, v_stride, to, size.n_out)


# ---------------------------------------------------------------- all layers
def pull_series(architecture, terms, params, inputs, p, gradient, work):
    """From the last layer to the first: add to the parameters' gradient if the literal `params` is 1.

    Returns where the cotangents of the inputs are, if the literal `inputs` is 1.
    """


@overload(pull_series, **BY_LITERALS)
def _choose_pull_series(architecture, terms, params, inputs, p, gradient, work):
    spec, count = architecture.spec, terms.literal_value
    at, last = tapes(spec, count), spec.n_layers - 1
    end = count * padded(spec.n_out, spec)
    above_h, above_c = at.c, at.cotangents - end  # where the tape of h ends, and the last layer's c begin
    inner = above_h - end - count * padded(spec.sizes[last], spec)  # where the last layer's inputs begin

    def pull_series(architecture, terms, params, inputs, p, gradient, work):
        d, other = work + at.cotangents, work + at.other
        return _pull(architecture, last, terms, params, inputs, p, gradient, work + inner, work + above_c, d, other)

    return pull_series


def _pull(architecture, l, terms, params, inputs, p, gradient, h, c, d, other):
    """Layers `l`, a literal, to 0; `h` are the layer's inputs, `d` the cotangents of its outputs."""


@overload(_pull, **BY_LITERALS)
def _choose_pull(architecture, l, terms, params, inputs, p, gradient, h, c, d, other):
    spec, this, count = architecture.spec, l.literal_value, terms.literal_value
    below, c_step = this - 1, -count * padded(spec.sizes[this], spec)
    h_step = -count * padded(spec.sizes[this - 1], spec)

    def onward(architecture, l, terms, params, inputs, p, gradient, h, c, d, other):
        _pull_layer(architecture, this, terms, params, 1, p, gradient, h, c, d, other)
        return _pull(architecture, below, terms, params, inputs, p, gradient, h + h_step, c + c_step, other, d)

    def first(architecture, l, terms, params, inputs, p, gradient, h, c, d, other):
        _pull_layer(architecture, this, terms, params, inputs, p, gradient, h, c, d, other)
        return other

    return onward if this > 0 else first


# ---------------------------------------------------------------- one layer
def _pull_layer(architecture, l, terms, params, inputs, p, gradient, h, c, d, other):
    """Layer `l`: `d`, its outputs' cotangents, becomes its pre-activations'; `other`, its inputs'."""


@overload(_pull_layer, **BY_LITERALS)
def _choose_pull_layer(architecture, l, terms, params, inputs, p, gradient, h, c, d, other):
    spec, count = architecture.spec, terms.literal_value
    layer: Layer = spec.layers[l.literal_value]
    n_in, n_out, weights, biases = layer.n_in, layer.n_out, layer.weights, layer.biases
    h_row, c_row, buffer, width = padded(n_in, spec), padded(n_out, spec), buffer_size(spec), padded(1, spec)
    softmax, biased = layer.activation.code == _SOFTMAX, biases >= 0 and params.literal_value == 1
    summed = layer.activation.name == "ascending"
    one_output, rows, rest = n_out == 1, rows_of(count, params.literal_value), n_out % width

    def pull_layer(architecture, l, terms, params, inputs, p, gradient, h, c, d, other):
        if softmax:
            _through_softmax(terms, c, c_row, d, buffer, n_out)
        else:
            if summed:
                for k in range(count):
                    passes.cumulate_back(d + k * buffer, n_out)
            _through_activation(terms, c, c_row, d, buffer, n_out)
        if biased:
            _add(gradient + biases, d, n_out)
        w, dw = p + weights, gradient + weights
        if one_output:
            back_from_one(terms, params, inputs, n_in, w, dw, h, h_row, d, other, buffer)
        else:
            back(terms, params, inputs, rows, rest, n_in, n_out, w, dw, h, h_row, d, other, buffer)

    return pull_layer


@inlined(literals=("terms",))
def _through_activation(terms, c, c_row, d, buffer, count):
    """From the cotangents of a layer's outputs to those of its pre-activations, in place."""
    for j in range(0, count, lanes(d)):
        v = load(d + j)
        slope = load(c + j)
        v_0 = slope * v
        if terms > 1:
            v1, bend = load(d + (buffer + j)), load(c + (c_row + j))
            v_0, v_1 = fma(bend, v1, v_0), slope * v1
            if terms > 2:
                v2 = load(d + (2 * buffer + j))
                v_0, v_1 = fma(load(c + (2 * c_row + j)), v2, v_0), fma(2.0 * bend, v2, v_1)
                store(d + (2 * buffer + j), slope * v2)
            store(d + (buffer + j), v_1)
        store(d + j, v_0)


@inlined(literals=("terms",))
def _through_softmax(terms, a, a_row, d, buffer, n):
    """The same for softmax, whose outputs' terms `a` give its derivatives."""
    softmax_slope(d, a, n)
    if terms > 1:
        add_softmax_bend(1.0, a, a_row, d + buffer, d, n)
    if terms > 2:
        add_softmax_bend_of_bend(a, a_row, d + 2 * buffer, d, n)
    if terms > 1:
        softmax_slope(d + buffer, a, n)
    if terms > 2:
        add_softmax_bend(2.0, a, a_row, d + 2 * buffer, d + buffer, n)
        softmax_slope(d + 2 * buffer, a, n)


@inlined
def _add(place, x, count):
    """``place += x``."""
    width = lanes(place)
    whole = count - count % width
    for j in range(0, whole, width):
        store(place + j, load(place + j) + load(x + j))
    if whole < count:
        store_first(place + whole, load_first(place + whole, count - whole) + load(x + whole), count - whole)
