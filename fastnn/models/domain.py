"""Where a network has been: the box, mean and covariance of samples, in one array that goes with it.

The array of float64 holds the least and the greatest of each input, the mean, and the whitening matrix, whose rows lie
a whole number of cache lines apart: what `fastnn.embed.domain` reads in compiled code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import checks
from fastnn.settings.domain import MOST_INPUTS, size_of, stride_of
from fastnn.settings.spec import NetworkSpec


def measure(X: Any, spec: NetworkSpec) -> NDArray[np.float64]:
    """The domain of some samples; see `MLP.with_domain`."""
    n_in = spec.n_in
    if n_in > MOST_INPUTS:
        raise ValueError(f"with_domain must be asked of a network of at most {MOST_INPUTS:,} inputs; got {n_in:,}")
    X = checks.check_inputs(X, spec, least=1)  # as the network sees them, rounded to its dtype
    checks.check_finite("X", X)
    X = X.astype(np.float64)
    low, high, mean = X.min(axis=0), X.max(axis=0), X.mean(axis=0)
    scale = np.where(low == high, 1.0, X.std(axis=0))
    scale[scale == 0] = 1.0
    domain = np.zeros(size_of(n_in))
    domain[: 3 * n_in] = np.concatenate([low, high, mean])
    factor = np.linalg.cholesky(_correlation((X - mean) / scale))
    _whitening(domain, n_in)[:, :n_in] = np.linalg.inv(factor).T / scale[:, np.newaxis]
    if not np.isfinite(domain).all():
        raise ValueError("X must be of numbers whose squares are finite")
    return domain


def _correlation(Z: NDArray) -> NDArray:
    """Correlations of standardised samples, moved towards none by the share of the oracle approximating shrinkage.

    Chen, Wiesel, Eldar and Hero, "Shrinkage algorithms for MMSE covariance estimation", 2010, equation 23.
    """
    n, p = Z.shape
    S = Z.T @ Z / n
    np.fill_diagonal(S, 1.0)  # of a constant column too
    squares, trace = float((S**2).sum()), float(p)
    distance = (n + 1 - 2 / p) * (squares - trace**2 / p)
    share = 1.0 if distance <= 0 else min(1.0, ((1 - 2 / p) * squares + trace**2) / distance)
    return (1 - share) * S + share * np.eye(p)


def _whitening(domain: NDArray, n_in: int) -> NDArray:
    return domain[3 * n_in :].reshape(n_in, stride_of(n_in))


def distance(domain: NDArray, X: NDArray) -> NDArray[np.float64]:
    """Mahalanobis distances of samples, shape (n, n_in)."""
    n_in = X.shape[1]
    whitened = (X.astype(np.float64) - domain[2 * n_in : 3 * n_in]) @ _whitening(domain, n_in)
    return np.sqrt((whitened**2).sum(axis=1))


def inside(domain: NDArray, X: NDArray) -> NDArray[np.bool_]:
    """Whether samples, shape (n, n_in), lie in the box; NaN lies nowhere."""
    n_in = X.shape[1]
    return np.asarray(((domain[:n_in] <= X) & (domain[n_in : 2 * n_in] >= X)).all(axis=1))
