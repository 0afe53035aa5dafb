"""The loop over members: from the queue into the lanes, through their epochs, and out again."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from fastnn.jobs.records import DIVERGED, EARLY, FINISHED
from fastnn.kernels.functions.random import epoch_key
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.jit.pipeline import INLINED
from fastnn.kernels.lanes.members.batches import pack, share_evenly, share_out, shuffle
from fastnn.kernels.lanes.members.compiled import lanes_of
from fastnn.kernels.lanes.members.turnover import Lanes, admit, note_best, release
from fastnn.kernels.simd import any_lane, broadcast, fma, lanes, load, pointer, store, with_lanes
from fastnn.kernels.simd.calls import KNOWN, call, call_integer
from fastnn.kernels.simd.denormals import flush_denormals, restore_denormals
from fastnn.kernels.simd.threads import fetch_add


def _vectors(array):
    """Pointer to an array, whose loads take the lanes of a block."""


@overload(_vectors, jit_options=INLINED)
def _vectors_impl(array):
    width = lanes_of(array.dtype)
    return lambda array: with_lanes(pointer(array, 0), width)


@kernel
def run(step, data, validation, settings, results, block, queue, max_ticks):
    """Train members from the queue until none is left, for so many epochs of the block at most; whether any is left."""
    control = flush_denormals()
    n, n_in, n_out, n_members = data.X.shape[1], data.X.shape[2], data.y.shape[2], results.status.size
    n_rows, n_params = min(settings.batch_size, n), step.n_params
    n_batches, n_epochs = (n + n_rows - 1) // n_rows, settings.epochs
    own_order, packed, weighted = settings.own_order, step.packed, data.weights.shape[0] > 0
    outputs, mean = settings.outputs, settings.mean
    scheduled, limited = settings.schedule.size > 1, settings.limits.size > 0
    attentive = results.history.size > 0 or settings.patience > 0
    restores = settings.patience > 0 and settings.restore_best
    # so that whole epochs follow one another without a look at them
    plain = n_batches == 1 and not (attentive or scheduled or limited or step.corrected)

    work = _vectors(block.work)
    width = lanes(work)
    values, pace, losses = work + block.values * width, work + block.pace * width, work + block.losses * width
    debias, spread = pace + 2 * width, pace + 3 * width
    weights, monitored = losses + width, losses + 2 * width
    members, started, keys = pointer(block.members, 0), pointer(block.started, 0), pointer(block.keys, 0)
    best, best_params = losses + 3 * width, work + block.best_params * width
    here = Lanes(work, pace, best, best_params, members, started, pointer(block.waits, 0), keys)

    X, y, table, order = pointer(data.X, 0), pointer(data.y, 0), pointer(data.rows, 0), pointer(block.order, 0)
    stride, table_block = data.rows.shape[2], data.rows.shape[2] * n * (data.rows.shape[0] > 1)
    share, packed_x, packed_y = work + block.share * width, work + block.x * width, work + block.y * width
    own_x, own_y = pointer(block.work, block.x * width), pointer(block.work, block.y * width)
    given, given_block = pointer(data.weights, 0), n * (data.weights.shape[0] > 1)
    n_val, weighted_val = validation.X.shape[1], validation.weights.shape[0] > 0
    X_val, y_val, share_val = pointer(validation.X, 0), pointer(validation.y, 0), work + block.validation_share * width
    given_val, given_val_block = pointer(validation.weights, 0), n_val * (validation.weights.shape[0] > 1)

    tick = block.ticks[0]
    last_tick, end, changed, left, together = tick + max_ticks, tick, True, True, True
    while tick < last_tick:
        # ------------------------------------------------ idle lanes to members that wait
        if changed:
            changed, left, together, end = False, False, True, tick + n_epochs
            for lane in range(width):
                if members[lane] < 0 and queue[0] < n_members:
                    member = fetch_add(pointer(queue, 0), 1)
                    if member < n_members:
                        admit(here, lane, member, tick, results, settings, step)
                        if weighted and n_batches == 1:
                            share_out(
                                given, given_block, members, order, False, n, 0, n, lane, lane + 1,
                                outputs, mean, share, weights, width,
                            )  # fmt: skip
                        if weighted_val:
                            share_out(
                                given_val, given_val_block, members, order, False, n_val, 0, n_val, lane, lane + 1,
                                outputs, mean, share_val, monitored, width,
                            )  # fmt: skip
                if members[lane] >= 0:
                    last = started[lane] + n_epochs
                    together, left, end = together and (not left or last == end), True, min(end, last)
            if not left:
                break
            if packed and n_batches == 1:
                pack(
                    table, stride, table_block, members, order, False, n, 0, n,
                    own_x, n_in, own_y, n_out, width,
                )  # fmt: skip
            if not weighted:
                share_evenly(share, weights, n_rows, outputs, mean)
            if n_val > 0 and not weighted_val:
                share_evenly(share_val, monitored, n_val, outputs, mean)
        for lane in range(width if own_order else 0):
            keys[width + lane] = epoch_key(keys[lane], tick - started[lane])
            shuffle(keys[width + lane], order + lane * n, pointer(block.numbers, 0), n)
        for lane in range(width if scheduled else 0):
            if members[lane] >= 0:
                pace[lane] = settings.rates[members[lane]] * settings.schedule[tick - started[lane]]

        # ------------------------------------------------ an epoch, or as many as may follow without a look
        loss_sum, weight_sum = broadcast(0.0, work), broadcast(0.0, work)
        for batch in range(n_batches):
            start = batch * n_rows
            rows = min(n_rows, n - start)
            if packed and n_batches > 1:
                pack(
                    table, stride, table_block, members, order, own_order, n, start, rows,
                    own_x, n_in, own_y, n_out, width,
                )  # fmt: skip
            if weighted and n_batches > 1:
                share_out(
                    given, given_block, members, order, own_order, n, start, rows, 0, width,
                    outputs, mean, share, weights, width,
                )  # fmt: skip
            elif n_batches > 1:
                share_evenly(share, weights, rows, outputs, mean)
            if step.corrected:
                for lane in range(width):
                    if lane == 0 or not together:
                        epoch = tick - (end - n_epochs if together else started[lane])
                        number = epoch * n_batches + batch + 1
                        first = 1.0 - settings.settings[0] ** number
                        second = np.sqrt(1.0 - settings.settings[1] ** number)
                    debias[lane], spread[lane] = first, second
            for lane in range(width if limited else 0):
                epoch = tick - started[lane]
                if members[lane] >= 0 and epoch * n_batches + batch == settings.limits[members[lane]]:
                    steps = epoch * n_batches + batch
                    release(here, lane, results, DIVERGED, epoch, steps, np.nan, False, n_params)
                    changed = True

            done = call_integer(
                step.train, KNOWN, work, values, pace, X + start * n_in, y + start * n_out, packed_x, packed_y,
                share, np.intp(weighted), rows, min(end, last_tick) - tick if plain else 1,
                settings.max_grad_norm, pointer(settings.loss_parameter, 0), pointer(settings.settings, 0), losses,
            )  # fmt: skip
            tick += done - 1
            loss = load(losses)
            if any_lane(loss - loss != 0.0):
                for lane in range(width):
                    if members[lane] >= 0 and not np.isfinite(losses[lane]):
                        epoch = tick - started[lane]
                        steps = epoch * n_batches + batch
                        release(here, lane, results, DIVERGED, epoch, steps, np.nan, False, n_params)
                        changed = True
            loss_sum, weight_sum = fma(loss, load(weights), loss_sum), weight_sum + load(weights)

        # ------------------------------------------------ a look at its end
        tick += 1
        if not attentive and tick < end:
            continue
        store(losses, loss_sum / weight_sum)
        if n_val > 0:
            call(
                step.batch_loss, KNOWN, work, values, X_val, y_val, packed_x, packed_y, share_val,
                np.intp(weighted_val), n_val, pointer(settings.loss_parameter, 0), monitored,
            )  # fmt: skip
        else:
            store(monitored, load(losses))
        if settings.patience > 0:
            note_best(here, monitored, settings, n_params)
        for lane in range(width):
            member, epoch = members[lane], tick - started[lane]
            if member < 0:
                continue
            if results.history.size > 0:
                results.history[member, epoch - 1] = losses[lane]
            if results.history.size > 0 and n_val > 0:
                results.validation[member, epoch - 1] = monitored[lane]
            waits = settings.patience == 0 or here.waits[lane] < settings.patience
            if not waits or epoch == n_epochs:
                status, steps = FINISHED if waits else EARLY, epoch * n_batches
                release(here, lane, results, status, epoch, steps, np.float64(losses[lane]), restores, n_params)
                changed = True
    block.ticks[0] = tick
    restore_denormals(control)
    return left
