"""Forward and backward through the layers of one network, whatever its sizes.

The network comes as a table of integers, a row a layer (`Columns`), so that one compiled kernel serves every
architecture; activations are called by their address. All buffers lie in one workspace array.

With several threads each computes its share of the rows of every product, and they meet between the products;
the arithmetic of each element stays the same.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from fastnn import catalogue
from fastnn.kernels import dense, passes
from fastnn.kernels.compiling import address_of, outlined
from fastnn.kernels.dense import CRITICAL_STRIDE, TILE_ROWS
from fastnn.kernels.llvm.calls import KNOWN, call
from fastnn.kernels.llvm.threads import meet, share
from fastnn.kernels.llvm.types import REGISTER_BYTES, Pointer, native_lanes
from fastnn.spec import NetworkSpec


class Column(IntEnum):
    """What the table says of a layer; places are offsets into the parameters or the workspace."""

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
    COPY = 10  # place of a copy of the weights whose stride is not critical, or -1
    COPY_STRIDE = 11
    TRANSPOSED = 12  # place of the transposed copy of the weights
    TRANSPOSED_STRIDE = 13
    PRODUCT = 14  # address of the matrix product


(
    N_IN,
    N_OUT,
    WEIGHTS,
    BIASES,
    ACTIVATE,
    DERIVE,
    Z,
    H,
    STRIDE,
    D,
    COPY,
    COPY_STRIDE,
    TRANSPOSED,
    TRANSPOSED_STRIDE,
    PRODUCT,
) = (int(column) for column in Column)


class Team(NamedTuple):
    """The threads that share a run: which one this is, how many there are, where they meet."""

    rank: int
    size: int
    arrivals: NDArray[np.int64]
    yield_: int


#: A team of one.
ALONE = Team(0, 1, np.zeros(1, np.int64), 0)


# ---------------------------------------------------------------- laying out
class _Space:
    """Hands out places in a workspace, each at the start of a register."""

    def __init__(self, dtype: np.dtype):
        self.unit = REGISTER_BYTES // dtype.itemsize
        self.itemsize = dtype.itemsize
        self.size = 0

    def take(self, count: int) -> int:
        place = self.size
        self.size += -(-count // self.unit) * self.unit
        return place

    def stride(self, columns: int) -> int:
        """A row stride for so many columns: whole registers, and not critical."""
        stride = -(-columns // self.unit) * self.unit
        return stride + self.unit if stride * self.itemsize % CRITICAL_STRIDE == 0 else stride


@lru_cache(maxsize=256)
def layout(spec: NetworkSpec, batch: int, fused_output: bool, training: bool) -> tuple[NDArray[np.intp], int, int]:
    """The layer table for batches of up to `batch` rows.

    With `fused_output` the last layer's output stays the pre-activation, for a loss that takes it.

    Returns
    -------
    layers : ndarray of intp, shape (n_layers, len(Column))
        The table.
    zeros : int
        Place of a row of zeros as wide as the widest layer.
    size : int
        Length of the workspace, in numbers of the spec's dtype.
    """
    dtype = np.dtype(spec.dtype)
    space = _Space(dtype)
    zeros = space.take(max(spec.sizes))
    layers = np.zeros((spec.n_layers, len(Column)), np.intp)
    strides = [space.stride(layer.n_out) for layer in spec.layers]
    strides[-1] = spec.n_out  # the losses take the output as one piece
    deltas = [space.take(batch * max(strides)) for _ in range(2)] if training else [0, 0]
    for l, layer in enumerate(spec.layers):
        fused = fused_output and l == spec.n_layers - 1
        activation = catalogue.ACTIVATIONS["identity"] if fused else layer.activation
        row = layers[l]
        row[[N_IN, N_OUT, WEIGHTS, BIASES]] = layer.n_in, layer.n_out, layer.weights, layer.biases
        row[ACTIVATE], row[DERIVE] = _passes(activation, spec.dtype) if activation.name != "identity" else (0, 0)
        row[PRODUCT] = _product(spec.dtype)
        row[STRIDE] = strides[l]
        row[H] = space.take(batch * strides[l])
        row[Z] = space.take(batch * strides[l]) if activation.needs_input and training else row[H]
        row[D] = deltas[l % 2]
        critical = layer.n_out * dtype.itemsize % CRITICAL_STRIDE == 0 and batch > TILE_ROWS
        row[COPY_STRIDE] = space.stride(layer.n_out)
        row[COPY] = space.take(layer.n_in * row[COPY_STRIDE]) if critical else -1
        if training and l > 0:
            row[TRANSPOSED_STRIDE] = space.stride(layer.n_in)
            row[TRANSPOSED] = space.take(layer.n_out * row[TRANSPOSED_STRIDE])
    layers.flags.writeable = False
    return layers, zeros, space.size


@lru_cache(maxsize=64)
def _passes(activation: catalogue.Activation, dtype: str) -> tuple[int, int]:
    """Addresses of an activation's two passes."""
    number = types.float32 if dtype == "float32" else types.float64
    place = Pointer(number, native_lanes(number))
    code, n = types.literal(activation.code), types.intp
    forward = address_of(passes.activation_pass, code, place, place, n, n, n)
    if activation.name == "softmax":
        return forward, 0
    return forward, address_of(passes.derivative_pass, code, place, place, place, n)


