"""The loop over members: from the queue into the lanes, through their epochs, and out again."""

from __future__ import annotations

import numpy as np

from fastnn.jobs.records import DIVERGED, EARLY, FINISHED
from fastnn.kernels.functions.optimizers import bias_corrections
from fastnn.kernels.functions.random import subkey
from fastnn.kernels.jit.compiling import inlined, kernel
from fastnn.kernels.lanes.members.batches import permute
from fastnn.kernels.lanes.members.pointers import block_pointers, pack_rows, share_by_weight, share_evenly
from fastnn.kernels.lanes.members.turnover import admit, note_best, release
from fastnn.kernels.simd import any_lane, broadcast, fma, lanes, load, pointer, store
from fastnn.kernels.simd.calls import KNOWN, call, call_integer
from fastnn.kernels.simd.denormals import flush_denormals, restore_denormals
from fastnn.kernels.simd.threads import fetch_add


@inlined
def _admit_waiting(step, pointers, settings, results, queue, tick, n_batches):
    """Give idle lanes to waiting members, and prepare all rows where they are one batch.

    Returns whether any lane has a member, whether all of these began together and when, and when the first will end.
    """
    here, samples, validation = pointers.lanes, pointers.samples, pointers.validation
    width, n_members = lanes(here.params), results.status.size
    left, together, begin, end = False, True, tick, tick
    for lane in range(width):
        if here.members[lane] < 0 and queue[0] < n_members:
            member = fetch_add(pointer(queue, 0), 1)
            if member < n_members:
                admit(here, lane, member, tick, results, settings, step)
                if samples.weighted and n_batches == 1:
                    share_by_weight(samples, pointers, settings, False, 0, samples.n, lane, lane + 1)
                if validation.weighted:
                    share_by_weight(validation, pointers, settings, False, 0, validation.n, lane, lane + 1)
        if here.members[lane] >= 0:
            first = here.started[lane]
            last = first + settings.epochs[here.members[lane]]
            together, end = together and (not left or first == begin), min(end, last) if left else last
            left, begin = True, first
    if left and step.packed and n_batches == 1:
        pack_rows(pointers, False, 0, samples.n)
    if left and not samples.weighted:
        share_evenly(samples, settings, min(settings.batch_size, samples.n))
    if left and validation.n > 0 and not validation.weighted:
        share_evenly(validation, settings, validation.n)
    return left, together, begin, end


@inlined
def _begin_epoch(pointers, settings, tick):
    """Draw every lane's own order of the samples, and set its rate where that changes from epoch to epoch."""
    here, n = pointers.lanes, pointers.samples.n
    width = lanes(here.params)
    for lane in range(width if settings.own_order else 0):
        here.keys[width + lane] = subkey(here.keys[lane], tick - here.started[lane])
        permute(here.keys[width + lane], pointers.order + lane * n, pointers.numbers, n)
    for lane in range(width if settings.schedule.size > 1 else 0):
        member = here.members[lane]
        if member >= 0:
            here.pace[lane] = settings.rates[member] * settings.schedule[tick - here.started[lane]]


@inlined
def _correct_biases(pointers, settings, tick, begin, together, batch, n_batches):
    """What the optimizer divides its averages by, in every lane; `begin` is the first tick of members in step."""
    here = pointers.lanes
    width = lanes(here.params)
    m_correction, root_correction = here.pace + 2 * width, here.pace + 3 * width
    for lane in range(width):
        if lane == 0 or not together:
            epoch = tick - (begin if together else here.started[lane])
            number = epoch * n_batches + batch + 1
            first, second = bias_corrections(settings.settings, number)
        m_correction[lane], root_correction[lane] = first, second


