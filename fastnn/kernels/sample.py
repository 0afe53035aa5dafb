"""One sample through a network whose sizes the compiler knows: what is called from inside a simulation.

The features of a layer lie side by side in the lanes of a few vectors, which stay in registers while the inputs go
by, one after another. A sum whose terms came one after another would wait for each of them, so it is taken in several
parts, which are joined at the end.

The recursion over the layers is unrolled by the compiler: an ``@overload`` for each layer, which reads its sizes off the
`Architecture`. Scratch is a pointer that the caller provides; `scratch_size` says how much it takes.
"""

from __future__ import annotations

from numba.extending import overload

from fastnn import catalogue
from fastnn.kernels import passes
from fastnn.kernels.activations import activate, derivative, second_derivative
from fastnn.kernels.compiling import callee, inlined
from fastnn.kernels.llvm.simd import broadcast, fma, lanes, load, load_first, store, store_first, tile, total
from fastnn.kernels.llvm.types import REGISTER_BYTES
from fastnn.spec import Layer, NetworkSpec

#: Vectors of features side by side, and running sums in all: as many as hide the latency of fma.
BLOCK, SUMS = 4, 8

_SOFTMAX, _IDENTITY = catalogue.ACTIVATIONS["softmax"].code, catalogue.ACTIVATIONS["identity"].code

_OPTIONS = {"prefer_literal": True, "jit_options": {"forceinline": True, "error_model": "numpy"}}


