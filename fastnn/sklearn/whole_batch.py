"""The solvers that look at all the data in every step: L-BFGS, and Levenberg-Marquardt for squared errors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict
from sklearn.utils.optimize import _check_optimize_result

from fastnn.jobs.job import Job
from fastnn.jobs.monitor import Monitor
from fastnn.models.mlp import MLP
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.optimizers import SGD
from fastnn.settings.solvers import LevenbergMarquardt
from fastnn.sklearn.bookkeeping import call_back, end_epochs
from fastnn.sklearn.conventions import poisson_constant
from fastnn.sklearn.data import Data
from fastnn.sklearn.perceptron import Perceptron
from fastnn.sklearn.scoring import validate
from fastnn.training.blas import blas_threads
from fastnn.training.history import Epoch
from fastnn.training.twins import twin


class Objective:
    """A job's loss and gradient over all its rows, as SciPy's minimisers take them."""

    def __init__(self, job: Job):
        self.job, self.gradient = job, np.empty_like(job.params)
        self.evaluate = twin("numba", "training").objective(job, self.gradient)
        self.constant = 0.0
        if job.loss.name == "poisson":
            self.constant = float(np.average(poisson_constant(job.y), weights=job.sample_weight))

    def __call__(self, params: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The loss and its gradient at these parameters."""
        self.job.params[:] = params
        return self.evaluate() + self.constant, self.gradient.copy()


def fit_by_lbfgs(estimator: Perceptron, data: Data) -> None:
    """SciPy's L-BFGS on the loss over all the data, in float64 as scikit-learn's."""
    X, *_ = data
    job = estimator._job(data, X.dtype, optimizer=SGD(0.0), batch_size=len(X), shuffle=False)
    shown = 1 if estimator.verbose is True or estimator.verbose >= 1 else -1
    with blas_threads():
        result = scipy.optimize.minimize(
            Objective(job),
            job.params.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
                **_get_additional_lbfgs_options_dict("iprint", shown),
            },
        )
    estimator.n_iter_ = _check_optimize_result("lbfgs", result, estimator.max_iter)
    estimator.loss_ = result.fun
    job.params[:] = result.x


def fit_by_levenberg_marquardt(estimator: Perceptron, data: Data, validation: Data | None) -> bool:
    """`MLP.fit` on the sum of squared errors, the estimator's loss times twice the weight; whether Ctrl-C ended it."""
    X, y, weight = data
    net = MLP.from_params(*estimator._network(X.dtype))
    estimator.coefs_, estimator.intercepts_, estimator.n_iter_ = list(net.weights), list(net.biases), 0
    scale, best = _twice_the_weight(data), net.params.copy()
    has_r2 = validation is not None and not np.isnan(Monitor(*validation).shares).any()
    by_score = has_r2 and bool(estimator.early_stopping)

    def tell(epoch: Epoch) -> bool:
        end_epochs(estimator, [epoch.loss / scale], len(X))
        if not estimator.early_stopping:
            estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        if validation is not None and has_r2:
            validate(estimator, net.spec, net.params, validation, best)
        elif validation is not None:  # whose targets do not vary
            estimator.validation_scores_ = [*(estimator.validation_scores_ or ()), 0.0]
            estimator.best_validation_score_ = max(estimator.validation_scores_)
        return call_back(estimator)

    held_out = validation if estimator.early_stopping else None
    problem: dict[str, Any] = {"loss": "sse", "sample_weight": weight, "l2": 2.0 * float(estimator.alpha)}
    history = net.fit(
        X,
        y,
        **problem,
        epochs=int(estimator.max_iter),
        optimizer=LevenbergMarquardt(),
        validation_data=held_out,
        early_stopping=_early_stopping(estimator, held_out or data, by_score),
        callback=tell,
        progress=False,
        threads=int(estimator.threads),
    )
    if by_score:
        net.params[:] = best
    if not history.epochs:  # no step was taken
        estimator.loss_ = net.loss_and_grad(X, y, **problem)[0] / scale
        estimator.loss_curve_.append(estimator.loss_)
        if not estimator.early_stopping:
            estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
    if history.stopped == "interrupted":
        warnings.warn("Training interrupted by user.", stacklevel=2)
    if history.stopped == "finished":
        warnings.warn(
            f"Levenberg-Marquardt: Maximum iterations ({estimator.max_iter}) "
            "reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return history.stopped == "interrupted"


def _early_stopping(estimator: Perceptron, monitored: Data, by_score: bool) -> EarlyStopping | None:
    """What stops the training when R2, or the loss, no longer improves on some data."""
    if estimator.n_iter_no_change == np.inf:
        return None
    return EarlyStopping(
        int(estimator.n_iter_no_change),
        float(estimator.tol if by_score else _twice_the_weight(monitored) * estimator.tol),
        monitor="metric" if by_score else "loss",
        restore_best=bool(estimator.early_stopping),
    )


def _twice_the_weight(data: Data) -> float:
    """What a sum of squared errors is divided by to be the estimator's loss."""
    X, _, weight = data
    return 2.0 * (len(X) if weight is None else float(weight.sum()))
