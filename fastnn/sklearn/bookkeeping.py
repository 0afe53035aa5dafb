"""The record that scikit-learn's estimators keep of their training: epochs, losses, scores, improvements."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fastnn.checks import check_flag, describe, is_iterable
from fastnn.sklearn.perceptron import Perceptron


def begin(estimator: Perceptron, coefs: list[NDArray], intercepts: list[NDArray]) -> None:
    """Take these initial weights, and set what is known before training."""
    estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    estimator.n_iter_ = estimator.t_ = 0
    if estimator.solver != "lbfgs":
        estimator.loss_curve_ = []
        _expect_improvements(estimator)


def go_on(estimator: Perceptron) -> None:
    """Train on: keep the record there is, unless it is of L-BFGS, or counts by the other measure."""
    if estimator.solver == "lbfgs":
        return
    if not hasattr(estimator, "loss_curve_"):
        estimator.loss_curve_ = []
        _expect_improvements(estimator)
    elif (estimator.best_loss_ is None) != bool(estimator.early_stopping):
        _expect_improvements(estimator)


def _expect_improvements(estimator: Perceptron) -> None:
    """Set what the first loss, or the first score, improves on."""
    estimator._no_improvement_count = 0
    estimator.validation_scores_ = [] if estimator.early_stopping else None
    estimator.best_validation_score_ = -np.inf if estimator.early_stopping else None
    estimator.best_loss_ = None if estimator.early_stopping else np.inf


def end_epochs(estimator: Perceptron, losses: list[float], n: int) -> None:
    """Record epochs: several at once, or each by itself where something looks at it."""
    estimator.n_iter_ += len(losses)
    estimator.t_ += n * len(losses)
    estimator.loss_ = losses[-1]
    estimator.loss_curve_ += losses
    if estimator.verbose:
        print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")


def count_improvements(estimator: Perceptron, losses: list[float], better: bool) -> None:
    """Count the epochs since the score, or the loss, last improved by the tolerance."""
    count = estimator._no_improvement_count
    if estimator.early_stopping:
        estimator._no_improvement_count = 0 if better else count + 1
        return
    best, tol = estimator.best_loss_, estimator.tol
    for loss in losses:
        count = count + 1 if loss > best - tol else 0
        best = min(best, loss)
    estimator.best_loss_, estimator._no_improvement_count = best, count


def merit(estimator: Perceptron) -> float:
    """What the best of several starts has the most of: validation score, or minus the loss."""
    score = getattr(estimator, "best_validation_score_", None)
    return -getattr(estimator, "loss_", np.inf) if score is None else score  # inf before the first epoch's end


def check_callbacks(given: Any) -> list[Callable]:
    """The functions that an estimator is given, one or several; raises TypeError if one cannot be called."""
    callbacks = [given] if callable(given) else [] if given is None else list(given) if is_iterable(given) else [given]
    if not all(map(callable, callbacks)):
        raise TypeError(f"callbacks must be functions of the estimator, or one; got {describe(given)}")
    return callbacks


def call_back(estimator: Perceptron) -> bool:
    """Call what is called after every epoch; whether one of them asks to stop. All are called in any case."""
    answers = [callback(estimator) for callback in check_callbacks(estimator.callbacks)]
    return any(answer is not None and check_flag("what callbacks return", answer) for answer in answers)


def warn_of_the_end(estimator: Perceptron) -> None:
    """Warn that the last epoch is over although the loss still improves."""
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) "
        "reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=3,
    )
