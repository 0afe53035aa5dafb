"""Training on slopes: the errors of the outputs' derivatives along given directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.slopes import Slopes
from fastnn.reference import series
from fastnn.settings.spec import NetworkSpec


def add_slopes(
    spec: NetworkSpec, params: NDArray, X: NDArray, slopes: Slopes, row_weights: NDArray, gradient: NDArray
) -> float:
    """The weighted mean of the squared errors of a batch's slopes; its derivative is added to `gradient`.

    Parameters
    ----------
    spec, params
        The network.
    X : ndarray, shape (n, n_in)
        The samples.
    slopes : Slopes
        Their slopes. A missing value, NaN, counts as an error of zero.
    row_weights : ndarray, shape (n,)
        Factor of each sample's mean in the batch's loss.
    gradient : ndarray, shape (n_params,)
        The derivative is added to it.

    Returns
    -------
    float
        The mean over samples, directions and outputs, times the slopes' weight.
    """
    loss, share = 0.0, slopes.weight / (len(slopes.directions) * spec.n_out) * row_weights[:, np.newaxis]
    for k, direction in enumerate(slopes.directions):
        T, wanted = np.broadcast_to(direction, X.shape), slopes.values[:, k]
        _, slope = series.taylor(spec, params, X, T, terms=2)
        error = np.where(np.isnan(wanted), 0 * slope, slope - wanted)
        loss += float((share * error**2).sum())
        series.vjp(spec, params, X, T, [np.zeros_like(error), 2 * share * error], gradient)
    return loss


def slope_values(spec: NetworkSpec, params: NDArray, X: NDArray, directions: NDArray) -> NDArray:
    """The outputs' derivatives along each direction, shape (n, n_directions, n_out)."""
    along = [series.taylor(spec, params, X, np.broadcast_to(t, X.shape), terms=2)[1] for t in directions]
    return np.stack(along, axis=1)


def slope_jacobian(spec: NetworkSpec, params: NDArray, X: NDArray, directions: NDArray) -> tuple[NDArray, NDArray]:
    """The slopes, as by `slope_values`, and their derivatives with respect to the parameters.

    Returns
    -------
    slopes : ndarray, shape (n, n_directions, n_out)
    jacobian : ndarray, shape (n, n_directions, n_out, n_params)
        Backwards from one slope of one sample at a time.
    """
    slopes = slope_values(spec, params, X, directions)
    jacobian = np.zeros((*slopes.shape, spec.n_params), spec.dtype)
    units = np.eye(spec.n_out, dtype=spec.dtype)
    for r, k, j in np.ndindex(slopes.shape):
        one = units[j : j + 1]
        series.vjp(spec, params, X[r : r + 1], directions[k : k + 1], [np.zeros_like(one), one], jacobian[r, k, j])
    return slopes, jacobian
