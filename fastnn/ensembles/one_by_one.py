"""Members one after another, each by the kernels that train a single network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.trainable import check_trainable
from fastnn.ensembles.threads import Worker
from fastnn.jobs.job import Job, State
from fastnn.jobs.members import MembersJob, MembersOutcome
from fastnn.jobs.monitor import Monitor, MonitorState
from fastnn.jobs.records import STATUS_NAMES
from fastnn.settings.optimizers import SGD, Optimizer
from fastnn.settings.schedules import ReduceOnPlateau, Schedule
from fastnn.training.fit import end_epoch_of, fit
from fastnn.training.twins import twin


def one_by_one(job: MembersJob, outcome: MembersOutcome, halt: Event) -> Callable[[], Worker]:
    """Members one after another, each by the kernels that train a single network, until `halt` is set."""
    queue = iter(range(len(job)))

    def work() -> bool:
        k = next(queue, None)  # a single call into C, so that two threads never draw the same
        if k is not None:
            _train_member(job, k, outcome, halt)
        return k is not None

    return lambda: work


def _train_member(job: MembersJob, k: int, outcome: MembersOutcome, halt: Event) -> None:
    """Train member k, and write down how it went; raises KeyboardInterrupt if it was interrupted."""
    job_of_one = _job_of_member(job, k, outcome.params[k])
    state = State.fresh(job.spec, job_of_one.optimizer, int(job.seeds[k]))
    with np.errstate(all="ignore"):  # the status says which members diverged
        run = fit(job_of_one, state, job.epochs, progress=False, specialize=False, halt=halt, warn=False)
    if run.stopped == "interrupted":
        raise KeyboardInterrupt
    records = outcome.records
    records.epochs[k], records.steps[k] = run.epochs, run.state.steps_done
    if run.stopped != "diverged":
        records.loss[k] = run.loss[-1] if run.epochs else _look_at_start(job_of_one, run.state)
    if job.stopping is not None:
        records.best[k] = run.state.monitor_state[MonitorState.BEST]
    if job.history:
        records.history[k, : run.epochs] = run.loss
        if run.validation_loss is not None:
            records.validation[k, : run.epochs] = run.validation_loss
    records.status[k] = STATUS_NAMES.index(run.stopped)


def _look_at_start(job: Job, state: State) -> float:
    """The loss of a job whose solver took no step; what is monitored goes into the state, as after an epoch."""
    loss = twin("numba", "training").objective(job, np.empty_like(job.params))()
    if job.monitor is not None:
        end_epoch_of("numba")(job, state, loss, np.ones(1), 0)
    return loss


def _job_of_member(job: MembersJob, k: int, params: NDArray) -> Job:
    """The job of member k alone, with its own block of each array, rate, momentum and penalty."""

    def block(array: NDArray) -> NDArray:
        return array[k if len(array) > 1 else 0]

    optimizer, monitor = job.optimizer, None
    rate = getattr(optimizer, "learning_rate", None)
    if isinstance(optimizer, Optimizer) and not isinstance(rate, Schedule):
        optimizer = replace(optimizer, learning_rate=float(job.rates[k]))
    if isinstance(optimizer, SGD):
        optimizer = replace(optimizer, momentum=float(job.momenta[k]))
    plateau = rate if isinstance(rate, ReduceOnPlateau) else None
    if job.X_val.shape[1] > 0:
        weights = block(job.weights_val) if len(job.weights_val) else None
        monitor = Monitor(block(job.X_val), block(job.y_val), weights, job.stopping, plateau)
    elif job.stopping is not None or plateau is not None:
        monitor = Monitor(stopping=job.stopping, plateau=plateau)
    return Job(
        spec=job.spec,
        params=params,
        X=block(job.X),
        y=block(job.y),
        loss=job.loss,
        optimizer=optimizer,
        batch_size=job.batch_size,
        sample_weight=block(job.weights) if len(job.weights) else None,
        loss_parameter=job.loss_parameter,
        shuffle=job.shuffle,
        l2=float(job.l2[k]),
        max_grad_norm=job.max_grad_norm,
        trainable=None if job.features is None else check_trainable(~job.unseen_weights(k), job.spec),
        monitor=monitor,
        slopes=job.slopes,
        member=int(job.streams[k]),
    )
