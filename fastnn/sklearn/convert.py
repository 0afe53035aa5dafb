"""Convert fitted models from scikit-learn's class to fastnn's, and back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import sklearn.neural_network as theirs

from fastnn.checks import describe
from fastnn.settings.own import Activation, Loss
from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.conventions import activations_of
from fastnn.sklearn.regressor import MLPRegressor

_OURS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}

_THEIRS = ("identity", "logistic", "relu", "tanh")

#: scikit-learn's names of fastnn's activations.
_ACTIVATIONS: dict[Any, str] = dict(zip(_THEIRS, _THEIRS, strict=True)) | {"sigmoid": "logistic"}


def from_sklearn(model: Any) -> Any:
    """Make fastnn's estimator from scikit-learn's, with the same parameters and, if it is fitted, the same predictions.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor
        The estimator, which is copied.

    Returns
    -------
    MLPClassifier or MLPRegressor
        A further ``partial_fit`` starts its solver afresh.

    Raises
    ------
    TypeError
        If it is of another class.
    """
    name = type(model).__name__
    if type(model) not in (theirs.MLPClassifier, theirs.MLPRegressor):
        raise TypeError(f"model must be an MLPClassifier or MLPRegressor of scikit-learn; got {describe(model)}")
    return _moved(model, _OURS[name](**model.get_params()))


def to_sklearn(model: Any) -> Any:
    """Make scikit-learn's estimator from fastnn's, with the same predictions.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        The estimator, which is copied.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor
        Its solver and loss are scikit-learn's defaults if it lacks the model's. A further ``partial_fit`` starts its
        solver afresh.

    Raises
    ------
    TypeError
        If it is of another class.
    ValueError
        If the network has activations that scikit-learn lacks, or different ones in its hidden layers, or variances
        among its outputs.
    """
    name = type(model).__name__
    if type(model) not in _OURS.values():
        raise TypeError(f"model must be an MLPClassifier or MLPRegressor of fastnn; got {describe(model)}")
    given = model.activation
    names = {given} if isinstance(given, (str, Activation)) else set(activations_of(given, len(given)))
    names = {_ACTIVATIONS.get(activation, "") for activation in names}
    if len(names) > 1 or "" in names:
        raise ValueError(
            "model must have one activation in all hidden layers, identity, logistic, relu or tanh, "
            f"as scikit-learn's have; got {given!r}"
        )
    loss = vars(model).get("_learned_loss", model.loss)
    if isinstance(loss, Loss) or loss in ("ascending_pinball", "gaussian_nll"):
        raise ValueError(f"model must have a loss whose predictions scikit-learn can make; got {loss!r}")
    target = getattr(theirs, name)()
    params = {key: value for key, value in model.get_params().items() if key in target.get_params()}
    params["activation"] = names.pop() if names else "identity"
    if params["solver"] not in ("adam", "lbfgs", "sgd"):
        del params["solver"]
    if params.get("loss") not in ("poisson", "squared_error"):
        params.pop("loss", None)
    moved = _moved(model, target.set_params(**params))
    if getattr(moved, "best_validation_score_", None) is not None:  # where a warm start does no better, it goes back
        moved._best_coefs, moved._best_intercepts = deepcopy((moved.coefs_, moved.intercepts_))
    return moved


def _moved(model: Any, target: Any) -> Any:
    """The target, with the fitted attributes of the model."""
    settings = {
        *model.get_params(),
        *target.get_params(),
        "loss",
        "_learned_loss",
        "_learned_min_variance",
        "_stochastic_state",
        "_optimizer",
        "_best_coefs",
        "_best_intercepts",
    }
    fitted = {key: value for key, value in vars(model).items() if key not in settings}
    vars(target).update(deepcopy(fitted))
    return target
