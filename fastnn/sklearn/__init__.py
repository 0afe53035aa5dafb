"""Estimators for scikit-learn: its own multi-layer perceptrons, trained by fastnn's kernels (extra ``sklearn``).

`MLPClassifier` and `MLPRegressor` stand in for scikit-learn's: change the import, and keep the rest. `from_sklearn`
and `to_sklearn` take a model across; `register_skl2onnx` has skl2onnx convert it. `MLPEnsembleClassifier` and
`MLPEnsembleRegressor` average many networks.
"""

from __future__ import annotations

from fastnn.checks.extras import require

_installed = require("sklearn", extra="sklearn").__version__
if tuple(map(int, _installed.split(".")[:2])) < (1, 9):
    raise ImportError(
        f"fastnn.sklearn needs scikit-learn 1.9, and {_installed} is installed; "
        'pip install --upgrade "fastnn-jit[sklearn]" installs it'
    )

from fastnn.sklearn.classifier import MLPClassifier  # noqa: E402 - after require()
from fastnn.sklearn.convert import from_sklearn, to_sklearn  # noqa: E402 - after require()
from fastnn.sklearn.ensembles import MLPEnsembleClassifier, MLPEnsembleRegressor  # noqa: E402 - after require()
from fastnn.sklearn.onnx import register_skl2onnx  # noqa: E402 - after require()
from fastnn.sklearn.regressor import MLPRegressor  # noqa: E402 - after require()

__all__ = [
    "MLPClassifier",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPRegressor",
    "from_sklearn",
    "register_skl2onnx",
    "to_sklearn",
]
