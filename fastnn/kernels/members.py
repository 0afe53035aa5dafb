"""Many networks at once, one in each lane of a vector, each at its own place of its own training.

A block of lanes runs all its epochs before the next begins, so that its parameters stay in the nearest cache. Epochs
and batches go in step through the lanes, but each lane counts its own: when a member is finished, its lane goes to
the next one waiting. Nothing a lane computes depends on what stands in the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from fastnn import catalogue
from fastnn.kernels.compiling import inlined, kernel, outlined
from fastnn.kernels.lanes import CORRECTED, Plan, addresses
from fastnn.kernels.layers import workspace
from fastnn.kernels.llvm.calls import KNOWN, call
from fastnn.kernels.llvm.simd import any_lane, broadcast, fma, lanes, load, pointer, store, with_lanes
from fastnn.kernels.llvm.threads import fetch_add
from fastnn.kernels.llvm.types import native_lanes
from fastnn.kernels.optimizers import rule_of
from fastnn.kernels.random import bits, epoch_key, member_key
from fastnn.optimizers import Rprop
from fastnn.spec import NetworkSpec

#: How a member's training ended: nobody has begun it; all epochs are done; early stopping; divergence.
WAITING, FINISHED, STOPPED, DIVERGED = range(4)


class Data(NamedTuple):
    """Samples, a block for each member or one for all; `weights` has no block where all weigh the same."""

    X: NDArray  # (1 or K, n, n_in)
    y: NDArray  # (1 or K, n, n_out)
    weights: NDArray  # (0, 1 or K, n)


class Settings(NamedTuple):
    """How the members are trained; arrays of shape (K,) have a number for each."""

    rates: NDArray[np.float64]
    momenta: NDArray[np.float64]
    l2: NDArray[np.float64]
    seeds: NDArray[np.int64]
    streams: NDArray[np.int64]  # which stream of a seed's random numbers a member draws from
    limits: NDArray[np.int64]  # a member makes so many steps at most
    schedule: NDArray[np.float64]  # factor of the rates in each epoch, or one for all
    epochs: int
    settings: NDArray[np.float64]  # (4,), the optimizer's
    delta: float
    outputs: float  # what a row's loss is divided by
    mean: bool
    max_grad_norm: float
    batch_size: int
    own_order: bool  # each member visits the samples in an order of its own
    patience: int  # epochs without improvement before a member stops; 0 never stops it
    min_improvement: float
    restore_best: bool


class Results(NamedTuple):
    """What becomes of the members."""

    params: NDArray  # (K, n_params), first values on entry
    status: NDArray[np.int8]  # (K,)
    epochs: NDArray[np.int64]  # (K,)
    steps: NDArray[np.int64]  # (K,)
    loss: NDArray[np.float64]  # (K,), of the last epoch
    best: NDArray[np.float64]  # (K,), the least that was monitored
    history: NDArray[np.float64]  # (K, epochs), or (0, 0)
    validation: NDArray[np.float64]  # (K, epochs), or (0, 0)


class Block(NamedTuple):
    """The lanes of one thread, between two calls of the kernel; places count vectors in `work`."""

    work: NDArray
    members: NDArray[np.intp]  # (lanes,), -1 where a lane is idle
    started: NDArray[np.int64]  # (lanes,): the tick in which the lane's member began
    waits: NDArray[np.int64]  # (lanes,): epochs without improvement
    best: NDArray[np.float64]  # (lanes,)
    keys: NDArray[np.uint64]  # (2 * lanes,): of the lane's member, and of its present epoch
    swaps: NDArray[np.intp]  # (lanes,)
    order: NDArray[np.intp]  # (n, lanes), or (0, 0)
    ticks: NDArray[np.int64]  # (1,): epochs that the block has been through
    values: int
    pace: int  # rate, momentum, two corrections, l2; weight and loss of a batch or epoch; what is monitored
    x: int
    y: int
    share: int
    validation_share: int
    best_params: int


def _vectors(array):
    """Pointer to an array, whose loads take the lanes of a block."""


@overload(_vectors, jit_options={"forceinline": True})
def _vectors_impl(array):
    width = lanes_of(array.dtype)
    return lambda array: with_lanes(pointer(array, 0), width)


def lanes_of(dtype: types.Type) -> int:
    """Members of a block: two registers a value, so that their latencies overlap."""
    return 2 * native_lanes(dtype)


@inlined
def _shuffle(width, keys, swaps, order, n):
    """A random order for each lane, ``order[r * width + lane]``: `fastnn.kernels.random.permute` in all at once."""
    for r in range(n):
        for lane in range(width):
            order[r * width + lane] = r
    for r in range(n - 1, 0, -1):
        for lane in range(width):
            swaps[lane] = np.intp((bits(keys[lane], r) * np.uint64(r + 1)) >> np.uint64(32))
        for lane in range(width):
            place, other = r * width + lane, swaps[lane] * width + lane
            order[place], order[other] = order[other], order[place]


@outlined
def _pack(source, block_stride, columns, members, order, own_order, target, width, first, stop, start, rows):
    """Copy rows of the data to where a vector holds a number of every lane; for the lanes ``first:stop``."""
    for r in range(rows):
        for lane in range(first, stop):
            row = order[(start + r) * width + lane] if own_order else start + r
            x, t = (
                source + (max(members[lane], 0) * block_stride + row * columns),
                target + (r * columns * width + lane),
            )
            for i in range(columns):
                t[i * width] = x[i]


@outlined
def _share_out(
    weights, block_stride, members, order, own_order, target, sums, width, first, stop, start, rows, outputs, mean
):
    """The share of rows in the loss of the lanes ``first:stop``, and the sum of their weights."""
    for lane in range(first, stop):
        w, weight = weights + max(members[lane], 0) * block_stride, 0.0
        for r in range(rows):
            row = order[(start + r) * width + lane] if own_order else start + r
            target[r * width + lane] = w[row]
            weight += w[row]
        divisor = outputs * (weight if mean else 1.0)
        factor = 1.0 / divisor if divisor > 0.0 else 0.0
        for r in range(rows):
            target[r * width + lane] = factor * target[r * width + lane]
        sums[lane] = weight


@inlined
def _share_evenly(settings, share, weights, rows):
    """The share of each row in the loss of every lane, where all rows weigh the same; and the batch's weight."""
    store(share, broadcast(1.0 / (settings.outputs * (rows if settings.mean else 1.0)), share))
    store(weights, broadcast(np.float64(rows), share))


