"""One layer on one sample: a product of a vector and a matrix, and what is made of each sum as it is stored."""

from __future__ import annotations

from numba.extending import overload

from fastnn import catalogue
from fastnn.kernels.activations import activate, derivative, second_derivative
from fastnn.kernels.compiling import inlined
from fastnn.kernels.llvm.simd import broadcast, fma, lanes, load, load_first, store, tile, total
from fastnn.kernels.sample.scratch import OPTIONS, padded
from fastnn.spec import Layer

#: Vectors of features side by side, and running sums in all: as many as hide the latency of fma.
BLOCK, SUMS = 4, 8

_SOFTMAX, _IDENTITY = catalogue.ACTIVATIONS["softmax"].code, catalogue.ACTIVATIONS["identity"].code


def layer(architecture, l, order, p, x, to):
    """Layer `l`, a literal, on one sample `x`: a place and the stride from one number to the next.

    A literal `order` of 0, 1 or 2 is the highest derivative of the activation that is written. On a tangent there are
    no biases: -1 multiplies it by the slopes, -2 leaves it alone. `to` holds three places, padded: of the outputs h,
    of the slopes f'(z) and of the curvatures f''(z).
    """


@overload(layer, **OPTIONS)
def _choose_layer(architecture, l, order, p, x, to):
    spec, order = architecture.spec, order.literal_value
    row: Layer = spec.layers[l.literal_value]
    n_in, n_out, weights, biases = row.n_in, row.n_out, row.weights, max(row.biases, 0)
    biased = int(spec.bias and order >= 0)
    code = _IDENTITY if row.activation.code == _SOFTMAX or order < 0 else row.activation.code

    width = padded(1, spec)
    block = BLOCK * width
    n_blocks, rest = divmod(n_out, block)
    columns, last, begin = -(-rest // width), rest % width, n_blocks * block
    parts = parts_of(BLOCK, n_in)
    rest_parts = parts_of(columns, n_in) if rest else 1

    def dot(architecture, l, order, p, x, to):
        _dot(code, order, biased, n_in, p + weights, p + biases, x[0], to)

    def blocks(architecture, l, order, p, x, to):
        for j in range(0, begin, block):
            _product(code, order, biased, BLOCK, 0, parts, n_in, n_out, p + weights, p + biases, x, to, j)

    def remainder(architecture, l, order, p, x, to):
        _product(code, order, biased, columns, last, rest_parts, n_in, n_out, p + weights, p + biases, x, to, begin)

    def both(architecture, l, order, p, x, to):
        for j in range(0, begin, block):
            _product(code, order, biased, BLOCK, 0, parts, n_in, n_out, p + weights, p + biases, x, to, j)
        _product(code, order, biased, columns, last, rest_parts, n_in, n_out, p + weights, p + biases, x, to, begin)

    if n_out == 1 and l.literal_value > 0:  # the inputs are a layer's outputs, side by side
        return dot
    return blocks if not rest else both if n_blocks else remainder


def parts_of(columns: int, n_in: int) -> int:
    """Into how many sums over the inputs a feature is split: a power of two."""
    parts = 1
    while parts * 2 * columns <= SUMS and parts * 4 <= n_in:
        parts *= 2
    return parts


@inlined(literals=("code", "order", "biased", "columns", "last", "parts"))
def _product(code, order, biased, columns, last, parts, n_in, n_out, w, b, x, to, first):
    """``h = f(x W + b)`` for `columns` vectors of features, the sum over the inputs in `parts`, both literals.

    The features begin at `first`. Of the last vector only `last` are there, all of them if the literal `last` is 0.
    """
    (x, x_stride), w, b, width = x, w + first, b + first, lanes(w)
    sums = tile(w, parts, columns)
    for j in range(columns):
        for s in range(parts):
            sums[s, j] = broadcast(0.0, w)
        if biased:
            sums[0, j] = _features(columns, last, j, b + j * width)
    whole = n_in - n_in % parts
    for k in range(0, whole, parts):
        for s in range(parts):
            x_k = broadcast(x[(k + s) * x_stride], w)
            for j in range(columns):
                sums[s, j] = fma(x_k, _features(columns, last, j, w + ((k + s) * n_out + j * width)), sums[s, j])
    for k in range(whole, n_in):
        x_k = broadcast(x[k * x_stride], w)
        for j in range(columns):
            sums[0, j] = fma(x_k, _features(columns, last, j, w + (k * n_out + j * width)), sums[0, j])
    for j in range(columns):
        for distance in (4, 2, 1):
            for s in range(min(distance, parts - distance)):
                sums[s, j] = sums[s, j] + sums[s + distance, j]
        _finish(code, order, sums[0, j], to, first + j * width)


@inlined(literals=("columns", "last"))
def _features(columns, last, j, place):
    return load_first(place, last) if last > 0 and j == columns - 1 else load(place)


@inlined(literals=("code", "order", "biased"))
def _dot(code, order, biased, n_in, w, b, x, to):
    """``h = f(x W + b)`` for one feature: the inputs lie in the lanes. `x` is contiguous."""
    width = lanes(w)
    sums = tile(w, 4, 1)
    for s in range(4):
        sums[s, 0] = broadcast(0.0, w)
    for k in range(0, n_in, 4 * width):
        for s in range(4):
            left = n_in - k - s * width
            if left > 0:
                place = k + s * width
                sums[s, 0] = fma(load_first(x + place, left), load_first(w + place, left), sums[s, 0])
    z = total((sums[0, 0] + sums[2, 0]) + (sums[1, 0] + sums[3, 0]))
    if biased:
        z += b[0]
    _finish(code, order, broadcast(z, w), to, 0)


def _finish(code, order, z, to, j):
    """What `layer` writes of the features from `j` on, whose pre-activations are `z`."""


@overload(_finish, **OPTIONS)
def _choose_finish(code, order, z, to, j):
    def product(code, order, z, to, j):
        store(to[0] + j, z)

    def tangent(code, order, z, to, j):
        store(to[0] + j, load(to[1] + j) * z)

    def value(code, order, z, to, j):
        store(to[0] + j, activate(code, z))

    def slope(code, order, z, to, j):
        h = activate(code, z)
        store(to[0] + j, h)
        store(to[1] + j, derivative(code, z, h))

    def curvature(code, order, z, to, j):
        h = activate(code, z)
        store(to[0] + j, h)
        store(to[1] + j, derivative(code, z, h))
        store(to[2] + j, second_derivative(code, z, h))

    return {-2: product, -1: tangent, 0: value, 1: slope, 2: curvature}[order.literal_value]
