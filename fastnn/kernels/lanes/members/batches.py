"""The rows of a batch in lanes: each member's own order of the samples, its rows, and their shares in its loss."""

from __future__ import annotations

import numpy as np

from fastnn.kernels.functions.random import bits
from fastnn.kernels.jit.compiling import outlined
from fastnn.kernels.simd import lanes, load, store, tile
from fastnn.kernels.simd.columns import chunks, turn


@outlined
def permute(key, order, numbers, n):
    """A random order for a lane: `fastnn.kernels.functions.random.permute`, all numbers drawn at once."""
    for r in range(n):
        order[r] = r
        numbers[r] = np.uint32((bits(key, r) * np.uint64(r + 1)) >> np.uint64(32))
    for r in range(n - 1, 0, -1):
        other = np.intp(numbers[r])
        order[r], order[other] = order[other], order[r]


@outlined
def pack(table, stride, block, members, order, own_order, n, start, rows, x, n_in, y, n_targets, width):
    """Copy rows of the data (`fastnn.kernels.lanes.members.data.table`) to where a vector holds a number of every lane.

    A row has `stride` numbers, a member's data `block`, or 0 where all share them.
    """
    source, native = chunks(table), lanes(table)
    chunk = lanes(source)
    own, columns = tile(source, native, 1), tile(table, chunk, 1)
    for r in range(rows):
        for first in range(0, stride, chunk):
            for part in range(0, width, native):
                for lane in range(native):
                    row = np.intp(order[(part + lane) * n + start + r]) if own_order else start + r
                    place = max(members[part + lane], 0) * block + row * stride + first
                    own[lane, 0] = load(source + place)
                turn(own, columns)
                for k in range(chunk):
                    column = first + k
                    if column < n_in:
                        store(x + ((r * n_in + column) * width + part), columns[k, 0])
                    elif column < n_in + n_targets:
                        store(y + ((r * n_targets + column - n_in) * width + part), columns[k, 0])


@outlined
def weighted_shares(
    weights, counted, block, members, order, own_order, n, start, rows, first, stop, row_divisor, mean, share, sums,
    width,
):  # fmt: skip
    """The share of each row in the loss of the lanes ``first:stop``, and the batch's weight in each of them."""
    for lane in range(first, stop):
        place, weight = max(members[lane], 0) * block, 0.0
        for r in range(rows):
            row = np.intp(order[lane * n + start + r]) if own_order else start + r
            share[r * width + lane] = weights[place + row]
            weight += counted[place + row]
        divisor = row_divisor * (weight if mean else 1.0)
        factor = 1.0 / divisor if divisor > 0.0 else 0.0
        for r in range(rows):
            share[r * width + lane] = factor * share[r * width + lane]
        sums[lane] = weight

