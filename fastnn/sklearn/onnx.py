"""ONNX by skl2onnx: alone, or as a step of a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.checks.extras import require
from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.convert import to_sklearn
from fastnn.sklearn.regressor import MLPRegressor


def register_skl2onnx() -> None:
    """Have skl2onnx convert `MLPClassifier` and `MLPRegressor`, as it does scikit-learn's own.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    A network that `to_sklearn` refuses, such as one of an activation that scikit-learn does not have, is refused by the
    conversion in the same words; `fastnn.MLP.to_onnx` writes every network.

    Examples
    --------
    >>> fastnn.sklearn.register_skl2onnx()
    >>> skl2onnx.to_onnx(make_pipeline(StandardScaler(), model), X[:1])
    """
    register = require("skl2onnx", extra="onnx").update_registered_converter
    shapes = require("skl2onnx.common.shape_calculator", extra="onnx")
    converters = require("skl2onnx.operator_converters.multilayer_perceptron", extra="onnx")
    register(
        MLPClassifier,
        "FastnnMLPClassifier",
        shapes.calculate_linear_classifier_output_shapes,
        _by_way_of_scikit_learn(converters.convert_sklearn_mlp_classifier),
        options={"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]},
    )
    register(
        MLPRegressor,
        "FastnnMLPRegressor",
        shapes.calculate_linear_regressor_output_shapes,
        _by_way_of_scikit_learn(converters.convert_sklearn_mlp_regressor),
    )


def _by_way_of_scikit_learn(convert: Callable) -> Callable:
    """A converter of scikit-learn's estimator, for the one that is made of it."""

    def convert_estimator(scope: Any, operator: Any, container: Any) -> None:
        operator.raw_operator = to_sklearn(operator.raw_operator)
        convert(scope, operator, container)

    return convert_estimator
