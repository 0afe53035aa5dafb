"""What a network from elsewhere is made of, whatever it was read from: one step after another.

Each step knows its place there, for the error if it cannot be part of a network here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Dense(NamedTuple):
    """``x -> x W + b``, with weights of shape (n_in, n_out) and biases of shape (n_out,), or None."""

    weights: NDArray
    biases: NDArray | None
    place: str


class Scaling(NamedTuple):
    """``x -> factor x + shift``, each a number or one for each feature."""

    factor: NDArray | np.float64
    shift: NDArray | np.float64
    place: str


class Activate(NamedTuple):
    """An activation, by its name in `fastnn.settings.catalogue.ACTIVATIONS`, or that of a user's own."""

    name: str
    place: str


Step = Dense | Scaling | Activate


def normalisation(
    mean: NDArray, variance: NDArray, epsilon: float, gamma: NDArray | None, beta: NDArray | None, place: str
) -> Scaling:
    """What batch normalisation does once trained: ``gamma (x - mean) / sqrt(variance + epsilon) + beta``.

    Raises
    ------
    ValueError
        If a variance and epsilon together are not above 0, or the arrays are not of one length, or of 1.
    """
    lengths = sorted({array.size for array in (mean, variance, gamma, beta) if array is not None} - {1})
    if len(lengths) > 1:
        raise ValueError(
            f"{place} must have as many means, variances, scales and shifts; got {lengths[0]} and {lengths[1]}"
        )
    mean, spread = mean.astype(np.float64), variance.astype(np.float64) + epsilon
    if not (spread > 0).all():
        raise ValueError(f"{place} must have variances above -epsilon, {-epsilon:g}; got {variance.min()}")
    factor = spread**-0.5 if gamma is None else gamma * spread**-0.5
    shift = -mean * factor
    return Scaling(factor, shift if beta is None else shift + beta, place)
