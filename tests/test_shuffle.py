"""Compiled shuffles beside NumPy's own."""

import numpy as np
import pytest

from fastnn.kernels.functions.shuffle import shuffle

GENERATORS = {"MT19937": lambda: 5, "PCG64": lambda: np.random.PCG64(5)}


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 1000])
def test_orders_are_those_of_a_random_state(n, generator):
    """Each order is a shuffle of the last, epoch e's in row e % 4, and the generator goes on where its own would."""
    own, ours = (np.random.RandomState(GENERATORS[generator]()) for _ in range(2))
    order, orders, expected = np.arange(n), np.full((4, n), -1), np.arange(n)
    for first, count in ((3, 2), (5, 4)):
        shuffle(ours, order, orders, first, count)
        for epoch in range(first, first + count):
            own.shuffle(expected)
            np.testing.assert_array_equal(orders[epoch % 4], expected)
    np.testing.assert_array_equal(order, expected)
    assert own.random_sample() == ours.random_sample()
