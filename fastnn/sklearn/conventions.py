"""scikit-learn's names and conventions in fastnn's terms: networks, initial weights, losses, update rules."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from fastnn.checks import check_hidden_activation, check_loss_row, check_name, counted, describe, is_iterable
from fastnn.jobs.job import LossConvention
from fastnn.settings import catalogue
from fastnn.settings.optimizers import AdamHat, AdamW, Optimizer, RMSprop, Rprop, VelocitySGD
from fastnn.settings.own import Activation, Loss
from fastnn.settings.spec import NetworkSpec

STOCHASTIC_SOLVERS = ("sgd", "adam", "adamw", "rmsprop", "rprop")
HIDDEN_ACTIVATIONS = ("logistic", *(row.name for row in catalogue.ACTIVATIONS.values() if row.hidden))
_OUTPUTS = {"logistic": "sigmoid"}  # scikit-learn's name: fastnn's

#: Of each loss: its name in the catalogue, and what makes the sum over outputs scikit-learn's.
_LOSSES = {
    "squared_error": ("mse", 2.0),
    "absolute_error": ("mae", 1.0),
    "huber": ("huber", 1.0),
    "poisson": ("poisson", 1.0),
    **{name: (name, 1.0) for name in ("pinball", "ascending_pinball", "expectile", "gaussian_nll")},
}
REGRESSION_LOSSES = tuple(_LOSSES)

#: What scikit-learn says where training diverged.
NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


def hidden_sizes(sizes: Any) -> list[int]:
    """The width of each hidden layer, from one number or several.

    Raises
    ------
    ValueError
        If one is not a whole number above 0.
    """
    widths = list(sizes) if is_iterable(sizes) else [sizes]
    if not all(isinstance(width, Integral) for width in widths):
        raise ValueError(f"hidden_layer_sizes must be whole numbers > 0, got {describe(widths)}")
    if any(width <= 0 for width in widths):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {widths}.")  # as scikit-learn says it
    return [int(width) for width in widths]


def activations_of(activation: Any, hidden: int) -> tuple[str, ...]:
    """The name of each hidden layer's activation, from one for all or one for each, a name or a user's own.

    Raises
    ------
    ValueError
        If a name is unknown, or there is another number of them than of hidden layers.
    """
    names = (activation,) * hidden if isinstance(activation, (str, Activation)) else tuple(activation)
    if len(names) != hidden:
        raise ValueError(
            f"activation must be a name, or one for each of {counted(hidden, 'hidden layer')}; "
            f"got {describe(activation)}"
        )
    return tuple(
        check_hidden_activation(name)
        if isinstance(name, Activation)
        else check_name("activation", name, HIDDEN_ACTIVATIONS)
        for name in names
    )


def spec_of(sizes: Iterable[int], activations: Iterable[str], output: str, dtype: np.dtype) -> NetworkSpec:
    """The network with these sizes and activations, by scikit-learn's names or ours."""
    names = tuple(_OUTPUTS.get(name, name) for name in (*activations, output))
    return NetworkSpec(tuple(int(size) for size in sizes), names, dtype=np.dtype(dtype).name)


def initial_weights(
    sizes: list[int], activation: Any, rng: np.random.RandomState, dtype: np.dtype
) -> tuple[list[NDArray], list[NDArray]]:
    """Weights and biases as scikit-learn draws them: Glorot's uniform bound, less for a logistic activation.

    The output layer's bound goes by the last hidden activation, as where one activation serves all layers; without
    hidden layers by the one that they would have.
    """
    coefs, intercepts = [], []
    names = activations_of(activation, len(sizes) - 2) or (activation,)
    names = (*names, names[-1])[: len(sizes) - 1]
    for (n_in, n_out), name in zip(pairwise(sizes), names, strict=True):
        bound = np.sqrt((2.0 if name in ("logistic", "sigmoid") else 6.0) / (n_in + n_out))
        coefs.append(rng.uniform(-bound, bound, (n_in, n_out)).astype(dtype, copy=False))
        intercepts.append(rng.uniform(-bound, bound, n_out).astype(dtype, copy=False))
    return coefs, intercepts


def joined(coefs: list[NDArray], intercepts: list[NDArray], dtype: np.dtype) -> NDArray:
    """Weights and biases in one new vector, as a spec lays them out."""
    parts = [part.ravel() for pair in zip(coefs, intercepts, strict=True) for part in pair]
    return np.concatenate(parts, dtype=dtype, casting="same_kind")


def catalogue_loss(name: str | Loss, output: str) -> str | Loss:
    """Fastnn's name of an estimator's loss, on outputs of this activation; or a user's own."""
    if isinstance(name, Loss):
        return name
    if name == "log_loss":
        return "cross_entropy" if output == "softmax" else "binary_cross_entropy"
    return _LOSSES[name][0]


def loss_row(name: str | Loss) -> catalogue.Loss:
    """The row of an estimator's loss for regression; raises as `check_loss_row`."""
    return check_loss_row(catalogue_loss(name, "identity"))


def output_of(name: str | Loss) -> str:
    """The output activation that goes with an estimator's loss for regression."""
    return loss_row(name).default_output


def loss_numbers(estimator: Any) -> dict[str, Any]:
    """The numbers that losses take, by the names of `fastnn.MLP.fit`, as far as the estimator has them."""
    return {row.name: getattr(estimator, row.name, row.default) for row in catalogue.PARAMETERS}


def effective_batch_size(solver: str, batch_size: Any, n: int) -> int:
    """Samples in a batch of at most all n, by scikit-learn's rule; Rprop takes all."""
    if solver == "rprop":
        return n
    return min(200 if batch_size == "auto" else int(batch_size), n)


def loss_and_convention(name: str | Loss, spec: NetworkSpec) -> tuple[catalogue.Loss, LossConvention]:
    """The row of an estimator's loss, and how scikit-learn counts it.

    It descends half the squared error summed over the outputs, and writes down half their mean.
    """
    row = check_loss_row(catalogue_loss(name, spec.output_activation))
    if isinstance(name, Loss) or name == "log_loss":
        return row, LossConvention()
    reported = 1.0 / spec.n_out if name == "squared_error" else 1.0
    return row, LossConvention(_LOSSES[name][1], reported)


def poisson_constant(y: NDArray) -> NDArray[np.float64]:
    """What makes of each row's Poisson loss half its deviance: ``sum_j y_j log(y_j) - y_j``."""
    y = y.astype(np.float64, copy=False)
    return (xlogy(y, y) - y).sum(axis=1)


def update_rule_of(estimator: Any) -> Optimizer:
    """The update rule of an estimator's solver and settings."""
    rate, betas = float(estimator.learning_rate_init), (float(estimator.beta_1), float(estimator.beta_2))
    match estimator.solver:
        case "sgd":
            momentum = float(estimator.momentum)
            return VelocitySGD(rate, momentum, bool(estimator.nesterovs_momentum) and momentum > 0)
        case "adam":
            return AdamHat(rate, *betas, float(estimator.epsilon))
        case "adamw":
            return AdamW(rate, *betas, float(estimator.epsilon), float(estimator.weight_decay))
        case "rmsprop":
            return RMSprop(rate, float(estimator.decay), float(estimator.epsilon))
        case "rprop":
            return Rprop(rate)
    raise ValueError(f"solver must be one of {', '.join(STOCHASTIC_SOLVERS)} here; got {estimator.solver!r}")
