"""The outputs for one sample; on the way, the derivatives of the activations for those who need them."""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.jit.compiling import inlined, inlined_callee
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.point.layer import forward_layer
from fastnn.kernels.point.products import finish
from fastnn.kernels.point.scratch import padded, sizes_of
from fastnn.kernels.simd import broadcast, first_lanes, lanes, load, select, store, store_first
from fastnn.kernels.tiles import passes
from fastnn.settings import catalogue

_SOFTMAX, _SOFTPLUS = catalogue.ACTIVATIONS["softmax"].code, catalogue.ACTIVATIONS["softplus"].code


@inlined_callee
def forward(architecture, p, x, x_stride, out, out_stride, work):
    """Outputs of one sample whose features lie `x_stride` apart, to where they lie `out_stride` apart."""
    size = sizes_of(architecture)
    outputs = forward_layers(architecture, 0, 0, p, (x, x_stride), work, work + size.buffer, work, work)
    write(outputs, out, out_stride, size.n_out)


def forward_layers(architecture, l, order, p, x, here, there, slopes, curvatures):
    """The layers from `l` on, with derivatives up to `order`, both literals; where the outputs are.

    That is `here` or `there`; `x` is as in `forward_layer`.
    """


@overload(forward_layers, **BY_LITERALS)
def _choose_forward_layers(architecture, l, order, p, x, here, there, slopes, curvatures):
    spec, this = architecture.spec, l.literal_value
    following, n_out = this + 1, spec.n_out
    width = padded(spec.sizes[following], spec) if order.literal_value > 0 else 0

    def onward(architecture, l, order, p, x, here, there, slopes, curvatures):
        forward_layer(architecture, this, order, p, x, (here, slopes, curvatures))
        slopes, curvatures = slopes + width, curvatures + width
        return forward_layers(architecture, following, order, p, (here, 1), there, here, slopes, curvatures)

    def outputs(architecture, l, order, p, x, here, there, slopes, curvatures):
        forward_layer(architecture, this, order, p, x, (here, slopes, curvatures))
        return here

    def softmax_outputs(architecture, l, order, p, x, here, there, slopes, curvatures):
        forward_layer(architecture, this, order, p, x, (here, slopes, curvatures))
        passes.softmax_rows(_SOFTMAX, here, here, 1, n_out, n_out)
        if width > 0:  # the outputs tell the slopes, see `softmax_slope`
            write(here, slopes, 1, n_out)
        return here

    def ascending_outputs(architecture, l, order, p, x, here, there, slopes, curvatures):
        forward_layer(architecture, this, 0, p, x, (here, slopes, curvatures))
        _ascend(order, here, slopes, curvatures, n_out)
        return here

    if following < spec.n_layers:
        return onward
    return {"softmax": softmax_outputs, "ascending": ascending_outputs}.get(spec.output_activation, outputs)


@inlined(literals=("order",))
def _ascend(order, h, slopes, curvatures, n_out):
    """From pre-activations in `h` to outputs in ascending order; the derivatives are those of what is summed up."""
    first = h[0]
    for j in range(0, n_out, lanes(h)):
        finish(_SOFTPLUS, order, load(h + j), (h, slopes, curvatures), j)
    h[0] = first
    if order > 0:
        slopes[0] = 1.0
    if order > 1:
        curvatures[0] = 0.0
    passes.cumulate(h, n_out)


@inlined
def write(source, target, stride, count):
    """Copy numbers to where they lie `stride` apart."""
    if stride == 1:
        for j in range(0, count, lanes(source)):
            store_first(target + j, load(source + j), count - j)
    else:
        for j in range(count):
            target[j * stride] = source[j]


@inlined
def gather(source, stride, target, count):
    """Copy numbers that lie `stride` apart side by side, in whole vectors.

    A vector that is read over numbers stored one by one waits until they are in the cache.
    """
    for i in range(0, count, lanes(target)):
        numbers = broadcast(0.0, target)
        for j in range(min(lanes(target), count - i)):
            numbers = select(first_lanes(j, numbers), numbers, broadcast(source[(i + j) * stride], target))
        store(target + i, numbers)
