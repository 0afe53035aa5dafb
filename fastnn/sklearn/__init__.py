"""Estimators for scikit-learn: its own multi-layer perceptrons, trained by fastnn's kernels (extra ``sklearn``).

`MLPClassifier` and `MLPRegressor` stand in for scikit-learn's: change the import, and keep the rest. `from_sklearn`
and `to_sklearn` take a model across; `register_skl2onnx` has skl2onnx convert it. `MLPEnsembleClassifier` and
`MLPEnsembleRegressor` average many networks.

- `classifier`, `regressor`: the estimators; `perceptron` and `targets` are what they share, `ensembles` those of many.
- `fitting`: a call of ``fit``; `splitting` and `data`: what is trained on; `restarts`: several starts together.
- `stochastic`: epochs of batches, run by `epochs`; `whole_batch`: L-BFGS and Levenberg-Marquardt.
- `attributes`, `bookkeeping`, `scoring`: what an estimator keeps of itself, of its training, and its scores.
- `conventions`: scikit-learn's names and rules in our terms; `convert`, `onnx`: estimators from here to elsewhere.
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
