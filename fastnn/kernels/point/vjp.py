"""The gradient of ``v^T outputs`` with respect to the inputs, at one sample: backpropagation.

The layers run once and keep the activations' slopes on a tape, along which the gradient is pulled back. The Jacobian
and the Hessian pull theirs back by the same functions; gradients with respect to parameters are in `adjoint`.
"""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.jit.compiling import inlined, inlined_callee
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.point.back import back, back_from_one, rows_of
from fastnn.kernels.point.forward import forward_layers, gather, write
from fastnn.kernels.point.scratch import padded, sizes_of
from fastnn.kernels.simd import broadcast, first_lanes, fma, lanes, load, load_first, select, store, total
from fastnn.kernels.tiles import passes
from fastnn.settings import catalogue
from fastnn.settings.spec import Layer

_SOFTMAX = catalogue.ACTIVATIONS["softmax"].code


# ---------------------------------------------------------------- what is called
@inlined_callee
def vjp(architecture, p, x, x_stride, v, v_stride, out, out_stride, work):
    """The derivative of ``v^T outputs`` with respect to the inputs."""
    size = sizes_of(architecture)
    here, there, slopes = work, work + size.buffer, work + 2 * size.buffer
    forward_layers(architecture, 0, 1, p, (x, x_stride), here, there, slopes, slopes)
    gather(v, v_stride, here, size.n_out)
    end = slopes + size.last
    write(pull_gradient(architecture, 1, p, here, there, end, end), out, out_stride, size.n_in)


@inlined
def unit_vector(place, index, count):
    """Zeros, but for a one at `index`."""
    zero, one = broadcast(0.0, place), broadcast(1.0, place)
    for i in range(0, count, lanes(place)):
        up_to_it = select(first_lanes(index + 1 - i, zero), one, zero)
        store(place + i, select(first_lanes(index - i, zero), zero, up_to_it))


# ---------------------------------------------------------------- backwards
def pull_gradient(architecture, order, p, d, other, slopes, curvatures):
    """Pull the gradient `d` back from the outputs to the inputs, through all layers; returns where it is."""


@overload(pull_gradient, **BY_LITERALS)
def _choose_pull_gradient(architecture, order, p, d, other, slopes, curvatures):
    last = architecture.spec.n_layers - 1
    return lambda architecture, order, p, d, other, slopes, curvatures: _pull(
        architecture, last, order, p, d, other, slopes, curvatures
    )


def _pull(architecture, l, order, p, d, other, slopes, curvatures):
    """The same from layer `l`, a literal, down; the result is in `d` or `other`.

    `slopes` and `curvatures` point to the layer's.
    """


@overload(_pull, **BY_LITERALS)
def _choose_pull(architecture, l, order, p, d, other, slopes, curvatures):
    spec, this = architecture.spec, l.literal_value
    before, step = this - 1, -padded(spec.sizes[this], spec)

    def inputs(architecture, l, order, p, d, other, slopes, curvatures):
        _pull_layer(architecture, this, order, p, d, other, slopes, curvatures)
        return other

    def onward(architecture, l, order, p, d, other, slopes, curvatures):
        _pull_layer(architecture, this, order, p, d, other, slopes, curvatures)
        return _pull(architecture, before, order, p, other, d, slopes + step, curvatures + step)

    return onward if this > 0 else inputs


def _pull_layer(architecture, l, order, p, d, g, slopes, curvatures):
    """Layer `l` backwards: from the gradient `d` with respect to its outputs to `g`, with respect to its inputs.

    With an order of 2 the curvatures, too, are multiplied by `d`.
    """


@overload(_pull_layer, **BY_LITERALS)
def _choose_pull_layer(architecture, l, order, p, d, g, slopes, curvatures):
    layer: Layer = architecture.spec.layers[l.literal_value]
    n_in, n_out, weights = layer.n_in, layer.n_out, layer.weights
    summed = int(layer.activation.name == "ascending")
    rows, rest = rows_of(1, 0), n_out % padded(1, architecture.spec)

    def first_order(architecture, l, order, p, d, g, slopes, curvatures):
        if summed > 0:
            passes.cumulate_back(d, n_out)
        scale(d, slopes, n_out)
        _multiply_weights(rows, rest, n_in, n_out, p + weights, d, g)

    def second_order(architecture, l, order, p, d, g, slopes, curvatures):
        if summed > 0:
            passes.cumulate_back(d, n_out)
        scale(curvatures, d, n_out)
        scale(d, slopes, n_out)
        _multiply_weights(rows, rest, n_in, n_out, p + weights, d, g)

    def softmax(architecture, l, order, p, d, g, slopes, curvatures):
        softmax_slope(d, slopes, n_out)
        _multiply_weights(rows, rest, n_in, n_out, p + weights, d, g)

    if layer.activation.code == _SOFTMAX:
        return softmax
    return second_order if order.literal_value == 2 else first_order


@inlined(literals=("rows", "rest"))
def _multiply_weights(rows, rest, n_in, n_out, w, d, g):
    """``g = W d``."""
    if n_out == 1:
        back_from_one(1, 0, 1, n_in, w, w, d, 0, d, g, 0)
    else:
        back(1, 0, 1, rows, rest, n_in, n_out, w, w, d, 0, d, g, 0)


@inlined
def scale(x, y, count):
    """``x *= y`` over padded places."""
    for i in range(0, count, lanes(x)):
        store(x + i, load(x + i) * load(y + i))


@inlined
def softmax_slope(d, h, count):
    """``d = h (d - h^T d)``: softmax's derivative times d, where its outputs are h."""
    width = lanes(d)
    sums = broadcast(0.0, d)
    for i in range(0, count, width):
        sums = fma(load_first(h + i, count - i), load_first(d + i, count - i), sums)
    common = broadcast(total(sums), d)
    for i in range(0, count, width):
        store(d + i, load(h + i) * (load(d + i) - common))
