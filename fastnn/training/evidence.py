"""MacKay's evidence: how strongly the data determine a network's parameters, updated in Levenberg-Marquardt's steps.

With e the errors of N targets, w the p parameters and J the Jacobian of the outputs, the most probable parameters
minimise ``beta e^T e + alpha w^T w``. Before every step the two precisions are updated from the present parameters,

    gamma = p - alpha tr (beta J^T J + alpha I)^-1,    alpha = gamma / w^T w,    beta = (N - gamma) / e^T e,

where gamma is the number of parameters that the data determine (D. MacKay, "A practical Bayesian framework for
backpropagation networks", 1992; F. Foresee and M. Hagan, "Gauss-Newton approximation to Bayesian learning", 1997). A
sample of weight k counts as k samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.monitor import MonitorState
from fastnn.training.twins import NormalEquations

#: The precisions have settled when an update changes gamma by no more than this.
SETTLED = 1e-3

#: Least sum of the parameters' squares: where it is smaller, the data determine no parameter.
LEAST_SUM = 1e-100


class Evidence(NamedTuple):
    """The result of a run with ``regularisation="bayesian"``.

    Attributes
    ----------
    alpha : float
        Precision of the parameters before any data are seen, ``1 / variance``.
    beta : float
        Precision of the targets around the outputs.
    effective_params : float
        Number of parameters that the data determine, MacKay's gamma.
    """

    alpha: float
    beta: float
    effective_params: float


def precisions(gamma: float, n: float, squares: float, params: NDArray[np.float64]) -> tuple[float, float]:
    """Alpha and beta for gamma, n targets and the sum of their squared errors."""
    least = n * float(np.finfo(np.float64).tiny)  # or beta would overflow
    return max(gamma, 1e-6) / max(float(params @ params), LEAST_SUM), max(n - gamma, 1e-6 * n) / max(squares, least)


def first(n: float, squares: float, params: NDArray[np.float64]) -> Evidence:
    """The evidence before the first step, which takes all parameters as determined and all errors as noise.

    Parameters that are all zero tell nothing of their size, which is then taken as 1.
    """
    alpha = precisions(len(params), n, squares, params)[0] if params.any() else 1.0
    return Evidence(alpha, precisions(0, n, squares, params)[1], len(params))


def effective_params(
    curvature: NDArray[np.float64], ridge: float, equations: NormalEquations, answer: Callable[[], None]
) -> float:
    """``p - ridge tr (curvature + ridge I)^-1``, with a larger ridge where rounding would drown it."""
    n_params, numbers = len(curvature), np.finfo(np.float64)
    ridge = max(ridge, n_params * numbers.eps * curvature.diagonal().max(), float(numbers.tiny))
    while ridge < np.inf:
        factor = equations.cholesky(curvature, ridge, answer)
        if factor is not None:
            undetermined = ridge * equations.trace_of_inverse(factor, n_params, answer)
            if undetermined <= n_params * (1 + 1e-3):  # more would be rounding errors that passed for curvature
                return max(0.0, n_params - undetermined)
        ridge *= 2
    return 0.0


def recall(monitor_state: NDArray[np.float64]) -> Evidence | None:
    """The evidence that is kept from epoch to epoch; None before the first step."""
    kept = Evidence(*monitor_state[_KEPT].tolist())
    return kept if kept.beta > 0 else None


def remember(monitor_state: NDArray[np.float64], found: Evidence) -> None:
    """Keep an evidence from epoch to epoch."""
    monitor_state[_KEPT] = found


_KEPT = slice(MonitorState.ALPHA, MonitorState.EFFECTIVE_PARAMS + 1)
