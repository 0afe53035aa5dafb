"""Forward and backward through a network whose numbers are vectors; a block of rows at a time."""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.functions.activations import activate, derivative
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.simd import broadcast, fma, lanes, load, store, tile
from fastnn.kernels.simd.columns import column

#: What sums begin with. Adding to -0 changes nothing, so that the compiler leaves it out; adding to 0 would turn -0
#: into 0, so that it must not.
NOTHING = -0.0


# ---------------------------------------------------------------- products
@inlined(literals=("rows", "code"))
def linear(rows, last, n, depth, a, biases, has_biases, w, code, z, h):
    """``z = a W + b`` and ``h = f(z)`` with a (rows, depth), W (depth, n), z and h (rows, n); z may be h.

    Rows of `a` beyond `last` repeat it. Two columns at a time; where n is odd the last one is computed twice.
    """
    width = lanes(z)
    for j in range(0, n, 2):
        j2 = min(j + 1, n - 1)
        sums = tile(z, rows, 2)
        for r in range(rows):
            sums[r, 0] = column(biases, j, z) if has_biases else broadcast(NOTHING, z)
            sums[r, 1] = column(biases, j2, z) if has_biases else broadcast(NOTHING, z)
        for k in range(depth):
            w_1, w_2 = column(w, k * n + j, z), column(w, k * n + j2, z)
            for r in range(rows):
                a_rk = column(a, min(r, last) * depth + k, z)
                sums[r, 0] = fma(a_rk, w_1, sums[r, 0])
                sums[r, 1] = fma(a_rk, w_2, sums[r, 1])
        for r in range(rows):
            activate_to(code, sums[r, 0], z, h, (r * n + j) * width)
        for r in range(rows):
            activate_to(code, sums[r, 1], z, h, (r * n + j2) * width)


@inlined(literals=("code",))
def activate_to(code, x, z, h, place):
    """Store a pre-activation and its activation.

    The activation is computed before the pre-activation leaves its register: LLVM would make a masked store of a
    `select` between a number in memory and another, many times slower where `RegisterFile.masks` names none.
    """
    store(z + place, x)
    store(h + place, activate(code, x))


@inlined(literals=("rows", "code"))
def linear_back(rows, n, depth, d, w, code, z, h, c):
    """``c = (d W^T) f'(z)`` with d (rows, depth), W (n, depth), and z, ``h = f(z)`` and c (rows, n).

    If the layer above has one unit, W and f' are multiplied first, which need not wait for d.
    """
    width = lanes(c)
    for j in range(0, n, 2):
        j2 = min(j + 1, n - 1)
        sums = tile(c, rows, 2)
        for r in range(rows):
            sums[r, 0], sums[r, 1] = broadcast(NOTHING, c), broadcast(NOTHING, c)
        for k in range(depth):
            w_1, w_2 = column(w, j * depth + k, c), column(w, j2 * depth + k, c)
            for r in range(rows):
                d_rk = load(d + (r * depth + k) * width)
                sums[r, 0] = fma(d_rk, w_1, sums[r, 0])
                sums[r, 1] = fma(d_rk, w_2, sums[r, 1])
        for r in range(rows):
            place, place_2 = (r * n + j) * width, (r * n + j2) * width
            slope = derivative(code, load(z + place), load(h + place))
            slope_2 = derivative(code, load(z + place_2), load(h + place_2))
            if depth == 1:
                d_r = load(d + r * width)
                store(c + place, d_r * (column(w, j, c) * slope))
                store(c + place_2, d_r * (column(w, j2, c) * slope_2))
            else:
                store(c + place, sums[r, 0] * slope)
                store(c + place_2, sums[r, 1] * slope_2)


@inlined(literals=("rows",))
def accumulate(rows, last, n, depth, a, d, g, g_biases, has_biases):
    """``g += a^T d`` with a (rows, depth), d (rows, n) and g (depth, n); for the biases the sum of d's rows.

    Two rows of g at a time; where the depth is odd the last one is computed twice, and stored once.
    """
    width = lanes(d)
    for k in range(0, depth, 2):
        k2 = min(k + 1, depth - 1)
        kept = tile(d, rows, 2)
        for r in range(rows):
            kept[r, 0] = column(a, min(r, last) * depth + k, d)
            kept[r, 1] = column(a, min(r, last) * depth + k2, d)
        for j in range(n):
            sum_1, sum_2 = load(g + (k * n + j) * width), load(g + (k2 * n + j) * width)
            bias = broadcast(0.0, d)
            for r in range(rows):
                d_rj = load(d + (r * n + j) * width)
                sum_1, sum_2 = fma(kept[r, 0], d_rj, sum_1), fma(kept[r, 1], d_rj, sum_2)
                bias = bias + d_rj
            store(g + (k * n + j) * width, sum_1)
            store(g + (k2 * n + j) * width, sum_2)
            if has_biases and k == 0:
                store(g_biases + j * width, load(g_biases + j * width) + bias)


# ---------------------------------------------------------------- the network
def forward(kind, l, pointers, a, last):
    """Activations of a block of rows from layer `l` on; `a` is its input."""


@overload(forward, **BY_LITERALS)
def _choose_forward(kind, l, pointers, a, last):
    kind, l = kind.value, l.literal_value
    if l == kind.spec.n_layers:
        return lambda kind, l, pointers, a, last: None
    layer, (z, h, _), code = kind.spec.layers[l], kind.offsets[l], kind.activation(l).code
    n_in, n_out, weights, biases = layer.n_in, layer.n_out, layer.weights, max(0, layer.biases)
    has_biases = kind.spec.bias
    rows, following, bottom = kind.rows, l + 1, kind.rows - 1

    def impl(kind, l, pointers, a, last):
        p, v, width = pointers.params, pointers.values, lanes(pointers.values)
        z_l, h_l, one = v + z * width, v + h * width, lanes(p)
        linear(rows, last, n_out, n_in, a, p + biases * one, has_biases, p + weights * one, code, z_l, h_l)
        forward(kind, following, pointers, h_l, bottom)

    return impl


def backward(kind, l, pointers, x, last):
    """Add a block's gradient, from layer `l` down; the derivative with respect to its pre-activations is known."""


@overload(backward, **BY_LITERALS)
def _choose_backward(kind, l, pointers, x, last):
    kind, l = kind.value, l.literal_value
    layer, d, rows, bottom = kind.spec.layers[l], kind.offsets[l][2], kind.rows, kind.rows - 1
    n_in, n_out, weights, biases = layer.n_in, layer.n_out, layer.weights, max(0, layer.biases)
    has_biases = kind.spec.bias

    if l == 0:

        def first(kind, l, pointers, x, last):
            g, width = pointers.parts, lanes(pointers.parts)
            d_l = pointers.values + d * width
            accumulate(rows, last, n_out, n_in, x, d_l, g + weights * width, g + biases * width, has_biases)

        return first

    z_below, h_below, d_below = kind.offsets[l - 1]
    code, below = kind.activation(l - 1).code, l - 1

    def impl(kind, l, pointers, x, last):
        p, g, v, width = pointers.params, pointers.parts, pointers.values, lanes(pointers.values)
        d_l, z_b, h_b, d_b = v + d * width, v + z_below * width, v + h_below * width, v + d_below * width
        accumulate(rows, bottom, n_out, n_in, h_b, d_l, g + weights * width, g + biases * width, has_biases)
        linear_back(rows, n_in, n_out, d_l, p + weights * lanes(p), code, z_b, h_b, d_b)
        backward(kind, below, pointers, x, last)

    return impl
