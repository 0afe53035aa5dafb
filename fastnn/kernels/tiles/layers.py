"""Forward and backward through the layers of one network, whatever its sizes.

The network comes as a table of integers, a row a layer, so that one compiled kernel serves every
architecture; activations are called by their address. All buffers lie in one workspace array.

With several threads each computes its share of the rows of every product, and they meet between the products;
the arithmetic of each element stays the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from fastnn.kernels.dispatch import fetches_ahead, fetches_weights, reads_weights_once
from fastnn.kernels.functions.optimizers import update_part, update_type
from fastnn.kernels.jit.compiling import Dispatcher, address_of, callee
from fastnn.kernels.simd.calls import KNOWN, call
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.kernels.simd.threads import meet, own_part
from fastnn.kernels.simd.types import Pointer, native_lanes, pointer_type
from fastnn.kernels.tiles import dense, few_rows, narrow, passes
from fastnn.kernels.tiles.dense import HALF_TILE, TILE_ROWS
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec

# The columns of the table that describes a network, a row for each layer; places are offsets.
N_IN = 0
N_OUT = 1
WEIGHTS = 2  # place of the weights in the parameters
BIASES = 3  # place of the biases in the parameters, -1 without
ACTIVATE = 4  # address of the activation's pass, 0 for the identity
DERIVE = 5  # address of its derivative's pass, 0 for the identity
Z = 6  # place of the pre-activations in the workspace; H where they need not be kept
H = 7  # place of the outputs in the workspace
STRIDE = 8  # of the rows of Z, H and D
D = 9  # place of the gradient with respect to the pre-activations in the workspace
PRODUCT = 10  # address of the matrix product for any shape; the next three may be for special ones
FORWARD = 11  # address of the matrix product that gives the outputs
WEIGHTS_BACK = 12  # of the one that gives the gradient with respect to the weights
INPUTS_BACK = 13  # of the one that gives the gradient with respect to the inputs
DROP = 14  # address of the pass that multiplies the outputs by dropout's factors, 0 without
FACTORS = 15  # place of these factors in the workspace
DROPPED = 16  # place of the outputs times these factors; H without
THRESHOLD = 17  # a factor is 0 where 32 random bits are below this
COLUMNS = 18  # numbers in a row

#: Numbers of a gradient that are computed before the optimizer takes them, so that it finds them in the cache.
UPDATE_PANEL = 131072


class Team(NamedTuple):
    """The threads that share a run: which one this is, how many there are, where they meet."""

    rank: int
    size: int
    arrivals: int  # address of a counter of int64
    yield_: int  # address of the system's function that lets another thread run


#: A team of one.
ALONE = Team(0, 1, 0, 0)


# ---------------------------------------------------------------- laying out
class _Space:
    """Hands out places in a workspace, each at the start of a register."""

    def __init__(self, dtype: np.dtype):
        self.unit = REGISTER_BYTES // dtype.itemsize
        self.size = 0

    def take(self, count: int) -> int:
        place = self.size
        self.size += -(-count // self.unit) * self.unit
        return place


@lru_cache(maxsize=256)
def layout(
    spec: NetworkSpec, batch: int, fused_output: bool, training: bool, thresholds: tuple[int, ...] = ()
) -> tuple[NDArray[np.intp], int, int]:
    """The layer table for batches of up to `batch` rows.

    With `fused_output` the last layer's output stays the pre-activation, for a loss that takes it. `thresholds` are
    those of dropout, one a hidden layer. Unless `training`, what computes gradients is left out.

    Returns
    -------
    layers : ndarray of intp, shape (n_layers, COLUMNS)
        The table.
    zeros : int
        Place of a row of zeros as wide as the widest layer.
    size : int
        Length of the workspace, in numbers of the spec's dtype.
    """
    dtype = np.dtype(spec.dtype)
    space = _Space(dtype)
    zeros = space.take(max(spec.sizes))
    layers = np.zeros((spec.n_layers, COLUMNS), np.intp)
    product = product_for(batch, spec.n_params)
    strides = [dense.stride_for(layer.n_out, dtype.itemsize) for layer in spec.layers]
    strides[-1] = spec.n_out  # the losses take the output as one piece
    # Three in turn: while one thread writes those of a layer, another may still read those of the layer two above.
    deltas = [space.take(batch * max(strides)) if training else 0 for _ in range(min(3, spec.n_layers))]
    for l, layer in enumerate(spec.layers):
        fused = fused_output and l == spec.n_layers - 1
        activation = catalogue.ACTIVATIONS["identity"] if fused else layer.activation
        row = layers[l]
        row[[N_IN, N_OUT, WEIGHTS, BIASES]] = layer.n_in, layer.n_out, layer.weights, layer.biases
        if activation.name != "identity":
            row[ACTIVATE] = _activate_address(activation, spec.dtype)
        last = l == spec.n_layers - 1
        forward_product = weights_back = inputs_back = product
        if last and layer.n_out == 1:
            forward_product, weights_back, inputs_back = narrow.dots, narrow.weighted_sum, narrow.outer
        elif layer.n_out <= min(HALF_TILE, space.unit // 2):
            weights_back = narrow.turned
        elif reads_weights_once(layer, spec.dtype, batch):
            forward_product = few_rows.few_rows_product
        elif fetches_weights(layer, spec.dtype, batch):
            forward_product = few_rows.fetching_product
        row[FORWARD] = product_address(forward_product, spec.dtype)
        if training:
            others = product, weights_back, inputs_back
            row[[PRODUCT, WEIGHTS_BACK, INPUTS_BACK]] = [product_address(kind, spec.dtype) for kind in others]
            if activation.name != "identity":
                row[DERIVE] = _derive_address(activation, spec.dtype)
        row[STRIDE] = strides[l]
        row[H] = space.take(batch * strides[l])
        row[Z] = space.take(batch * strides[l]) if activation.needs_input and training else row[H]
        row[D] = deltas[l % len(deltas)]
        row[DROPPED] = row[H]
        if l < len(thresholds) and thresholds[l] > 0:
            row[DROP], row[THRESHOLD] = _multiply_address(spec.dtype), thresholds[l]
            row[FACTORS], row[DROPPED] = space.take(batch * strides[l]), space.take(batch * strides[l])
    layers.flags.writeable = False
    return layers, zeros, space.size


#: The Numba type of a pointer to whole numbers.
INTEGERS = Pointer(types.intp, native_lanes(types.intp))

#: The Numba type of a team.
TEAM = types.NamedUniTuple(types.intp, len(Team._fields), Team)


@lru_cache(maxsize=64)
def _activate_address(activation: catalogue.Activation, dtype: str) -> int:
    """Address of an activation's pass."""
    place, n = pointer_type(dtype), types.intp
    return address_of(*passes.callees_of(activation)[0], place, place, n, n, n)


