"""The stochastic solvers: epochs until the loss, or the score on a validation set, no longer improves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron

from fastnn.jobs.job import Job, State
from fastnn.sklearn.conventions import accuracy, r2, rule_of
from fastnn.sklearn.run import NON_FINITE, Data, Epochs, Solver, outputs


class StochasticTraining(BaseMultilayerPerceptron):
    """The part of an estimator that runs epochs, with scikit-learn's accounts of them."""

    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: Any
    best_loss_: Any
    _no_improvement_count: int
    _solver: Solver

    @property
    def _optimizer(self) -> Solver:
        """Where scikit-learn's estimators keep their ``learning_rate``."""
        return self._solver

    def _fit_stochastically(self, data: Data, validation: Data | None, incremental: bool) -> None:
        """Epochs of batches until the loss, or the validation score, no longer improves."""
        n, dtype = len(data[1]), data[0].dtype
        rule = rule_of(self)
        batch_size = self._batch_size(n)
        # In one batch the order of the rows is seen by rounding alone, and by who draws on from the same generator.
        shuffle = bool(self.shuffle) and not (batch_size == n and isinstance(self.random_state, Integral))
        job = self._job(data, dtype, optimizer=rule, batch_size=batch_size, shuffle=shuffle)
        if not incremental or not hasattr(self, "_solver"):
            self._solver = Solver(rule, State.fresh(job.spec, rule, 0), float(self.learning_rate_init))
        best = job.params.copy()
        watched = self.verbose or validation is not None or self.callbacks is not None
        # No stop can come sooner than the counter of bad epochs allows: so many run in one call.
        patience = self.n_iter_no_change + 1
        epochs = Epochs(job, self._solver, self._random_state, 1 if watched or incremental else patience, self.threads)
        self.n_iter_ = 0
        try:
            while self.n_iter_ < self.max_iter:
                ahead = min(patience - self._no_improvement_count, epochs.most, self.max_iter - self.n_iter_)
                losses = epochs(self._rates(max(1, int(ahead)), n))
                if losses is None:
                    if not self.early_stopping:
                        raise ValueError(NON_FINITE)
                    losses = [np.nan]  # as scikit-learn's epochs go on, to end with the best parameters
                    job.params[:] = np.nan
                self._end_epochs(losses, n)
                better = validation is not None and self._validate(job, validation, best)
                self._count_improvements(losses, better)
                if self._no_improvement_count >= patience:
                    if self._stops():
                        break
                    self._no_improvement_count = 0
                if incremental or self._call_back():
                    break
                if self.n_iter_ == self.max_iter:
                    self._warn_of_the_end()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        if self.early_stopping:
            job.params[:] = best

    def _batch_size(self, n: int) -> int:
        if self.solver == "rprop":
            return n
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return int(min(self.batch_size, n))

    def _rates(self, epochs: int, n: int) -> NDArray[np.float64]:
        """The learning rates of the epochs ahead; the solver keeps that of the next one after them."""
        if self.solver != "sgd" or self.learning_rate != "invscaling":
            return np.full(epochs, self._solver.learning_rate)
        seen = self.t_ + n * np.arange(1, epochs + 1) + 1.0
        later = float(self.learning_rate_init) / seen**self.power_t
        rates = np.array([self._solver.learning_rate, *later])
        self._solver.learning_rate = float(rates[-1])
        return rates[:-1]

    def _end_epochs(self, losses: list[float], n: int) -> None:
        """Keep account of epochs; of one, where anybody looks at it."""
        self.n_iter_ += len(losses)
        self.t_ += n * len(losses)
        self.loss_ = losses[-1]
        self.loss_curve_ += losses
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")

    def _validate(self, job: Job, validation: Data, best: NDArray) -> bool:
        """Score the network on the validation set: whether it improved; the best parameters are kept in `best`."""
        X, y, weight = validation
        score = (accuracy if is_classifier(self) else r2)(outputs(job.spec, job.params, X), y, weight)
        if self.validation_scores_ is None:
            self.validation_scores_ = []
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        last = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
        if score > last:
            self.best_validation_score_ = score
            best[:] = job.params
        return not score < last + self.tol

    def _count_improvements(self, losses: list[float], better: bool) -> None:
        """Count the epochs since the score, or the loss, last improved by the tolerance."""
        count = self._no_improvement_count
        if self.early_stopping:
            self._no_improvement_count = 0 if better else count + 1
            return
        best, tol = self.best_loss_, self.tol
        for loss in losses:
            count = count + 1 if loss > best - tol else 0
            best = min(best, loss)
        self.best_loss_, self._no_improvement_count = best, count

    def _stops(self) -> bool:
        """Whether training is over that no longer improves; an adaptive rate is reduced instead."""
        subject = "Validation score" if self.early_stopping else "Training loss"
        epochs = f"for {self.n_iter_no_change} consecutive epochs."
        message = f"{subject} did not improve more than tol={self.tol:f} {epochs}"
        if self.solver != "sgd" or self.learning_rate != "adaptive":
            stop, consequence = True, "Stopping."
        elif self._solver.learning_rate <= 1e-6:
            stop, consequence = True, "Learning rate too small. Stopping."
        else:
            self._solver.learning_rate /= 5.0
            stop, consequence = False, f"Setting learning rate to {self._solver.learning_rate:f}"
        if self.verbose:
            print(message, consequence)
        return stop

    def _warn_of_the_end(self) -> None:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
            "reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=3,
        )

    def _call_back(self) -> bool:
        """Call what is called after every epoch; whether one of them asks to stop."""
        callbacks: list[Callable] = [self.callbacks] if callable(self.callbacks) else list(self.callbacks or ())
        return sum(bool(callback(self)) for callback in callbacks) > 0  # all of them are called
