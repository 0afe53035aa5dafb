"""The domain of a network: the bounds, mean and covariance of its training samples, in one array.

The array of float64 holds the smallest and the largest value of each input, the means, and the upper triangular
whitening matrix, whose rows are a multiple of a cache line apart; `fastnn.embed.domain` reads it in compiled code.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import checks
from fastnn.jobs.aligned import aligned_empty
from fastnn.models.scaling import standardize
from fastnn.settings.domain import LINE, MOST_INPUTS, size_of, stride_of
from fastnn.settings.spec import NetworkSpec
from fastnn.training.blas import blas_threads

#: A smaller deviation counts as this one, as its inverse might overflow.
LEAST_SCALE = 1e-300


def measure(X: Any, spec: NetworkSpec) -> NDArray[np.float64]:
    """The domain of some samples; see `MLP.with_domain`."""
    n_in = spec.n_in
    if n_in > MOST_INPUTS:
        raise ValueError(f"with_domain needs a network with at most {MOST_INPUTS:,} inputs; got {n_in:,}")
    X = checks.check_inputs(X, spec, least=1)  # as the network sees them, rounded to its dtype
    checks.check_finite("X", X)
    X = X.astype(np.float64)
    low, high = X.min(axis=0), X.max(axis=0)
    mean, scale = standardize(X)
    with np.errstate(over="ignore", under="ignore"):
        if not np.isfinite(scale**2).all():
            raise ValueError(f"X must contain numbers whose squares are finite; got some up to {np.abs(X).max():g}")
    scale = np.maximum(scale, LEAST_SCALE)
    domain = _room(n_in)
    domain[: 3 * n_in] = np.concatenate([low, high, mean])
    with blas_threads():
        factor = np.linalg.cholesky(_correlation((X - mean) / scale))
        _whitening(domain, n_in)[:, :n_in] = np.linalg.inv(factor).T / scale[:, np.newaxis]
    return domain


def _correlation(Z: NDArray[Any]) -> NDArray[Any]:
    """Correlations of standardised samples, shrunk towards zero by the oracle approximating shrinkage.

    Chen, Wiesel, Eldar and Hero, "Shrinkage algorithms for MMSE covariance estimation", 2010, equation 23.
    """
    n, p = Z.shape
    S = Z.T @ Z / n
    np.fill_diagonal(S, 1.0)  # of a constant column too
    squares, trace = float((S**2).sum()), float(p)
    distance = (n + 1 - 2 / p) * (squares - trace**2 / p)
    share = 1.0 if distance <= 0 else min(1.0, ((1 - 2 / p) * squares + trace**2) / distance)
    return (1 - share) * S + share * np.eye(p)


def _room(n_in: int) -> NDArray[np.float64]:
    """Zeros, allocated so that the whitening matrix starts at a cache line."""
    lead = -3 * n_in % LINE
    room = aligned_empty(lead + size_of(n_in), "float64")
    room[:] = 0
    return room[lead:]


def aligned(domain: NDArray[np.float64], n_in: int) -> NDArray[np.float64]:
    """A copy of a domain, aligned so that compiled code reads it fastest."""
    room = _room(n_in)
    room[:] = domain
    return room


def _whitening(domain: NDArray[Any], n_in: int) -> NDArray[Any]:
    return domain[3 * n_in :].reshape(n_in, stride_of(n_in))


def distance(domain: NDArray[Any], X: NDArray[Any]) -> NDArray[np.float64]:
    """Mahalanobis distances of samples, shape (n, n_in)."""
    n_in = X.shape[1]
    away = X.astype(np.float64) - domain[2 * n_in : 3 * n_in]
    ignored = np.errstate(over="ignore", under="ignore", invalid="ignore")  # of a sample that is infinite, or nearly
    with ignored, nullcontext() if len(X) == 1 else blas_threads():
        whitened = away @ _whitening(domain, n_in)
        return np.sqrt((whitened**2).sum(axis=1))


def _bounds(domain: NDArray[Any], X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    n_in = X.shape[1]
    return domain[:n_in], domain[n_in : 2 * n_in]


def inside(domain: NDArray[Any], X: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether samples, shape (n, n_in), lie within the bounds; those with NaN do not."""
    low, high = _bounds(domain, X)
    return np.asarray(((low <= X) & (high >= X)).all(axis=1))


def clipped(domain: NDArray[Any], X: NDArray[Any]) -> NDArray[Any]:
    """The samples, with each input outside its bounds moved to the nearest bound."""
    low, high = _bounds(domain, X)
    return np.clip(X, low.astype(X.dtype), high.astype(X.dtype))


def refuse_outside(domain: NDArray[Any], X: NDArray[Any]) -> None:
    """Raise ValueError if a sample lies outside the bounds."""
    low, high = _bounds(domain, X)
    away = np.argwhere(~((low <= X) & (high >= X)))
    if len(away):
        row, column = away[0]
        raise ValueError(
            f"X must lie in the network's domain, which was made with outside='raise': column {column} from "
            f"{low[column]:.3g} to {high[column]:.3g}; got {X[row, column]:g} in row {row}"
        )


def check_forgettable(outside: str) -> None:
    """Refuse to hand on a network without its domain, if it looks at it before it computes."""
    if outside != "ignore":
        raise ValueError(
            f"net must not depend on its domain to be written or compiled for others, which do not look at it; got one "
            f"with outside={outside!r}, which net.with_domain(outside='ignore') leaves behind"
        )
