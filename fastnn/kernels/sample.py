"""One sample through a network whose sizes the compiler knows: what is called from inside a simulation.

The features of a layer lie side by side in the lanes of a few vectors, which stay in registers while the inputs go
by, one after another. A sum whose terms came one after another would wait for each of them, so it is taken in several
parts, which are joined at the end.

The recursion over the layers is unrolled by the compiler: an ``@overload`` for each layer, which reads its sizes off
the `Architecture`. Scratch is a pointer that the caller provides; `scratch_size` says how much it takes.
"""

from __future__ import annotations

from typing import NamedTuple

from numba.extending import overload

from fastnn import catalogue
from fastnn.kernels import passes
from fastnn.kernels.activations import activate, derivative, second_derivative
from fastnn.kernels.compiling import callee, inlined
from fastnn.kernels.llvm.simd import broadcast, fma, lanes, load, load_first, store, store_first, tile, total
from fastnn.kernels.llvm.types import REGISTER_BYTES
from fastnn.spec import Layer, NetworkSpec

#: What a network can be asked for, as far as it differs in scratch.
METHODS = ("forward", "jacobian", "vjp", "jvp", "hessian")

#: Vectors of features side by side, and running sums in all: as many as hide the latency of fma.
BLOCK, SUMS = 4, 8

_SOFTMAX, _IDENTITY = catalogue.ACTIVATIONS["softmax"].code, catalogue.ACTIVATIONS["identity"].code

_OPTIONS = {"prefer_literal": True, "jit_options": {"forceinline": True, "error_model": "numpy"}}


