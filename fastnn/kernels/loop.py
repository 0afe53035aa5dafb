"""The training loop: whole epochs of batches in one compiled call.

It is written once, for tiles and for samples in lanes. What differs is chosen by the type of `steps`, a tuple of what a
step needs, for which each of them overloads `take_step` and `present_params`.
"""

from __future__ import annotations

from fastnn.jobs.job import Status
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.simd.calls import call, call_integer
from fastnn.kernels.simd.denormals import flush_denormals, restore_denormals
from fastnn.kernels.simd.threads import begin, meet

_DONE, _PAUSED, _STOPPED = int(Status.DONE), int(Status.PAUSED), int(Status.STOPPED)


def take_step(steps, job, batch, step, rate):
    """Loss and weight of a batch, along whose gradient a step is made; a `Status`, other than DONE if none was."""


def present_params(steps):
    """Pointer to the parameters as they are now."""


@inlined
def loop(steps, job, counters, sums, learning_rates, epoch_losses, n_epochs, max_steps):
    """Train from where `counters` and `sums` stand, at most `n_epochs` epochs; see `fastnn.jobs.job`.

    Arrays come as pointers, which Numba does not count. Every thread of the team runs this: each does its share of a
    step, and all know how far the run has come.
    """
    team = steps.team
    n_batches = (job.n_rows + job.batch_size - 1) // job.batch_size
    epoch, batch, step = counters[0], counters[1], counters[2]
    loss_sum, weight_sum = sums[0], sums[1]
    first_epoch, first_step, status = epoch, step, _DONE
    if not begin(team):
        return _PAUSED
    mode = flush_denormals()
    while epoch < first_epoch + n_epochs and status == _DONE:
        i = epoch - first_epoch
        if steps.ordered and team.rank == 0 and job.order_epoch != epoch:
            call(job.draw_order, job, epoch)
            job.order_epoch = epoch
        while batch < n_batches:
            if step - first_step == max_steps:
                status = _PAUSED
                break
            loss, weight, status = take_step(steps, job, batch, step, learning_rates[i])
            if status != _DONE:
                epoch_losses[i] = loss
                break
            step += 1
            loss_sum += loss * weight
            weight_sum += weight
            batch += 1
        if status != _DONE:
            break
        mean = loss_sum / (weight_sum if weight_sum > 0.0 else 1.0)
        epoch_losses[i] = mean
        if job.end_epoch != 0:
            params = present_params(steps)
            if call_integer(job.end_epoch, job, params, steps.n_params, epoch, mean, learning_rates, i, n_epochs, team):
                status = _STOPPED
        epoch, batch, loss_sum, weight_sum = epoch + 1, 0, 0.0, 0.0
    restore_denormals(mode)
    meet(team)
    if team.rank == 0:
        counters[0], counters[1], counters[2] = epoch, batch, step
        sums[0], sums[1] = loss_sum, weight_sum
    return status