@lru_cache(maxsize=64)
def _derive_address(activation: catalogue.Activation, dtype: str) -> int:
    """Address of its derivative's pass, 0 where no loss needs it."""
    place, derive = pointer_type(dtype), passes.callees_of(activation)[1]
    return address_of(*derive, place, place, place, types.intp) if derive else 0


def product_for(batch: int, n_params: int) -> Dispatcher:
    """The product of a network whose batches have this many rows."""
    return dense.large_product if fetches_ahead(batch, n_params) else dense.product


@lru_cache
def product_address(kind: Dispatcher, dtype: str) -> int:
    """Address of a matrix product."""
    place, n = pointer_type(dtype), types.intp
    return address_of(kind, n, n, n, place, n, n, place, n, n, place, n, place, n)


@lru_cache
def _multiply_address(dtype: str) -> int:
    """Address of `passes.multiply`."""
    place = pointer_type(dtype)
    return address_of(passes.multiply, place, place, place, types.intp)


@lru_cache
def forward_address(dtype: str) -> int:
    """Address of `forward`."""
    place, n = pointer_type(dtype), types.intp
    return address_of(forward, INTEGERS, n, n, place, place, n, n, place, TEAM)


@lru_cache
def backward_address(dtype: str) -> int:
    """Address of `backward`."""
    place, n = pointer_type(dtype), types.intp
    update = update_type(place, pointer_type("float64"))
    return address_of(backward, INTEGERS, n, n, place, place, types.boolean, place, n, n, place, TEAM, update)


