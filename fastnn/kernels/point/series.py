"""A sample that moves along a direction: the outputs, their slopes and their curvatures, in one pass.

A series has up to three terms: a value u, its derivative u' and its second derivative u'' with respect to s, where the
sample is ``x + s t``. Each layer takes the terms of its inputs to those of its outputs (Griewank and Walther 2008,
chapter 13): with ``c = f'(z), c' = f''(z) z'``,

    h = f(z),  h' = c z',  h'' = c z'' + c' z'

A weight that is loaded serves all terms. For the way back (`adjoint`) the terms of every layer's h, and those of its c,
are kept on two tapes.
"""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.dispatch import streams_weights
from fastnn.kernels.functions.activations import activate, derivative
from fastnn.kernels.functions.curvatures import second_derivative, third_derivative
from fastnn.kernels.jit.compiling import inlined, inlined_callee
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.point.forward import write
from fastnn.kernels.point.products import BLOCK, BLOCK_ALONE, load_features, parts_of, sum_by_rows
from fastnn.kernels.point.scratch import buffer_size, padded, sizes_of, tapes
from fastnn.kernels.point.vjp import softmax_slope
from fastnn.kernels.simd import broadcast, fma, lanes, load, load_first, scratch, store, tile, total
from fastnn.kernels.tiles import passes
from fastnn.settings import catalogue
from fastnn.settings.spec import Layer

_IDENTITY, _SOFTMAX, _SOFTPLUS = (catalogue.ACTIVATIONS[name].code for name in ("identity", "softmax", "softplus"))


# ---------------------------------------------------------------- what is called
@inlined_callee
def slopes(architecture, p, x, x_stride, t, t_stride, u, u_stride, u1, u1_stride, work):
    """The outputs, and their derivatives along `t`."""
    size, end = sizes_of(architecture), run_series(architecture, 2, 0, p, x, x_stride, t, t_stride, work)
    write(end, u, u_stride, size.n_out)
    write(end + size.padded_out, u1, u1_stride, size.n_out)


@inlined_callee
def jvp(architecture, p, x, x_stride, t, t_stride, out, out_stride, work):
    """The outputs' derivatives along `t` alone."""
    size, end = sizes_of(architecture), run_series(architecture, 2, 0, p, x, x_stride, t, t_stride, work)
    write(end + size.padded_out, out, out_stride, size.n_out)


@inlined_callee
def curvatures(architecture, p, x, x_stride, t, t_stride, u, u_stride, u1, u1_stride, u2, u2_stride, work):
    """The outputs, their derivatives along `t`, and their second derivatives."""
    size, end = sizes_of(architecture), run_series(architecture, 3, 0, p, x, x_stride, t, t_stride, work)
    write(end, u, u_stride, size.n_out)
    write(end + size.padded_out, u1, u1_stride, size.n_out)
    write(end + 2 * size.padded_out, u2, u2_stride, size.n_out)


def run_series(architecture, terms, taped, p, x, x_stride, t, t_stride, work):
    """All layers, with a literal `taped` of 1 along the tapes of h and c; where the outputs' terms are.

    The number of terms is a literal, too; with 1 nothing is read of `t`.
    """


@overload(run_series, **BY_LITERALS)
def _choose_run_series(architecture, terms, taped, p, x, x_stride, t, t_stride, work):
    spec, count = architecture.spec, terms.literal_value
    n_in, row = spec.n_in, padded(spec.n_in, spec)
    buffer, on_tapes = count * buffer_size(spec), taped.literal_value == 1
    to, c = (count * row, tapes(spec, count).c) if on_tapes else (buffer, 2 * buffer)

    def run(architecture, terms, taped, p, x, x_stride, t, t_stride, work):
        for i in range(n_in):
            work[i] = x[i * x_stride]
            if count > 1:
                work[row + i] = t[i * t_stride]
            if count > 2:
                work[2 * row + i] = 0.0
        return _forward_layers(architecture, 0, terms, taped, p, work, work + to, work + c)

    return run


