"""The activations' second and third derivatives, ``name_second_derivative(z, h)`` and ``name_third_derivative(z, h)``.

They are found, as in `activations`, by the activation's name. At a kink they are those on the left.
"""

from __future__ import annotations

from numba.extending import overload

from fastnn.kernels.functions.activations import clamp, function_for, gelu_parts, one_less_square, sigmoid_pair
from fastnn.kernels.functions.vecmath import cos, exp, expm1
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.simd import broadcast, fma, select
from fastnn.settings.constants import GELU_FACTOR_CUBIC, SELU_SCALE_ALPHA


@inlined
def zero(z, h):
    """Zero."""
    return broadcast(0.0, h)


identity_second_derivative = identity_third_derivative = zero
relu_second_derivative = relu_third_derivative = zero
leaky_relu_second_derivative = leaky_relu_third_derivative = zero


@inlined
def sigmoid_second_derivative(z, h):
    """``h (1 - h) (1 - 2 h)``."""
    return h * (1.0 - h) * (1.0 - 2.0 * h)


@inlined
def sigmoid_third_derivative(z, h):
    """``s' (1 - 6 s')`` with s' = h (1 - h)."""
    slope = h * (1.0 - h)
    return slope * (1.0 - 6.0 * slope)


@inlined
def tanh_second_derivative(z, h):
    """``-2 h (1 - h**2)``."""
    return -2.0 * h * one_less_square(h)


@inlined
def tanh_third_derivative(z, h):
    """``-2 (1 - h**2) (1 - 3 h**2)``."""
    return -2.0 * one_less_square(h) * fma(-3.0 * h, h, 1.0)


@inlined
def elu_second_derivative(z, h):
    """Zero above zero, ``exp(z) = h + 1`` elsewhere."""
    return select(h > 0.0, broadcast(0.0, h), h + 1.0)


elu_third_derivative = elu_second_derivative


@inlined
def selu_second_derivative(z, h):
    """Zero above zero, ``scale alpha exp(z) = h + scale alpha`` elsewhere."""
    return select(h > 0.0, broadcast(0.0, h), h + SELU_SCALE_ALPHA)


selu_third_derivative = selu_second_derivative


@inlined
def silu_second_derivative(z, h):
    """``s' (2 + z (1 - 2 s))`` with s = sigmoid(z)."""
    s, slope = sigmoid_pair(z)
    return slope * fma(clamp(z, 1e4), 1.0 - 2.0 * s, 2.0)


@inlined
def silu_third_derivative(z, h):
    """``s' (3 (1 - 2 s) + z (1 - 6 s'))`` with s = sigmoid(z)."""
    s, slope = sigmoid_pair(z)
    return slope * fma(clamp(z, 1e4), 1.0 - 6.0 * slope, 3.0 * (1.0 - 2.0 * s))


@inlined
def softplus_second_derivative(z, h):
    """``(1 - exp(-h)) exp(-h)``."""
    return -expm1(-h) * exp(-h)


@inlined
def softplus_third_derivative(z, h):
    """``s' (1 - 2 s)`` with s = 1 - exp(-h)."""
    other = exp(-h)
    return -expm1(-h) * other * (2.0 * other - 1.0)


@inlined
def gelu_tanh_second_derivative(z, h):
    """``s' (2 v' + z ((1 - 2 s) v'**2 + v''))`` with s = sigmoid(v), v = 2 u."""
    y, s, slope, v1, v2 = gelu_parts(z)
    return slope * fma(y, fma((1.0 - 2.0 * s) * v1, v1, v2), 2.0 * v1)


@inlined
def gelu_tanh_third_derivative(z, h):
    """``3 (s'' v'**2 + s' v'') + z (s''' v'**3 + 3 s'' v' v'' + s' v''')`` with s = sigmoid(v), v = 2 u."""
    y, s, slope, v1, v2 = gelu_parts(z)
    bend, square = 1.0 - 2.0 * s, v1 * v1  # s'' and s''' are s' times the first, and times 1 - 6 s'
    inner = fma((1.0 - 6.0 * slope) * square, v1, fma(3.0 * bend * v1, v2, 6.0 * GELU_FACTOR_CUBIC))
    return slope * fma(y, inner, 3.0 * fma(bend, square, v2))


@inlined
def exp_second_derivative(z, h):
    """The function itself."""
    return h


exp_third_derivative = exp_second_derivative


@inlined
def sin_second_derivative(z, h):
    """``-sin(z)``."""
    return -h


@inlined
def sin_third_derivative(z, h):
    """``-cos(z)``."""
    return -cos(z)


def second_derivative(code, z, h):
    """The second derivative of the activation of a literal `code` at `z`, where it has the value `h`."""
    raise NotImplementedError


def third_derivative(code, z, h):
    """Its third derivative."""
    raise NotImplementedError


@overload(second_derivative, **BY_LITERALS)
def _choose_second_derivative(code, z, h):
    chosen = function_for(globals(), code, "_second_derivative")
    return chosen and (lambda code, z, h: chosen(z, h))


@overload(third_derivative, **BY_LITERALS)
def _choose_third_derivative(code, z, h):
    chosen = function_for(globals(), code, "_third_derivative")
    return chosen and (lambda code, z, h: chosen(z, h))