@outlined
def _empty(block, lane, width, n_vectors):
    """Leave a lane idle: zeros keep it from overflow."""
    block.members[lane] = -1
    for i in range(n_vectors):
        block.work[i * width + lane] = 0.0


@outlined
def _retire(results, settings, block, lane, width, n_params, status, epochs, steps, loss):
    """Write down what became of a lane's member, and free the lane."""
    m = block.members[lane]
    best = status != DIVERGED and settings.patience > 0 and settings.restore_best
    place = block.best_params if best else 0
    for i in range(n_params):
        results.params[m, i] = block.work[(place + i) * width + lane]
    results.status[m], results.epochs[m], results.steps[m] = status, epochs, steps
    results.loss[m], results.best[m] = loss, block.best[lane]
    _empty(block, lane, width, 4 * n_params)


@outlined
def _fill(results, settings, block, lane, width, n_params, m, adaptive):
    """Give an idle lane to member `m`. With `adaptive` steps the second slot starts at the rate."""
    block.members[lane], block.started[lane] = m, block.ticks[0]
    block.waits[lane], block.best[lane] = 0, np.inf
    for i in range(n_params):
        block.work[i * width + lane] = results.params[m, i]
        if adaptive:
            block.work[(3 * n_params + i) * width + lane] = settings.rates[m]
    block.work[block.pace * width + lane] = settings.rates[m] * settings.schedule[0]
    block.keys[lane] = member_key(settings.seeds[m], settings.streams[m])
    block.work[(block.pace + 1) * width + lane] = settings.momenta[m]
    block.work[(block.pace + 4) * width + lane] = settings.l2[m]


@outlined
def _correct(members, started, tick, n_batches, batch, betas, correction, root, width):
    """What corrects the bias of each lane's step."""
    last, first_factor, second_factor = np.int64(-1), 1.0, 1.0
    for lane in range(width):
        step = (tick - started[lane]) * n_batches + batch + 1
        if step != last:
            last = step
            first_factor, second_factor = 1.0 / (1.0 - betas[0] ** step), 1.0 / np.sqrt(1.0 - betas[1] ** step)
        correction[lane], root[lane] = first_factor, second_factor


@inlined
def _improved(settings, block, lane, width, n_params, value):
    """Whether a lane's member may go on after an epoch whose monitored loss is `value`."""
    block.waits[lane] = 0 if value < block.best[lane] - settings.min_improvement else block.waits[lane] + 1
    if value < block.best[lane]:
        block.best[lane] = value
        for i in range(n_params if settings.restore_best else 0):
            block.work[(block.best_params + i) * width + lane] = block.work[i * width + lane]
    return settings.patience == 0 or block.waits[lane] < settings.patience


class Step(NamedTuple):
    """What is compiled for the networks, by address, and what of them the loop over members must know."""

    train_batch: int
    batch_loss: int
    n_params: int
    corrected: bool  # the optimizer corrects a bias in each step
    adaptive: bool  # the second slot starts at the rate
    packed: bool  # every lane has rows of its own


