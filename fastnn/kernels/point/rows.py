"""Several samples at once, for networks whose weights do not stay in the nearest cache: one that is fetched serves all.

The sums have the parts and the order that they have for one sample, and so the same bits.
"""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.jit.compiling import inlined_callee
from fastnn.kernels.point.forward import write
from fastnn.kernels.point.layer import layer
from fastnn.kernels.point.products import ROWS
from fastnn.kernels.point.scratch import OPTIONS, buffer_size, sizes_of
from fastnn.kernels.tiles import passes
from fastnn.settings import catalogue

_SOFTMAX, _ASCENDING = catalogue.ACTIVATIONS["softmax"].code, catalogue.ACTIVATIONS["ascending"].code


@inlined_callee
def forward_rows(architecture, p, rows, x, out, work):
    """Outputs of the first `rows` of `ROWS` samples, with `ROWS` times the scratch of `forward`.

    `x` and `out` each hold a place and the strides from one sample to the next and from one number to the next.
    """
    size, (x, x_row, x_stride), (out, out_row, out_stride) = sizes_of(architecture), x, out
    outputs = _layers(architecture, 0, p, (x, x_row, x_stride, rows), work, work + ROWS * size.buffer)
    for r in range(rows):
        write(outputs + r * size.buffer, out + r * out_row, out_stride, size.n_out)


def _layers(architecture, l, p, x, here, there):
    """The layers from `l` on, a literal; where the outputs are: `here` or `there`.

    `x` is as in `product_of_rows`.
    """


@overload(_layers, **OPTIONS)
def _choose_layers(architecture, l, p, x, here, there):
    spec, this = architecture.spec, l.literal_value
    following, n_out, buffer = this + 1, spec.n_out, buffer_size(spec)

    def onward(architecture, l, p, x, here, there):
        layer(architecture, this, 0, p, x, (here, buffer))
        return _layers(architecture, following, p, (here, buffer, 1, ROWS), there, here)

    def outputs(architecture, l, p, x, here, there):
        layer(architecture, this, 0, p, x, (here, buffer))
        return here

    def softmax_outputs(architecture, l, p, x, here, there):
        layer(architecture, this, 0, p, x, (here, buffer))
        passes.softmax_rows(_SOFTMAX, here, here, ROWS, n_out, buffer)
        return here

    def ascending_outputs(architecture, l, p, x, here, there):
        layer(architecture, this, 0, p, x, (here, buffer))
        passes.ascending_rows(_ASCENDING, here, here, ROWS, n_out, buffer)
        return here

    if following < spec.n_layers:
        return onward
    return {"softmax": softmax_outputs, "ascending": ascending_outputs}.get(spec.output_activation, outputs)