def _forward_layers(architecture, l, terms, taped, p, h, to, c):
    """The layers from `l` on, a literal, whose inputs lie at `h`; where the outputs' terms are.

    On tapes each layer's terms lie behind those of the one before; otherwise layers write to `to` and to `h` in turn.
    """


@overload(_forward_layers, **BY_LITERALS)
def _choose_forward_layers(architecture, l, terms, taped, p, h, to, c):
    spec, this, count = architecture.spec, l.literal_value, terms.literal_value
    following, n_out = this + 1, spec.n_out
    width = count * padded(spec.sizes[following], spec)

    def along_tapes(architecture, l, terms, taped, p, h, to, c):
        _forward_layer(architecture, this, terms, taped, p, h, to, c)
        return _forward_layers(architecture, following, terms, taped, p, to, to + width, c + width)

    def in_turn(architecture, l, terms, taped, p, h, to, c):
        _forward_layer(architecture, this, terms, taped, p, h, to, c)
        return _forward_layers(architecture, following, terms, taped, p, to, h, c)

    def outputs(architecture, l, terms, taped, p, h, to, c):
        _forward_layer(architecture, this, terms, taped, p, h, to, c)
        return to

    def softmax_outputs(architecture, l, terms, taped, p, h, to, c):
        _forward_layer(architecture, this, terms, 0, p, h, to, c)
        _softmax(count, to, c, n_out, width // count)
        return to

    def ascending_outputs(architecture, l, terms, taped, p, h, to, c):
        _forward_layer(architecture, this, terms, 0, p, h, to, c)
        _ascend(terms, taped, to, c, n_out, width // count)
        return to

    if following < spec.n_layers:
        return along_tapes if taped.literal_value == 1 else in_turn
    return {"softmax": softmax_outputs, "ascending": ascending_outputs}.get(spec.output_activation, outputs)


# ---------------------------------------------------------------- one layer
def _forward_layer(architecture, l, terms, taped, p, x, h, c):
    """Layer `l`: the terms of its outputs, and of c, from those of its inputs."""


@overload(_forward_layer, **BY_LITERALS)
def _choose_forward_layer(architecture, l, terms, taped, p, x, h, c):
    spec, count = architecture.spec, terms.literal_value
    layer: Layer = spec.layers[l.literal_value]
    n_in, n_out, weights, biases, biased = layer.n_in, layer.n_out, layer.weights, max(layer.biases, 0), int(spec.bias)
    code = layer.activation.code if layer.activation.elementwise else _IDENTITY
    x_row, h_row, width = padded(n_in, spec), padded(n_out, spec), padded(1, spec)

    at_once = BLOCK_ALONE if count == 1 else BLOCK
    block = at_once * width
    n_blocks, rest = divmod(n_out, block)
    columns, last, begin = -(-rest // width), rest % width, n_blocks * block
    parts = parts_of(at_once * count, n_in)
    rest_parts = parts_of(columns * count, n_in) if rest else 1
    sums, rest_sums = parts * count, rest_parts * count

    def blocks(architecture, l, terms, taped, p, x, h, c):
        w, b = p + weights, p + biases
        for j in range(0, begin, block):
            to = h + j, c + j, h_row
            _product(code, terms, taped, biased, at_once, 0, parts, sums, n_in, n_out, w, b, x, x_row, to, j)

    def remainder(architecture, l, terms, taped, p, x, h, c):
        w, b, to = p + weights, p + biases, (h + begin, c + begin, h_row)
        _product(
            code, terms, taped, biased, columns, last, rest_parts, rest_sums, n_in, n_out, w, b, x, x_row, to, begin
        )

    def both(architecture, l, terms, taped, p, x, h, c):
        w, b = p + weights, p + biases
        for j in range(0, begin, block):
            to = h + j, c + j, h_row
            _product(code, terms, taped, biased, at_once, 0, parts, sums, n_in, n_out, w, b, x, x_row, to, j)
        to = h + begin, c + begin, h_row
        _product(
            code, terms, taped, biased, columns, last, rest_parts, rest_sums, n_in, n_out, w, b, x, x_row, to, begin
        )

    def by_rows(architecture, l, terms, taped, p, x, h, c):
        _product_by_rows(code, terms, taped, biased, n_in, n_out, p + weights, p + biases, x, x_row, (h, c, h_row))

    def one_feature(architecture, l, terms, taped, p, x, h, c):
        _dot(code, terms, taped, biased, n_in, p + weights, p + biases, x, x_row, (h, c, h_row))

    if n_out == 1:
        return one_feature
    if streams_weights(layer, spec.dtype, count):
        return by_rows
    return blocks if not rest else both if n_blocks else remainder


@inlined(literals=("code", "terms", "taped", "biased"))
def _dot(code, terms, taped, biased, n_in, w, b, x, x_row, to):
    """`products.dot` for each term."""
    width, sums, z = lanes(w), tile(w, 4, terms), tile(w, terms, 1)
    for s in range(4):
        for i in range(terms):
            sums[s, i] = broadcast(0.0, w)
    for k in range(0, n_in, 4 * width):
        for s in range(4):
            place = k + s * width
            left = n_in - place
            if left > 0:
                w_k = load_first(w + place, left)
                for i in range(terms):
                    sums[s, i] = fma(load_first(x + (i * x_row + place), left), w_k, sums[s, i])
    for i in range(terms):
        z[i, 0] = broadcast(total((sums[0, i] + sums[2, i]) + (sums[1, i] + sums[3, i])), w)
    if biased:
        z[0, 0] = z[0, 0] + broadcast(b[0], w)
    _finish(code, terms, taped, z, 0, to[0], to[1], to[2])


@inlined(literals=("code", "terms", "taped", "biased", "columns", "last", "parts", "count"))
def _product(code, terms, taped, biased, columns, last, parts, count, n_in, n_out, w, b, x, x_row, to, first):
    """`products.product` for each term: the sums of part s and term i stand in row ``s terms + i``, `count` in all."""
    w, b, width = w + first, b + first, lanes(w)
    sums = tile(w, count, columns)
    for j in range(columns):
        for s in range(count):
            sums[s, j] = broadcast(0.0, w)
        if biased:
            sums[0, j] = load_features(columns, last, j, b + j * width)
    whole = n_in - n_in % parts
    for k in range(0, whole, parts):
        for s in range(parts):
            for j in range(columns):
                w_kj = load_features(columns, last, j, w + ((k + s) * n_out + j * width))
                for i in range(terms):
                    sums[s * terms + i, j] = fma(broadcast(x[i * x_row + k + s], w), w_kj, sums[s * terms + i, j])
    for k in range(whole, n_in):
        for j in range(columns):
            w_kj = load_features(columns, last, j, w + (k * n_out + j * width))
            for i in range(terms):
                sums[i, j] = fma(broadcast(x[i * x_row + k], w), w_kj, sums[i, j])
    for j in range(columns):
        for s in range(1, parts):
            for i in range(terms):
                sums[i, j] = sums[i, j] + sums[s * terms + i, j]
        _finish(code, terms, taped, sums, j, to[0] + j * width, to[1] + j * width, to[2])


@inlined(literals=("code", "terms", "taped", "biased"))
def _product_by_rows(code, terms, taped, biased, n_in, n_out, w, b, x, x_row, to):
    """`products.product_by_rows` of all features, for each term."""
    (h, c, h_row), sums = to, tile(w, terms, 1)
    sum_by_rows(biased, terms, n_out, n_in, n_out, w, b, (x, x_row, 1), (h, h_row))
    for j in range(0, n_out, lanes(w)):
        for i in range(terms):
            sums[i, 0] = load(h + (i * h_row + j))
        _finish(code, terms, taped, sums, 0, h + j, c + j, h_row)


def _finish(code, terms, taped, sums, j, h, c, row):
    """Write the terms of h and c of the features whose pre-activations stand in column `j` of `sums`."""


@overload(_finish, **BY_LITERALS)
def _choose_finish(code, terms, taped, sums, j, h, c, row):
    def one(code, terms, taped, sums, j, h, c, row):
        z = sums[0, j]
        value = activate(code, z)
        store(h, value)
        store(c, derivative(code, z, value))

    def two(code, terms, taped, sums, j, h, c, row):
        z, z1 = sums[0, j], sums[1, j]
        value = activate(code, z)
        slope = derivative(code, z, value)
        store(h, value)
        store(h + row, slope * z1)
        if taped > 0:
            store(c, slope)
            store(c + row, second_derivative(code, z, value) * z1)

    def three(code, terms, taped, sums, j, h, c, row):
        z, z1, z2 = sums[0, j], sums[1, j], sums[2, j]
        value = activate(code, z)
        slope, second = derivative(code, z, value), second_derivative(code, z, value)
        bend = second * z1
        store(h, value)
        store(h + row, slope * z1)
        store(h + 2 * row, fma(slope, z2, bend * z1))
        if taped > 0:
            store(c, slope)
            store(c + row, bend)
            store(c + 2 * row, fma(second, z2, third_derivative(code, z, value) * (z1 * z1)))

    return {1: one, 2: two, 3: three}[terms.literal_value]


# ---------------------------------------------------------------- outputs in ascending order
@inlined(literals=("terms", "taped"))
def _ascend(terms, taped, h, c, n_out, row):
    """The terms of the outputs, over those of their pre-activations in `h`; c is that of what is summed up."""
    first, sums = scratch(h, terms), tile(h, terms, 1)
    for i in range(terms):
        first[i] = h[i * row]
    for j in range(0, n_out, lanes(h)):
        for i in range(terms):
            sums[i, 0] = load(h + (i * row + j))
        _finish(_SOFTPLUS, terms, taped, sums, 0, h + j, c + j, row)
    for i in range(terms):
        h[i * row] = first[i]
        passes.cumulate(h + i * row, n_out)
        if taped > 0:
            c[i * row] = 1.0 if i == 0 else 0.0


# ---------------------------------------------------------------- softmax
@inlined(literals=("terms",))
def _softmax(terms, h, c, n_out, row):
    """The terms of softmax's outputs, over those of its inputs in `h`; to `c` as well: they tell its slopes."""
    passes.softmax_rows(_SOFTMAX, h, h, 1, n_out, n_out)
    write(h, c, 1, n_out)
    if terms > 1:
        write(h + row, c + row, 1, n_out)
        softmax_slope(c + row, c, n_out)
    if terms > 2:
        softmax_slope(h + 2 * row, c, n_out)
        add_softmax_bend(1.0, c, row, h + row, h + 2 * row, n_out)
        write(h + 2 * row, c + 2 * row, 1, n_out)
    if terms > 1:
        write(c + row, h + row, 1, n_out)


@inlined
def add_softmax_bend(factor, a, row, v, out, n):
    """``out += factor J' v``, with J' the derivative along t of softmax's Jacobian ``diag(a) - a a^T``.

    That is ``a' v - a (a'^T v) - a' (a^T v)``; the terms of a lie `row` apart.
    """
    along, bent = 0.0, 0.0
    for j in range(n):
        along += a[j] * v[j]
        bent += a[row + j] * v[j]
    for j in range(n):
        out[j] += factor * (a[row + j] * (v[j] - along) - a[j] * bent)


@inlined
def add_softmax_bend_of_bend(a, row, v, out, n):
    """``out += J'' v``: ``a'' v - a'' (a^T v) - 2 a' (a'^T v) - a (a''^T v)``."""
    along, bent, twice = 0.0, 0.0, 0.0
    for j in range(n):
        along += a[j] * v[j]
        bent += a[row + j] * v[j]
        twice += a[2 * row + j] * v[j]
    for j in range(n):
        out[j] += a[2 * row + j] * (v[j] - along) - 2.0 * a[row + j] * bent - a[j] * twice