@kernel
def run(step, data, validation, settings, results, block, queue, max_ticks):
    """Train members from the queue until none is left, for so many epochs of the block at most; whether any is left."""
    n, n_in, n_out = data.X.shape[1], data.X.shape[2], data.y.shape[2]
    n_members, n_rows = results.status.size, min(settings.batch_size, n)
    n_batches = (n + n_rows - 1) // n_rows
    optimizer = pointer(settings.settings, 0)
    n_params, packed = step.n_params, step.packed
    work = _vectors(block.work)
    width = lanes(work)
    values, pace = work + block.values * width, work + block.pace * width
    correction, root = pace + 2 * width, pace + 3 * width
    weights, losses, monitored = pace + 5 * width, pace + 6 * width, pace + 7 * width
    share, packed_x, packed_y = work + block.share * width, work + block.x * width, work + block.y * width
    members, started, order = pointer(block.members, 0), pointer(block.started, 0), pointer(block.order, 0)
    X, y = pointer(data.X, 0), pointer(data.y, 0)
    x_block, y_block = n * n_in * (data.X.shape[0] > 1), n * n_out * (data.y.shape[0] > 1)
    sample_weights, weights_block = pointer(data.weights, 0), n * (data.weights.shape[0] > 1)
    weighted, n_validation = data.weights.shape[0] > 0, validation.X.shape[1]
    validation_weighted, validation_share = validation.weights.shape[0] > 0, work + block.validation_share * width
    validation_weights, validation_block = (
        pointer(validation.weights, 0),
        n_validation * (validation.weights.shape[0] > 1),
    )
    outputs, mean, own_order = settings.outputs, settings.mean, settings.own_order
    attentive = results.history.size > 0 or settings.patience > 0
    scheduled, limited = settings.schedule.size > 1, settings.limits.size > 0
    end, changed = block.ticks[0], True  # when the first of the present members has done its epochs; whether any left

    for _ in range(max_ticks):
        # ------------------------------------------------ idle lanes to members that wait
        if changed:
            active, changed, end = False, False, block.ticks[0] + settings.epochs
            for lane in range(width):
                if block.members[lane] < 0:
                    m = fetch_add(pointer(queue, 0), 1) if queue[0] < n_members else n_members
                    if m < n_members:
                        _fill(results, settings, block, lane, width, n_params, m, step.adaptive)
                        if packed and n_batches == 1:
                            _pack(X, x_block, n_in, members, order, False, packed_x, width, lane, lane + 1, 0, n)
                            _pack(y, y_block, n_out, members, order, False, packed_y, width, lane, lane + 1, 0, n)
                        if weighted and n_batches == 1:
                            _share_out(
                                sample_weights, weights_block, members, order, False, share, weights,
                                width, lane, lane + 1, 0, n, outputs, mean,
                            )  # fmt: skip
                        if validation_weighted:
                            _share_out(
                                validation_weights, validation_block, members, order, False, validation_share,
                                monitored, width, lane, lane + 1, 0, n_validation, outputs, mean,
                            )  # fmt: skip
                if block.members[lane] >= 0:
                    active, end = True, min(end, block.started[lane] + settings.epochs)
            if not active:
                return False
            if not weighted:
                _share_evenly(settings, share, weights, n_rows)
        if own_order:
            for lane in range(width):
                block.keys[width + lane] = epoch_key(block.keys[lane], block.ticks[0] - block.started[lane])
            _shuffle(width, pointer(block.keys, width), pointer(block.swaps, 0), order, n)
        if scheduled:
            for lane in range(width):
                if block.members[lane] >= 0:
                    factor = settings.schedule[block.ticks[0] - block.started[lane]]
                    pace[lane] = settings.rates[block.members[lane]] * factor

        # ------------------------------------------------ an epoch
        loss_sum, weight_sum = broadcast(0.0, work), broadcast(0.0, work)
        for batch in range(n_batches):
            start = batch * n_rows
            rows = min(n_rows, n - start)
            if n_batches > 1:
                if packed:
                    _pack(X, x_block, n_in, members, order, own_order, packed_x, width, 0, width, start, rows)
                    _pack(y, y_block, n_out, members, order, own_order, packed_y, width, 0, width, start, rows)
                if weighted:
                    _share_out(
                        sample_weights, weights_block, members, order, own_order, share, weights,
                        width, 0, width, start, rows, outputs, mean,
                    )  # fmt: skip
                else:
                    _share_evenly(settings, share, weights, rows)
            if step.corrected:
                _correct(members, started, block.ticks[0], n_batches, batch, optimizer, correction, root, width)
            if limited:
                for lane in range(width):
                    epoch = block.ticks[0] - block.started[lane]
                    steps = epoch * n_batches + batch
                    if block.members[lane] >= 0 and steps == settings.limits[block.members[lane]]:
                        _retire(results, settings, block, lane, width, n_params, DIVERGED, epoch, steps, np.nan)
                        changed = True

            call(
                step.train_batch, KNOWN, work, values, pace, X + start * n_in, y + start * n_out, packed_x, packed_y,
                share, np.intp(weighted), rows, settings.max_grad_norm, settings.delta, optimizer, losses,
            )  # fmt: skip
            loss = load(losses)
            if any_lane(loss - loss != 0.0):
                for lane in range(width):
                    if block.members[lane] >= 0 and not np.isfinite(losses[lane]):
                        epoch = block.ticks[0] - block.started[lane]
                        steps = epoch * n_batches + batch
                        _retire(results, settings, block, lane, width, n_params, DIVERGED, epoch, steps, np.nan)
                        changed = True
            loss_sum, weight_sum = fma(loss, load(weights), loss_sum), weight_sum + load(weights)

        # ------------------------------------------------ after an epoch
        block.ticks[0] += 1
        if not attentive and block.ticks[0] < end:
            continue
        store(losses, loss_sum / weight_sum)
        if n_validation > 0:
            if not validation_weighted:
                _share_evenly(settings, validation_share, monitored, n_validation)
            call(
                step.batch_loss, KNOWN, work, values, pointer(validation.X, 0), pointer(validation.y, 0),
                packed_x, packed_y, validation_share, np.intp(validation_weighted), n_validation, settings.delta,
                monitored,
            )  # fmt: skip
        for lane in range(width):
            m = block.members[lane]
            if m < 0:
                continue
            epoch, loss_value = block.ticks[0] - block.started[lane], np.float64(losses[lane])
            value = np.float64(monitored[lane]) if n_validation > 0 else loss_value
            if results.history.size > 0:
                results.history[m, epoch - 1] = loss_value
                if n_validation > 0:
                    results.validation[m, epoch - 1] = value
            go_on = _improved(settings, block, lane, width, n_params, value) if attentive else True
            if not go_on or epoch == settings.epochs:
                status = FINISHED if go_on else STOPPED
                steps = epoch * n_batches
                _retire(results, settings, block, lane, width, n_params, status, epoch, steps, loss_value)
                changed = True
    return True