# ---------------------------------------------------------------- scratch
def padded(count: int, spec: NetworkSpec) -> int:
    """So many numbers, up to whole registers."""
    unit = REGISTER_BYTES // (4 if spec.dtype == "float32" else 8)
    return -(-count // unit) * unit


def buffer_size(spec: NetworkSpec) -> int:
    """Numbers of a buffer that takes any layer's inputs and outputs."""
    return padded(max(spec.sizes), spec)


def tape_size(spec: NetworkSpec) -> int:
    """Numbers of a tape, which keeps something of each feature of each layer: its activation's slope, say."""
    return sum(padded(size, spec) for size in spec.sizes[1:])


def scratch_size(spec: NetworkSpec, method: str) -> int:
    """Numbers of scratch that a method takes."""
    buffers = 2 * spec.n_in if method == "hessian" else 0
    tapes = {"forward": 0, "hessian": 2}.get(method, 1)
    return (2 + buffers) * buffer_size(spec) + tapes * tape_size(spec)


# ---------------------------------------------------------------- one layer
def _finish(code, order, z, h, slopes, curvatures):
    """Write the activation at `z` and its derivatives up to the literal `order`; see `_layer` for the others."""


@overload(_finish, **_OPTIONS)
def _choose_finish(code, order, z, h, slopes, curvatures):
    def product(code, order, z, h, slopes, curvatures):
        store(h, z)

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

    return {-2: product, -1: tangent, 0: value, 1: slope, 2: curvature}[order.literal_value]


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
    """Layer `l`, a literal, on one sample; the three places it writes to are padded.

    A literal `order` of 0, 1 or 2 is the highest derivative of the activation that is written. On a tangent there are
    no biases: -1 multiplies it by the slopes, -2 leaves it alone.
    """


@overload(_layer, **_OPTIONS)
def _choose_layer(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
    spec, l, order = architecture.spec, l.literal_value, order.literal_value
    layer: Layer = spec.layers[l]
    n_in, n_out, weights, biases = layer.n_in, layer.n_out, layer.weights, max(layer.biases, 0)
    biased = int(spec.bias and order >= 0)
    code = _IDENTITY if layer.activation.code == _SOFTMAX or order < 0 else layer.activation.code

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
            _product(
                code, order, biased, BLOCK, 0, parts, n_in, w, n_out, b, x, x_stride, h + j, slopes + j, curvatures + j
            )

    def remainder(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
        w, b, j = p + (weights + begin), p + (biases + begin), begin
        _product(
            code,
            order,
            biased,
            columns,
            last,
            rest_parts,
            n_in,
            w,
            n_out,
            b,
            x,
            x_stride,
            h + j,
            slopes + j,
            curvatures + j,
        )

    def both(architecture, l, order, p, x, x_stride, h, slopes, curvatures):
        for j in range(0, begin, block):
            w, b = p + (weights + j), p + (biases + j)
            _product(
                code, order, biased, BLOCK, 0, parts, n_in, w, n_out, b, x, x_stride, h + j, slopes + j, curvatures + j
            )
        w, b, j = p + (weights + begin), p + (biases + begin), begin
        _product(
            code,
            order,
            biased,
            columns,
            last,
            rest_parts,
            n_in,
            w,
            n_out,
            b,
            x,
            x_stride,
            h + j,
            slopes + j,
            curvatures + j,
        )

    return blocks if not rest else both if n_blocks else remainder


def _parts(columns: int, n_in: int) -> int:
    """Into how many sums over the inputs a feature is split: a power of two."""
    parts = 1
    while parts * 2 * columns <= SUMS and parts * 4 <= n_in:
        parts *= 2
    return parts


# ---------------------------------------------------------------- all layers
def _layers(architecture, l, order, p, x, x_stride, here, there, slopes, curvatures):
    """The layers from `l` on, with derivatives up to `order`, both literals; where the outputs are."""


@overload(_layers, **_OPTIONS)
def _choose_layers(architecture, l, order, p, x, x_stride, here, there, slopes, curvatures):
    spec, this = architecture.spec, l.literal_value
    following, n_out = this + 1, spec.n_out
    width = padded(spec.sizes[following], spec) if order.literal_value > 0 else 0

    def onward(architecture, l, order, p, x, x_stride, here, there, slopes, curvatures):
        _layer(architecture, this, order, p, x, x_stride, here, slopes, curvatures)
        return _layers(architecture, following, order, p, here, 1, there, here, slopes + width, curvatures + width)

    def outputs(architecture, l, order, p, x, x_stride, here, there, slopes, curvatures):
        _layer(architecture, this, order, p, x, x_stride, here, slopes, curvatures)
        return here

    def softmax_outputs(architecture, l, order, p, x, x_stride, here, there, slopes, curvatures):
        _layer(architecture, this, order, p, x, x_stride, here, slopes, curvatures)
        passes.softmax_rows(_SOFTMAX, here, here, 1, n_out, n_out)
        if width > 0:  # the outputs tell the slopes, see `_slope`
            write(here, slopes, 1, n_out)
        return here

    if following < spec.n_layers:
        return onward
    return softmax_outputs if spec.output_activation == "softmax" else outputs


def _push(architecture, l, p, t, t_stride, here, there, slopes):
    """A tangent `t` of the inputs of layer `l`, a literal, through the layers; where the outputs' is."""


@overload(_push, **_OPTIONS)
def _choose_push(architecture, l, p, t, t_stride, here, there, slopes):
    spec, this = architecture.spec, l.literal_value
    following, n_out, width = this + 1, spec.n_out, padded(spec.sizes[this + 1], spec)

    def onward(architecture, l, p, t, t_stride, here, there, slopes):
        _layer(architecture, this, -1, p, t, t_stride, here, slopes, slopes)
        return _push(architecture, following, p, here, 1, there, here, slopes + width)

    def outputs(architecture, l, p, t, t_stride, here, there, slopes):
        _layer(architecture, this, -1, p, t, t_stride, here, slopes, slopes)
        return here

    def softmax_outputs(architecture, l, p, t, t_stride, here, there, slopes):
        _layer(architecture, this, -2, p, t, t_stride, here, slopes, slopes)
        softmax_slope(here, slopes, n_out)
        return here

    if following < spec.n_layers:
        return onward
    return softmax_outputs if spec.output_activation == "softmax" else outputs


def _back(architecture, l, order, p, d, g, slopes, curvatures):
    """Layer `l` backwards: from the gradient `d` with respect to its outputs to `g`, with respect to its inputs.

    With an order of 2 the curvatures, too, are multiplied by `d`.
    """


@overload(_back, **_OPTIONS)
def _choose_back(architecture, l, order, p, d, g, slopes, curvatures):
    layer: Layer = architecture.spec.layers[l.literal_value]
    n_in, n_out, weights = layer.n_in, layer.n_out, layer.weights

    def first_order(architecture, l, order, p, d, g, slopes, curvatures):
        multiply(d, slopes, n_out)
        _dots(n_in, n_out, p + weights, d, g)

    def second_order(architecture, l, order, p, d, g, slopes, curvatures):
        multiply(curvatures, d, n_out)
        multiply(d, slopes, n_out)
        _dots(n_in, n_out, p + weights, d, g)

    def softmax(architecture, l, order, p, d, g, slopes, curvatures):
        softmax_slope(d, slopes, n_out)
        _dots(n_in, n_out, p + weights, d, g)

    if layer.activation.code == _SOFTMAX:
        return softmax
    return second_order if order.literal_value == 2 else first_order


def _pull(architecture, l, order, p, d, other, slopes, curvatures):
    """The gradient `d` with respect to the outputs of layer `l` back to the network's inputs; where it is.

    That is `d` or `other`; `slopes` and `curvatures` point to the layer's.
    """


@overload(_pull, **_OPTIONS)
def _choose_pull(architecture, l, order, p, d, other, slopes, curvatures):
    spec, this = architecture.spec, l.literal_value
    before, step = this - 1, -padded(spec.sizes[this], spec)

    def inputs(architecture, l, order, p, d, other, slopes, curvatures):
        _back(architecture, this, order, p, d, other, slopes, curvatures)
        return other

    def onward(architecture, l, order, p, d, other, slopes, curvatures):
        _back(architecture, this, order, p, d, other, slopes, curvatures)
        return _pull(architecture, before, order, p, other, d, slopes + step, curvatures + step)

    return onward if this > 0 else inputs


@inlined
def _dots(n_in, n_out, w, d, g):
    """``g = W d``."""
    width = lanes(w)
    if n_out == 1:
        slope = broadcast(d[0], w)
        for i in range(0, n_in, width):
            store(g + i, slope * load_first(w + i, n_in - i))
        return
    sums = tile(w, 4, 1)
    for i in range(0, n_in, 4):
        for s in range(4):
            sums[s, 0] = broadcast(0.0, w)
        for k in range(0, n_out, width):
            left, d_k = n_out - k, load_first(d + k, n_out - k)
            for s in range(4):
                sums[s, 0] = fma(load_first(w + (min(i + s, n_in - 1) * n_out + k), left), d_k, sums[s, 0])
        for s in range(4):
            g[min(i + s, n_in - 1)] = total(sums[s, 0])


@inlined
def multiply(x, y, count):
    """``x *= y`` over padded places."""
    for i in range(0, count, lanes(x)):
        store(x + i, load(x + i) * load(y + i))


@inlined
def softmax_slope(d, h, count):
    """``d = h (d - h^T d)``: softmax's derivative times d, where its outputs are h."""
    width = lanes(d)
    sums = broadcast(0.0, d)
    for i in range(0, count, width):
        sums = fma(load_first(h + i, count - i), load_first(d + i, count - i), sums)
    common = broadcast(total(sums), d)
    for i in range(0, count, width):
        store(d + i, load(h + i) * (load(d + i) - common))


@inlined
def write(source, target, stride, count):
    """Copy numbers to where they lie `stride` apart."""
    if stride == 1:
        for j in range(0, count, lanes(source)):
            store_first(target + j, load(source + j), count - j)
    else:
        for j in range(count):
            target[j * stride] = source[j]


@inlined
def unit_vector(place, index, count):
    """Zeros, but for a one at `index`."""
    for i in range(0, count, lanes(place)):
        store(place + i, broadcast(0.0, place))
    place[index] = 1.0


# ---------------------------------------------------------------- what is called
class Sizes(NamedTuple):
    """Numbers of inputs and outputs, of a buffer and of a tape, and where on the tape the last layer begins."""

    n_in: int
    n_out: int
    buffer: int
    tape: int
    last: int


def _sizes(architecture):
    """The `Sizes` of a network, known to the compiler."""


@overload(_sizes, **_OPTIONS)
def _choose_sizes(architecture):
    spec = architecture.spec
    tape = tape_size(spec)
    sizes = Sizes(spec.n_in, spec.n_out, buffer_size(spec), tape, tape - padded(spec.n_out, spec))
    return lambda architecture: sizes


@callee
def forward(architecture, p, x, x_stride, out, out_stride, work):
    """Outputs of one sample whose features lie `x_stride` apart, to where they lie `out_stride` apart."""
    size = _sizes(architecture)
    outputs = _layers(architecture, 0, 0, p, x, x_stride, work, work + size.buffer, work, work)
    write(outputs, out, out_stride, size.n_out)


@callee
def vjp(architecture, p, x, x_stride, v, v_stride, out, out_stride, work):
    """The derivative of ``v^T outputs`` with respect to the inputs."""
    size = _sizes(architecture)
    here, there, slopes = work, work + size.buffer, work + 2 * size.buffer
    _layers(architecture, 0, 1, p, x, x_stride, here, there, slopes, slopes)
    for j in range(size.n_out):
        here[j] = v[j * v_stride]
    write(
        _pull_all(architecture, 1, p, here, there, slopes + size.last, slopes + size.last), out, out_stride, size.n_in
    )


@callee
def jvp(architecture, p, x, x_stride, t, t_stride, out, out_stride, work):
    """The derivative of the outputs along `t`."""
    size = _sizes(architecture)
    here, there, slopes = work, work + size.buffer, work + 2 * size.buffer
    _layers(architecture, 0, 1, p, x, x_stride, here, there, slopes, slopes)
    write(_push(architecture, 0, p, t, t_stride, here, there, slopes), out, out_stride, size.n_out)


@callee
def jacobian_by_rows(architecture, p, x, x_stride, out, out_stride, jac, row_stride, column_stride, work):
    """The outputs, and their derivatives: backwards, an output at a time."""
    size = _sizes(architecture)
    here, there, slopes = work, work + size.buffer, work + 2 * size.buffer
    write(_layers(architecture, 0, 1, p, x, x_stride, here, there, slopes, slopes), out, out_stride, size.n_out)
    for j in range(size.n_out):
        unit_vector(here, j, size.n_out)
        gradient = _pull_all(architecture, 1, p, here, there, slopes + size.last, slopes + size.last)
        write(gradient, jac + j * row_stride, column_stride, size.n_in)


@callee
def jacobian_by_columns(architecture, p, x, x_stride, out, out_stride, jac, row_stride, column_stride, work):
    """The outputs, and their derivatives: forwards, an input at a time."""
    size = _sizes(architecture)
    here, there, slopes = work, work + size.buffer, work + 2 * size.buffer
    write(_layers(architecture, 0, 1, p, x, x_stride, here, there, slopes, slopes), out, out_stride, size.n_out)
    for i in range(size.n_in):
        unit_vector(there, i, size.n_in)
        tangent = _push(architecture, 0, p, there, 1, here, there, slopes)
        write(tangent, jac + i * column_stride, row_stride, size.n_out)


@callee
def hessian(architecture, p, x, x_stride, h, row_stride, column_stride, work):
    """The second derivatives of the one output.

    With Z the Jacobian of a layer's pre-activations, g the output's derivative with respect to its activations f(z):
    the sum of ``Z^T diag(g f''(z)) Z`` over the layers.
    """
    size = _sizes(architecture)
    here, there, tangents = work, work + size.buffer, work + 2 * size.buffer
    slopes = tangents + 2 * size.n_in * size.buffer
    curvatures = slopes + size.tape
    _layers(architecture, 0, 2, p, x, x_stride, here, there, slopes, curvatures)
    here[0] = 1.0
    _pull_all(architecture, 2, p, here, there, slopes + size.last, curvatures + size.last)
    for i in range(size.n_in):
        unit_vector(tangents + i * size.buffer, i, size.n_in)
        for j in range(size.n_in):
            h[i * row_stride + j * column_stride] = 0.0
    _curve(
        architecture,
        0,
        p,
        tangents,
        tangents + size.n_in * size.buffer,
        slopes,
        curvatures,
        h,
        row_stride,
        column_stride,
    )


def _pull_all(architecture, order, p, d, other, slopes, curvatures):
    """`_pull` from the last layer."""


@overload(_pull_all, **_OPTIONS)
def _choose_pull_all(architecture, order, p, d, other, slopes, curvatures):
    last = architecture.spec.n_layers - 1
    return lambda architecture, order, p, d, other, slopes, curvatures: _pull(
        architecture, last, order, p, d, other, slopes, curvatures
    )


def _curve(architecture, l, p, tangents, others, slopes, curvatures, h, row_stride, column_stride):
    """Add to the Hessian what the layers from `l` on contribute, given the Jacobian of the layer's inputs."""


@overload(_curve, **_OPTIONS)
def _choose_curve(architecture, l, p, tangents, others, slopes, curvatures, h, row_stride, column_stride):
    spec, this = architecture.spec, l.literal_value
    n_in, n_out, buffer = spec.n_in, spec.sizes[this + 1], buffer_size(spec)
    following, step = this + 1, padded(n_out, spec)

    def onward(architecture, l, p, tangents, others, slopes, curvatures, h, row_stride, column_stride):
        _curve_layer(
            architecture,
            this,
            n_in,
            n_out,
            buffer,
            p,
            tangents,
            others,
            slopes,
            curvatures,
            h,
            row_stride,
            column_stride,
        )
        _curve(
            architecture, following, p, others, tangents, slopes + step, curvatures + step, h, row_stride, column_stride
        )

    def outputs(architecture, l, p, tangents, others, slopes, curvatures, h, row_stride, column_stride):
        _curve_layer(
            architecture,
            this,
            n_in,
            n_out,
            buffer,
            p,
            tangents,
            others,
            slopes,
            curvatures,
            h,
            row_stride,
            column_stride,
        )

    return onward if following < spec.n_layers else outputs


@inlined(literals=("l",))
def _curve_layer(
    architecture, l, n_in, n_out, buffer, p, tangents, others, slopes, curvatures, h, row_stride, column_stride
):
    """`_curve` for one layer; the Jacobian of its outputs to `others`, a row of a buffer for each input."""
    for i in range(n_in):
        _layer(architecture, l, -2, p, tangents + i * buffer, 1, others + i * buffer, slopes, slopes)
    for i in range(n_in):
        bent = tangents  # which are no longer needed
        for k in range(0, n_out, lanes(bent)):
            store(bent + k, load(others + (i * buffer + k)) * load(curvatures + k))
        for j in range(i + 1):
            sums, z_j = broadcast(0.0, bent), others + j * buffer
            for k in range(0, n_out, lanes(bent)):
                sums = fma(load_first(bent + k, n_out - k), load_first(z_j + k, n_out - k), sums)
            h[i * row_stride + j * column_stride] += total(sums)
            h[j * row_stride + i * column_stride] = h[i * row_stride + j * column_stride]
    for i in range(n_in):
        multiply(others + i * buffer, slopes, n_out)
