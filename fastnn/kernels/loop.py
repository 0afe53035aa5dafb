"""The training loop: whole epochs of batches in one compiled call."""

from __future__ import annotations

import numpy as np

from fastnn.jobs.job import Status
from fastnn.kernels.functions.optimizers import Update, update_part
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.simd import pointer, pointer_at
from fastnn.kernels.simd.calls import KNOWN, call, call_float, call_integer
from fastnn.kernels.simd.denormals import flush_denormals, restore_denormals
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.kernels.simd.threads import meet, share
from fastnn.kernels.tiles.dense import LOW
from fastnn.kernels.tiles.layers import COLUMNS, N_IN, N_OUT
from fastnn.kernels.tiles.step import block_loss, finite_part

_DONE, _PAUSED, _BAD_DATA, _DIVERGED, _STOPPED, *_ = (int(status) for status in Status)


@kernel
def run(records, params, slots, counters, sums, learning_rates, epoch_losses, max_steps, checked_steps, team):
    """Train from where `counters` and `sums` stand; see `fastnn.jobs.job`.

    Every thread of the team runs this: each does its share of a step, and all know how far the run has come.
    """
    job, n_params = records[0], params.size
    remembered = pointer(slots, 0), pointer(slots, (slots.shape[0] - 1) * n_params)
    params = pointer(params, 0)
    gradient, work = pointer_at(job.gradient, params), pointer_at(job.work, params)
    settings = pointer_at(job.settings, np.float64)
    layers = pointer_at(job.layers, np.int64)
    n_in, n_out = layers[N_IN], layers[(job.n_layers - 1) * COLUMNS + N_OUT]
    n_batches = (job.n_rows + job.batch_size - 1) // job.batch_size
    from_param, to_param = share(n_params, REGISTER_BYTES, team)

    epoch, batch, step = counters[0], counters[1], counters[2]
    loss_sum, weight_sum = sums[0], sums[1]
    first_epoch, first_step, status = epoch, step, _DONE
    bad_data = pointer_at(job.bad_data, np.int64)
    bad_data[0] = 0
    mode = flush_denormals()
    meet(team)

    while epoch < first_epoch + learning_rates.size and status == _DONE:
        if job.draw_order != 0 and team.rank == 0:
            call(job.draw_order, job, epoch)
        while batch < n_batches and status == _DONE:
            if step - first_step == max_steps:
                status = _PAUSED
                break
            meet(team)
            batch_start = batch * job.batch_size
            batch_stop = min(batch_start + job.batch_size, job.n_rows)
            weight = float(batch_stop - batch_start)
            if job.weigh != 0:
                weight = call_float(job.weigh, job, batch_start, batch_stop, params)
            loss, finite = 0.0, np.isfinite(weight)

            for start in range(batch_start, batch_stop, job.block_rows):
                n = min(job.block_rows, batch_stop - start)
                x, x_stride = pointer_at(job.X, params) + start * n_in, n_in
                y, labels = pointer_at(job.y, params) + start * n_out, pointer_at(job.labels, np.int64) + start
                if job.gather != 0:
                    first, stop = share(n, LOW, team)
                    call(job.gather, job, start, first, stop, n_in, n_out, work)
                    x, x_stride = work + job.x_place, job.x_stride
                    if job.order != 0:
                        y, labels = work + job.y_place, pointer_at(job.block_labels, np.int64)
                    meet(team)
                if job.draw != 0:
                    call(job.draw, job, step, start - batch_start, n, work, team)

                call(job.forward, layers, job.n_layers, job.zeros, params, x, x_stride, n, work, team)
                if step < checked_steps and not finite_part(job, x, x_stride, y, n, n_in, n_out, team):
                    bad_data[0] = 1
                meet(team)
                loss += block_loss(job, y, labels, start, n, weight, work, team)
                finite = finite and bad_data[0] == 0
                rule = job.optimizer if job.by_parts != 0 and finite and np.isfinite(loss) else 0
                update = Update(rule, *remembered, learning_rates[epoch - first_epoch], settings, step + 1)
                places = params, gradient, start > batch_start, x, x_stride, n, work, team, update
                call(job.backward, layers, job.n_layers, job.zeros, *places)

            if job.add_slopes != 0:
                if team.rank == 0:
                    slopes_loss = call_float(
                        job.add_slopes, KNOWN, job, params, gradient, batch_start, batch_stop, weight
                    )
                    pointer_at(job.slopes_loss, np.float64)[0] = slopes_loss
                meet(team)
                loss += pointer_at(job.slopes_loss, np.float64)[0]
            loss *= job.reported
            if job.penalise != 0:
                loss += call_float(job.penalise, job, params, gradient, weight, team)
            if not (finite and np.isfinite(loss)):
                status = _DIVERGED if finite else _BAD_DATA
                epoch_losses[epoch - first_epoch] = loss
                break
            if job.clip != 0:
                call(job.clip, job, gradient, n_params, from_param, to_param, team)
            step += 1
            if job.optimizer != 0 and job.by_parts == 0:
                update = Update(job.optimizer, *remembered, learning_rates[epoch - first_epoch], settings, step)
                update_part(update, params, gradient + from_param, from_param, to_param - from_param)
            if job.by_convention != 0:
                weight = np.float64(batch_stop - batch_start)
            loss_sum += loss * weight
            weight_sum += weight
            batch += 1
        if status != _DONE:
            break
        loss, i = loss_sum / (weight_sum if weight_sum > 0.0 else 1.0), epoch - first_epoch
        epoch_losses[i] = loss
        if job.end_epoch != 0:
            rates, n_rates = pointer(learning_rates, 0), learning_rates.size
            if call_integer(job.end_epoch, job, params, n_params, epoch, loss, rates, i, n_rates, team):
                status = _STOPPED
        epoch, batch, loss_sum, weight_sum = epoch + 1, 0, 0.0, 0.0
    restore_denormals(mode)
    meet(team)
    if team.rank == 0:
        counters[0], counters[1], counters[2] = epoch, batch, step
        sums[0], sums[1] = loss_sum, weight_sum
    return status
