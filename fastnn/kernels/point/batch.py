"""Several samples together, for networks whose weights do not stay in the nearest cache: what is fetched serves all.

Samples go through a layer a few at once or, where it is large and the processor's row says so, by tiles of samples and
features. Each sum is taken in the order that it has for one sample, and so has the same bits; features whose sums are
split there (`layer.Summation`) never go by tiles.
"""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from fastnn.kernels.dispatch import batch_in_tiles, fetches_weights, shares_tiles
from fastnn.kernels.functions.activations import activate
from fastnn.kernels.jit.compiling import inlined, inlined_callee, outlined
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.point.forward import write
from fastnn.kernels.point.layer import forward_layer, summation_of
from fastnn.kernels.point.products import ROWS, product_of_rows
from fastnn.kernels.point.scratch import row_stride, sizes_of
from fastnn.kernels.simd import broadcast, lanes, load, store
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.dense import DEPTH, HALF_TILE, TILE_ROWS, Ahead, product_tile
from fastnn.kernels.tiles.few_rows import few_rows_product
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec

_IDENTITY = catalogue.ACTIVATIONS["identity"].code
_SOFTMAX, _ASCENDING = catalogue.ACTIVATIONS["softmax"].code, catalogue.ACTIVATIONS["ascending"].code


@inlined_callee
def forward_batch(architecture, p, rows, x, out, here, there):
    """Outputs of `rows` samples, with two buffers of scratch, see `batch_scratch`.

    `x` and `out` each hold a place and the strides from one sample to the next and from one number to the next.
    """
    size, (out, out_row, out_stride) = sizes_of(architecture), out
    outputs = _forward_layers(architecture, 0, p, rows, _inputs(architecture, rows, x, there), here, there)
    for r in range(rows):
        write(outputs + r * size.stride, out + r * out_row, out_stride, size.n_out)


def _inputs(architecture, rows, x, h):
    """The samples as the first layer takes them: where they are, or in the rows of `h`, for tiles."""


