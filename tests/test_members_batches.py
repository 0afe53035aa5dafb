"""What lanes are given to train on: each member's own order of the samples, and its rows side by side with others'."""

import numpy as np
import pytest
from numba import njit, types

from fastnn.kernels.lanes.members.batches import pack, permute
from fastnn.kernels.lanes.members.data import table
from fastnn.kernels.simd import pointer
from fastnn.kernels.simd.types import native_lanes
from fastnn.reference.random import key, permutation

every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])
RNG = np.random.default_rng(0)


def native(dtype):
    return native_lanes(getattr(types, dtype))


@njit(error_model="numpy")
def packed(rows, members, order, own_order, start, x, y, n_in, n_out, width):
    blocks, n, stride = rows.shape
    pack(
        pointer(rows, 0), stride, n * stride * (blocks > 1), pointer(members, 0), pointer(order, 0), own_order, n,
        start, x.shape[0], pointer(x, 0), n_in, pointer(y, 0), n_out, width,
    )  # fmt: skip


@every_dtype
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (3, 1), (3, 2), (9, 4)])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("own_order", [True, False])
def test_every_lane_gets_its_rows(n_in, n_out, shared, own_order, dtype):
    n, width = 6, 2 * native(dtype)
    X, y = (RNG.normal(size=(1 if shared else 40, n, k)).astype(dtype) for k in (n_in, n_out))
    members = RNG.permutation(40)[:width]
    order = np.stack([RNG.permutation(n) for _ in range(width)]).astype(np.int32)
    a, b = np.empty((4, n_in, width), dtype), np.empty((4, n_out, width), dtype)
    flat = order.reshape(-1), own_order, 2, a.reshape(4, -1), b.reshape(4, -1)
    packed(table(X, y), members, *flat, n_in, n_out, width)
    for lane, member in enumerate(members):
        rows = order[lane, 2:6] if own_order else np.arange(2, 6)
        np.testing.assert_array_equal(a[:, :, lane], X[0 if shared else member][rows])
        np.testing.assert_array_equal(b[:, :, lane], y[0 if shared else member][rows])


@njit(error_model="numpy")
def shuffled(key, order, numbers):
    permute(key, pointer(order, 0), pointer(numbers, 0), order.size)


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_a_lane_is_shuffled_as_a_single_network_is(n):
    order = np.empty(n, np.int32)
    for epoch in range(3):
        stream = key(5, 2, epoch)
        shuffled(np.uint64(stream), order, np.empty(n, np.uint32))
        assert np.array_equal(order, permutation(stream, n))
