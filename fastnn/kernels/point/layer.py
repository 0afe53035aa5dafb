"""One layer on one sample: a product of a vector and a matrix, and what is made of each sum as it is stored."""

from __future__ import annotations

from typing import NamedTuple

from numba.extending import overload

from fastnn.kernels.dispatch import fetches_weights, streams_weights
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.point.products import (
    BLOCK,
    BLOCK_ALONE,
    ROWS,
    dot,
    dots,
    parts_of,
    product,
    product_by_rows,
    product_of_rows,
)
from fastnn.kernels.point.scratch import padded
from fastnn.settings import catalogue
from fastnn.settings.spec import Layer, NetworkSpec

_IDENTITY = catalogue.ACTIVATIONS["identity"].code


class Summation(NamedTuple):
    """How a layer's features are summed over its inputs: first in whole blocks of vectors, then the rest."""

    begin: int  # first feature of the rest
    columns: int  # vectors of the rest
    last: int  # features in the last vector of the rest; 0 if it is full
    parts: int  # into which each sum of a block is split
    rest_parts: int  # the same for the rest

    def in_order(self, n_out: int) -> int:
        """How many features, the first ones, are each a single sum in the order of the inputs."""
        if self.parts > 1:
            return 0
        return n_out if self.rest_parts == 1 else self.begin


def summation_of(layer: Layer, spec: NetworkSpec) -> Summation:
    """How the features of a layer are summed."""
    width = padded(1, spec)
    n_blocks, rest = divmod(layer.n_out, BLOCK_ALONE * width)
    columns, begin = -(-rest // width), n_blocks * BLOCK_ALONE * width
    rest_parts = parts_of(columns, layer.n_in) if rest else 1
    return Summation(begin, columns, rest % width, parts_of(BLOCK_ALONE, layer.n_in) if n_blocks else 1, rest_parts)


def forward_layer(architecture, l, order, p, x, to):
    """Layer `l`, a literal, on one sample `x`: a place and the stride from one number to the next.

    A literal `order` of 0, 1 or 2 is the highest derivative of the activation that is written. A tangent, to which no
    biases are added, takes `TIMES_SLOPES` or `AS_IT_IS` instead. `to` holds three places, padded: of the outputs h, of
    the slopes f'(z) and of the curvatures f''(z).
    """


@overload(forward_layer, **BY_LITERALS)
def _choose_forward_layer(architecture, l, order, p, x, to):
    spec, order = architecture.spec, order.literal_value
    layer: Layer = spec.layers[l.literal_value]
    n_in, n_out, weights, biases = layer.n_in, layer.n_out, layer.weights, max(layer.biases, 0)
    biased = int(spec.bias and order >= 0)
    code = _IDENTITY if not layer.activation.elementwise or order < 0 else layer.activation.code

    alone = len(x) == 2
    far = int(fetches_weights(layer, spec.dtype, 1 if alone else ROWS))
    begin, columns, last, parts, rest_parts = summation = summation_of(layer, spec)
    in_order = summation.in_order(n_out)

    product_of, dot_of, at_once = (product, dot, BLOCK_ALONE) if alone else (product_of_rows, dots, BLOCK)
    block = at_once * padded(1, spec)
    if columns > at_once:  # several samples take a block more: so wide a rest is never split, for the same bits
        begin, columns = begin + block, columns - at_once

    def by_rows(architecture, l, order, p, x, to):
        product_by_rows(code, order, biased, in_order, n_in, n_out, p + weights, p + biases, x, to)

    def rest_apart(architecture, l, order, p, x, to):
        w, b = p + weights, p + biases
        product_by_rows(code, order, biased, in_order, n_in, n_out, w, b, x, to)
        product(code, order, biased, far, columns, last, rest_parts, n_in, n_out, w, b, x, to, begin)

    def one_feature(architecture, l, order, p, x, to):
        dot_of(code, order, biased, n_in, p + weights, p + biases, x, to)

    def blocks(architecture, l, order, p, x, to):
        for j in range(0, begin, block):
            product_of(code, order, biased, far, at_once, 0, parts, n_in, n_out, p + weights, p + biases, x, to, j)

    def remainder(architecture, l, order, p, x, to):
        w, b = p + weights, p + biases
        product_of(code, order, biased, far, columns, last, rest_parts, n_in, n_out, w, b, x, to, begin)

    def both(architecture, l, order, p, x, to):
        w, b = p + weights, p + biases
        for j in range(0, begin, block):
            product_of(code, order, biased, far, at_once, 0, parts, n_in, n_out, w, b, x, to, j)
        product_of(code, order, biased, far, columns, last, rest_parts, n_in, n_out, w, b, x, to, begin)

    if n_out == 1 and l.literal_value > 0:  # the inputs are a layer's outputs, side by side
        return one_feature
    if alone and in_order > 0 and streams_weights(layer, spec.dtype, 1):
        return by_rows if in_order == n_out else rest_apart
    return blocks if columns == 0 else both if begin > 0 else remainder
