"""Many samples together, for layers whose weights outgrow the nearest cache: tiles of samples and features.

Each sum is taken in the order that it has for one sample, and so has the same bits. Features whose sums are split there
(`layer.Columns`) go the way of `rows`, as do layers of few weights.
"""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from fastnn.kernels.dispatch import fetches_weights, shares_tiles
from fastnn.kernels.functions.activations import activate
from fastnn.kernels.jit.compiling import inlined, inlined_callee, outlined
from fastnn.kernels.point.forward import write
from fastnn.kernels.point.layer import columns_of, layer
from fastnn.kernels.point.products import ROWS, product_of_rows
from fastnn.kernels.point.scratch import OPTIONS, row_stride, sizes_of
from fastnn.kernels.simd import broadcast, lanes, load, store
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.dense import DEPTH, LEAST, LOW, Ahead, product_tile
from fastnn.kernels.tiles.few_rows import few_rows_product
from fastnn.settings import catalogue

_IDENTITY = catalogue.ACTIVATIONS["identity"].code
_SOFTMAX, _ASCENDING = catalogue.ACTIVATIONS["softmax"].code, catalogue.ACTIVATIONS["ascending"].code


@inlined_callee
def forward_batch(architecture, p, rows, x, out, work):
    """Outputs of `rows` samples, with the scratch of as many, rounded up to whole tiles of `LOW`.

    `x` and `out` each hold a place and the strides from one sample to the next and from one number to the next.
    """
    size, (x, x_row, x_stride), (out, out_row, out_stride) = sizes_of(architecture), x, out
    here, there, last = work, work + -(-rows // LOW) * LOW * size.stride, rows - 1
    for r in range(-(-rows // LEAST) * LEAST):  # a tile's worth
        for k in range(size.n_in):
            there[r * size.stride + k] = x[min(r, last) * x_row + k * x_stride]
    outputs = _layers(architecture, 0, p, rows, there, here)
    for r in range(rows):
        write(outputs + r * size.stride, out + r * out_row, out_stride, size.n_out)


def _layers(architecture, l, p, rows, x, h):
    """The layers from `l` on, a literal, from the rows of `x` to those of `h` and back; where the outputs are."""


@overload(_layers, **OPTIONS)
def _choose_layers(architecture, l, p, rows, x, h):
    spec, this = architecture.spec, l.literal_value
    following, n_out, stride = this + 1, spec.n_out, row_stride(spec, ROWS)

    def onward(architecture, l, p, rows, x, h):
        _layer(architecture, this, p, rows, x, h)
        return _layers(architecture, following, p, rows, h, x)

    def outputs(architecture, l, p, rows, x, h):
        _layer(architecture, this, p, rows, x, h)
        return h

    def softmax_outputs(architecture, l, p, rows, x, h):
        _layer(architecture, this, p, rows, x, h)
        passes.softmax_rows(_SOFTMAX, h, h, rows, n_out, stride)
        return h

    def ascending_outputs(architecture, l, p, rows, x, h):
        _layer(architecture, this, p, rows, x, h)
        passes.ascending_rows(_ASCENDING, h, h, rows, n_out, stride)
        return h

    if following < spec.n_layers:
        return onward
    return {"softmax": softmax_outputs, "ascending": ascending_outputs}.get(spec.output_activation, outputs)


def _layer(architecture, l, p, rows, x, h):
    """Layer `l`, a literal, from the rows of `x` to those of `h`."""


@overload(_layer, **OPTIONS)
def _choose_layer(architecture, l, p, rows, x, h):
    spec, this = architecture.spec, l.literal_value
    row, stride = spec.layers[this], row_stride(spec, ROWS)
    n_in, n_out, weights, biases, biased = row.n_in, row.n_out, row.weights, max(row.biases, 0), int(spec.bias)
    code = row.activation.code if row.activation.elementwise else _IDENTITY
    far = int(fetches_weights(row, spec.dtype, ROWS))
    columns = columns_of(row, spec)
    _, vectors, last, _, parts = columns
    in_order = columns.in_order(n_out) if shares_tiles(row, spec.dtype) else 0

    def few_at_once(architecture, l, p, rows, x, h):
        for r in range(0, rows, ROWS):
            samples, outputs = (x + r * stride, stride, 1, rows - r), (h + r * stride, stride)
            layer(architecture, this, 0, p, samples, outputs)

    def by_tiles(architecture, l, p, rows, x, h):
        w, b = p + weights, p + biases
        _multiply(far, biased, rows, in_order, n_in, x, w, n_out, b, h, stride)
        _activate(code, rows, in_order, h, stride)

    def rest_apart(architecture, l, p, rows, x, h):
        w, b = p + weights, p + biases
        _multiply(far, biased, rows, in_order, n_in, x, w, n_out, b, h, stride)
        _activate(code, rows, in_order, h, stride)
        for r in range(0, rows, ROWS):
            samples, outputs = (x + r * stride, stride, 1, rows - r), (h + r * stride, stride)
            product_of_rows(code, 0, biased, far, vectors, last, parts, n_in, n_out, w, b, samples, outputs, in_order)

    if in_order == 0:
        return few_at_once
    return by_tiles if in_order == n_out else rest_apart


@outlined(literals=("far", "biased"))
def _multiply(far, biased, rows, n, depth, x, w, w_stride, b, h, stride):
    """``h = b + x W`` of `n` features, more than a vector; of weights that are `far` the next strip's are fetched.

    Rows of x and h lie `stride` apart. Beyond `rows` there may be more, up to a multiple of `LEAST`.
    """
    width, one = lanes(w), np.intp(1)
    for r in range(0 if biased else -(-rows // LEAST) * LEAST):
        for j in range(0, n, width):
            store(h + (r * stride + j), broadcast(0.0, w))
    if rows <= REGISTER_FILE.few_far_rows:  # a tile would be almost empty
        start, start_stride = (b, np.intp(0)) if biased else (h, stride)
        few_rows_product(rows, n, depth, x, stride, one, w, w_stride, one, start, start_stride, h, stride)
        return
    for start in range(0, depth, DEPTH):
        part, j = min(DEPTH, depth - start), 0
        while j < n:
            left = n - j
            span = left if left <= 2 * width else 2 * width if left > 3 * width else (left + 1) // 2
            b_j = w + (start * w_stride + j), w_stride
            for r in range(0, rows, LOW):
                x_r, h_r = (x + (r * stride + start), stride, 1), (h + (r * stride + j), stride)
                init, ahead = (b + j, 0) if biased and start == 0 else h_r, Ahead(0, x, 0, 0, far == 1)
                if rows - r > LEAST:
                    product_tile(LOW, 2, 0, LOW, span, part, x_r, b_j, init, h_r, ahead)
                else:
                    product_tile(LEAST, 2, 0, LEAST, span, part, x_r, b_j, init, h_r, ahead)
            j += span


@inlined(literals=("code",))
def _activate(code, rows, n, h, stride):
    """``h = f(h)`` of `n` features."""
    for r in range(rows):
        for j in range(0, n, lanes(h)):
            place = h + (r * stride + j)
            store(place, activate(code, load(place)))
