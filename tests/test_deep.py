"""Networks of many layers, which Numba unrolls by recursion."""

import sys

import numpy as np
import pytest

from fastnn import MLP
from fastnn.kernels.jit.recursion import LIMIT, RoomToRecurse


def test_there_is_room_to_recurse_only_while_something_is_compiled():
    before = sys.getrecursionlimit()
    with RoomToRecurse():
        assert sys.getrecursionlimit() == max(before, LIMIT)
        with RoomToRecurse():
            pass
        assert sys.getrecursionlimit() == max(before, LIMIT)
    assert sys.getrecursionlimit() == before
    with pytest.raises(RecursionError, match="must have fewer layers"), RoomToRecurse():
        raise RecursionError
    assert sys.getrecursionlimit() == before


@pytest.mark.slow
def test_a_deep_network_is_called():
    net = MLP((3, *30 * [2], 1), rng=0)
    x = np.array([0.3, -0.5, 0.7])
    np.testing.assert_allclose(net(x), net.predict(x[None], backend="numpy")[0], rtol=1e-12, atol=1e-15)
