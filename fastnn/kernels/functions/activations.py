"""Activation functions of a vector, with their derivatives.

For the pre-activation z and the output h of the same place, ``name(z)`` is the function, ``name_derivative(z, h)`` its
derivative; most need h alone. Higher derivatives stand in `curvatures`.
The formulas are PyTorch's. At a kink the derivative is the left one; infinity gives the limit, NaN gives NaN.

Kernels come in by `activate` and `derivative`, whose first argument is a literal code of
`fastnn.settings.catalogue.ACTIVATIONS`: the choice falls at compile time.
"""

from __future__ import annotations

import math
from typing import Any

from numba import types
from numba.extending import overload

from fastnn.kernels.functions.own import activation_of_vectors
from fastnn.kernels.functions.vecmath import cos, expm1, sigmoid
from fastnn.kernels.functions.vecmath import exp as exp  # found here by its name, as all activations are
from fastnn.kernels.functions.vecmath import sin as sin
from fastnn.kernels.functions.vecmath import softplus as softplus
from fastnn.kernels.functions.vecmath import tanh as tanh
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.simd import absolute, broadcast, fma, select
from fastnn.kernels.simd.registers import FUSES
from fastnn.settings import own
from fastnn.settings.catalogue import ACTIVATIONS, OWN_ACTIVATIONS
from fastnn.settings.constants import GELU_FACTOR, GELU_FACTOR_CUBIC, LEAKY_SLOPE, SELU_SCALE, SELU_SCALE_ALPHA


@inlined
def identity(z):
    """`z` itself."""
    return z


@inlined
def identity_derivative(z, h):
    """One."""
    return broadcast(1.0, h)


@inlined
def sigmoid_derivative(z, h):
    """``h (1 - h)``."""
    return fma(-h, h, h) if FUSES else h * (1.0 - h)


@inlined
def tanh_derivative(z, h):
    """``1 - h**2``."""
    return one_less_square(h)


@inlined
def one_less_square(h):
    """``1 - h**2``, where the square is not rounded, or does not occur."""
    return fma(-h, h, 1.0) if FUSES else (1.0 - h) * (h + 1.0)


@inlined
def relu(z):
    """The larger of `z` and zero."""
    return select(z < 0.0, broadcast(0.0, z), z)


@inlined
def relu_derivative(z, h):
    """One above zero, elsewhere `h` itself, which is zero there, or NaN."""
    return select(h > 0.0, broadcast(1.0, h), h)


@inlined
def leaky_relu(z):
    """`z` above zero, 0.01 z elsewhere."""
    return select(z > 0.0, z, LEAKY_SLOPE * z)


@inlined
def leaky_relu_derivative(z, h):
    """One above zero, 0.01 elsewhere."""
    return select(h > 0.0, broadcast(1.0, h), select(h <= 0.0, broadcast(LEAKY_SLOPE, h), h))


@inlined
def elu(z):
    """`z` above zero, ``exp(z) - 1`` elsewhere."""
    return select(z > 0.0, z, expm1(z))


@inlined
def elu_derivative(z, h):
    """One above zero, ``exp(z) = h + 1`` elsewhere."""
    return select(h > 0.0, broadcast(1.0, h), h + 1.0)


@inlined
def selu(z):
    """``scale z`` above zero, ``scale alpha (exp(z) - 1)`` elsewhere (Klambauer et al. 2017)."""
    return select(z > 0.0, SELU_SCALE * z, SELU_SCALE_ALPHA * expm1(z))


@inlined
def selu_derivative(z, h):
    """`scale` above zero, ``scale alpha exp(z) = h + scale alpha`` elsewhere."""
    return select(h > 0.0, broadcast(SELU_SCALE, h), h + SELU_SCALE_ALPHA)


@inlined
def sigmoid_pair(x):
    """``s, s'``: the sigmoid of `x` and its derivative, the latter to full precision at both ends."""
    small = sigmoid(-absolute(x))
    large = 1.0 - small
    return select(x < 0.0, small, large), small * large