# ---------------------------------------------------------------- scratch
def padded(count: int, spec: NetworkSpec) -> int:
    """So many numbers, up to whole registers."""
    unit = REGISTER_BYTES // (4 if spec.dtype == "float32" else 8)
    return -(-count // unit) * unit


def scratch_size(spec: NetworkSpec, method: str) -> int:
    """Numbers of scratch that a method takes."""
    return 2 * width_of(spec)


def width_of(spec: NetworkSpec) -> int:
    """Of the widest layer's output, padded."""
    return padded(max(spec.sizes[1:]), spec)


# ---------------------------------------------------------------- one layer
def _finish(code, order, z, h, slopes, curvatures):
    """Write the activation at `z`, and its derivatives up to the literal `order`; order -1 writes ``slope * z``."""


@overload(_finish, **_OPTIONS)
def _choose_finish(code, order, z, h, slopes, curvatures):
    def tangent(code, order, z, h, slopes, curvatures):
        store(h, load(slopes) * z)

    def value(code, order, z, h, slopes, curvatures):
        store(h, activate(code, z))

    def slope(code, order, z, h, slopes, curvatures):
        f = activate(code, z)
        store(h, f)
        store(slopes, derivative(code, z, f))

    def curvature(code, order, z, h, slopes, curvatures):
        f = activate(code, z)
        store(h, f)
        store(slopes, derivative(code, z, f))
        store(curvatures, second_derivative(code, z, f))

    return {-1: tangent, 0: value, 1: slope, 2: curvature}[order.literal_value]


@inlined(literals=("code", "order", "biased", "columns", "last", "parts"))
def _product(code, order, biased, columns, last, parts, n_in, w, w_stride, b, x, x_stride, h, slopes, curvatures):
    """``h = f(x W + b)`` for `columns` vectors of features, the sum over the inputs in `parts`, both literals.

    Of the last vector only `last` features are there, all of them if the literal `last` is 0.
    """
    width = lanes(w)
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
                sums[s, j] = fma(x_k, _features(columns, last, j, w + ((k + s) * w_stride + j * width)), sums[s, j])
    for k in range(whole, n_in):
        x_k = broadcast(x[k * x_stride], w)
        for j in range(columns):
            sums[0, j] = fma(x_k, _features(columns, last, j, w + (k * w_stride + j * width)), sums[0, j])
    for j in range(columns):
        for distance in (4, 2, 1):
            for s in range(min(distance, parts - distance)):
                sums[s, j] = sums[s, j] + sums[s + distance, j]
        _finish(code, order, sums[0, j], h + j * width, slopes + j * width, curvatures + j * width)


@inlined(literals=("columns", "last"))
def _features(columns, last, j, place):
    return load_first(place, last) if last > 0 and j == columns - 1 else load(place)


@inlined(literals=("code", "order", "biased"))
def _dot(code, order, biased, n_in, w, b, x, h, slopes, curvatures):
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
    _finish(code, order, broadcast(z, w), h, slopes, curvatures)


def _layer(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
    """Layer `l` on one sample, or with an order of -1 on a tangent; all three places it writes to are padded."""


@overload(_layer, **_OPTIONS)
def _choose_layer(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
    spec, l = architecture.spec, l.literal_value
    layer: Layer = spec.layers[l]
    n_in, n_out, code = layer.n_in, layer.n_out, layer.activation.code
    if code == _SOFTMAX:
        code = _IDENTITY
    weights, biases, biased = layer.weights, max(layer.biases, 0), int(spec.bias and order.literal_value >= 0)
    order = order.literal_value

    if n_out == 1 and l > 0:

        def dot(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
            _dot(code, order, biased, n_in, p + weights, p + biases, x, h, slopes, curvatures)

        return dot

    width = padded(1, spec)
    block = BLOCK * width
    n_blocks, rest = divmod(n_out, block)
    columns, last, begin = -(-rest // width), rest % width, n_blocks * block
    parts = _parts(BLOCK, n_in)
    rest_parts = _parts(columns, n_in) if rest else 1

    def blocks(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
        for j in range(0, begin, block):
            w, b = p + (weights + j), p + (biases + j)
            _product(code, order, biased, BLOCK, 0, parts, n_in, w, n_out, b, x, x_stride, h + j, slopes + j, curvatures + j)

    def remainder(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
        w, b, j = p + (weights + begin), p + (biases + begin), begin
        _product(
            code, order, biased, columns, last, rest_parts, n_in, w, n_out, b, x, x_stride, h + j, slopes + j, curvatures + j
        )

    def both(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
        for j in range(0, begin, block):
            w, b = p + (weights + j), p + (biases + j)
            _product(code, order, biased, BLOCK, 0, parts, n_in, w, n_out, b, x, x_stride, h + j, slopes + j, curvatures + j)
        w, b, j = p + (weights + begin), p + (biases + begin), begin
        _product(
            code, order, biased, columns, last, rest_parts, n_in, w, n_out, b, x, x_stride, h + j, slopes + j, curvatures + j
        )

    return blocks if not rest else both if n_blocks else remainder


def _parts(columns: int, n_in: int) -> int:
    """Into how many sums over the inputs a feature is split: a power of two."""
    parts = 1
    while parts * 2 * columns <= SUMS and parts * 4 <= n_in:
        parts *= 2
    return parts


# ---------------------------------------------------------------- all layers
@callee
def forward(architecture, p, x, x_stride, out, out_stride, here, there):
    """Outputs of one sample whose features lie `x_stride` apart, to where they lie `out_stride` apart."""
    _layers(architecture, 0, p, x, x_stride, out, out_stride, here, there)


def _layers(architecture, l, p, x, x_stride, out, out_stride, here, there):
    """The layers from `l` on; each output goes `here`, while its input is `there`."""


@overload(_layers, **_OPTIONS)
def _choose_layers(architecture, l, p, x, x_stride, out, out_stride, here, there):
    spec, this = architecture.spec, l.literal_value
    following, n_out = this + 1, spec.n_out

    def onward(architecture, l, p, x, x_stride, out, out_stride, here, there):
        _layer(architecture, this, 0, p, x, x_stride, here, here, here)
        _layers(architecture, following, p, here, 1, out, out_stride, there, here)

    def outputs(architecture, l, p, x, x_stride, out, out_stride, here, there):
        _layer(architecture, this, 0, p, x, x_stride, here, here, here)
        _write(here, out, out_stride, n_out)

    def softmax_outputs(architecture, l, p, x, x_stride, out, out_stride, here, there):
        _layer(architecture, this, 0, p, x, x_stride, here, here, here)
        passes.softmax_block(here, n_out, here, n_out, 1, n_out)
        _write(here, out, out_stride, n_out)

    if following < spec.n_layers:
        return onward
    return softmax_outputs if spec.output_activation == "softmax" else outputs


@inlined
def _write(source, target, stride, count):
    """Copy numbers to where they lie `stride` apart."""
    if stride == 1:
        for j in range(0, count, lanes(source)):
            store_first(target + j, load(source + j), count - j)
    else:
        for j in range(count):
            target[j * stride] = source[j]
