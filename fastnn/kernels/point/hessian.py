"""The second derivatives of ``v^T outputs`` at one sample."""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.jit.compiling import inlined, inlined_callee
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.point.forward import forward_layers, gather, write
from fastnn.kernels.point.layer import forward_layer
from fastnn.kernels.point.products import AS_IT_IS
from fastnn.kernels.point.scratch import buffer_size, padded, sizes_of
from fastnn.kernels.point.vjp import pull_gradient, scale, unit_vector
from fastnn.kernels.simd import broadcast, fma, lanes, load, load_first, store, total


@inlined_callee
def hessian(architecture, p, x, x_stride, v, v_stride, h, row_stride, column_stride, work):
    """The second derivatives of ``v^T outputs``.

    With Z the Jacobian of a layer's pre-activations z, and g the derivative of ``v^T outputs`` with respect to f(z):
    the sum of ``Z^T diag(g f''(z)) Z`` over the layers.
    """
    size = sizes_of(architecture)
    here, there, tangents = work, work + size.buffer, work + 2 * size.buffer
    others = tangents + size.n_in * size.buffer
    slopes = others + size.n_in * size.buffer
    curvatures = slopes + size.tape
    forward_layers(architecture, 0, 2, p, (x, x_stride), here, there, slopes, curvatures)
    gather(v, v_stride, here, size.n_out)
    if ends_in_softmax(architecture):
        write(here, curvatures + size.last, 1, size.n_out)
    pull_gradient(architecture, 2, p, here, there, slopes + size.last, curvatures + size.last)
    for i in range(size.n_in):
        unit_vector(tangents + i * size.buffer, i, size.n_in)
        for j in range(size.n_in):
            h[i * row_stride + j * column_stride] = 0.0
    _curve(architecture, 0, p, tangents, others, slopes, curvatures, (h, row_stride, column_stride))


def ends_in_softmax(architecture):
    """Whether the outputs are softmax's, which has no curvatures of its own: v stands in their place on the tape."""


@overload(ends_in_softmax, **BY_LITERALS)
def _choose_ends_in_softmax(architecture):
    answer = architecture.spec.output_activation == "softmax"
    return lambda architecture: answer


def _curve(architecture, l, p, tangents, others, slopes, curvatures, h):
    """Add to the Hessian what the layers from `l` on contribute, given the Jacobian of the layer's inputs.

    `h` is a place, the stride from one row to the next and from one column to the next.
    """


@overload(_curve, **BY_LITERALS)
def _choose_curve(architecture, l, p, tangents, others, slopes, curvatures, h):
    spec, this = architecture.spec, l.literal_value
    n_in, n_out, buffer = spec.n_in, spec.sizes[this + 1], buffer_size(spec)
    following, step = this + 1, padded(n_out, spec)
    softmax = int(following == spec.n_layers and spec.output_activation == "softmax")

    def onward(architecture, l, p, tangents, others, slopes, curvatures, h):
        _curve_layer(architecture, this, 0, n_in, n_out, buffer, p, tangents, others, slopes, curvatures, h)
        _curve(architecture, following, p, others, tangents, slopes + step, curvatures + step, h)

    def outputs(architecture, l, p, tangents, others, slopes, curvatures, h):
        _curve_layer(architecture, this, softmax, n_in, n_out, buffer, p, tangents, others, slopes, curvatures, h)

    return onward if following < spec.n_layers else outputs


@inlined(literals=("l", "softmax"))
def _curve_layer(architecture, l, softmax, n_in, n_out, buffer, p, tangents, others, slopes, curvatures, h):
    """`_curve` for one layer; the Jacobian of its outputs to `others`, a row of a buffer for each input."""
    h, row_stride, column_stride = h
    for i in range(n_in):
        forward_layer(architecture, l, AS_IT_IS, p, (tangents + i * buffer, 1), (others + i * buffer, slopes, slopes))
    for i in range(n_in):
        bent = tangents  # which are no longer needed
        if softmax > 0:
            _bend_softmax(slopes, others + i * buffer, curvatures, bent, n_out)
        else:
            for k in range(0, n_out, lanes(bent)):
                store(bent + k, load(others + (i * buffer + k)) * load(curvatures + k))
        for j in range(i + 1):
            sums, z_j = broadcast(0.0, bent), others + j * buffer
            for k in range(0, n_out, lanes(bent)):
                sums = fma(load_first(bent + k, n_out - k), load_first(z_j + k, n_out - k), sums)
            h[i * row_stride + j * column_stride] += total(sums)
            h[j * row_stride + i * column_stride] = h[i * row_stride + j * column_stride]
    for i in range(n_in):
        scale(others + i * buffer, slopes, n_out)


@inlined
def _bend_softmax(a, z, v, out, n):
    """The derivative of softmax's Jacobian along z, times v, where its outputs are a.

    With ``a' = a (z - a^T z)`` that is ``a' (v - a^T v) - a (a'^T v)``.
    """
    along_z, along_v, bent = 0.0, 0.0, 0.0
    for k in range(n):
        along_z += a[k] * z[k]
        along_v += a[k] * v[k]
    for k in range(n):
        bent += a[k] * (z[k] - along_z) * v[k]
    for k in range(n):
        out[k] = a[k] * ((z[k] - along_z) * (v[k] - along_v) - bent)
