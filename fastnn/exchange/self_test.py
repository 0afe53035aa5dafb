"""What a written network carries to be checked where it runs: inputs, outputs, and how near is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.reference import activations, network
from fastnn.settings.catalogue import ACTIVATIONS
from fastnn.settings.spec import NetworkSpec

#: Samples of a self-test.
SAMPLES = 5

#: How many times `rounding` an output may be off.
UNITS = 8


class SelfTest(NamedTuple):
    """Samples x of the network's dtype, shape (n, n_in); their outputs and allowed errors in float64, (n, n_out)."""

    x: NDArray
    outputs: NDArray
    allowed: NDArray


def self_test(spec: NetworkSpec, params: NDArray) -> SelfTest:
    """Samples between -2 and 2, the same for every network of these sizes."""
    x = np.random.default_rng(0).uniform(-2, 2, (SAMPLES, spec.n_in)).astype(spec.dtype)
    with np.errstate(all="ignore"):  # a network may well hold NaN
        outputs = network.predict(spec, params.astype(np.float64), x.astype(np.float64))
        return SelfTest(x, outputs, UNITS * rounding(spec, params, x))


def rounding(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray[np.float64]:
    """To first order, what one rounding of each layer's sums and of each activation may change of the outputs.

    With z = h W + b, the error of z is at most ``|error of h| |W| + eps (|h| |W| + |b|)``, and that of f(z) at most
    ``|f'(z)|`` times it, and ``eps |f(z)|``: a sum's rounding is measured by the size of its terms, which may cancel.

    Parameters
    ----------
    spec : NetworkSpec
    params : ndarray, shape (n_params,)
    X : ndarray, shape (n, n_in)

    Returns
    -------
    ndarray of float64, shape (n, n_out)
    """
    eps, params, X = np.finfo(spec.dtype).eps, params.astype(np.float64), X.astype(np.float64)
    Z, H = network.forward(spec, params, X)
    biases = spec.biases(params) or [np.zeros(1)] * spec.n_layers
    error = np.zeros_like(X)
    for l, (W, b, name) in enumerate(zip(spec.weights(params), biases, spec.activations, strict=True)):
        z, h = Z[l], H[l + 1]
        error = error @ abs(W) + eps * (abs(H[l]) @ abs(W) + abs(b))
        if name == "softmax":
            error = h * (error + (h * error).sum(axis=1, keepdims=True))
        else:
            slope = abs(activations.DERIVATIVES[name](z, h))
            error = error * (slope if ACTIVATIONS[name].analytic else np.maximum(slope, 1))  # on either side of a kink
        error = error + eps * abs(h)
    return error
