"""What every call of ``fit`` and ``partial_fit`` does: check, draw initial weights, split, hand over to a solver."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from fastnn.checks import check_memory, counted
from fastnn.sklearn.attributes import unchanged_on_error
from fastnn.sklearn.bookkeeping import begin, check_callbacks, go_on, merit
from fastnn.sklearn.conventions import (
    NON_FINITE,
    activations_of,
    hidden_sizes,
    initial_weights,
    spec_of,
)
from fastnn.sklearn.data import Data
from fastnn.sklearn.perceptron import Perceptron
from fastnn.sklearn.restarts import fit_together, goes_together
from fastnn.sklearn.splitting import split
from fastnn.sklearn.stochastic import fit_stochastically
from fastnn.sklearn.whole_batch import fit_by_lbfgs, fit_by_levenberg_marquardt


def fit_estimator(
    estimator: Perceptron,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    incremental: bool = False,
    validation_data: Any = None,
) -> Perceptron:
    """Train an estimator from initial weights, or on from those it has: with `warm_start`, and `incremental` always."""
    with unchanged_on_error(estimator):
        starts, data, validation = _prepared(estimator, X, y, sample_weight, incremental, validation_data)
        estimator._learned_loss = estimator.loss
        estimator._learned_min_variance = getattr(estimator, "min_variance", None)
        several = len(starts) > 1 and goes_together(estimator, data, validation)
        together = several and fit_together(estimator, starts, data)
    if not together:
        _fit_in_turn(estimator, starts, data, validation, incremental)
    return estimator


def _prepared(
    estimator: Perceptron, X: Any, y: Any, sample_weight: Any, incremental: bool, validation_data: Any
) -> tuple[list[Any], Data, Data | None]:
    """Initial weights of each start, none to train on; the data, and the validation set, None without one."""
    if estimator.solver == "levenberg-marquardt" and estimator.loss != "squared_error":
        raise ValueError(f"loss must be 'squared_error' with solver='levenberg-marquardt'; got {estimator.loss!r}")
    check_callbacks(estimator.callbacks)
    hidden = hidden_sizes(estimator.hidden_layer_sizes)
    first_pass = not hasattr(estimator, "coefs_") or (not estimator.warm_start and not incremental)
    X, y = estimator._validate_input(X, y, incremental, reset=first_pass)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, X)
        with np.errstate(over="ignore"):  # which is refused where the network is known
            total = sample_weight.sum()
        if not total > 0:
            raise ValueError(f"sample_weight must have a sum above 0; got {total}")
    sample_weight = estimator._weigh_classes(y, sample_weight, incremental)
    y = estimator._targets(y)
    n_outputs = estimator._outputs_per_target() * y.shape[1]
    if not first_pass:
        _check_same_network(estimator, hidden, y.shape[1], n_outputs)
    estimator.n_outputs_ = n_outputs
    estimator._random_state = check_random_state(estimator.random_state)
    if estimator.early_stopping and incremental and estimator.solver != "lbfgs":  # which heeds no early stopping
        raise ValueError("partial_fit does not support early_stopping=True")

    known = X.dtype if first_pass else estimator.coefs_[0].dtype  # what is trained on keeps its own
    dtype = np.dtype(known if estimator.dtype is None else estimator.dtype)
    sizes = [X.shape[1], *hidden, estimator.n_outputs_]
    starts: list[Any] = []
    if first_pass:
        estimator.n_layers_, estimator.out_activation_ = len(sizes), estimator._output_activation()
        count = 1 if incremental else int(estimator.n_restarts)
        parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
        check_memory("the parameters of hidden_layer_sizes", parameters, dtype.itemsize)
        check_memory("n_restarts", count, parameters * dtype.itemsize)
        starts = [initial_weights(sizes, estimator.activation, estimator._random_state, dtype) for _ in range(count)]
    # after the weights, as scikit-learn draws them
    data, validation = split(estimator, X, y, sample_weight, dtype, validation_data)
    activations = activations_of(estimator.activation, len(hidden))
    spec = spec_of(sizes, activations, estimator.out_activation_, data.X.dtype)
    return starts, estimator._checked(data, spec), validation


def _check_same_network(estimator: Perceptron, hidden: list[int], n_targets: int, n_outputs: int) -> None:
    """Refuse to train on a network that the settings and the targets do not describe any more."""
    *known, known_outputs = (len(b) for b in estimator.intercepts_)
    if hidden != known:
        raise ValueError(f"hidden_layer_sizes must be {known}, as in the network that is trained further; got {hidden}")
    if n_outputs != known_outputs:
        raise ValueError(
            f"y must go with the {counted(known_outputs, 'output')} of the network that is trained further; "
            f"got {counted(n_targets, 'target')}, for {counted(n_outputs, 'output')} with loss={estimator.loss!r}"
        )
    if estimator._output_activation() != estimator.out_activation_:
        raise ValueError(
            f"loss must go with outputs of the activation {estimator.out_activation_!r}, as in the network that is "
            f"trained further; got {estimator.loss!r}"
        )


def _fit_in_turn(
    estimator: Perceptron, starts: list[Any], data: Data, validation: Data | None, incremental: bool
) -> None:
    """Train from each start until Ctrl-C, and keep the best; without any, train on from the weights there are."""
    best: tuple[float, dict[str, Any]] | None = None
    for start in starts or [None]:
        if start is None:
            go_on(estimator)
        else:
            begin(estimator, *start)
        match estimator.solver:
            case "lbfgs":
                fit_by_lbfgs(estimator, data)
                interrupted = False
            case "levenberg-marquardt":
                interrupted = fit_by_levenberg_marquardt(estimator, data, validation)
            case _:
                interrupted = fit_stochastically(estimator, data, validation, incremental)
        if not all(np.isfinite(part).all() for part in (*estimator.coefs_, *estimator.intercepts_)):
            raise ValueError(NON_FINITE)
        if best is None or merit(estimator) > best[0]:
            best = merit(estimator), dict(vars(estimator))
        if interrupted:
            break
    assert best is not None
    estimator.__dict__.update(best[1])
