"""What the tests of exchange share: networks of every kind, and by how much outputs may differ."""

import numpy as np

from fastnn import MLP
from fastnn.exchange.self_test import rounding
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


def difference(made, X, outputs):
    """The largest difference from the network's outputs, in units of `fastnn.exchange.self_test.rounding`."""
    return (abs(outputs - made.predict(X).astype(np.float64)) / rounding(made.spec, made.params, X)).max()
