"""Orders of rows as scikit-learn draws them: shuffle after shuffle by a `numpy.random.RandomState`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shuffle(
    rng: np.random.RandomState, order: NDArray[np.int64], orders: NDArray[np.int64], first: int, count: int
) -> None:
    """Shuffle an order repeatedly, and write it each time: that of epoch e to row ``e % m``.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Source of the shuffles.
    order : ndarray of int64, shape (n,)
        Shuffled in place.
    orders : ndarray of int64, shape (m, n)
        Receives the order after each shuffle.
    first, count : int
        Number of the first epoch, and of epochs.
    """
    for epoch in range(first, first + count):
        rng.shuffle(order)
        orders[epoch % len(orders)] = order
