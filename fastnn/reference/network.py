"""A multi-layer perceptron: feedforward, the loss and its gradient by backpropagation, the Jacobian.

Layer l takes the activations ``H[l]`` to the pre-activations ``Z[l] = H[l] W[l] + b[l]`` and on to the activations
``H[l + 1] = f(Z[l])``; ``H[0]`` is the input X and the last H the output. Backpropagation is the chain rule from
the last layer to the first, carrying D, the derivative of the loss with respect to ``Z[l]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job
from fastnn.jobs.missing import counted_weights
from fastnn.reference import activations, dense, losses
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec


def forward(
    spec: NetworkSpec, params: NDArray, X: NDArray, factors: list[NDArray] | None = None
) -> tuple[list[NDArray], list[NDArray]]:
    """Feed samples forward, and keep the intermediate results of every layer.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    params : ndarray, shape (n_params,)
        Its parameters.
    X : ndarray, shape (n, n_in)
        The samples, of the dtype of `params`.
    factors : list of ndarray, optional
        Factors of each hidden layer's activations, for dropout.

    Returns
    -------
    Z : list of ndarray
        Each layer's pre-activations, ``(n, n_out)`` of the layer.
    H : list of ndarray
        The activations: X, then each layer's, ``(n, n_out)`` of the layer.
    """
    biases = spec.biases(params) if spec.bias else [None] * spec.n_layers
    Z: list[NDArray] = []
    H = [X]
    for W, b, activation in zip(spec.weights(params), biases, spec.activations, strict=True):
        Z.append(dense.forward(H[-1], W, b))
        H.append(activations.FUNCTIONS[activation](Z[-1]))
        if factors is not None and len(Z) < spec.n_layers:
            H[-1] = H[-1] * factors[len(Z) - 1]
    return Z, H


def predict(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
    """The network's outputs.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    params : ndarray, shape (n_params,)
        Its parameters.
    X : ndarray, shape (n, n_in)
        The samples, of the dtype of `params`.

    Returns
    -------
    ndarray, shape (n, n_out)
        The outputs, of the same dtype.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # infinity in, infinity or NaN out
        return forward(spec, params, X)[1][-1]


