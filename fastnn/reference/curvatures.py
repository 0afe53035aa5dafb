"""Second and third derivatives of the activations, ``name_second_derivative(z, h)`` and so on, where ``h = name(z)``.

At a kink they are those on the left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.reference.activations import ByName, gelu_logit, gelu_logit_derivative, sigmoid, sin_derivative
from fastnn.settings.catalogue import ACTIVATIONS
from fastnn.settings.constants import GELU_CUBIC, GELU_FACTOR, SELU_SCALE_ALPHA


def zero(z: NDArray, h: NDArray) -> NDArray:
    """``0``."""
    return np.zeros_like(h)


identity_second_derivative = identity_third_derivative = zero
relu_second_derivative = relu_third_derivative = zero
leaky_relu_second_derivative = leaky_relu_third_derivative = zero


def sigmoid_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``h (1 - h) (1 - 2 h)``."""
    return h * (1 - h) * (1 - 2 * h)


def sigmoid_third_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``h (1 - h) (1 - 6 h (1 - h))``."""
    return h * (1 - h) * (1 - 6 * h * (1 - h))


def tanh_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``-2 h (1 - h**2)``."""
    return -2 * h * (1 - h * h)


def tanh_third_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``-2 (1 - h**2) (1 - 3 h**2)``."""
    return -2 * (1 - h * h) * (1 - 3 * h * h)


def elu_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``exp(z) = h + 1`` below zero, else ``0``."""
    return np.where(h > 0, 0, h + 1)


elu_third_derivative = elu_second_derivative


def selu_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``scale alpha exp(z) = h + scale alpha`` below zero, else ``0``."""
    return np.where(h > 0, 0, h + SELU_SCALE_ALPHA)


selu_third_derivative = selu_second_derivative


def silu_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``2 s' + z s''`` with ``s = sigmoid(z)``."""
    z, (_, s1, s2, _) = np.clip(z, -1e4, 1e4), _sigmoid_series(z)
    return 2 * s1 + z * s2


def silu_third_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``3 s'' + z s'''``."""
    z, (_, _, s2, s3) = np.clip(z, -1e4, 1e4), _sigmoid_series(z)
    return 3 * s2 + z * s3


def softplus_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``s'`` with ``s = sigmoid(z)``."""
    return _sigmoid_series(z)[1]


def softplus_third_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``s''``."""
    return _sigmoid_series(z)[2]


def gelu_tanh_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``2 g' + z g''`` with ``g(z) = sigmoid(v(z))``, as in `fastnn.reference.activations.gelu_tanh`."""
    z, (_, g1, g2, _) = np.clip(z, -100, 100), _gate_series(z)
    return 2 * g1 + z * g2


def gelu_tanh_third_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``3 g'' + z g'''``."""
    z, (_, _, g2, g3) = np.clip(z, -100, 100), _gate_series(z)
    return 3 * g2 + z * g3


def exp_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``h``."""
    return h


exp_third_derivative = exp_second_derivative


def sin_second_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``-sin(z)``."""
    return -h


def sin_third_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``-cos(z)``."""
    return -sin_derivative(z, h)


def _sigmoid_series(z: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """The sigmoid and its first three derivatives; ``1 - s`` as ``sigmoid(-z)``, to full precision."""
    s, rest = sigmoid(z), sigmoid(-z)
    s1 = s * rest
    return s, s1, s1 * (rest - s), s1 * (1 - 6 * s1)


def _gate_series(z: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """The same of ``sigmoid(v(z))``, by the chain rule, with `gelu_logit` as v."""
    z = np.clip(z, -100, 100)
    v1, v2, v3 = gelu_logit_derivative(z), GELU_FACTOR * 6 * GELU_CUBIC * z, GELU_FACTOR * 6 * GELU_CUBIC
    s, s1, s2, s3 = _sigmoid_series(gelu_logit(z))
    return s, s1 * v1, s2 * v1**2 + s1 * v2, s3 * v1**3 + 3 * s2 * v1 * v2 + s1 * v3


def _by_name(order: int, suffix: str) -> ByName:
    names = [name for name, row in ACTIVATIONS.items() if row.elementwise and row.derivatives >= order]
    return ByName(order, {name: globals()[name + suffix] for name in names})


SECOND = _by_name(2, "_second_derivative")
THIRD = _by_name(3, "_third_derivative")
