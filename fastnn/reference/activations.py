"""Activation functions ``name(z)`` and their derivatives ``name_derivative(z, h)``, where ``h = name(z)``.

Formulas and defaults are PyTorch's. Each is written so that nothing overflows on the way to a finite result,
that the tails keep their relative accuracy, and that infinity gives the limit and NaN gives NaN. NumPy's
`minimum` and `maximum` order complex numbers by their real part: the analytic rows of the catalogue take a
complex step through these very formulas.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastnn.settings import own
from fastnn.settings.catalogue import ACTIVATIONS, activation_of
from fastnn.settings.constants import GELU_CUBIC, GELU_FACTOR, LEAKY_SLOPE, SELU_SCALE, SELU_SCALE_ALPHA


def identity(z: NDArray) -> NDArray:
    """``z``."""
    return z


def identity_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``1``."""
    return np.ones_like(h)


def sigmoid(z: NDArray) -> NDArray:
    """``1 / (1 + exp(-z))``, written with ``exp(-|z|)``, which cannot overflow."""
    return np.exp(np.minimum(z, 0)) / (1 + np.exp(np.minimum(z, -z)))


def sigmoid_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``h (1 - h)``."""
    return h * (1 - h)


def tanh(z: NDArray) -> NDArray:
    """``tanh(z)``."""
    return np.tanh(z)


def tanh_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``1 - h**2``."""
    return 1 - h * h


def relu(z: NDArray) -> NDArray:
    """``max(z, 0)``."""
    return np.maximum(z, 0)


def relu_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``1`` where ``h > 0``, else ``0``; ``0`` at the kink."""
    return np.heaviside(h, 0)


def leaky_relu(z: NDArray) -> NDArray:
    """``z`` where ``z > 0``, else ``0.01 z``."""
    return np.maximum(z, LEAKY_SLOPE * z)


def leaky_relu_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``1`` where ``h > 0``, else ``0.01``; ``0.01`` at the kink."""
    return np.maximum(np.heaviside(h, 0), LEAKY_SLOPE)


def elu(z: NDArray) -> NDArray:
    """``z`` where ``z > 0``, else ``exp(z) - 1``."""
    return np.maximum(z, 0) + np.expm1(np.minimum(z, 0))


def elu_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``1`` where ``h > 0``, else ``exp(z) = h + 1``."""
    return np.minimum(h, 0) + 1


def selu(z: NDArray) -> NDArray:
    """``scale z`` where ``z > 0``, else ``scale alpha (exp(z) - 1)``."""
    return SELU_SCALE * np.maximum(z, 0) + SELU_SCALE_ALPHA * np.expm1(np.minimum(z, 0))


def selu_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``scale`` where ``h > 0``, else ``scale alpha exp(z) = h + scale alpha``, also at the kink."""
    return np.where(h > 0, SELU_SCALE, h + SELU_SCALE_ALPHA)


def silu(z: NDArray) -> NDArray:
    """``z sigmoid(z)``."""
    return np.maximum(z, -1e4) * sigmoid(z)  # sigmoid(-1e4) is 0, and -inf * 0 would be NaN


def silu_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``s (1 + z (1 - s))`` with ``s = sigmoid(z)`` and ``1 - s = sigmoid(-z)``."""
    z = np.clip(z, -1e4, 1e4)
    return sigmoid(z) * (1 + z * sigmoid(-z))


def softplus(z: NDArray) -> NDArray:
    """``log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))``."""
    return np.maximum(z, 0) + np.log1p(np.exp(np.minimum(z, -z)))


def softplus_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``sigmoid(z) = 1 - exp(-h)``."""
    return -np.expm1(-h)


def gelu_logit(z: NDArray) -> NDArray:
    """``2 u`` of `gelu_tanh`; `z` is at most 100 in magnitude, where the sigmoid of this is 0 or 1."""
    return GELU_FACTOR * (z + GELU_CUBIC * z * z * z)


def gelu_logit_derivative(z: NDArray) -> NDArray:
    """``2 u'``."""
    return GELU_FACTOR * (1 + 3 * GELU_CUBIC * z * z)


def gelu_tanh(z: NDArray) -> NDArray:
    """``z (1 + tanh u) / 2 = z sigmoid(2 u)`` with ``u = sqrt(2 / pi) (z + 0.044715 z**3)``.

    The approximation of Hendrycks and Gimpel (2016), PyTorch's ``gelu(approximate="tanh")``.
    """
    return np.maximum(z, -100) * sigmoid(gelu_logit(np.clip(z, -100, 100)))


def gelu_tanh_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``s + 2 u' z s (1 - s)`` with ``s = sigmoid(2 u)`` and ``1 - s = sigmoid(-2 u)``."""
    z = np.clip(z, -100, 100)
    logit = gelu_logit(z)
    return sigmoid(logit) * (1 + gelu_logit_derivative(z) * z * sigmoid(-logit))


def softmax(z: NDArray) -> NDArray:
    """``exp(z) / sum(exp(z))`` over the last axis, after taking off the largest z of each row.

    Its derivative is a matrix for each row, and is only needed within the cross entropy's (`losses`).
    """
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def exp(z: NDArray) -> NDArray:
    """``exp(z)``."""
    return np.exp(z)


def exp_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``h``."""
    return h


def sin(z: NDArray) -> NDArray:
    """``sin(z)``; at infinity there is no limit, and it is NaN."""
    with np.errstate(invalid="ignore"):
        return np.sin(z)


def sin_derivative(z: NDArray, h: NDArray) -> NDArray:
    """``cos(z)``."""
    with np.errstate(invalid="ignore"):
        return np.cos(z)


def ascending(z: NDArray) -> NDArray:
    """``z_0, z_0 + softplus(z_1), z_0 + softplus(z_1) + softplus(z_2), ...``: none is below the one before.

    Its derivative is a matrix for each row, as softmax's is.
    """
    return np.concatenate([z[..., :1], softplus(z[..., 1:])], axis=-1).cumsum(axis=-1)


def back_through_sums(d: NDArray) -> NDArray:
    """The derivative with respect to numbers, of what has the derivative d with respect to their cumulative sums."""
    return np.flip(np.flip(d, axis=-1).cumsum(axis=-1), axis=-1)


class ByName(dict[str, Callable[..., NDArray]]):
    """Functions, or their derivatives of an order, by the activations' names; of the user's own ones, too."""

    def __init__(self, order: int, functions: dict[str, Callable[..., NDArray]]):
        super().__init__(functions)
        self._order = order

    def __missing__(self, name: str) -> Callable[..., NDArray]:
        lacks, row = own.lacking((name,), self._order), activation_of(name)
        if lacks is not None:
            raise ValueError(lacks)
        if not isinstance(row, own.Activation):
            raise KeyError(name)
        function = row.functions[self._order]
        return lambda z, *_: own.elementwise(function, z.dtype, z)


FUNCTIONS = ByName(0, {name: globals()[name] for name in ACTIVATIONS})
DERIVATIVES = ByName(1, {name: globals()[f"{name}_derivative"] for name, row in ACTIVATIONS.items() if row.elementwise})
