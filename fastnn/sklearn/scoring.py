"""An epoch's score on a validation set.

scikit-learn's own functions check so much that they take longer than a small network's epoch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from fastnn.settings.spec import NetworkSpec
from fastnn.sklearn.data import Data, outputs
from fastnn.sklearn.perceptron import Perceptron


def validate(estimator: Perceptron, spec: NetworkSpec, params: NDArray, validation: Data, best: NDArray) -> bool:
    """Score the network on the validation set: whether it improved; the best parameters are kept in `best`."""
    X, y, weight = validation
    output = outputs(spec, params, X)
    if not is_classifier(estimator):
        score = r2(output[:, : y.shape[1]], y, weight)
    elif len(estimator.classes_) == 1:  # which is predicted whatever the output is
        score = 1.0
    else:
        score = accuracy(output, y, weight)
    if estimator.validation_scores_ is None:
        estimator.validation_scores_ = []
    estimator.validation_scores_.append(score)
    if estimator.verbose:
        print(f"Validation score: {score:f}")
    last = -np.inf if estimator.best_validation_score_ is None else estimator.best_validation_score_
    if score > last:
        estimator.best_validation_score_ = score
        best[:] = params
    return not score < last + estimator.tol


def accuracy(output: NDArray, y: NDArray, weight: NDArray | None) -> float:
    """scikit-learn's accuracy of outputs on labels ``(n,)``, or indicators ``(n, n_out)``; NaN is the first class."""
    hits = output.argmax(axis=1) == y if y.ndim == 1 else ((output > 0.5) == y).all(axis=1)
    return float(np.average(hits, weights=weight))


def r2(output: NDArray, y: NDArray, weight: NDArray | None) -> float:
    """scikit-learn's R2, the mean over outputs; NaN without finite outputs, and of a single sample."""
    if len(y) < 2 or not np.isfinite(output).all():
        return np.nan
    output, y = output.astype(np.float64), y.astype(np.float64)  # whose squares float32 may not hold
    shares = np.ones((len(y), 1)) if weight is None else weight[:, np.newaxis]
    unexplained = (shares * (y - output) ** 2).sum(axis=0)
    total = (shares * (y - np.average(y, axis=0, weights=weight)) ** 2).sum(axis=0)
    constant = np.where(unexplained == 0, 1.0, 0.0)  # of an output whose targets are all the same
    return float(np.where(total == 0, constant, 1 - unexplained / np.where(total == 0, 1, total)).mean())
