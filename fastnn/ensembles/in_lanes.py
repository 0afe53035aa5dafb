"""Members side by side, in the lanes of the kernels' vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.ensembles.threads import Report, Worker, share
from fastnn.jobs.members import MembersJob, MembersOutcome
from fastnn.jobs.missing import counted_weights
from fastnn.kernels.functions.optimizers import rule_of
from fastnn.kernels.lanes import members
from fastnn.settings.catalogue import Loss
from fastnn.training.interrupts import SECONDS_A_CALL


def in_lanes(job: MembersJob, outcome: MembersOutcome, epochs: NDArray[np.int64] | None = None) -> Callable[[], Worker]:
    """Train members in lanes, each for its own number of `epochs`, shape (K,), or all for the job's.

    Each thread has its own block of lanes, and takes members from a common queue.
    """
    rule, settings = rule_of(job.optimizer)
    n = job.X.shape[1]
    packed = job.shuffle or len(job.X) > 1 or len(job.y) > 1
    kind, compiled = members.new_step(
        job.spec,
        job.loss.code,
        rule,
        job.batch_size,
        packed=packed,
        penalised=np.count_nonzero(job.l2) > 0,
        clipped=job.max_grad_norm < np.inf,
        selective=job.features is not None,
        validates=job.X_val.shape[1] > 0,
    )
    epochs = np.full(len(job), job.epochs, np.int64) if epochs is None else epochs
    parameters = _member_settings(job, settings, epochs)
    rows = members.table(job.X, job.y) if packed else np.empty((0, n, 0), job.X.dtype)
    data = members.Data(job.X, job.y, *_weights(job.loss, job.y, job.weights), rows)
    of_validation = _weights(job.loss, job.y_val, job.weights_val)
    validation = members.Data(job.X_val, job.y_val, *of_validation, np.empty((0, n, 0), job.X.dtype))
    results = members.Results(outcome.params, **vars(outcome.records))  # type: ignore[call-arg] # as Records
    queue = np.zeros(1, np.int64)

    def new_worker() -> Worker:
        block = members.new_block(kind, n, job.batch_size, job.X_val.shape[1], job.shuffle)
        ticks = _first_ticks(job, kind.lanes)

        def work() -> bool:
            nonlocal ticks
            clock = perf_counter()
            more = members.run(compiled, data, validation, parameters, results, block, queue, ticks)
            seconds = perf_counter() - clock
            if seconds < 10 * SECONDS_A_CALL:  # the first call may have compiled the kernel
                ticks = max(1, int(min(ticks * 8, ticks * SECONDS_A_CALL / seconds)))
            return more

        return work

    return new_worker


def _member_settings(job: MembersJob, settings: tuple[float, ...], epochs: NDArray[np.int64]) -> Any:
    """How the members are trained, as the kernel takes it; `settings` are the optimizer's."""
    stopping = job.stopping
    return members.MemberSettings(
        rates=job.rates,
        momenta=job.momenta,
        l2=job.l2,
        seeds=job.seeds,
        epochs=epochs,
        schedule=job.schedule,
        settings=np.array(settings, np.float64),
        loss_parameter=np.full(job.loss.n_targets(job.spec.n_out), job.loss_parameter, job.spec.dtype),
        row_divisor=job.loss.divisor(job.spec.n_out),
        mean=job.loss.mean,
        max_grad_norm=float(job.max_grad_norm),
        batch_size=job.batch_size,
        own_order=job.shuffle,
        patience=stopping.patience if stopping is not None else 0,
        min_improvement=float(stopping.min_improvement) if stopping is not None else 0.0,
        restore_best=stopping is not None and stopping.restore_best,
        features=np.empty((0, 0), bool) if job.features is None else job.features,
    )


def _weights(loss: Loss, y: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
    """The weights, and their parts in the divisor of a mean, in equally many blocks; empty if all weights are equal."""
    if not loss.masked or y.shape[1] == 0:
        return weights, weights
    ones = np.ones(y.shape[:2], y.dtype) if len(weights) == 0 else weights
    counted = counted_weights(loss, y, ones)
    return np.broadcast_to(ones, counted.shape).copy(), counted  # writable, as a read-only array has another type


def _first_ticks(job: MembersJob, lanes: int) -> int:
    """A first number of epochs, which take at most a tenth of a second, before any time is known.

    A weight takes two operations forward and four back, a unit's activation and its derivative some fifty.
    """
    operations = lanes * (job.X.shape[1] + job.X_val.shape[1]) * (6 * job.spec.n_params + 50 * job.spec.n_units)
    seconds = 20e-6 + operations / 20e9  # of an epoch, roughly
    return max(1, int(SECONDS_A_CALL / 2 / seconds))


def rewind(job: MembersJob, first: NDArray, outcome: MembersOutcome, report: Report) -> None:
    """Give members that diverged what they had after their last finite epoch, as `fastnn.training.fit.fit` does.

    It is found by bisection: training again for fewer epochs gives the same bits.
    """
    records = outcome.records
    lost, ended = np.flatnonzero(records.diverged), records.n_ended
    if not lost.size:
        return
    stopping = job.stopping and replace(job.stopping, restore_best=False)
    job = replace(job.part(lost), params=first[lost], stopping=stopping, history=False)
    kept = MembersOutcome.blank(job)
    kept.params[:] = job.params
    last = records.epochs[lost]
    good, bad = np.zeros_like(last), last + 1
    while (between := np.flatnonzero(bad - good > 1)).size:
        middle = np.where(bad > last, last, (good + bad) // 2)[between]
        part = job.part(between)
        again = MembersOutcome.blank(part)
        again.params[:] = part.params
        share(in_lanes(part, again, middle), 1, again, lambda done: report(ended))
        sound = ~again.records.diverged
        good[between[sound]], bad[between[~sound]] = middle[sound], middle[~sound]
        kept.put(between[sound], again.part(sound))
    outcome.params[lost] = kept.params
    for name in ("epochs", "steps", "best"):
        getattr(records, name)[lost] = getattr(kept.records, name)