def predict_each(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
    """The outputs of several networks, shape (K, n, n_out), for parameters of shape (K, n_params)."""
    outputs = np.empty((len(params), len(X), spec.n_out), spec.dtype)
    for k, params_of_one in enumerate(params):
        outputs[k] = predict(spec, params_of_one, X)
    return outputs


@np.errstate(under="ignore")  # as compiled code does
def loss_and_grad(
    spec: NetworkSpec,
    params: NDArray,
    X: NDArray,
    y: NDArray,
    loss: catalogue.Loss,
    *,
    sample_weight: NDArray | None = None,
    l2: float = 0.0,
    loss_parameter: NDArray | float | None = None,
    factors: list[NDArray] | None = None,
    out: NDArray | None = None,
) -> tuple[float, NDArray]:
    """The loss of a batch, and its gradient by backpropagation.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    params : ndarray, shape (n_params,)
        Its parameters.
    X : ndarray, shape (n, n_in)
        The samples; like all arrays of floats here, of the dtype of `params`.
    y : ndarray, shape (n, n_targets), or (n,) of intp
        The targets, or class labels for a loss that takes them.
    loss : catalogue.Loss
        The loss, which suits the network's output, such as ``fastnn.catalogue.LOSSES["sse"]``.
    sample_weight : ndarray, shape (n,), optional
        Weight of each sample, at least 0; by default 1. A mean loss is divided by their sum; if that is 0, the samples
        contribute nothing.
    l2 : float
        ``l2 / 2`` times the sum of squared weights, without the biases, is added to the loss.
    loss_parameter : float or ndarray, shape (n_targets,), optional
        The loss's parameter (`catalogue.Loss.parameter`), for each target; a loss without one ignores it.
    factors : list of ndarray, optional
        Factors of each hidden layer's activations, for dropout; ``(n, n_out)`` of the layer.
    out : ndarray, shape (n_params,), optional
        Receives the gradient.

    Returns
    -------
    loss : float
        The loss.
    gradient : ndarray, shape (n_params,)
        Its derivative with respect to `params`; `out`, if it was given.
    """
    gradient = np.empty_like(params) if out is None else out
    Z, H = forward(spec, params, X, factors)

    output = Z[-1] if loss.logits_of else H[-1]
    row_weights = _row_weights(loss, X, y, sample_weight)
    value = row_weights @ losses.of_rows(loss, output, y, loss_parameter)
    D = row_weights[:, np.newaxis] * losses.derivative(loss, output, y, loss_parameter)
    if not loss.logits_of:
        D = D * activations.DERIVATIVES[spec.output_activation](Z[-1], H[-1])

    weights, grad_weights, grad_biases = spec.weights(params), spec.weights(gradient), spec.biases(gradient)
    for i in reversed(range(spec.n_layers)):
        dense.grad_weights(H[i], D, out=grad_weights[i])
        if spec.bias:
            dense.grad_biases(D, out=grad_biases[i])
        if l2:
            value = value + l2 / 2 * (weights[i] ** 2).sum()
            grad_weights[i] += l2 * weights[i]
        if i > 0:
            h, name = H[i], spec.activations[i - 1]
            D = dense.grad_input(D, weights[i])
            if factors is not None:
                h = activations.FUNCTIONS[name](Z[i - 1])  # before dropout
                D = D * factors[i - 1]
            D = D * activations.DERIVATIVES[name](Z[i - 1], h)
    return value.item(), gradient


def _row_weights(loss: catalogue.Loss, rows: NDArray, y: NDArray, sample_weight: NDArray | None) -> NDArray:
    """The factor of each row's loss in the batch's loss, shape (n,), of the dtype of the rows."""
    weights = np.ones(len(rows), rows.dtype) if sample_weight is None else sample_weight
    total = counted_weights(loss, y, weights).sum()
    return weights / total if loss.mean and total > 0 else weights


def loss_of_outputs(
    loss: catalogue.Loss,
    z: NDArray,
    h: NDArray,
    y: NDArray,
    sample_weight: NDArray | None,
    loss_parameter: NDArray | float | None,
) -> float:
    """The loss of a batch, summed in float64, from its last pre-activations z and its outputs h, each (n, n_out)."""
    rows = losses.of_rows(loss, z if loss.logits_of else h, y, loss_parameter)
    return float(_row_weights(loss, h, y, sample_weight).astype(np.float64) @ rows)


def evaluate(job: Job) -> tuple[float, float]:
    """The loss, without the l2 penalty, and the metric of a job's network on its validation set."""
    monitor = job.monitor
    assert monitor is not None
    Z, H = forward(job.spec, job.params, monitor.X)
    loss = loss_of_outputs(job.loss, Z[-1], H[-1], monitor.y, monitor.sample_weight, job.loss_parameter)
    return loss, monitor.judge(H[-1], job.loss)


def jacobian(spec: NetworkSpec, params: NDArray, x: NDArray) -> NDArray:
    """The derivative of every output with respect to every input, at one sample.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    params : ndarray, shape (n_params,)
        Its parameters.
    x : ndarray, shape (n_in,)
        The sample, of the dtype of `params`.

    Returns
    -------
    ndarray, shape (n_out, n_in)
        Carried from layer to layer by the chain rule, ``J <- f'(z) * (W^T J)``, from the identity.
    """
    Z, H = forward(spec, params, x[np.newaxis])
    J = np.eye(spec.n_in, dtype=x.dtype)
    for W, activation, z, h in zip(spec.weights(params), spec.activations, Z, H[1:], strict=True):
        J = W.T @ J
        if activation == "softmax":  # the derivative of h_i with respect to z_j is h_i (delta_ij - h_j)
            slope, J = h, J - h @ J
        elif activation == "ascending":  # of the increments, which are summed below
            slope = np.concatenate([np.ones_like(z[:, :1]), activations.sigmoid(z[:, 1:])], axis=1)
        else:
            slope = activations.DERIVATIVES[activation](z, h)
        J = slope.T * J
        if activation == "ascending":
            J = J.cumsum(axis=0)
    return J
