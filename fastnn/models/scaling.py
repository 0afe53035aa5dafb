"""Standardising data for training, and folding the scales into a network afterwards."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.settings.spec import NetworkSpec


@overload
def standardize(X: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]: ...
@overload
def standardize(X: ArrayLike, y: None) -> tuple[NDArray[Any], NDArray[Any]]: ...
@overload
def standardize(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]: ...
def standardize(X: ArrayLike, y: ArrayLike | None = None) -> tuple[NDArray[Any], ...]:
    """Compute the mean and standard deviation of each column of samples and targets, for ``net.with_scaling``.

    Parameters
    ----------
    X : array_like, shape (n, n_in)
        The samples.
    y : array_like, shape (n, n_out) or (n,), optional
        The targets. Leave out those that keep their units: classes, counts.

    Returns
    -------
    x_mean, x_scale : ndarray of float64, shape (n_in,)
        A constant column has the scale 1.
    y_mean, y_scale : ndarray of float64, shape (n_out,)
        The same of the targets; only where `y` is given.

    Raises
    ------
    TypeError, ValueError
        If an array is not what it must be, or not finite.

    Examples
    --------
    >>> x_mean, x_scale, y_mean, y_scale = fastnn.standardize(X, y)
    >>> net.fit((X - x_mean) / x_scale, (y - y_mean) / y_scale, epochs=100)
    >>> slopes = dydx * x_scale / y_scale[:, None]  # for fit's dydx, of shape (n, n_out, n_in)
    >>> net = net.with_scaling(x_mean, x_scale, y_mean, y_scale)  # in the units of X and y

    A classifier's targets stay as they are:

    >>> x_mean, x_scale = fastnn.standardize(X)
    >>> net.fit((X - x_mean) / x_scale, classes, loss="cross_entropy", epochs=100)
    >>> net = net.with_scaling(x_mean, x_scale)
    """
    X = checks.check_columns("X", X)
    if y is None:
        return _mean_and_scale(X)
    y = checks.check_columns("y", y)
    if len(X) != len(y):
        raise ValueError(f"y must have as many rows as X, {len(X)}; got {len(y)}")
    return *_mean_and_scale(X), *_mean_and_scale(y)


def _mean_and_scale(columns: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    constant = columns.min(axis=0) == columns.max(axis=0)  # whose deviation need not be exactly zero
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean, scale = columns.mean(axis=0), columns.std(axis=0)
        if not (np.isfinite(scale) & ((scale > 1e-150) | constant)).all():  # sums or squares overflow or underflow
            exponent = np.frexp(abs(columns).max(axis=0))[1] - 1
            size = np.ldexp(1.0, exponent)  # a power of two, by which nothing is rounded
            mean, scale = (columns / size).mean(axis=0) * size, (columns / size).std(axis=0) * size
    mean = np.where(constant, columns[0], mean)  # the mean of a large number may be far off in units of the scale 1
    return mean, np.where(constant | (scale == 0), 1.0, scale)


def fold(spec: NetworkSpec, params: NDArray[Any], x_mean: Any, x_scale: Any, y_mean: Any, y_scale: Any) -> NDArray[Any]:
    """The parameters, as float64, of the network in other units: see `MLP.with_scaling`.

    With u = (x - m) / s, the first layer's ``u W + b`` is ``x (W / s) + (b - (m / s) W)``; the last layer's outputs are
    multiplied and moved, unless `y_mean` and `y_scale` are None.
    """
    if not spec.bias:
        raise ValueError("with_scaling needs a network with biases; got one without")
    if (y_mean is None) != (y_scale is None):
        alone = "y_mean" if y_scale is None else "y_scale"
        raise ValueError(f"y_mean and y_scale must be given together, or neither; got {alone} alone")
    outputs_scaled = y_mean is not None
    if outputs_scaled and spec.output_activation != "identity":
        raise ValueError(
            "y_mean and y_scale need a network whose output activation is identity; "
            f"got {spec.output_activation}, whose inputs alone can be scaled"
        )
    mean, scale = checks.check_means("x_mean", x_mean, spec.n_in), checks.check_scales("x_scale", x_scale, spec.n_in)
    params = params.astype(np.float64)
    weights, biases = spec.weights(params), spec.biases(params)
    was_finite = np.isfinite(params).all()
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        biases[0] -= ((mean / scale)[:, np.newaxis] * weights[0]).sum(axis=0)
        weights[0] /= scale[:, np.newaxis]
    names, scales = "x_mean and x_scale", scale
    if outputs_scaled:
        shift = checks.check_means("y_mean", y_mean, spec.n_out)
        factor = checks.check_scales("y_scale", y_scale, spec.n_out)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            weights[-1] *= factor
            biases[-1] *= factor
            biases[-1] += shift
        names, scales = "x_mean, x_scale, y_mean and y_scale", np.concatenate([scale, factor])
    with np.errstate(over="ignore", invalid="ignore"):
        fits = np.isfinite(params.astype(spec.dtype)).all()
    if was_finite and not fits:
        raise ValueError(
            f"{names} must give parameters that fit into {spec.dtype}; got scales from {scales.min()} to {scales.max()}"
        )
    return params