@inlined
def _train_batch(step, pointers, settings, results, tick, batch, n_batches, n_steps):
    """Take steps on one batch; returns how many, and whether a member was released, at a non-finite loss."""
    here, samples, table, losses = pointers.lanes, pointers.samples, pointers.table, pointers.losses
    width, changed = lanes(here.params), False
    start = batch * min(settings.batch_size, samples.n)
    rows = min(settings.batch_size, samples.n - start)
    if step.packed and n_batches > 1:
        pack_rows(pointers, settings.own_order, start, rows)
    if samples.weighted and n_batches > 1:
        share_by_weight(samples, pointers, settings, settings.own_order, start, rows, 0, width)
    elif n_batches > 1:
        share_evenly(samples, settings, rows)
    done = call_integer(
        step.take_steps, KNOWN, here.params, pointers.values, here.pace, samples.X + start * table.n_in,
        samples.y + start * table.n_targets, table.x, table.y, samples.share, np.intp(samples.weighted), rows, n_steps,
        settings.max_grad_norm, pointer(settings.loss_parameter, 0), pointer(settings.settings, 0), losses,
    )  # fmt: skip
    loss = load(losses)
    if any_lane(loss - loss != 0.0):
        for lane in range(width):
            if here.members[lane] >= 0 and not np.isfinite(losses[lane]):
                epoch = tick + done - 1 - here.started[lane]
                release(here, lane, results, DIVERGED, epoch, n_batches, np.nan, False, step)
                changed = True
    return done, changed


@inlined
def _end_epoch(step, pointers, settings, results, tick, n_batches):
    """Record each member's losses after an epoch, and release those out of epochs or patience; whether any was."""
    here, validation = pointers.lanes, pointers.validation
    losses, monitored = pointers.losses, pointers.monitored
    changed, restores = False, settings.patience > 0 and settings.restore_best
    if validation.n > 0:
        call(
            step.batch_loss, KNOWN, here.params, pointers.values, validation.X, validation.y, pointers.table.x,
            pointers.table.y, validation.share, np.intp(validation.weighted), validation.n,
            pointer(settings.loss_parameter, 0), monitored,
        )  # fmt: skip
    else:
        store(monitored, load(losses))
    if settings.patience > 0:
        note_best(here, monitored, settings, step.n_params)
    for lane in range(lanes(here.params)):
        member, epoch = here.members[lane], tick - here.started[lane]
        if member < 0:
            continue
        if results.history.size > 0:
            results.history[member, epoch - 1] = losses[lane]
        if results.history.size > 0 and validation.n > 0:
            results.validation[member, epoch - 1] = monitored[lane]
        is_patient = settings.patience == 0 or here.waits[lane] < settings.patience
        if not is_patient or epoch == settings.epochs[member]:
            status = FINISHED if is_patient else EARLY
            release(here, lane, results, status, epoch, n_batches, np.float64(losses[lane]), restores, step)
            changed = True
    return changed


@kernel
def run(step, data, validation, settings, results, block, queue, max_ticks):
    """Train members from the queue for at most this many epochs of the block; returns whether any is left."""
    mode = flush_denormals()
    pointers = block_pointers(block, data, validation)
    losses, weights = pointers.losses, pointers.samples.weights
    n = pointers.samples.n
    n_rows = min(settings.batch_size, n)
    n_batches = (n + n_rows - 1) // n_rows
    looks_at_epochs = results.history.size > 0 or settings.patience > 0
    # Epochs of one batch that all are alike follow one another in one call of the step.
    runs_on = n_batches == 1 and not (looks_at_epochs or settings.schedule.size > 1 or step.corrected)

    tick = block.ticks[0]
    last_tick, begin, end, changed, left, together = tick + max_ticks, tick, tick, True, True, True
    while tick < last_tick:
        if changed:
            left, together, begin, end = _admit_waiting(step, pointers, settings, results, queue, tick, n_batches)
            changed = False
            if not left:
                break
        _begin_epoch(pointers, settings, tick)
        loss_sum, weight_sum = broadcast(0.0, losses), broadcast(0.0, losses)
        for batch in range(n_batches):
            if step.corrected:
                _correct_biases(pointers, settings, tick, begin, together, batch, n_batches)
            n_steps = min(end, last_tick) - tick if runs_on else 1
            done, released = _train_batch(step, pointers, settings, results, tick, batch, n_batches, n_steps)
            tick, changed = tick + done - 1, changed or released
            loss_sum, weight_sum = fma(load(losses), load(weights), loss_sum), weight_sum + load(weights)
        tick += 1
        if looks_at_epochs or tick >= end:
            store(losses, loss_sum / weight_sum)
            changed = _end_epoch(step, pointers, settings, results, tick, n_batches) or changed
    block.ticks[0] = tick
    restore_denormals(mode)
    return left
