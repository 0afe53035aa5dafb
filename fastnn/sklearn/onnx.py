"""ONNX by skl2onnx: alone, or as a step of a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from sklearn.utils.validation import check_is_fitted

from fastnn.checks import counted
from fastnn.checks.extras import require
from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.convert import to_sklearn
from fastnn.sklearn.regressor import MLPRegressor

#: The type of a shape, in ONNX.
_INT64 = 7


def register_skl2onnx() -> None:
    """Have skl2onnx convert `MLPClassifier` and `MLPRegressor`, as it does scikit-learn's own.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    A network that `to_sklearn` refuses, such as one of an activation that scikit-learn does not have, is refused by the
    conversion in the same words; so are the loss ``poisson``, a single class, two labels and classes beyond 32 bits,
    which skl2onnx does not write. `fastnn.MLP.to_onnx` writes every network without an activation of your own.

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
        model = operator.raw_operator = to_sklearn(operator.raw_operator)
        check_is_fitted(model)
        if hasattr(model, "classes_"):
            _check_classes(model)
        elif model.out_activation_ != "identity":
            raise ValueError(f"model must have a loss whose outputs skl2onnx has; got {model.loss!r}")
        elif model.n_outputs_ > 1:  # which it writes as one column, row after row
            column = scope.get_unique_variable_name("column")
            shape = scope.get_unique_variable_name("shape")
            rows = SimpleNamespace(raw_operator=model, inputs=operator.inputs, output_full_names=[column])
            convert(scope, rows, container)
            container.add_initializer(shape, _INT64, [2], [-1, model.n_outputs_])
            container.add_node("Reshape", [column, shape], operator.output_full_names, name=f"{column}s")
            return
        convert(scope, operator, container)

    return convert_estimator


def _check_classes(model: Any) -> None:
    """Refuse classes of which skl2onnx makes others: it has 32 bits for each, and an output for one of two."""
    classes, labels = model.classes_, model._label_binarizer.y_type_ == "multilabel-indicator"
    if classes.dtype.kind in "iuf" and not (classes.min() >= -(2**31) and classes.max() < 2**31):
        got = f"{classes.min()} to {classes.max()}"
        raise ValueError(f"model must have classes that are integers of 32 bits, as skl2onnx writes them; got {got}")
    if len(classes) == 1 or (labels and len(classes) == 2):
        got = counted(len(classes), "label" if labels else "class")
        raise ValueError(f"model must have two classes or more, or three labels, for skl2onnx to write them; got {got}")