@overload(_inputs, **BY_LITERALS)
def _choose_inputs(architecture, rows, x, h):
    n_in, stride = architecture.spec.n_in, row_stride(architecture.spec, ROWS)

    def side_by_side(architecture, rows, x, h):
        x, x_row, x_stride = x
        for r in range(-(-rows // HALF_TILE) * HALF_TILE):  # a tile's worth
            for k in range(n_in):
                h[r * stride + k] = x[min(r, rows - 1) * x_row + k * x_stride]
        return h, stride, 1

    return side_by_side if _in_tiles(architecture.spec, 0) else lambda architecture, rows, x, h: x


def _in_tiles(spec: NetworkSpec, l: int) -> int:
    """How many features of layer `l`, the first ones, are taken by tiles."""
    layer = spec.layers[l]
    return summation_of(layer, spec).in_order(layer.n_out) if shares_tiles(layer, spec.dtype) else 0


def _forward_layers(architecture, l, p, rows, x, here, there):
    """The layers from `l` on, a literal; where the outputs are: `here` or `there`."""


@overload(_forward_layers, **BY_LITERALS)
def _choose_forward_layers(architecture, l, p, rows, x, here, there):
    spec, this = architecture.spec, l.literal_value
    following, n_out, stride = this + 1, spec.n_out, row_stride(spec, ROWS)

    def onward(architecture, l, p, rows, x, here, there):
        _forward_layer(architecture, this, p, rows, x, here)
        return _forward_layers(architecture, following, p, rows, (here, stride, 1), there, here)

    def outputs(architecture, l, p, rows, x, here, there):
        _forward_layer(architecture, this, p, rows, x, here)
        return here

    def softmax_outputs(architecture, l, p, rows, x, here, there):
        _forward_layer(architecture, this, p, rows, x, here)
        passes.softmax_rows(_SOFTMAX, here, here, rows, n_out, stride)
        return here

    def ascending_outputs(architecture, l, p, rows, x, here, there):
        _forward_layer(architecture, this, p, rows, x, here)
        passes.ascending_rows(_ASCENDING, here, here, rows, n_out, stride)
        return here

    if following < spec.n_layers:
        return onward
    return {"softmax": softmax_outputs, "ascending": ascending_outputs}.get(spec.output_activation, outputs)


def _forward_layer(architecture, l, p, rows, x, h):
    """Layer `l`, a literal, from the samples `x` to the rows of `h`."""


@overload(_forward_layer, **BY_LITERALS)
def _choose_forward_layer(architecture, l, p, rows, x, h):
    spec, this = architecture.spec, l.literal_value
    layer, stride, in_tiles = spec.layers[this], row_stride(spec, ROWS), _in_tiles(spec, this)
    n_in, n_out, weights, biases, biased = layer.n_in, layer.n_out, layer.weights, max(layer.biases, 0), int(spec.bias)
    code = layer.activation.code if layer.activation.elementwise else _IDENTITY
    far, many = int(fetches_weights(layer, spec.dtype, ROWS)), batch_in_tiles(spec)
    _, columns, last, _, parts = summation_of(layer, spec)

    def few_at_once(architecture, l, p, rows, x, h):
        x, x_row, x_stride = x
        for r in range(0, rows if many else ROWS, ROWS):  # else once, which the compiler then knows
            present = rows - r if this == 0 else ROWS  # in the scratch there is a row for each
            forward_layer(architecture, this, 0, p, (x + r * x_row, x_row, x_stride, present), (h + r * stride, stride))

    def by_tiles(architecture, l, p, rows, x, h):
        w, b = p + weights, p + biases
        _product(far, biased, rows, in_tiles, n_in, x[0], w, n_out, b, h, stride)
        _activate(code, rows, in_tiles, h, stride)

    def rest_apart(architecture, l, p, rows, x, h):
        w, b = p + weights, p + biases
        _product(far, biased, rows, in_tiles, n_in, x[0], w, n_out, b, h, stride)
        _activate(code, rows, in_tiles, h, stride)
        for r in range(0, rows, ROWS):
            samples, outputs = (x[0] + r * stride, stride, 1, ROWS), (h + r * stride, stride)
            product_of_rows(code, 0, biased, far, columns, last, parts, n_in, n_out, w, b, samples, outputs, in_tiles)

    if in_tiles == 0:
        return few_at_once
    return by_tiles if in_tiles == n_out else rest_apart


@outlined(literals=("far", "biased"))
def _product(far, biased, rows, n, depth, x, w, w_stride, b, h, stride):
    """``h = b + x W`` of `n` features, more than a vector; of weights that are `far` the next strip's are fetched.

    Rows of x and h lie `stride` apart. Beyond `rows` there may be more, up to a multiple of `HALF_TILE`.
    """
    width, one = lanes(w), np.intp(1)
    for r in range(0 if biased else -(-rows // HALF_TILE) * HALF_TILE):
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
            for r in range(0, rows, TILE_ROWS):
                x_r, h_r = (x + (r * stride + start), stride, 1), (h + (r * stride + j), stride)
                init, ahead = (b + j, 0) if biased and start == 0 else h_r, Ahead(0, x, 0, 0, far == 1)
                if rows - r > HALF_TILE:
                    product_tile(TILE_ROWS, 2, 0, TILE_ROWS, span, part, x_r, b_j, init, h_r, ahead)
                else:
                    product_tile(HALF_TILE, 2, 0, HALF_TILE, span, part, x_r, b_j, init, h_r, ahead)
            j += span


@inlined(literals=("code",))
def _activate(code, rows, n, h, stride):
    """``h = f(h)`` of `n` features."""
    for r in range(rows):
        for j in range(0, n, lanes(h)):
            place = h + (r * stride + j)
            store(place, activate(code, load(place)))
