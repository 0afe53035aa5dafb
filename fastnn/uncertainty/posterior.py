"""Laplace's approximation: the uncertainty that the data leave in a network's parameters, and so in its outputs."""

from __future__ import annotations

from dataclasses import replace
from math import exp, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.jobs.job import Job
from fastnn.models.in_domain import respect_domain
from fastnn.models.mlp import MLP
from fastnn.reference.normal_equations import parameter_jacobian
from fastnn.settings import catalogue
from fastnn.settings.solvers import LevenbergMarquardt
from fastnn.settings.spec import NetworkSpec
from fastnn.training import evidence
from fastnn.training.blas import blas_threads
from fastnn.training.twins import twin
from fastnn.training.verdict import rounding_loss

#: Numbers of a Jacobian that are held at once.
_AT_ONCE = 2**22

#: The logarithms between which that of the precisions' ratio is sought, and how often they are halved.
_LOGARITHMS, _HALVINGS = (-700.0, 700.0), 60


class Laplace:
    """A network whose parameters are normally distributed around their trained values, which `laplace` makes.

    Attributes
    ----------
    model : MLP
        The network: a copy, which further training of the given one leaves alone.
    last_layer : bool
        Whether only the parameters of the last layer are uncertain.
    noise : float
        Standard deviation of the targets around the outputs, in the targets' units, the same for all outputs.
    prior : float
        Standard deviation of a parameter before any data are seen.
    effective_params : float
        Number of parameters that the data determine, MacKay's gamma: from 0 to the number of uncertain ones.
    """

    def __init__(
        self, model: MLP, last_layer: bool, noise: float, prior: float, effective_params: float, root: NDArray[Any]
    ):
        self.model, self.last_layer, self.noise, self.prior = model, last_layer, noise, prior
        self.effective_params = effective_params
        self._root = root  # the covariance is root @ root.T

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the uncertain parameters, in the order of `MLP.params`, shape (p, p)."""
        return self._root @ self._root.T

    def predict(self, X: ArrayLike, noise: bool = True) -> tuple[NDArray[Any], NDArray[Any]]:
        """Compute outputs and their standard deviations.

        Parameters
        ----------
        X : array_like, shape (n, n_in)
            The samples.
        noise : bool
            Whether the standard deviations include the noise, as those of new targets do, or are of the outputs alone.

        Returns
        -------
        mean, std : ndarray of float64, shape (n, n_out)

        Raises
        ------
        TypeError, ValueError
            As in `MLP.predict`.
        """
        own = self.noise**2 if checks.check_flag("noise", noise) else 0.0
        X = checks.check_inputs(X, self.model.spec)
        mean, variance = np.moveaxis(respect_domain(self.model, self._moments, X), 1, 0)
        return mean, np.sqrt(variance + own)

    def _moments(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """The outputs' means and variances, without the noise, shape (n, 2, n_out)."""
        spec, params = _in_double(self.model)
        moments = np.empty((len(X), 2, spec.n_out))
        step = max(1, _AT_ONCE // (spec.n_out * len(self._root)))
        with blas_threads(), np.errstate(all="ignore"):  # infinity in, infinity or NaN out
            for start in range(0, len(X), step):
                part = slice(start, start + step)
                uncertain = _uncertain_part(spec, params, X[part].astype(np.float64), self.last_layer)
                moments[part, 0], jacobian = parameter_jacobian(*uncertain)
                flat = jacobian.reshape(-1, len(self._root)) @ self._root  # a stack would be a product for each sample
                moments[part, 1] = np.sum(flat**2, axis=1).reshape(-1, spec.n_out)
        return moments

    def __repr__(self) -> str:
        count, of = len(self._root), "last layer's " if self.last_layer else ""
        return f"<Laplace: {self.effective_params:.1f} of the {of}{count} parameters determined, of {self.model!r}>"


def laplace(model: MLP, X: ArrayLike, y: ArrayLike, *, last_layer: bool = False) -> Laplace:
    """Estimate the uncertainty of a network from its curvature on its training samples.

    The outputs are taken to be linear in the parameters near their trained values, the noise to be normal with the same
    variance everywhere, and the parameters to be normal around zero. The variances of noise and parameters are those
    that make the data most probable: MacKay's evidence. Nothing is trained again; train with a squared loss first.

    Parameters
    ----------
    model : MLP
        A trained network, with an output activation other than softmax and ascending.
    X : array_like, shape (n, n_in)
        The samples that it was trained on.
    y : array_like, shape (n, n_out) or (n,)
        Their targets.
    last_layer : bool
        Whether to take only the last layer's parameters as uncertain, which is cheaper and finds less uncertainty.

    Returns
    -------
    Laplace

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or the network fits every target exactly, or to within rounding.

    Notes
    -----
    With J the Jacobian of the N outputs, w the p parameters and e the errors, the covariance is ``(J^T J / noise^2 + 1
    / prior^2)^-1``, where ``noise^2 = e^T e / (N - gamma)`` and ``prior^2 = w^T w / gamma``, and gamma is the number of
    parameters that the data determine. It takes ``16 p^2`` bytes and about ``10 p^3`` operations; with
    `last_layer` these parameters are the last layer's alone, however large the layers before it are.

    References
    ----------
    D. MacKay, "A practical Bayesian framework for backpropagation networks", Neural Computation 4 (1992).
    A. Immer, M. Korzepa, M. Bauer, "Improving predictions of Bayesian neural nets via local linearization" (2021).

    Examples
    --------
    >>> sure = fastnn.laplace(net, X, y)
    >>> mean, std = sure.predict(X_new)
    """
    if not isinstance(model, MLP):
        raise TypeError(f"model must be a fastnn.MLP; got {checks.describe(model)}")
    last_layer = checks.check_flag("last_layer", last_layer)
    spec, params = _in_double(model)
    checks.check_finite("model.params", params)
    loss = catalogue.LOSSES["sse"]
    if not loss.goes_with(spec.output_activation):
        raise ValueError(
            "model must have an output activation that squared errors go with, such as identity; "
            f"got {spec.output_activation}"
        )
    count = spec.n_params - (spec.layers[-1].weights if last_layer else 0)
    checks.check_memory("matrices of the size of model", 1, 16 * count**2)
    X = checks.check_inputs(X, model.spec, least=1)
    y = checks.check_targets(y, spec, loss, len(X))
    checks.check_finite_data(X, y, None)
    X = respect_domain(model, lambda X: X.astype(np.float64), X)  # as the network takes them
    if not np.isfinite(X).all():
        row = int(np.argwhere(np.isnan(X))[0][0])
        raise ValueError(f"model must have outputs for all of X; row {row} lies outside its domain")

    job: Any = Job(spec, params, X, y, loss, LevenbergMarquardt(), len(X))
    sums = _sums_of_last_layer(job) if last_layer else _sums(job)
    if not sums[-1, -1] > rounding_loss(job):
        raise ValueError(
            "y must not be fitted exactly, as the uncertainty is estimated from the errors that are left; "
            f"got {sqrt(sums[-1, -1] / y.size):.2g} on average, which rounding alone may leave"
        )
    curvature = np.triu(sums[:-1, :-1])
    with blas_threads():
        values, vectors = np.linalg.eigh(curvature + np.triu(curvature, 1).T)
    values[values < count * np.finfo(np.float64).eps * values[-1]] = 0  # which are sums of rounding errors
    noise, prior, gamma = _evidence(values, sums[-1, -1], y.size, params[-count:])
    root = vectors / np.sqrt(values / noise + 1 / prior)
    return Laplace(model.copy(), last_layer, float(np.sqrt(noise)), float(np.sqrt(prior)), gamma, root)


def _in_double(model: MLP) -> tuple[NetworkSpec, NDArray[np.float64]]:
    """A network's spec and parameters in double precision."""
    return replace(model.spec, dtype="float64"), model.params.astype(np.float64)


def _uncertain_part(
    spec: NetworkSpec, params: NDArray[Any], X: NDArray[Any], last_layer: bool
) -> tuple[NetworkSpec, NDArray[Any], NDArray[Any]]:
    """The network, or its last layer as a network: its spec, its parameters, and the samples that it is given."""
    if not last_layer or spec.n_layers == 1:
        return spec, params, X
    below = replace(spec, sizes=spec.sizes[:-1], activations=spec.activations[:-1])
    last = replace(spec, sizes=spec.sizes[-2:], activations=spec.activations[-1:])
    return last, params[below.n_params :], twin("numba", "network").predict(below, params[: below.n_params], X)


def _sums_of_last_layer(job: Any) -> NDArray[Any]:
    """`_sums` of the last layer's parameters alone, whose inputs are computed for some rows at a time."""
    sums: Any = 0
    step = max(1, _AT_ONCE // job.spec.sizes[-2])
    for start in range(0, len(job.X), step):
        part = slice(start, start + step)
        spec, params, X = _uncertain_part(job.spec, job.params, job.X[part], True)
        sums = sums + _sums(Job(spec, params, X, job.y[part], job.loss, job.optimizer, len(X)))
    return sums


def _sums(job: Any) -> NDArray[Any]:
    """``[J e]^T [J e]``, of which only the upper triangle is meaningful."""
    n, rows = len(job.X), max(1, _AT_ONCE // (job.spec.n_out * job.spec.n_params))
    return twin("numba", "normal_equations").normal_equations(job, np.ones(n), min(rows, n), lambda: None)


def _evidence(values: NDArray[Any], squares: float, n: int, params: NDArray[Any]) -> tuple[float, float, float]:
    """Variances of the noise and of the prior, and gamma, from the eigenvalues of J^T J.

    The larger the ratio of the precisions, the smaller are gamma and the ratio that follows from it: one ratio alone
    agrees with itself. It is found by bisection, as MacKay's updates in turn may come near it ever more slowly.
    """
    low, high = _LOGARITHMS
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        gamma = float(np.sum(values / (values + exp(middle))))
        alpha, beta = evidence.precisions(gamma, n, squares, params)
        low, high = (middle, high) if alpha / beta > exp(middle) else (low, middle)
    return 1 / beta, 1 / alpha, gamma
