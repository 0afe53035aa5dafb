"""Initial weights of many members, each drawn from its own stream of random numbers, independent of the others."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from fastnn.reference.random import GOLDEN, INITIAL_EPOCH, key, mix
from fastnn.settings.initializers import Initializer, initialize
from fastnn.settings.spec import NetworkSpec

_GOLDEN = np.uint64(GOLDEN)


class MemberStreams:
    """A generator with methods of `numpy.random.Generator`, where the first axis of a shape counts members.

    Parameters
    ----------
    seeds, streams : ndarray of int64, shape (K,)
        The seed of each member, and the number of its stream; its draws depend on nothing else.
    """

    def __init__(self, seeds: NDArray[np.int64], streams: NDArray[np.int64]):
        self._keys = key(seeds.astype(np.uint64), streams.astype(np.uint64), INITIAL_EPOCH)
        self._drawn = 0

    def random(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform on [0, 1): 53 bits of SplitMix64."""
        count = prod(shape[1:])
        places = np.arange(self._drawn, self._drawn + count, dtype=np.uint64) + np.uint64(1)
        self._drawn += count
        words = mix(self._keys[:, None] + _GOLDEN * places)
        return ((words >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform on [low, high)."""
        return low + (high - low) * self.random(shape)

    def standard_normal(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Normal with mean 0 and variance 1 (Box and Muller, 1958)."""
        radius = np.sqrt(-2.0 * np.log1p(-self.random(shape)))
        return radius * np.cos(2.0 * np.pi * self.random(shape))


def initialize_members(
    spec: NetworkSpec, init: Initializer, seeds: NDArray[np.int64], streams: NDArray[np.int64]
) -> NDArray:
    """Initial parameters of members, shape (K, n_params)."""
    params = np.empty((len(seeds), spec.n_params), spec.dtype)
    initialize(spec, init, MemberStreams(seeds, streams), params)  # type: ignore[arg-type] # in place of a Generator
    return params
