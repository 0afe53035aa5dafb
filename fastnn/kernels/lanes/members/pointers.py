"""Where the loop over members works: pointers to the lanes of a block, to samples, and to what is computed of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.options import INLINED
from fastnn.kernels.lanes.members.batches import pack, weighted_shares
from fastnn.kernels.lanes.members.step import lanes_of
from fastnn.kernels.lanes.members.turnover import Lanes
from fastnn.kernels.simd import broadcast, lanes, pointer, store, with_lanes
from fastnn.kernels.simd.types import Pointer


class Samples(NamedTuple):
    """Samples to train on or to validate with, and the share of their rows in the loss of every lane."""

    X: Pointer
    y: Pointer
    n: int
    weighted: bool  # whether weights are given for them
    given: Pointer  # these weights
    counted: Pointer  # the same as they count in a mean's divisor
    given_block: int  # weights of a member, 0 where all share them
    share: Pointer
    weights: Pointer  # of the batch, in every lane


class RowTable(NamedTuple):
    """What `fastnn.kernels.lanes.members.batches.pack` copies from, and to."""

    rows: Pointer
    stride: int
    block: int
    n_in: int
    n_targets: int
    own_x: Pointer  # where it writes, number by number
    own_y: Pointer
    x: Pointer  # the same places, as vectors of the block's lanes
    y: Pointer


class BlockPointers(NamedTuple):
    """The memory of a block of lanes, and the data of its members."""

    lanes: Lanes
    values: Pointer
    losses: Pointer  # of a batch or an epoch
    monitored: Pointer  # losses after an epoch, of the validation set where there is one
    order: Pointer  # in which each lane visits the samples
    numbers: Pointer
    samples: Samples
    validation: Samples
    table: RowTable


def _vectors(array):
    """Pointer to an array, whose loads take the lanes of a block."""


@overload(_vectors, jit_options=INLINED)
def _choose_vectors(array):
    width = lanes_of(array.dtype)
    return lambda array: with_lanes(pointer(array, 0), width)


@inlined
def _samples(data, share, weights):
    n, weighted = data.X.shape[1], data.weights.shape[0] > 0
    given_block = n * (data.weights.shape[0] > 1)
    given, counted = pointer(data.weights, 0), pointer(data.counted, 0)
    return Samples(pointer(data.X, 0), pointer(data.y, 0), n, weighted, given, counted, given_block, share, weights)


@inlined
def block_pointers(block, data, validation):
    """Where in a block the loop works: `fastnn.kernels.lanes.members.data.Block` counts in vectors."""
    work = _vectors(block.work)
    width = lanes(work)
    losses, best_params = work + block.losses * width, work + block.best_params * width
    monitored, best = losses + 2 * width, losses + 3 * width
    members, started, keys = pointer(block.members, 0), pointer(block.started, 0), pointer(block.keys, 0)
    waits, pace = pointer(block.waits, 0), work + block.pace * width
    in_lanes = Lanes(work, pace, best, best_params, members, started, waits, keys)
    samples = _samples(data, work + block.share * width, losses + width)
    validated = _samples(validation, work + block.validation_share * width, losses + 4 * width)
    stride, n_in, n_targets = data.rows.shape[2], data.X.shape[2], data.y.shape[2]
    own_x, own_y = pointer(block.work, block.x * width), pointer(block.work, block.y * width)
    x, y, of_member = work + block.x * width, work + block.y * width, stride * samples.n * (data.rows.shape[0] > 1)
    table = RowTable(pointer(data.rows, 0), stride, of_member, n_in, n_targets, own_x, own_y, x, y)
    order, numbers, values = pointer(block.order, 0), pointer(block.numbers, 0), work + block.values * width
    return BlockPointers(in_lanes, values, losses, monitored, order, numbers, samples, validated, table)


@inlined
def pack_rows(pointers, own_order, start, rows):
    """Copy every lane's own rows to where vectors hold them."""
    table = pointers.table
    pack(
        table.rows, table.stride, table.block, pointers.lanes.members, pointers.order, own_order, pointers.samples.n,
        start, rows, table.own_x, table.n_in, table.own_y, table.n_targets, lanes(pointers.losses),
    )  # fmt: skip


@inlined
def share_by_weight(samples, pointers, settings, own_order, start, rows, first, stop):
    """The shares of rows by the weights given for them, in the loss of the lanes ``first:stop``; and their weight."""
    weighted_shares(
        samples.given, samples.counted, samples.given_block, pointers.lanes.members, pointers.order, own_order,
        samples.n, start, rows, first, stop, settings.row_divisor, settings.mean, samples.share, samples.weights,
        lanes(pointers.losses),
    )  # fmt: skip


@inlined
def share_evenly(samples, settings, rows):
    """The share of rows that all weigh the same, in the loss of every lane; and the batch's weight."""
    share = 1.0 / (settings.row_divisor * (rows if settings.mean else 1.0))
    store(samples.share, broadcast(share, samples.share))
    store(samples.weights, broadcast(np.float64(rows), samples.share))