@lru_cache
def _product(dtype: str) -> int:
    """Address of the matrix product."""
    number = types.float32 if dtype == "float32" else types.float64
    place, n = Pointer(number, native_lanes(number)), types.intp
    return address_of(dense.product, n, n, n, place, n, n, place, n, place, n, place, n)


def workspace(size: int, dtype: str) -> NDArray:
    """An array of zeros that starts at the start of a cache line."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(size * itemsize + REGISTER_BYTES, np.uint8)
    start = -raw.ctypes.data % REGISTER_BYTES
    return raw[start : start + size * itemsize].view(dtype)


# ---------------------------------------------------------------- forward
@outlined
def forward(layers, zeros, params, x, x_stride, n, work, team, arrivals):
    """Outputs of `n` rows of `x`, layer by layer, into the workspace."""
    start, stop = share(n, TILE_ROWS, team.rank, team.size)
    for l in range(layers.shape[0]):
        n_in, n_out, stride = layers[l, N_IN], layers[l, N_OUT], layers[l, STRIDE]
        w, w_stride = params + layers[l, WEIGHTS], n_out
        if layers[l, COPY] >= 0:
            first, last = share(n_in, 1, team.rank, team.size)
            copy, copy_stride = work + layers[l, COPY], layers[l, COPY_STRIDE]
            passes.copy_block(w + first * n_out, n_out, copy + first * copy_stride, copy_stride, last - first, n_out)
            w, w_stride = copy, copy_stride
            meet(arrivals, team.size, team.yield_)
        b = params + layers[l, BIASES] if layers[l, BIASES] >= 0 else work + zeros
        z = work + (layers[l, Z] + start * stride)
        call(layers[l, PRODUCT], stop - start, n_out, n_in, x + start * x_stride, x_stride, 1, w, w_stride, b, 0, z, stride)
        x, x_stride = work + layers[l, H], stride
        if layers[l, ACTIVATE] != 0:
            call(layers[l, ACTIVATE], KNOWN, z, x + start * stride, stop - start, n_out, stride)
    return x


# ---------------------------------------------------------------- backward
@outlined
def backward(layers, zeros, params, gradient, more, x, x_stride, n, work, team, arrivals):
    """The gradient, from the loss's derivative with respect to the output's pre-activations in the workspace.

    With `more` it is added to what `gradient` holds.
    """
    start, stop = share(n, TILE_ROWS, team.rank, team.size)
    for l in range(layers.shape[0] - 1, -1, -1):
        n_in, n_out = layers[l, N_IN], layers[l, N_OUT]
        d, d_stride = work + layers[l, D], layers[l, STRIDE]
        w, dw = params + layers[l, WEIGHTS], gradient + layers[l, WEIGHTS]
        h, h_stride = (work + layers[l - 1, H], layers[l - 1, STRIDE]) if l > 0 else (x, x_stride)

        # dW = h^T d, db = 1^T d
        first, last = share(n_in, TILE_ROWS, team.rank, team.size)
        dw_rows = dw + first * n_out
        init, init_stride = (dw_rows, n_out) if more else (work + zeros, 1 if n_out == 1 else 0)
        call(layers[l, PRODUCT], last - first, n_out, n, h + first, 1, h_stride, d, d_stride, init, init_stride, dw_rows, n_out)
        if layers[l, BIASES] >= 0 and team.rank == team.size - 1:
            db = gradient + layers[l, BIASES]
            passes.sum_columns(d, d_stride, n, n_out, db if more else work + zeros, db)
        if l == 0:
            break

        # dh = d W^T, and through the activation below
        transposed, t_stride = work + layers[l, TRANSPOSED], layers[l, TRANSPOSED_STRIDE]
        passes.transpose_block(w + first * n_out, n_out, transposed + first, t_stride, last - first, n_out)
        meet(arrivals, team.size, team.yield_)
        dh, rows = work + (layers[l - 1, D] + start * h_stride), stop - start
        call(layers[l, PRODUCT], rows, n_in, n_out, d + start * d_stride, d_stride, 1, transposed, t_stride, work + zeros, 0, dh, h_stride)
        if layers[l - 1, DERIVE] != 0:
            z = work + (layers[l - 1, Z] + start * h_stride)
            call(layers[l - 1, DERIVE], KNOWN, dh, z, h + start * h_stride, rows * h_stride)
        meet(arrivals, team.size, team.yield_)
    meet(arrivals, team.size, team.yield_)
