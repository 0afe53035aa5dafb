"""Samples that move along directions: the outputs' values, slopes and curvatures, and the way back from them.

The terms of a series are a value, its derivative and its second derivative with respect to s at s = 0, where the
samples are ``X + s T``; a batch goes through at once.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from fastnn.reference import activations, curvatures
from fastnn.settings.spec import NetworkSpec


def taylor(spec: NetworkSpec, params: NDArray, X: NDArray, T: NDArray, terms: int = 3) -> list[NDArray]:
    """The terms of the outputs: their values, slopes and curvatures along directions.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    params : ndarray, shape (n_params,)
        Its parameters.
    X, T : ndarray, shape (n, n_in)
        The samples, and the direction of each.
    terms : {1, 2, 3}
        Values alone; slopes as well; curvatures, too.

    Returns
    -------
    list of ndarray, shape (n, n_out)
        As many terms as were asked for, the values first.

    Raises
    ------
    ValueError
        If an activation of the user's own lacks a derivative that is needed.
    """
    return _forward(spec, params, X, T, terms)[0][-1]


def vjp(
    spec: NetworkSpec, params: NDArray, X: NDArray, T: NDArray, V: list[NDArray], gradient: NDArray
) -> list[NDArray]:
    """Go backwards: from factors (cotangents) of the outputs' terms to those of the inputs' terms.

    Parameters
    ----------
    spec, params, X, T
        As in `taylor`.
    V : list of ndarray, shape (n, n_out)
        The factors of each term, as many as there are terms.
    gradient : ndarray, shape (n_params,)
        The derivative of the sum of all products with respect to the parameters is added to it.

    Returns
    -------
    list of ndarray, shape (n, n_in)
        The factors of each term of the inputs; the first is the derivative with respect to X.

    Raises
    ------
    ValueError
        If an activation of the user's own lacks a derivative that is needed.
    """
    count = len(V)
    H, Z = _forward(spec, params, X, T, count)
    weights = spec.weights(params)
    for l in reversed(range(spec.n_layers)):
        D = _pull(spec.activations[l], Z[l], H[l + 1], V)
        for h, d in zip(H[l], D, strict=True):
            spec.weights(gradient)[l] += h.T @ d
        if spec.bias:
            spec.biases(gradient)[l] += D[0].sum(axis=0)
        V = [d @ weights[l].T for d in D]
    return V


def hvp(spec: NetworkSpec, params: NDArray, X: NDArray, V: NDArray, T: NDArray) -> NDArray:
    """The Hessian of ``V^T outputs`` with respect to X, times T.

    Parameters
    ----------
    spec, params, X
        As in `taylor`.
    V : ndarray, shape (n, n_out)
        The factors of each sample's outputs.
    T : ndarray, shape (n, n_in)
        The direction of each sample.

    Returns
    -------
    ndarray, shape (n, n_in)
        The derivative along T of the derivative of ``V^T outputs`` with respect to X.

    Raises
    ------
    ValueError
        If an activation of the user's own lacks its second derivative.
    """
    return vjp(spec, params, X, T, [np.zeros_like(V), V], np.zeros_like(params))[0]


def _forward(
    spec: NetworkSpec, params: NDArray, X: NDArray, T: NDArray, terms: int
) -> tuple[list[list[NDArray]], list[list[NDArray]]]:
    """The terms of each layer's outputs, those of the inputs first; and of each layer's pre-activations."""
    H, Z = [[X, T, np.zeros_like(X)][:terms]], []
    for l, (W, activation) in enumerate(zip(spec.weights(params), spec.activations, strict=True)):
        z = [h @ W for h in H[-1]]
        if spec.bias:
            z[0] = z[0] + spec.biases(params)[l]
        Z.append(z)
        H.append(_push(activation, z))
    return H, Z


def _push(activation: str, z: list[NDArray]) -> list[NDArray]:
    """The terms of a layer's outputs: ``h' = f' z'`` and ``h'' = f' z'' + (f')' z'``."""
    if activation == "ascending":
        return [
            np.cumsum(increments, axis=1) for increments in _first_apart(_push("identity", z), _push("softplus", z))
        ]
    h = [activations.FUNCTIONS[activation](z[0])]
    for order in range(1, len(z)):
        known = [*h, *[np.zeros_like(h[0])] * (len(z) - len(h))]  # the terms that are not known yet have no part in it
        parts = [comb(order - 1, i) * _slope(activation, z, known, i, z[order - i]) for i in range(order)]
        h.append(np.sum(parts, axis=0))
    return h


def _pull(activation: str, z: list[NDArray], h: list[NDArray], V: list[NDArray]) -> list[NDArray]:
    """From the factors of the terms of a layer's outputs to those of the terms of its pre-activations."""
    if activation == "ascending":
        V, h = [activations.back_through_sums(v) for v in V], _push("softplus", z)
        return _first_apart(V, _pull("softplus", z, h, V))
    orders = range(len(V))
    return [
        sum((comb(j, i) * _slope(activation, z, h, j - i, V[j]) for j in orders[i:]), np.zeros_like(V[0]))
        for i in orders
    ]


def _first_apart(first: list[NDArray], others: list[NDArray]) -> list[NDArray]:
    """Terms of which the first column comes from one list, and the others from the other."""
    return [np.concatenate([a[:, :1], b[:, 1:]], axis=1) for a, b in zip(first, others, strict=True)]


def _slope(activation: str, z: list[NDArray], h: list[NDArray], order: int, v: NDArray) -> NDArray:
    """The derivative of `order` along the direction of the activation's derivative, times v.

    Softmax's derivative is the matrix ``diag(h) - h h^T``, the others' are diagonal.
    """
    if activation == "softmax":
        product = h[order] * v
        for i in range(order + 1):
            product = product - comb(order, i) * h[i] * (h[order - i] * v).sum(axis=1, keepdims=True)
        return product
    if order == 0:
        return activations.DERIVATIVES[activation](z[0], h[0]) * v
    second = curvatures.SECOND[activation](z[0], h[0])
    if order == 1:
        return second * z[1] * v
    return (curvatures.THIRD[activation](z[0], h[0]) * z[1] ** 2 + second * z[2]) * v
