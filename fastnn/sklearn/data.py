"""An estimator's samples, targets and weights as the kernels take them, and a network's outputs on samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from fastnn.checks.arrays import as_floats
from fastnn.settings.spec import NetworkSpec
from fastnn.training.twins import twin

_SPARSE_ROWS = 1024  # made dense at a time to predict


class Data(NamedTuple):
    """Samples, their targets as the kernels take them, and their weights."""

    X: Any
    y: NDArray
    weight: NDArray | None


def converted(argument: str, values: NDArray, dtype: np.dtype) -> NDArray:
    """Numbers in the dtype and in C order; raises ValueError if one is beyond it."""
    return np.ascontiguousarray(
        values if values.dtype == dtype else as_floats(argument, values, dtype, str(values.shape))
    )


def dense(X: Any, dtype: np.dtype, argument: str = "X") -> NDArray:
    """Samples as the kernels take them: dense and in C order; raises ValueError if a number is beyond the dtype."""
    return converted(argument, X.toarray() if scipy.sparse.issparse(X) else X, dtype)


def outputs(spec: NetworkSpec, params: NDArray, X: Any) -> NDArray:
    """The network's outputs, (n, n_out), on dense or sparse samples."""
    predict, dtype = twin("numba", "network").predict, np.dtype(spec.dtype)
    if not scipy.sparse.issparse(X):
        return predict(spec, params, dense(X, dtype))
    X = X.tocsr()
    starts = range(0, X.shape[0], _SPARSE_ROWS)
    return np.concatenate([predict(spec, params, dense(X[i : i + _SPARSE_ROWS], dtype)) for i in starts])
