"""The normal equations of a least-squares fit, from the residuals' Jacobian with respect to the parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job
from fastnn.reference import activations, losses
from fastnn.reference.network import forward
from fastnn.settings.spec import NetworkSpec


def parameter_jacobian(spec: NetworkSpec, params: NDArray, X: NDArray) -> tuple[NDArray, NDArray]:
    """Outputs, and their derivatives with respect to the parameters.

    Parameters
    ----------
    spec : NetworkSpec
        The network; its output is no softmax.
    params : ndarray, shape (n_params,)
        Its parameters.
    X : ndarray, shape (n, n_in)
        The samples.

    Returns
    -------
    outputs : ndarray, shape (n, n_out)
    jacobian : ndarray, shape (n, n_out, n_params)
        By backpropagation of each output in turn: D is the derivative of output k with respect to a layer's
        pre-activations.
    """
    Z, H = forward(spec, params, X)
    slopes = [activations.DERIVATIVES[name](z, h) for name, z, h in zip(spec.activations, Z, H[1:], strict=True)]
    weights = spec.weights(params)
    jacobian = np.empty((len(X), spec.n_out, spec.n_params), spec.dtype)
    for k in range(spec.n_out):
        by_weights, by_biases = spec.weights(jacobian[:, k]), spec.biases(jacobian[:, k])
        D = np.zeros_like(Z[-1])
        D[:, k] = slopes[-1][:, k]
        for i in reversed(range(spec.n_layers)):
            by_weights[i][:] = H[i][:, :, np.newaxis] * D[:, np.newaxis, :]
            if spec.bias:
                by_biases[i][:] = D
            if i > 0:
                D = D @ weights[i].T * slopes[i - 1]
    return H[-1], jacobian


def residuals(job: Job, outputs: NDArray) -> tuple[NDArray, NDArray]:
    """What a job's loss squares at some outputs, and its derivative with respect to them, each of shape (n, n_out)."""
    return losses.residuals(job.loss, outputs, job.y)


def normal_equations(job: Job, scale: NDArray, block_rows: int, answer: Callable[[], None]) -> NDArray:
    """The sums from which a Gauss-Newton step is computed.

    Parameters
    ----------
    job : Job
        The network, its parameters, samples and targets.
    scale : ndarray, shape (n,)
        Factor of a sample's residuals: ``r = scale (o - y)``, or scale times that of a `fastnn.LeastSquares`.
    block_rows : int
        Number of samples for which the Jacobian J of the residuals is computed at a time.
    answer : callable
        Called now and then; an exception in it, after Ctrl-C for example, ends the computation.

    Returns
    -------
    ndarray of float64, shape (n_params + 1, n_params + 1)
        ``[J r]^T [J r]``: J^T J, and in the last column J^T r and r^T r; only the upper triangle is meaningful.
    """
    n_params = job.spec.n_params
    sums = np.zeros((n_params + 1, n_params + 1))
    for start in range(0, len(job.X), block_rows):
        answer()
        rows = slice(start, start + block_rows)
        outputs, jacobian = parameter_jacobian(job.spec, job.params, job.X[rows])
        values, slopes = losses.residuals(job.loss, outputs, job.y[rows])
        block = np.concatenate([jacobian * slopes[:, :, np.newaxis], values[:, :, np.newaxis]], axis=2)
        block = (block * scale[rows, np.newaxis, np.newaxis]).reshape(-1, n_params + 1)
        sums += block.T @ block
    return sums


def cholesky(matrix: NDArray[np.float64], damping: float, answer: Callable[[], None]) -> NDArray[np.float64] | None:
    """The upper triangular R with ``R^T R = matrix + damping I``, or None if that is not positive definite.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n, n)
        A symmetric matrix, of which only the upper triangle is read.
    damping : float
        Is added to its diagonal.
    answer : callable
        As in `normal_equations`.

    Returns
    -------
    ndarray, shape (n, m), or None
        R in the upper triangle of its first n columns; the rest is not meaningful.
    """
    answer()
    damped = matrix + damping * np.eye(len(matrix))
    if not np.isfinite(damped).all():
        return None
    try:
        return np.linalg.cholesky(damped, upper=True).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        return None


def trace_of_inverse(factor: NDArray, n: int, answer: Callable[[], None]) -> float:
    """The trace of ``(R^T R)^-1``, with R the factor, of n rows, that `cholesky` gives."""
    answer()
    return float((np.linalg.inv(np.triu(factor[:, :n])) ** 2).sum())


def cholesky_solve(factor: NDArray, b: NDArray) -> NDArray:
    """The solution x of ``R^T R x = b``, with R the factor that `cholesky` gives, and b of shape (n,)."""
    x = b.copy()
    for i in range(len(b)):
        x[i] /= factor[i, i]
        x[i + 1 :] -= x[i] * factor[i, i + 1 : len(b)]
    for i in reversed(range(len(b))):
        x[i] = (x[i] - factor[i, i + 1 : len(b)] @ x[i + 1 :]) / factor[i, i]
    return x