# ---------------------------------------------------------------- forward
@callee
def forward(layers, n_layers, zeros, params, x, x_stride, n, work, team):
    """Outputs of `n` rows of `x`, layer by layer, into the workspace."""
    start, stop = own_part(n, TILE_ROWS, team)
    for l in range(n_layers):
        layer = layers + l * COLUMNS
        n_in, n_out, stride = layer[N_IN], layer[N_OUT], layer[STRIDE]
        w = params + layer[WEIGHTS]
        b = params + layer[BIASES] if layer[BIASES] >= 0 else work + zeros
        z, h, rows = work + (layer[Z] + start * stride), work + (layer[H] + start * stride), stop - start
        x_rows = x + start * x_stride, x_stride, 1
        call(layer[FORWARD], rows, n_out, n_in, *x_rows, w, n_out, 1, b, 0, z, stride)
        if layer[ACTIVATE] != 0:
            call(layer[ACTIVATE], KNOWN, z, h, rows, n_out, stride)
        if layer[DROP] != 0:
            factors, dropped = work + (layer[FACTORS] + start * stride), work + (layer[DROPPED] + start * stride)
            call(layer[DROP], h, factors, dropped, rows * stride)
        x, x_stride = work + layer[DROPPED], stride


# ---------------------------------------------------------------- backward
@callee
def backward(layers, n_layers, zeros, params, gradient, more, x, x_stride, n, work, team, update):
    """The gradient, from the loss's derivative with respect to the output's pre-activations in the workspace.

    With `more` it is added to what `gradient` holds. With an `update`, which excludes `more`, each panel of a layer's
    parameters is updated while its gradient is in the cache.
    """
    start, stop = own_part(n, TILE_ROWS, team)
    rows = stop - start
    for l in range(n_layers - 1, -1, -1):
        layer, below = layers + l * COLUMNS, layers + (l - 1) * COLUMNS
        n_in, n_out = layer[N_IN], layer[N_OUT]
        d, d_stride = work + layer[D], layer[STRIDE]
        w = layer[WEIGHTS]
        h, h_stride = (work + below[DROPPED], below[STRIDE]) if l > 0 else (x, x_stride)
        first, last = own_part(n_in, TILE_ROWS, team)

        # dh = d W^T, and through the activation below
        if l > 0:
            d_rows, dh = d + start * d_stride, work + (below[D] + start * h_stride)
            c = work + zeros, 0, dh, h_stride
            call(layer[INPUTS_BACK], rows, n_in, n_out, d_rows, d_stride, 1, params + w, 1, n_out, *c)
            if below[DROP] != 0:
                call(below[DROP], dh, work + (below[FACTORS] + start * h_stride), dh, rows * h_stride)
            if below[DERIVE] != 0:
                z, h_rows = work + (below[Z] + start * h_stride), work + (below[H] + start * h_stride)
                call(below[DERIVE], KNOWN, dh, z, h_rows, rows * h_stride)
            meet(team)

        # dW = h^T d, db = 1^T d
        dw = gradient + (w + first * n_out)
        panel = max(TILE_ROWS, UPDATE_PANEL // n_out // TILE_ROWS * TILE_ROWS) if update.rule != 0 else n_in
        for i in range(first, last, panel):
            count = min(panel, last - i)
            init = (dw, n_out) if more else (work + zeros, 1 if n_out == 1 else 0)
            call(layer[WEIGHTS_BACK], count, n_out, n, h + i, 1, h_stride, d, d_stride, 1, *init, dw, n_out)
            if update.rule != 0:
                update_part(update, params, dw, w + i * n_out, count * n_out)
        if layer[BIASES] >= 0 and team.rank == team.size - 1:
            db = gradient + layer[BIASES]
            passes.sum_columns(d, d_stride, n, n_out, db if more else work + zeros, db)
            if update.rule != 0:
                update_part(update, params, db, layer[BIASES], n_out)
    meet(team)
