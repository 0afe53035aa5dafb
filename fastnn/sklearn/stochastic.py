"""The stochastic solvers: epochs until the loss, or the score on a validation set, no longer improves."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State
from fastnn.sklearn.bookkeeping import call_back, count_improvements, end_epochs, warn_of_the_end
from fastnn.sklearn.conventions import NON_FINITE, effective_batch_size, update_rule_of
from fastnn.sklearn.data import Data
from fastnn.sklearn.epochs import Epochs, StochasticState
from fastnn.sklearn.perceptron import Perceptron
from fastnn.sklearn.scoring import validate


def fit_stochastically(estimator: Perceptron, data: Data, validation: Data | None, incremental: bool) -> bool:
    """Epochs of batches until the loss, or the validation score, no longer improves; whether Ctrl-C ended them."""
    n = len(data.y)
    rows = clipped_batch_size(estimator, n)
    # In one batch the order of the rows is seen by rounding alone, and by who draws on from the same generator.
    shuffle = bool(estimator.shuffle) and not (rows == n and isinstance(estimator.random_state, Integral))
    job = estimator._job(data, data.X.dtype, optimizer=update_rule_of(estimator), batch_size=rows, shuffle=shuffle)
    estimator._stochastic_state = _state_to_start_from(estimator, job, incremental)
    job.optimizer = estimator._stochastic_state.rule  # its settings are kept like its rates, as scikit-learn's are
    best = job.params.copy()
    watched = estimator.verbose or validation is not None or estimator.callbacks is not None
    # No stop can come sooner than the counter of bad epochs allows: so many run in one call.
    patience = estimator.n_iter_no_change + 1
    epochs = Epochs(
        job,
        estimator._stochastic_state,
        estimator._random_state,
        1 if watched or incremental else patience,
        estimator.threads,
    )
    estimator.n_iter_, interrupted = 0, False
    try:
        while estimator.n_iter_ < estimator.max_iter:
            ahead = min(patience - estimator._no_improvement_count, epochs.most, estimator.max_iter - estimator.n_iter_)
            losses = epochs(_rates(estimator, max(1, int(ahead)), n))
            if losses is None:
                if not estimator.early_stopping:
                    raise ValueError(NON_FINITE)
                losses = [np.nan]  # as scikit-learn's epochs go on, to end with the best parameters
                job.params[:] = np.nan
            end_epochs(estimator, losses, n)
            better = validation is not None and validate(estimator, job.spec, job.params, validation, best)
            count_improvements(estimator, losses, better)
            enough = call_back(estimator) or incremental
            if estimator._no_improvement_count >= patience:
                if _stops(estimator):
                    break
                estimator._no_improvement_count = 0
            if enough:
                break
            if estimator.n_iter_ == estimator.max_iter:
                warn_of_the_end(estimator)
    except KeyboardInterrupt:
        interrupted = True
        warnings.warn("Training interrupted by user.", stacklevel=2)
    if estimator.early_stopping:
        job.params[:] = best
    return interrupted


def _state_to_start_from(estimator: Perceptron, job: Job, incremental: bool) -> StochasticState:
    """Where the last ``partial_fit`` came to, if this is another one of such a job; otherwise a fresh start."""
    state = getattr(estimator, "_stochastic_state", None)
    if incremental and state is not None and state.suits(job):
        return state.writable()
    fresh = State.fresh(job.spec, job.update_rule, 0)
    rate, power = float(estimator.learning_rate_init), float(estimator.power_t)
    return StochasticState(job.update_rule, fresh, rate, estimator.learning_rate, power)


def clipped_batch_size(estimator: Perceptron, n: int) -> int:
    """The batch size, of at most all n rows; warns if it was given as more."""
    if estimator.solver != "rprop" and estimator.batch_size != "auto" and estimator.batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
        )
    return effective_batch_size(estimator.solver, estimator.batch_size, n)


def _rates(estimator: Perceptron, epochs: int, n: int) -> NDArray[np.float64]:
    """The learning rates of the epochs ahead; the solver keeps that of the next one after them."""
    state = estimator._stochastic_state
    if estimator.solver != "sgd" or state.schedule != "invscaling":
        return np.full(epochs, state.learning_rate)
    seen = estimator.t_ + n * np.arange(1, epochs + 1) + 1.0
    first: Any = state.rule.learning_rate
    rates = np.array([state.learning_rate, *(first / seen**state.power)])
    state.learning_rate = float(rates[-1])
    return rates[:-1]


def _stops(estimator: Perceptron) -> bool:
    """Whether training is over that no longer improves; an adaptive rate is reduced instead."""
    subject = "Validation score" if estimator.early_stopping else "Training loss"
    epochs = f"for {estimator.n_iter_no_change} consecutive epochs."
    message = f"{subject} did not improve more than tol={estimator.tol:f} {epochs}"
    if estimator.solver != "sgd" or estimator._stochastic_state.schedule != "adaptive":
        stop, consequence = True, "Stopping."
    elif estimator._stochastic_state.learning_rate <= 1e-6:
        stop, consequence = True, "Learning rate too small. Stopping."
    else:
        estimator._stochastic_state.learning_rate /= 5.0
        stop, consequence = False, f"Setting learning rate to {estimator._stochastic_state.learning_rate:f}"
    if estimator.verbose:
        print(message, consequence)
    return stop
