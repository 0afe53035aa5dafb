"""Losses: ``name(o, y)`` gives the loss of each row, ``name_derivative(o, y)`` its derivative with respect to o.

The loss of a batch is a weighted sum or mean of these (`network.loss_and_grad`). Where the catalogue names an
output activation (`logits_of`), the functions take its pre-activation z instead of the output o: there activation
and loss simplify into one formula that neither overflows nor takes the logarithm of zero.

Shapes: o, z and y ``(n, n_out)``, the losses ``(n,)``, the derivative ``(n, n_out)``; a parameter is one number or
``(n_out,)``. Where several outputs describe one target, y and the parameter have a column for each target.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastnn.reference import activations
from fastnn.reference.activations import ascending, back_through_sums, sigmoid, softmax
from fastnn.settings import own
from fastnn.settings.catalogue import LOSSES, OWN_LOSSES, Loss, own_code


def sse(o: NDArray, y: NDArray) -> NDArray:
    """Sum of squared errors, ``sum_j (o_j - y_j)**2``."""
    return ((o - y) ** 2).sum(axis=1)


def sse_derivative(o: NDArray, y: NDArray) -> NDArray:
    """``2 (o - y)``."""
    return 2 * (o - y)


def mse(o: NDArray, y: NDArray) -> NDArray:
    """Mean squared error, ``mean_j (o_j - y_j)**2``."""
    return ((o - y) ** 2).mean(axis=1)


def mse_derivative(o: NDArray, y: NDArray) -> NDArray:
    """``2 (o - y) / n_out``."""
    return 2 / o.shape[1] * (o - y)


def mae(o: NDArray, y: NDArray) -> NDArray:
    """Mean absolute error, ``mean_j |o_j - y_j|``."""
    return np.abs(o - y).mean(axis=1)


def mae_derivative(o: NDArray, y: NDArray) -> NDArray:
    """``sign(o - y) / n_out``; 0 where o equals y."""
    return np.sign(o - y) / o.shape[1]


def huber(o: NDArray, y: NDArray, delta: NDArray | float = 1.0) -> NDArray:
    """Huber (1964): ``mean_j r_j**2 / 2``, or ``delta (|r_j| - delta / 2)`` where ``|r_j| > delta``; ``r = o - y``."""
    distance = np.abs(o - y)
    bounded = np.minimum(distance, delta)
    return (bounded * (distance - bounded / 2)).mean(axis=1)


def huber_derivative(o: NDArray, y: NDArray, delta: NDArray | float = 1.0) -> NDArray:
    """``r / n_out``, with r = o - y limited to [-delta, delta]."""
    return np.clip(o - y, -delta, delta) / o.shape[1]


def pinball(o: NDArray, y: NDArray, quantiles: NDArray | float = 0.5) -> NDArray:
    """Koenker and Bassett (1978): ``mean_j max(q_j r_j, (q_j - 1) r_j)`` with ``r = y - o``, least at quantile q_j."""
    r = y - o
    return np.maximum(quantiles * r, (quantiles - 1) * r).mean(axis=1)


def pinball_derivative(o: NDArray, y: NDArray, quantiles: NDArray | float = 0.5) -> NDArray:
    """``-q_j / n_out`` where o is below y, ``(1 - q_j) / n_out`` above, 0 where they are equal."""
    side = np.sign(o - y)
    return side * np.where(side < 0, quantiles, 1 - quantiles).astype(o.dtype) / o.shape[1]


def ascending_pinball(z: NDArray, y: NDArray, quantiles: NDArray | float = 0.5) -> NDArray:
    """The pinball loss of ``ascending(z)``."""
    return pinball(ascending(z), y, quantiles)


def ascending_pinball_derivative(z: NDArray, y: NDArray, quantiles: NDArray | float = 0.5) -> NDArray:
    """That of the sums, through the sums and the softplus of all but the first."""
    d = back_through_sums(pinball_derivative(ascending(z), y, quantiles))
    d[:, 1:] *= sigmoid(z[:, 1:])
    return d


def expectile(o: NDArray, y: NDArray, quantiles: NDArray | float = 0.5) -> NDArray:
    """Newey and Powell (1987): ``mean_j |q_j - [o_j > y_j]| (o_j - y_j)**2``, least at the expectile of level q_j."""
    r = o - y
    return (np.where(r > 0, 1 - quantiles, quantiles).astype(o.dtype) * r**2).mean(axis=1)


def expectile_derivative(o: NDArray, y: NDArray, quantiles: NDArray | float = 0.5) -> NDArray:
    """``2 |q_j - [o_j > y_j]| (o_j - y_j) / n_out``."""
    r = o - y
    return np.where(r > 0, 1 - quantiles, quantiles).astype(o.dtype) * r * (2 / o.shape[1])


def gaussian_nll(o: NDArray, y: NDArray, min_variance: NDArray | float = 1e-6) -> NDArray:
    """Nix and Weigend (1994): ``mean_j (log v_j + (m_j - y_j)**2 / v_j) / 2``, with ``o = [m, s]``.

    The variance ``v = exp(s) + min_variance`` cannot collapse (Chua et al., 2018, bound its logarithm so).
    """
    m, s = np.split(o, 2, axis=1)
    v = np.exp(s) + np.asarray(min_variance, o.dtype)
    return (np.log(v) + (m - y) ** 2 / v).mean(axis=1) / 2


def gaussian_nll_derivative(o: NDArray, y: NDArray, min_variance: NDArray | float = 1e-6) -> NDArray:
    """``[(m - y) / v, exp(s) (1 - (m - y)**2 / v) / (2 v)]``, each divided by the number of targets."""
    m, s = np.split(o, 2, axis=1)
    e = np.exp(s)
    v = e + np.asarray(min_variance, o.dtype)
    pull = (m - y) / v
    return np.concatenate([pull, e / v * (1 - (m - y) * pull) / 2], axis=1) / y.shape[1]


def poisson(z: NDArray, y: NDArray) -> NDArray:
    """Poisson deviance up to constants, ``mean_j mu_j - y_j log mu_j`` with ``mu = exp(z)``."""
    return (np.exp(z) - y * z).mean(axis=1)


def poisson_derivative(z: NDArray, y: NDArray) -> NDArray:
    """``(exp(z) - y) / n_out``."""
    return (np.exp(z) - y) / z.shape[1]


def cross_entropy(z: NDArray, y: NDArray) -> NDArray:
    """Cross entropy, ``-sum_j y_j log p_j`` with ``p = softmax(z)``; labels y ``(n,)`` are columns of ones."""
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    if y.ndim == 1:
        return -log_p[np.arange(len(y)), y]
    return -(y * log_p).sum(axis=1)


def cross_entropy_derivative(z: NDArray, y: NDArray) -> NDArray:
    """``p sum_j y_j - y`` with ``p = softmax(z)``."""
    p = softmax(z)
    if y.ndim == 1:
        p[np.arange(len(y)), y] -= 1
        return p
    return p * y.sum(axis=1, keepdims=True) - y


def binary_cross_entropy(z: NDArray, y: NDArray) -> NDArray:
    """Binary cross entropy, ``mean_j -y_j log p_j - (1 - y_j) log(1 - p_j)`` with ``p = sigmoid(z)``."""
    return (np.maximum(z, 0) - y * z + np.log1p(np.exp(np.minimum(z, -z)))).mean(axis=1)


def binary_cross_entropy_derivative(z: NDArray, y: NDArray) -> NDArray:
    """``(sigmoid(z) - y) / n_out``, with ``1 - sigmoid(z)`` as ``sigmoid(-z)``, which keeps its digits."""
    return ((1 - y) * sigmoid(z) - y * sigmoid(-z)) / z.shape[1]


class _ByName(dict[str, Callable[..., NDArray]]):
    """Functions by the losses' names, those of the user's own losses among them (`fastnn.settings.own`)."""

    def __init__(self, suffix: str):
        super().__init__({name: globals()[f"{name}{suffix}"] for name in LOSSES})
        self._derivative = bool(suffix)

    def __missing__(self, name: str) -> Callable[..., NDArray]:
        loss = OWN_LOSSES[own_code(name)]
        assert isinstance(loss, own.Loss)
        if self._derivative:
            return lambda o, y: own.elementwise(loss.gradient, o.dtype, o, y) / o.shape[1]
        return lambda o, y: own.elementwise(loss.value, o.dtype, o, y).mean(axis=1)


FUNCTIONS = _ByName("")
DERIVATIVES = _ByName("_derivative")


def of_rows(loss: Loss, o: NDArray, y: NDArray, parameter: NDArray | float | None = None) -> NDArray:
    """The loss of each row.

    Parameters
    ----------
    loss : catalogue.Loss
        The loss; if it is masked, a target of NaN adds nothing to it.
    o : ndarray, shape (n, n_out)
        The outputs, or their pre-activations if the loss takes those (`logits_of`).
    y : ndarray, shape (n, n_targets), or (n,) of intp
        The targets, or class labels for a loss that takes them.
    parameter : float or ndarray, shape (n_targets,), optional
        The loss's parameter (`catalogue.Loss.parameter`); a loss without one ignores it.

    Returns
    -------
    ndarray, shape (n,)
        The losses, of the dtype of `o`.
    """
    given = _parameter_of(loss, parameter)
    if not loss.masked or not loss.elementwise:
        return FUNCTIONS[loss.name](o, _without_gaps(loss, o, y), *given)
    here, of_targets, numbers = _present(loss, o, y, given)
    values = np.zeros(y.shape, o.dtype)
    values[here] = FUNCTIONS[loss.name](of_targets[here], y[here][:, np.newaxis], *numbers)
    return values.sum(axis=1) / loss.divisor(o.shape[1])


def derivative(loss: Loss, o: NDArray, y: NDArray, parameter: NDArray | float | None = None) -> NDArray:
    """The derivative of each row's loss with respect to `o`.

    Parameters
    ----------
    loss, o, y, parameter
        As in `of_rows`.

    Returns
    -------
    ndarray, shape (n, n_out)
        The derivative, of the dtype of `o`.
    """
    given = _parameter_of(loss, parameter)
    if not loss.masked or not loss.elementwise:
        return DERIVATIVES[loss.name](o, _without_gaps(loss, o, y), *given)
    here, of_targets, numbers = _present(loss, o, y, given)
    slopes = np.zeros(of_targets.shape, o.dtype)
    slopes[here] = DERIVATIVES[loss.name](of_targets[here], y[here][:, np.newaxis], *numbers)
    return np.concatenate(np.moveaxis(slopes, -1, 0), axis=1) / o.dtype.type(loss.divisor(o.shape[1]))


def residuals(loss: Loss, o: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """What a squared loss squares, and its derivative with respect to o, each (n, n_out); zero where y is missing."""
    if isinstance(loss, own.LeastSquares):
        values, slopes = (own.elementwise(function, o.dtype, o, y) for function in loss.functions)
    else:
        values, slopes = o - y, np.ones_like(o)
    missing = np.isnan(y) & loss.masked
    return np.where(missing, 0, values), np.where(missing, 0, slopes)


def _parameter_of(loss: Loss, parameter: NDArray | float | None) -> tuple[NDArray | float, ...]:
    """The last argument of a loss's function; none for its default, or if it takes none."""
    return () if loss.parameter is None or parameter is None else (parameter,)


def _without_gaps(loss: Loss, o: NDArray, y: NDArray) -> NDArray:
    """The targets; if the loss is masked and takes a row's outputs together, the output stands for a missing one."""
    if not loss.masked:
        return y
    assert loss.logits_of is not None
    return np.where(np.isnan(y), activations.FUNCTIONS[loss.logits_of](o), y)


def _present(
    loss: Loss, o: NDArray, y: NDArray, parameter: tuple[NDArray | float, ...]
) -> tuple[NDArray, NDArray, list[NDArray]]:
    """Which targets are present; the outputs of each, ``(n, n_targets, outputs_per_target)``; its parameter."""
    here = ~np.isnan(y)
    of_targets = np.stack(np.split(o, loss.outputs_per_target, axis=1), axis=-1)
    return here, of_targets, [np.broadcast_to(number, y.shape)[here][:, np.newaxis] for number in parameter]
