"""The slopes that a network is trained on besides its targets, as both twins take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Slopes:
    """Derivatives of the outputs along directions in the space of the inputs.

    Attributes
    ----------
    values : ndarray, shape (n, n_directions, n_out)
        The slopes of each sample; NaN where one is missing. C-contiguous, of the network's dtype, like the directions.
    directions : ndarray, shape (n_directions, n_in)
        The same for all samples.
    weight : float
        Factor of their mean squared error in the loss.
    """

    values: NDArray
    directions: NDArray
    weight: float

    def rows(self, which: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Slopes:
        """The slopes of some of the samples."""
        return Slopes(np.ascontiguousarray(self.values[which]), self.directions, self.weight)
