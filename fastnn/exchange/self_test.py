"""What a written network carries to be checked where it runs: inputs, outputs, and how far off these may be."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.reference import activations, network
from fastnn.settings.catalogue import ACTIVATIONS
from fastnn.settings.constants import SELU_SCALE_ALPHA
from fastnn.settings.spec import NetworkSpec

#: Samples of a self-test.
SAMPLES = 5

#: How many times `rounding` an output may be off.
UNITS = 8

#: Activations z g(z), whose g is nearly 0 far below 0.
PRODUCTS = ("silu", "gelu_tanh")


class SelfTest(NamedTuple):
    """Samples x of the network's dtype, shape (n, n_in); their outputs and allowed errors in float64, (n, n_out).

    Of an ensemble the outputs are the mean and beside it the spread, (n, 2 n_out).
    """

    x: NDArray
    outputs: NDArray
    allowed: NDArray


def self_test(
    spec: NetworkSpec, params: NDArray, beside_one: Collection[str] = (), in_single: Collection[str] = ()
) -> SelfTest:
    """Samples between -2 and 2, the same for every network of these sizes; the collections as in `rounding`."""
    x = np.random.default_rng(0).uniform(-2, 2, (SAMPLES, spec.n_in)).astype(spec.dtype)
    with np.errstate(all="ignore"):  # a network may well hold NaN
        if params.ndim == 2:
            in_dtype, exact = (mean_and_spread(_outputs(spec, params, x, dtype)) for dtype in (spec.dtype, "float64"))
            allowed = UNITS * rounding_of_members(spec, params, x, beside_one, in_single)
        else:
            in_dtype, exact = (_outputs(spec, params[None], x, dtype)[0] for dtype in (spec.dtype, "float64"))
            allowed = UNITS * rounding(spec, params, x, beside_one, in_single)
    overflows = ~np.isfinite(in_dtype)
    return SelfTest(x, np.where(overflows, in_dtype, exact), np.where(overflows, 0, allowed))


def _outputs(spec: NetworkSpec, params: NDArray, x: NDArray, dtype: str = "float64") -> NDArray:
    """Every member's, computed in a dtype, shape (K, n, n_out)."""
    return np.array([network.predict(spec, member, x.astype(dtype)) for member in params.astype(dtype)])


def mean_and_spread(outputs: NDArray) -> NDArray:
    """Mean and standard deviation over the members of outputs, shape (K, n, n_out), beside each other."""
    return np.hstack([outputs.mean(axis=0), outputs.std(axis=0)])


def rounding(
    spec: NetworkSpec,
    params: NDArray,
    X: NDArray,
    beside_one: Collection[str] = (),
    in_single: Collection[str] = (),
) -> NDArray[np.float64]:
    """To first order, what one rounding of each layer's sums and of each activation may change of the outputs.

    With z = h W + b, the error of z is at most ``|error of h| |W| + eps (|h| |W| + |b|)``, and that of f(z) at most
    ``|f'(z)|`` times it, and ``eps |f(z)|``: a sum's rounding is measured by the size of its terms, which may cancel.
    Of ``z g(z)`` it is ``eps |z|``: many compute g as 1 + tanh, say, which is rounded beside 1. A number below the
    smallest normal one may be flushed to zero.

    Parameters
    ----------
    spec : NetworkSpec
    params : ndarray, shape (n_params,)
    X : ndarray, shape (n, n_in)
    beside_one : collection of str
        Activations, of elu, selu and sigmoid, that are computed as a difference of exp(z) and 1, or the like, and so
        rounded like these.
    in_single : collection of str
        Activations whose constants are rounded to float32, whatever the network computes in.

    Returns
    -------
    ndarray of float64, shape (n, n_out)
    """
    eps, tiny = np.finfo(spec.dtype).eps, float(np.finfo(spec.dtype).tiny)
    params, X = params.astype(np.float64), X.astype(np.float64)
    Z, H = network.forward(spec, params, X)
    biases = spec.biases(params) or [np.zeros(1)] * spec.n_layers
    error = np.zeros_like(X)
    for l, (W, b, name) in enumerate(zip(spec.weights(params), biases, spec.activations, strict=True)):
        z, h = Z[l], H[l + 1]
        error = error @ abs(W) + eps * (abs(H[l]) @ abs(W) + abs(b)) + tiny * (1 + len(W))
        error = np.where(np.isinf(z), 0, error)  # as no rounding makes it finite
        if name == "softmax":
            error = h * (error + (h * error).sum(axis=1, keepdims=True))
        elif name == "ascending":  # what is summed up, and the sums
            increments = np.concatenate([z[:, :1], activations.softplus(z[:, 1:])], axis=1)
            slope = np.concatenate([np.ones_like(z[:, :1]), activations.sigmoid(z[:, 1:])], axis=1)
            error = (error * slope + eps * (abs(increments) + abs(h)) + tiny).cumsum(axis=1)
        else:
            slope = abs(activations.DERIVATIVES[name](z, h))
            error = error * (slope if ACTIVATIONS[name].analytic else np.maximum(slope, 1))  # on either side of a kink
        size = abs(z if name in PRODUCTS else h)
        constants = np.finfo(np.float32).eps * size if name in in_single else 0
        size = size + (SELU_SCALE_ALPHA * (z < 0) if name in beside_one else 0)
        error = error + eps * size + constants + tiny
    return error


def rounding_of_members(
    spec: NetworkSpec,
    params: NDArray,
    X: NDArray,
    beside_one: Collection[str] = (),
    in_single: Collection[str] = (),
) -> NDArray[np.float64]:
    """What `rounding` of every member, and that of sums over them, may change of their mean and spread.

    The mean changes by the mean of the changes, the spread by their root mean square at most (the triangle
    inequality), and by what the mean is off. A sum over K members is off by about sqrt(K) roundings of its terms' size.
    Squares of small deviations may be flushed to zero.

    Parameters
    ----------
    spec : NetworkSpec
    params : ndarray, shape (K, n_params)
    X : ndarray, shape (n, n_in)
    beside_one, in_single : collection of str
        As in `rounding`.

    Returns
    -------
    ndarray of float64, shape (n, 2 n_out)
        Of the mean, and beside it of the spread.
    """
    errors = np.array([rounding(spec, one, X, beside_one, in_single) for one in params])
    outputs = _outputs(spec, params, X)
    summing = np.finfo(spec.dtype).eps * np.sqrt(len(params))
    of_mean = errors.mean(axis=0) + summing * abs(outputs).mean(axis=0)
    spread, tiny = outputs.std(axis=0), float(np.finfo(spec.dtype).tiny)
    flushed = tiny / (np.sqrt(spread**2 + tiny) + spread)  # what tiny more or less of the variance changes
    return np.hstack([of_mean, np.sqrt((errors**2).mean(axis=0)) + of_mean + summing * spread + flushed])
