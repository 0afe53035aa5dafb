"""What the tests of exchange share: networks of every kind, and by how much outputs may differ."""

import numpy as np

from fastnn import MLP
from fastnn.reference import activations, network
from fastnn.settings.catalogue import ACTIVATIONS

WIDTHS = (1, 2, 7, 16, 33, 65)
DTYPES = ("float32", "float64")


def net(name, dtype="float64", bias=True, sizes=(3, 7, 5, 2), seed=0):
    """A network whose hidden layers, if they can, and output have this activation; its biases are not zero."""
    hidden = name if ACTIVATIONS[name].hidden else "tanh"
    made = MLP(sizes, activation=hidden, output_activation=name, bias=bias, dtype=dtype, rng=seed)
    for b in made.biases:
        b[:] = np.random.default_rng(seed).normal(size=len(b)) / 2
    return made


def samples(made, rows=50, seed=1):
    return np.random.default_rng(seed).normal(size=(rows, made.spec.n_in)).astype(made.spec.dtype)


def rounding(made, X):
    """To first order, what one rounding of each term and of each activation may change of the outputs, in float64.

    With z = h W + b, the error of z is at most |error of h| |W| + eps (|h| |W| + |b|), and that of f(z) at most
    |f'(z)| times it, and eps |f(z)|.
    """
    spec, eps = made.spec, np.finfo(made.spec.dtype).eps
    params = made.params.astype(np.float64)
    Z, H = network.forward(spec, params, X.astype(np.float64))
    error = np.zeros_like(X, dtype=np.float64)
    biases = spec.biases(params) or [0.0] * spec.n_layers
    for W, b, name, z, h, after in zip(spec.weights(params), biases, spec.activations, Z, H, H[1:], strict=False):
        error = error @ abs(W) + eps * (abs(h) @ abs(W) + abs(b))
        if name == "softmax":
            error = after * (error + (after * error).sum(axis=1, keepdims=True))
        else:
            slope = abs(activations.DERIVATIVES[name](z, after))
            error = error * (
                slope if ACTIVATIONS[name].analytic else np.maximum(slope, 1)
            )  # from either side of a kink
        error = error + eps * abs(after)
    return error


def difference(made, X, outputs):
    """The largest difference from the network's outputs, in units of `rounding`."""
    return (abs(outputs - made.predict(X).astype(np.float64)) / rounding(made, X)).max()
