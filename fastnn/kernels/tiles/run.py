"""Training a network of any size: the steps that `fastnn.kernels.loop.loop` takes with tiles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from fastnn.jobs.job import Status
from fastnn.kernels.functions.optimizers import Update, update_part
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.jit.options import INLINED
from fastnn.kernels.loop import loop, present_params, take_step
from fastnn.kernels.simd import pointer, pointer_at
from fastnn.kernels.simd.calls import KNOWN, call, call_float
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.kernels.simd.threads import meet, own_part
from fastnn.kernels.simd.types import Pointer
from fastnn.kernels.tiles.dense import TILE_ROWS
from fastnn.kernels.tiles.layers import N_IN, Team
from fastnn.kernels.tiles.step import block_loss, finite_part

_DONE, _BAD_DATA, _DIVERGED = int(Status.DONE), int(Status.BAD_DATA), int(Status.DIVERGED)


class TileSteps(NamedTuple):
    """What the steps of a network of any size need."""

    params: Pointer
    n_params: int
    slots: tuple[Pointer, Pointer]
    checked_steps: int  # steps before this one look for NaN and infinity in their data
    ordered: bool  # whether an epoch has an order of its own
    team: Team


@kernel
def run(records, params, slots, counters, sums, learning_rates, epoch_losses, max_steps, checked_steps, team):
    """Train from where `counters` and `sums` stand; `records` hold one `fastnn.kernels.tiles.job_record.JOB_RECORD`."""
    job, n_params = records[0], params.size
    remembered = pointer(slots, 0), pointer(slots, (slots.shape[0] - 1) * n_params)
    steps = TileSteps(pointer(params, 0), n_params, remembered, checked_steps, job.draw_order != 0, team)
    pointer_at(job.bad_data, np.int64)[0] = 0
    places = pointer(counters, 0), pointer(sums, 0), pointer(learning_rates, 0), pointer(epoch_losses, 0)
    return loop(steps, job, *places, learning_rates.size, max_steps)


@overload(present_params, jit_options=INLINED)
def _choose_present_params(steps):
    if steps.instance_class is TileSteps:
        return lambda steps: steps.params
    return None


@overload(take_step, jit_options=INLINED)
def _choose_take_step(steps, job, batch, step, rate):
    return _step if steps.instance_class is TileSteps else None


def _step(steps, job, batch, step, rate):
    """`take_step` by tiles: each block of a batch forward and backward, then the optimizer along the sum."""
    params, n_params, team = steps.params, steps.n_params, steps.team
    gradient, work = pointer_at(job.gradient, params), pointer_at(job.work, params)
    settings = pointer_at(job.settings, np.float64)
    layers = pointer_at(job.layers, np.int64)
    n_in, n_targets = layers[N_IN], job.n_targets
    bad_data = pointer_at(job.bad_data, np.int64)

    meet(team)
    batch_start = batch * job.batch_size
    batch_stop = min(batch_start + job.batch_size, job.n_rows)
    weight = float(batch_stop - batch_start)
    if job.weigh != 0:
        weight = call_float(job.weigh, job, batch_start, batch_stop, params)
    loss, finite = 0.0, np.isfinite(weight)

    # the gradient, block by block; with `by_parts` there is one, which updates the parameters as it goes back
    for start in range(batch_start, batch_stop, job.block_rows):
        n = min(job.block_rows, batch_stop - start)
        x, x_stride = pointer_at(job.X, params) + start * n_in, n_in
        y, labels = pointer_at(job.y, params) + start * n_targets, pointer_at(job.labels, np.int64) + start
        if job.gather != 0:
            first, stop = own_part(n, TILE_ROWS, team)
            call(job.gather, job, start, first, stop, n_in, n_targets, work)
            x, x_stride = work + job.x_place, job.x_stride
            if job.order != 0:
                y, labels = work + job.y_place, pointer_at(job.block_labels, np.int64)
            meet(team)
        if job.draw != 0:
            call(job.draw, job, step, start - batch_start, n, work, team)

        call(job.forward, layers, job.n_layers, job.zeros, params, x, x_stride, n, work, team)
        if step < steps.checked_steps and not finite_part(job, x, x_stride, y, n, n_in, team):
            bad_data[0] = 1
        meet(team)
        loss += block_loss(job, y, labels, start, n, weight, work, team)
        finite = finite and bad_data[0] == 0
        rule = job.optimizer if job.by_parts != 0 and finite and np.isfinite(loss) else 0
        update = Update(rule, steps.slots[0], steps.slots[1], rate, settings, step + 1)
        places = params, gradient, start > batch_start, x, x_stride, n, work, team, update
        call(job.backward, layers, job.n_layers, job.zeros, *places)

    # what else the loss consists of
    if job.add_slopes != 0:
        if team.rank == 0:
            slopes_loss = call_float(job.add_slopes, KNOWN, job, params, gradient, batch_start, batch_stop, weight)
            pointer_at(job.slopes_loss, np.float64)[0] = slopes_loss
        meet(team)
        loss += pointer_at(job.slopes_loss, np.float64)[0]
    loss *= job.reported
    if job.penalise != 0:
        loss += call_float(job.penalise, job, params, gradient, weight, team)
    if not finite:
        return np.nan, weight, _BAD_DATA  # infinity may saturate units, and leave the loss finite
    if not np.isfinite(loss):
        return loss, weight, _DIVERGED

    # the update
    from_param, to_param = own_part(n_params, REGISTER_BYTES, team)
    if job.clip != 0:
        call(job.clip, job, gradient, from_param, to_param, team)
    if job.optimizer != 0 and job.by_parts == 0:
        update = Update(job.optimizer, steps.slots[0], steps.slots[1], rate, settings, step + 1)
        parts = pointer_at(job.parts, np.int64)
        for part in range(job.n_parts):
            first, stop = max(from_param, parts[2 * part]), min(to_param, parts[2 * part + 1])
            if first < stop:
                update_part(update, params, gradient + first, first, stop - first)
    return loss, np.float64(batch_stop - batch_start) if job.by_convention != 0 else weight, _DONE