# ---------------------------------------------------------------- from Python
def new_block(plan: Plan, n: int, batch_size: int, n_validation: int, own_order: bool) -> Block:
    """A block of idle lanes for so many samples."""
    spec, width = plan.spec, plan.lanes
    size = 0

    def take(vectors: int) -> int:
        nonlocal size
        place, size = size, size + vectors
        return place

    take(4 * spec.n_params)
    places = {
        "values": take(plan.n_values),
        "pace": take(8),
        "x": take(batch_size * spec.n_in if plan.packed else 0),
        "y": take(batch_size * spec.n_out if plan.packed else 0),
        "share": take(batch_size),
        "validation_share": take(max(1, n_validation)),
        "best_params": take(spec.n_params),
    }
    return Block(
        work=workspace(size * width, spec.dtype),
        members=np.full(width, -1, np.intp),
        started=np.zeros(width, np.int64),
        waits=np.zeros(width, np.int64),
        best=np.zeros(width),
        keys=np.zeros(2 * width, np.uint64),
        swaps=np.zeros(width, np.intp),
        order=np.empty((n, width) if own_order else (0, 0), np.intp),
        ticks=np.zeros(1, np.int64),
        **places,
    )


#: Rows of a batch that go through the networks together.
ROWS = 4

#: A network of more parameters than this is trained by itself: its copies in all lanes would leave the nearest cache.
MOST_PARAMS = 1000


def serves(spec: NetworkSpec) -> bool:
    """Whether networks of a spec are trained in lanes."""
    return spec.n_params <= MOST_PARAMS


def new_step(
    spec: NetworkSpec,
    loss: catalogue.Loss,
    rule: int,
    batch_size: int,
    *,
    packed: bool,
    penalised: bool,
    clipped: bool,
    validates: bool,
) -> tuple[Plan, Step]:
    """The plan for networks in lanes, and what is compiled for it."""
    width = lanes_of(types.float32 if spec.dtype == "float32" else types.float64)
    plan = Plan(spec, loss.code, rule, width, min(ROWS, batch_size), False, penalised, clipped, packed)
    adaptive = rule == rule_of(Rprop())[0]
    return plan, Step(*addresses(plan, validates), spec.n_params, rule in CORRECTED, adaptive, packed)
