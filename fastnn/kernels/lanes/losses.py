"""The loss of a batch in lanes, and what it sends back through the network."""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.functions.activations import derivative
from fastnn.kernels.functions.losses import row_loss
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.pipeline import INLINED
from fastnn.kernels.lanes.layers import backward, forward
from fastnn.kernels.simd import broadcast, lanes, load, store


def output_loss(kind, pointers, batch, start, last, parameter, training):
    """Loss of a block of rows, and the derivative with respect to the output's pre-activations."""


@overload(output_loss, jit_options=INLINED)
def _output_loss(kind, pointers, batch, start, last, parameter, training):
    kind = kind.value
    rows, n, n_targets, (z, h, d) = kind.rows, kind.spec.n_out, kind.n_targets, kind.offsets[0][-1]
    code, count = kind.activation(kind.spec.n_layers - 1).code, kind.rows * kind.spec.n_out
    loss_code = kind.loss

    def impl(kind, pointers, batch, start, last, parameter, training):
        v, width = pointers.values, lanes(pointers.values)
        h_l, d_l = v + h * width, v + d * width
        loss = broadcast(0.0, v)
        for r in range(rows):
            row = start + min(r, last)
            share = load(batch.share + row * batch.share_stride * width) if r <= last else broadcast(0.0, v)
            y_r = batch.y + row * n_targets * lanes(batch.y)
            loss = loss + row_loss(loss_code, h_l + r * n * width, d_l + r * n * width, y_r, n, share, parameter)
        for i in range(count if training else 0):
            place = i * width
            store(d_l + place, load(d_l + place) * derivative(code, load(v + (z * width + place)), load(h_l + place)))
        return loss

    return impl


@inlined(literals=("training",))
def pass_batch(kind, pointers, batch, parameter, training):
    """Loss of a batch; with the literal `training`, its gradient is added to what stands there."""
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
def _shape_impl(kind):
    rows, n_in = kind.value.rows, kind.value.spec.n_in
    return lambda kind: (rows, n_in)


def _backward_all(kind, pointers, x, last):
    """`backward` from the output's layer."""


@overload(_backward_all, jit_options=INLINED)
def _backward_all_impl(kind, pointers, x, last):
    top = kind.value.spec.n_layers - 1
    return lambda kind, pointers, x, last: backward(kind, top, pointers, x, last)
