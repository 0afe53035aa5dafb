"""How initial weights are drawn: a row for each scheme. Biases start at zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.spec import Layer, NetworkSpec


@dataclass(frozen=True)
class Initializer:
    """A way to draw a layer's weights.

    Attributes
    ----------
    name : str
        The name that a user writes.
    draw : callable
        ``draw(rng, shape)``: a float64 array of variance 1 or, for the uniform schemes, limit 1.
    scale : callable
        ``scale(layer)``: the factor of the draws for a `fastnn.settings.spec.Layer`.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
    scale: Callable[[Layer], float]


def _unit(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return rng.random(shape)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return rng.uniform(-1.0, 1.0, shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return rng.standard_normal(shape)


OMEGA = 30.0  # a SIREN's layers are sin(OMEGA (x W + b))


def _siren(layer: Layer) -> float:
    """The paper's limit, times the factor before a sine, which is part of our weights."""
    omega = OMEGA if layer.activation.name == "sin" else 1.0
    return omega / layer.n_in if layer.is_first else omega * sqrt(6 / layer.n_in) / OMEGA


#: The ways to draw initial weights, by their names.
INITIALIZERS: dict[str, Initializer] = {
    row.name: row
    for row in (
        Initializer("unit_uniform", _unit, lambda layer: 1.0),  # on [0, 1), as in the tutorial
        # Glorot and Bengio, 2010
        Initializer("glorot_uniform", _uniform, lambda layer: sqrt(6 / (layer.n_in + layer.n_out))),
        Initializer("glorot_normal", _normal, lambda layer: sqrt(2 / (layer.n_in + layer.n_out))),
        # He et al., 2015
        Initializer("he_uniform", _uniform, lambda layer: sqrt(6 / layer.n_in)),
        Initializer("he_normal", _normal, lambda layer: sqrt(2 / layer.n_in)),
        # LeCun et al., 1998
        Initializer("lecun_uniform", _uniform, lambda layer: sqrt(3 / layer.n_in)),
        Initializer("lecun_normal", _normal, lambda layer: sqrt(1 / layer.n_in)),
        Initializer("uniform", _uniform, lambda layer: 0.05),  # on [-0.05, 0.05): Keras's RandomUniform
        Initializer("siren", _uniform, _siren),  # Sitzmann et al., 2020, for layers of sin
        Initializer("normal", _normal, lambda layer: 0.05),  # of standard deviation 0.05: Keras's RandomNormal
    )
}


def initialize(spec: NetworkSpec, init: Initializer, rng: np.random.Generator, params: NDArray[Any]) -> None:
    """Fill parameters with initial values: weights drawn layer by layer in C order, and biases of zero.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    init : Initializer
        The scheme; its draws are float64 and rounded to the dtype of `params`.
    rng : numpy.random.Generator
        The source of the draws.
    params : ndarray, shape (..., n_params)
        Receives the values. Leading axes are members, whose weights are drawn together layer by layer.
    """
    for weights, layer in zip(spec.weights(params), spec.layers, strict=True):
        weights[...] = init.scale(layer) * init.draw(rng, weights.shape)
    for biases in spec.biases(params):
        biases[...] = 0
