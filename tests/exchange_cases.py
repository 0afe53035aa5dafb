"""What the tests of exchange share: networks of every kind, and by how much outputs may differ."""

import numpy as np

import fastnn
from fastnn import MLP, Ensemble
from fastnn.exchange.self_test import mean_and_spread, rounding, rounding_of_members
from fastnn.settings.catalogue import ACTIVATIONS

EXPORTED = [name for name, row in ACTIVATIONS.items() if row.exported]
WIDTHS = (1, 2, 7, 16, 33, 65)
DTYPES = ("float32", "float64")


def net(name, dtype="float64", bias=True, sizes=(3, 7, 5, 2), seed=0):
    """A network whose hidden layers, if they can, and output have this activation; its biases are not zero."""
    hidden = name if ACTIVATIONS[name].hidden else "tanh"
    made = MLP(sizes, activation=hidden, output_activation=name, bias=bias, dtype=dtype, rng=seed)
    for b in made.biases:
        b[:] = np.random.default_rng(seed).normal(size=len(b)) / 2
    return made


def ensemble(name, dtype="float64", bias=True, sizes=(3, 7, 5, 2), members=5):
    """Networks as `net` makes them, each with its own numbers."""
    made = [net(name, dtype, bias, sizes, seed) for seed in range(members)]
    return Ensemble(made[0].spec, np.array([member.params for member in made]))


def extreme(output):
    """A network in float32 whose outputs are denormal, below every number of the dtype, above, or infinite."""
    return fastnn.from_arrays(
        [np.array([[1, 1, 1e38, 1e-38, -1e38, 1]], "f4")],
        [np.array([-100, -130, 3e38, 0, -3e38, np.inf], "f4")],
        [output],
    )


def samples(made, rows=50, seed=1):
    return np.random.default_rng(seed).normal(size=(rows, made.spec.n_in)).astype(made.spec.dtype)


def difference(made, X, outputs):
    """The largest difference from the network's outputs, in units of `fastnn.exchange.self_test.rounding`."""
    return (abs(outputs - made.predict(X).astype(np.float64)) / rounding(made.spec, made.params, X)).max()


def difference_of_many(many, X, mean, spread):
    """The same of an ensemble's mean and spread, in units of what one rounding of every member changes."""
    wanted = mean_and_spread(many.predict(X).astype(np.float64))
    return (abs(np.hstack([mean, spread]) - wanted) / rounding_of_members(many.spec, many.params, X)).max()
