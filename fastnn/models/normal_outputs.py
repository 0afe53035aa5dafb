"""What networks that learned variances beside means, by the loss ``"gaussian_nll"``, say of a target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def means_and_variances(outputs: NDArray[Any], min_variance: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of outputs, shape (..., 2 n_targets), which are the means and then the log-variances: both, (..., n_targets)."""
    means, log_variances = np.split(outputs, 2, axis=-1)
    with np.errstate(over="ignore"):  # a variance beyond the dtype is infinite
        return means, np.exp(log_variances) + np.asarray(min_variance, outputs.dtype)


def variance_of_mixture(means: NDArray[Any], variances: NDArray[Any]) -> NDArray[np.float64]:
    """The variance of targets, shape (n, n_targets), as if each of K networks was right as often as any other.

    It is the mean of their variances plus the variance of their means, both (K, n, n_targets) (Lakshminarayanan et al.,
    2017).
    """
    return variances.mean(axis=0, dtype=np.float64) + means.var(axis=0, dtype=np.float64)
