"""Orders of rows as scikit-learn draws them: shuffle after shuffle by a `numpy.random.RandomState`.

NumPy has frozen that generator's numbers, so that they may be drawn here, from the generator's own state.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.aligned import address
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.simd import pointer_at
from fastnn.kernels.simd.calls import call_system


@kernel
def _shuffle(next_uint32, state, order, n, orders, m, first, count):
    """Shuffle ``order[:n]`` this many times, each time into a row of `orders`, from row ``first % m`` on."""
    order, orders = pointer_at(order, np.int64), pointer_at(orders, np.int64)
    for epoch in range(first, first + count):
        i, mask = n - 1, 1
        while mask < i:
            mask = 2 * mask + 1
        while i > 0:  # the shuffle of Fisher and Yates: row i changes places with a random one of those up to it
            while i > mask >> 1:
                j = call_system(next_uint32, state) & mask
                accepted = j <= i
                j = j if accepted else i  # without a branch, which nobody could predict
                row = order[i]
                order[i] = order[j]
                order[j] = row
                i -= np.intp(accepted)
            mask >>= 1
        drawn = orders + epoch % m * n
        for i in range(n):
            drawn[i] = order[i]


def shuffle(
    rng: np.random.RandomState, order: NDArray[np.int64], orders: NDArray[np.int64], first: int, count: int
) -> None:
    """Shuffle an order by ``rng.shuffle``, once for each epoch.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Goes on as if it had shuffled itself.
    order : ndarray of int64, shape (n,)
        Shuffled in place; n is below 2**32.
    orders : ndarray of int64, shape (m, n)
        Receives the order after each shuffle: that of epoch e in row ``e % m``.
    first, count : int
        Number of the first epoch, and of epochs.
    """
    generator = rng._bit_generator
    interface = generator.ctypes
    next_uint32 = ctypes.cast(interface.next_uint32, ctypes.c_void_p).value
    with generator.lock:
        places = address(order), len(order), address(orders), len(orders)
        _shuffle(next_uint32, interface.state_address, *places, first, count)
