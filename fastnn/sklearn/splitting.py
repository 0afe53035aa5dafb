"""What is trained on and what validated on: as scikit-learn splits it, and as the kernels take it."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight

from fastnn.checks import counted
from fastnn.checks.data import split_data
from fastnn.sklearn.conventions import STOCHASTIC_SOLVERS
from fastnn.sklearn.data import Data, converted, dense
from fastnn.sklearn.perceptron import Perceptron

DENSE_BYTES = 2**30  # sparse samples that would take more are made dense batch by batch


def split(
    estimator: Perceptron, X: Any, y: NDArray, weight: NDArray | None, dtype: np.dtype, validation_data: Any
) -> tuple[Data, Data | None]:
    """The data as the kernels take them, for training and for validation."""
    of = ""
    if estimator.solver == "lbfgs":
        return _data(estimator, X, y, weight, np.dtype(estimator.dtype or np.float64)), None  # as scikit-learn's
    if validation_data is not None:
        of = " of validation_data"
        X_val, y_val, weight_val = split_data(validation_data, "validation_data must be")
        seen = copy(estimator)  # to be checked against, as in a later call of partial_fit
        seen.warm_start = False
        X_val, y_val = seen._validate_input(X_val, y_val, True, reset=False)
        weight_val = None if weight_val is None else _check_sample_weight(weight_val, X_val)
        y_val = estimator._targets(y_val)
        if y_val.shape[1] != y.shape[1]:
            raise ValueError(
                f"validation_data must have {counted(y.shape[1], 'target')} for each sample, as y has; "
                f"got {y_val.shape[1]}"
            )
        by_score = estimator.early_stopping and estimator.solver in STOCHASTIC_SOLVERS
        if by_score and len(y_val) < 2 and not is_classifier(estimator):
            raise ValueError(
                "validation_data must have at least two samples for early_stopping, as one has no R2; got 1"
            )
    elif estimator.early_stopping:
        stratify = y if is_classifier(estimator) and estimator.n_outputs_ == 1 else None
        arrays = (X, y) if weight is None else (X, y, weight)
        parts = train_test_split(
            *arrays, random_state=estimator._random_state, test_size=estimator.validation_fraction, stratify=stratify
        )
        X, X_val, y, y_val = parts[:4]
        weight, weight_val = parts[4:] or (None, None)
        if X_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
    else:
        return _data(estimator, X, y, weight, dtype), None
    if weight_val is not None and not weight_val.sum() > 0:
        raise ValueError(f"sample_weight must have a sum above 0 on the validation set; got {weight_val.sum()}")
    return _data(estimator, X, y, weight, dtype), _data(estimator, X_val, y_val, weight_val, dtype, of)


def _data(estimator: Perceptron, X: Any, y: NDArray, weight: NDArray | None, dtype: np.dtype, of: str = "") -> Data:
    """Samples, labels of classes (n,) or targets (n, n_out), and sample weights; `of` follows their names in errors."""
    labelled = estimator.out_activation_ == "softmax"
    y = y.argmax(axis=1) if labelled else converted(f"y{of}", y, dtype)
    too_large = X.shape[0] * X.shape[1] * dtype.itemsize > DENSE_BYTES
    if scipy.sparse.issparse(X) and too_large and estimator.solver in STOCHASTIC_SOLVERS:
        X = X.tocsr()
        return Data(X.__class__((converted(f"X{of}", X.data, dtype), X.indices, X.indptr), X.shape), y, weight)
    return Data(dense(X, dtype, f"X{of}"), y, weight)
