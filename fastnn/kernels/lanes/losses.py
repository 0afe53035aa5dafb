"""The loss of rows in lanes, and its derivative with respect to the output's pre-activations."""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.functions.activations import derivative
from fastnn.kernels.functions.losses import row_loss
from fastnn.kernels.jit.options import INLINED
from fastnn.kernels.simd import broadcast, lanes, load, store


def output_loss(kind, pointers, batch, start, last, parameter, training):
    """Loss of a block of rows, and the derivative with respect to the output's pre-activations."""


@overload(output_loss, jit_options=INLINED)
def _choose_output_loss(kind, pointers, batch, start, last, parameter, training):
    kind = kind.value
    rows, n, n_targets, (z, h, d) = kind.rows, kind.spec.n_out, kind.n_targets, kind.offsets[-1]
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