@inlined
def clamp(z, limit):
    """`z`, or the end of [-limit, limit] next to it."""
    z = select(z > limit, broadcast(limit, z), z)
    return select(z < -limit, broadcast(-limit, z), z)


@inlined
def silu(z):
    """``z sigmoid(z)``."""
    # sigmoid(-1e4) is zero, and -inf * 0 would be NaN.
    return select(z < -1e4, broadcast(-1e4, z), z) * sigmoid(z)


@inlined
def silu_derivative(z, h):
    """``s + z s'`` with s = sigmoid(z)."""
    s, slope = sigmoid_pair(z)
    return fma(clamp(z, 1e4), slope, s)


@inlined
def softplus_derivative(z, h):
    """``sigmoid(z) = 1 - exp(-h)``."""
    return -expm1(-h)


@inlined
def gelu_tanh(z):
    """``z (1 + tanh(u)) / 2 = z sigmoid(2 u)`` with u = sqrt(2/pi) (z + 0.044715 z**3) (Hendrycks & Gimpel 2016)."""
    v = z * fma(z * z, GELU_FACTOR_CUBIC, GELU_FACTOR)
    return select(z < -1e4, broadcast(-1e4, z), z) * sigmoid(v)  # as in `silu`


@inlined
def gelu_parts(z):
    """``y, s, s', v', v''``: v = 2 u and s = sigmoid(v) at y, which is `z` or the end of [-100, 100] next to it.

    Beyond, all derivatives have long reached their limits, and the powers of z would overflow.
    """
    y = clamp(z, 100.0)
    square = y * y
    s, slope = sigmoid_pair(y * fma(square, GELU_FACTOR_CUBIC, GELU_FACTOR))
    return y, s, slope, fma(square, 3.0 * GELU_FACTOR_CUBIC, GELU_FACTOR), y * (6.0 * GELU_FACTOR_CUBIC)


@inlined
def gelu_tanh_derivative(z, h):
    """``s + z s' v'`` with s = sigmoid(v), v = 2 u."""
    y, s, slope, v1, _ = gelu_parts(z)
    return fma(y * slope, v1, s)


@inlined
def exp_derivative(z, h):
    """The function itself."""
    return h


@inlined
def sin_derivative(z, h):
    """``cos(z)``."""
    return cos(z)


def activate(code, z):
    """The activation of a literal `code` at `z`; inside ``@njit`` only."""
    raise NotImplementedError


def derivative(code, z, h):
    """Its derivative at `z`, where it has the value `h`; inside ``@njit`` only."""
    raise NotImplementedError


_ROWS = {row.code: row for row in ACTIVATIONS.values() if row.elementwise}

#: Endings of the functions' names, by the order of the derivative.
_SUFFIXES = ("", "_derivative", "_second_derivative", "_third_derivative")


@inlined
def no_derivative(z, h):
    """NaN, for a derivative that an activation lacks: calls of it are compiled, but never made (`own.lacking`)."""
    return broadcast(math.nan, h)


def function_for(functions: dict[str, Any], code: types.Type, suffix: str) -> Any:
    """An activation by its literal code, or the derivative that `suffix` names; None, a typing error, without one."""
    if not isinstance(code, types.IntegerLiteral):
        return None
    order, row = _SUFFIXES.index(suffix), _ROWS.get(code.literal_value) or OWN_ACTIVATIONS.get(code.literal_value)
    if row is None:
        return None
    if order > row.derivatives:
        return no_derivative
    return activation_of_vectors(row, order) if isinstance(row, own.Activation) else functions[f"{row.name}{suffix}"]


@overload(activate, **BY_LITERALS)
def _choose_activate(code, z):
    chosen = function_for(globals(), code, "")
    return chosen and (lambda code, z: chosen(z))


@overload(derivative, **BY_LITERALS)
def _choose_derivative(code, z, h):
    chosen = function_for(globals(), code, "_derivative")
    return chosen and (lambda code, z, h: chosen(z, h))
