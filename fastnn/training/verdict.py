"""Whether a solver that finds no lower loss has converged, or is stuck where the parameters have no effect.

Where units are saturated or dead, or inputs are zero, the gradient is zero as it is at a minimum. The two are
distinguished by how far the parameters can move each output at all, whatever the loss.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job
from fastnn.jobs.missing import counted_weights
from fastnn.reference import activations, losses
from fastnn.reference.network import forward, predict
from fastnn.settings.solvers import is_bayesian
from fastnn.settings.spec import NetworkSpec

#: Samples that are looked at, at most.
SAMPLES = 1000

#: Roundings of an output, or of a target, that a loss at its minimum may be made of.
ROUNDINGS = 100

REMEDY = "standardise the data (fastnn.standardize) or start from smaller parameters"


def why_stalled(job: Job) -> str | None:
    """What keeps the loss where it is although it is at no minimum, to end a sentence with; None at a minimum."""
    spec, loss = job.spec, job.loss
    if loss.logits_of is not None:  # such an output never saturates: its derivative is o - y
        return None
    rows, weights = some_rows(job)
    of_target = slice(loss.n_targets(spec.n_out))  # the outputs that are compared with targets
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        missing = np.isnan(job.y[rows]) & loss.masked
        error = np.abs(np.where(missing, 0, predict(spec, job.params, job.X[rows])[:, of_target] - job.y[rows]))
        share = weights[:, np.newaxis] * error.astype(np.float64) ** 2
        if not np.isfinite(share).all() or _is_rounding(job, rows, weights, share):
            return None
        moves = reach(spec, job.params, job.X[rows])[:, :, of_target] * max(1.0, abs(job.params).max())
        fixed = (moves <= np.finfo(spec.dtype).eps * error) | missing
    trained = np.flatnonzero(np.logical_or.reduceat(~job.frozen, [layer.weights for layer in spec.layers]))
    if share[fixed[trained].all(axis=0)].sum() > share.sum() / 2:
        return f"no parameter changes most of the outputs, as units are saturated or inputs are zero; {REMEDY}"
    if job.l2 == 0 and not is_bayesian(job.optimizer):
        for l in trained:
            if fixed[l].all():
                return f"no parameter of layer {l} changes an output, as units are saturated or dead; {REMEDY}"
    return None


def some_rows(job: Job) -> tuple[NDArray[np.intp], NDArray]:
    """The samples that are looked at, and their weights."""
    weights = np.ones(len(job.X)) if job.sample_weight is None else job.sample_weight
    rows = np.flatnonzero(weights)
    rows = rows[:: -(-len(rows) // SAMPLES)]
    return rows, weights[rows]


def _is_rounding(job: Job, rows: NDArray[np.intp], weights: NDArray, share: NDArray) -> bool:
    """Whether rounding alone may leave squared errors of these sizes, each times its sample's weight."""
    return bool(share.sum() <= np.nansum(weights[:, np.newaxis] * _rounding(job, job.y[rows]) ** 2))


def _rounding(job: Job, y: NDArray) -> NDArray[np.float64]:
    """How far rounding alone may move an output; also by what is lost where its square underflows or overflows."""
    numbers, size = np.finfo(job.spec.dtype), abs(y.astype(np.float64))
    if not (abs(job.y) > 0).any():  # zeros, as of a constant that was standardised, are sums of numbers near 1
        size = size + 1.0
    return ROUNDINGS * (numbers.eps * size + np.sqrt(float(numbers.tiny)))


def reach(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
    """The largest ratio between the change of each output and that of a parameter, for each layer.

    Returns
    -------
    ndarray, shape (n_layers, n, n_out)
        The products of inputs, absolute weights and slopes on the way, by feeding forward.
    """
    Z, H = forward(spec, params, X)
    slopes = [abs(activations.DERIVATIVES[name](z, h)) for name, z, h in zip(spec.activations, Z, H[1:], strict=True)]
    weights = [abs(W) for W in spec.weights(params)]
    reached = np.empty((spec.n_layers, len(X), spec.n_out), spec.dtype)
    for l in range(spec.n_layers):
        inputs = np.maximum(abs(H[l]).max(axis=1, keepdims=True), float(spec.bias))
        moved = inputs * slopes[l]
        for W, slope in zip(weights[l + 1 :], slopes[l + 1 :], strict=True):
            moved = moved @ W * slope
        reached[l] = moved
    return reached


def rounding_loss(job: Job) -> float:
    """The loss that rounding alone may leave in a perfect fit."""
    if job.loss.metric == "accuracy":  # of classes that are certain; the loss of a probability 1 - p is p
        certain = np.full(len(job.y), ROUNDINGS * float(np.finfo(job.spec.dtype).eps))
        return _loss_of(job, certain, job.y, job.weights)
    if job.loss.logits_of is not None or job.loss.outputs_per_target > 1:  # it is not zero for a perfect fit
        return 0.0
    y = job.y.astype(np.float64)
    above, exact = (losses.of_rows(job.loss, o, y, job.loss_parameter) for o in (y + _rounding(job, y), y))
    values = above - exact
    values = np.where(np.isfinite(values), values, 0)  # of a loss of the user's that is not defined there
    return _loss_of(job, values, job.y, job.weights)


def size_of_loss(job: Job, params: NDArray) -> float:
    """The loss of some parameters if no row's loss was negative: a sum of both signs may be zero anywhere."""
    rows, weights = some_rows(job)
    y = job.y[rows]
    Z, H = forward(job.spec, params, job.X[rows])
    values = losses.of_rows(job.loss, Z[-1] if job.loss.logits_of else H[-1], y, job.loss_parameter)
    return _loss_of(job, abs(values), y, weights)


def _loss_of(job: Job, values: NDArray, y: NDArray, weights: NDArray) -> float:
    """What the loss makes of the values of some rows."""
    divisor = counted_weights(job.loss, y, weights).sum() if job.loss.mean else 1.0
    return float((weights * values).sum() / divisor)
