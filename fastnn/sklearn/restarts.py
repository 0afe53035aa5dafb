"""Several starts of one network, trained together by `fastnn.fit_many`, of which the best is kept."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from fastnn.ensembles.fit_many import fit_many
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.sklearn.bookkeeping import begin, count_improvements, end_epochs, warn_of_the_end
from fastnn.sklearn.conventions import (
    NON_FINITE,
    catalogue_loss,
    joined,
    loss_numbers,
    poisson_constant,
    update_rule_of,
)
from fastnn.sklearn.data import Data
from fastnn.sklearn.perceptron import Perceptron
from fastnn.sklearn.stochastic import clipped_batch_size


def goes_together(estimator: Perceptron, data: Data, validation: Data | None) -> bool:
    """Whether `fit_many` does what training one start after another would: whole batches, watched by their loss.

    Only there are scikit-learn's and fastnn's penalties the same, and the order of the rows does not count.
    """
    plain_rate = estimator.solver != "sgd" or estimator.learning_rate == "constant"
    watched = validation is not None or estimator.verbose or estimator.callbacks is not None
    return (
        estimator.solver not in ("lbfgs", "levenberg-marquardt")
        and plain_rate
        and not watched
        and not scipy.sparse.issparse(data.X)
        and clipped_batch_size(estimator, len(data.y)) == len(data.y)
        and (estimator.n_outputs_ == 1 or estimator.out_activation_ == "softmax")
        and estimator.tol > 0  # what is no improvement by 0 is one to scikit-learn
    )


def fit_together(estimator: Perceptron, starts: list[tuple[list[NDArray], list[NDArray]]], data: Data) -> bool:
    """Train every start, initial weights and biases, and keep the one whose last loss is least.

    Returns whether `fit_many` did: it refuses some numbers that scikit-learn takes, such as a momentum of 1 or a
    negative weight.
    """
    X, y, weight = data
    begin(estimator, *starts[0])
    spec, _ = estimator._network(X.dtype)
    params = np.stack([joined(*start, X.dtype) for start in starts])
    try:
        ensemble = fit_many(spec, X, y, params=params, **_arguments(estimator, data))
    except ValueError:  # training one after another takes such numbers, or says what is wrong
        return False
    if not len(ensemble):
        raise KeyboardInterrupt
    if len(ensemble) < len(starts):
        warnings.warn(
            f"interrupted: {len(ensemble)} of {len(starts)} starts are finished", RuntimeWarning, stacklevel=2
        )
    if (ensemble.stopped == "diverged").any():
        raise ValueError(NON_FINITE)
    best = int(ensemble.loss.argmin())
    kept = ensemble.params[best].copy()
    estimator.coefs_, estimator.intercepts_ = spec.weights(kept), spec.biases(kept)
    estimator.__dict__.pop("_stochastic_state", None)  # a further partial_fit begins its own
    losses = ensemble.records.history[best, : ensemble.records.epochs[best]]
    if estimator.loss == "poisson":
        losses = losses + np.average(poisson_constant(y), weights=weight)
    end_epochs(estimator, losses.tolist(), len(X))
    count_improvements(estimator, losses.tolist(), False)
    if ensemble.stopped[best] == "finished":
        warn_of_the_end(estimator)
    return True


def _arguments(estimator: Perceptron, data: Data) -> dict[str, Any]:
    """How `fit_many` trains networks as the estimator does, each for itself."""
    X, _, weight = data
    shares = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    loss, sample_weight = catalogue_loss(estimator.loss, estimator.out_activation_), None
    if estimator.loss == "squared_error":  # a sum whose weights make half the mean of it
        loss, sample_weight = "sse", (shares / (2 * shares.sum())).astype(X.dtype)
    elif weight is not None:
        sample_weight = shares.astype(X.dtype)
    stopping = None
    if estimator.n_iter_no_change < np.inf:
        patience = int(estimator.n_iter_no_change) + 1
        stopping = EarlyStopping(patience, float(estimator.tol), restore_best=False)
    return {
        "epochs": int(estimator.max_iter),
        "loss": loss,
        "optimizer": update_rule_of(estimator),
        "sample_weight": sample_weight,
        "l2": float(estimator.alpha) / float(shares.sum()),
        **loss_numbers(estimator),
        "early_stopping": stopping,
        "rng": 0,  # nothing is drawn from it
        "history": True,
        "threads": int(estimator.threads),
        "progress": False,
        "warn": False,
    }
