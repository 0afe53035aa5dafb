"""What the tests of networks inside compiled code share."""

import numpy as np
from numba import njit

from fastnn import MLP


def network(sizes, activation="tanh", seed=0, **settings):
    """A network with biases that are not zero."""
    net = MLP(sizes, activation=activation, rng=seed, **settings)
    net.params += 0.2 * np.random.default_rng(seed + 1).normal(size=net.params.shape)
    return net


@njit
def forward(net, X, out):
    """One call of a network or an ensemble, of one sample or of many."""
    net.forward(X, out)
