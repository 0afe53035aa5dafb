"""Checks of schedules, early stopping and validation sets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.arrays import check_finite_data, check_inputs, check_sample_weight, check_targets
from fastnn.checks.values import (
    ABOVE_0,
    AT_LEAST_0,
    Interval,
    check_flag,
    check_integer,
    check_name,
    check_number,
    describe,
)
from fastnn.jobs.job import Job, State
from fastnn.jobs.monitor import Watch
from fastnn.settings import schedules
from fastnn.settings.early_stopping import EarlyStopping

_SCHEDULES = tuple(getattr(schedules, name) for name in schedules.NAMES)
_WHOLE = {"every": 1, "epochs": 1, "patience": 1, "cooldown": 0}
_SETTINGS = {
    "learning_rate": AT_LEAST_0,
    "factor": ABOVE_0,
    "power": AT_LEAST_0,
    "scale": AT_LEAST_0,
    "start": AT_LEAST_0,
    "final": AT_LEAST_0,
    "min_improvement": AT_LEAST_0,
    "min_rate": AT_LEAST_0,
}
_FRACTION = Interval(0, 1, open_low=True)
_SPLIT = 2**63  # an epoch that no run reaches: the validation set has a stream of its own


def check_schedule(schedule: Any) -> schedules.Schedule:
    """A learning rate's schedule whose settings are within their bounds.

    Raises
    ------
    TypeError
        If it is none of fastnn's schedules, or a setting is of another type.
    ValueError
        If a setting is out of its bounds.
    """
    if type(schedule) not in _SCHEDULES:
        names = ", ".join(f"fastnn.settings.schedules.{name}" for name in schedules.NAMES)
        raise TypeError(f"learning_rate must be a number or an instance of {names}; got {describe(schedule)}")
    kind = type(schedule).__name__
    checked: dict[str, Any] = {}
    for name, value in vars(schedule).items():
        argument = f"{name} of {kind}"
        if name == "warm_up":
            one_cycle = isinstance(schedule, schedules.OneCycle)
            checked[name] = (
                check_number(argument, value, Interval(0, 1)) if one_cycle else check_integer(argument, value, 0)
            )
        elif name in _WHOLE:
            checked[name] = check_integer(argument, value, _WHOLE[name])
        else:
            checked[name] = check_number(argument, value, _SETTINGS[name])
    if isinstance(schedule, schedules.OneCycle):
        check_integer("epochs of OneCycle", schedule.epochs, 2)
    if isinstance(schedule, schedules.Cosine) and schedule.warm_up >= schedule.epochs:
        raise ValueError(f"warm_up of Cosine must be less than its epochs, {schedule.epochs}; got {schedule.warm_up}")
    if isinstance(schedule, schedules.ReduceOnPlateau):
        check_number("factor of ReduceOnPlateau", schedule.factor, _FRACTION)
        if schedule.min_rate > schedule.learning_rate:
            raise ValueError(
                f"min_rate of ReduceOnPlateau must be at most its learning_rate, {schedule.learning_rate}; "
                f"got {schedule.min_rate}"
            )
    return replace(schedule, **checked)


def check_early_stopping(early_stopping: Any, validates: bool) -> EarlyStopping | None:
    """When to stop, or None; `validates` says whether there is a validation set.

    Raises
    ------
    TypeError, ValueError
        If it is no `EarlyStopping` or a setting is not what it must be.
    """
    if early_stopping is None:
        return None
    if not isinstance(early_stopping, EarlyStopping):
        raise TypeError(f"early_stopping must be a fastnn.EarlyStopping or None; got {describe(early_stopping)}")
    monitor = check_name("monitor of EarlyStopping", early_stopping.monitor, ("loss", "metric"))
    if monitor == "metric" and not validates:
        raise ValueError("monitor of EarlyStopping must be 'loss' without a validation set; got 'metric'")
    return EarlyStopping(
        check_integer("patience of EarlyStopping", early_stopping.patience, 1),
        check_number("min_improvement of EarlyStopping", early_stopping.min_improvement, AT_LEAST_0),
        monitor,  # type: ignore[arg-type]
        check_flag("restore_best of EarlyStopping", early_stopping.restore_best),
    )


def check_watch(job: Job, state: State, validation_data: Any, validation_fraction: Any, early_stopping: Any) -> Job:
    """A job that watches what it is asked to; with `validation_fraction` it trains on the other samples alone.

    Raises
    ------
    TypeError
        If an argument is of another type.
    ValueError
        If an argument is not what it must be, or does not go with the others; or if the state is that of another
        number of batches.
    """
    rate = getattr(job.optimizer, "learning_rate", None)
    plateau = rate if isinstance(rate, schedules.ReduceOnPlateau) else None
    if validation_data is None and validation_fraction is None and early_stopping is None and plateau is None:
        return _check_place(state, job)
    watch = Watch(plateau=plateau)
    if validation_data is not None:
        if validation_fraction is not None:
            raise ValueError("validation_fraction must be None where validation_data is given")
        watch.X, watch.y, watch.sample_weight = _check_validation_data(validation_data, job)
    elif validation_fraction is not None:
        if job.batches is not None:
            raise ValueError("validation_fraction must be None where X yields batches; validation_data may be given")
        fraction = check_number("validation_fraction", validation_fraction, _FRACTION)
        job = _hold_out(job, watch, fraction, state.seed)
    watch.stopping = check_early_stopping(early_stopping, watch.validates)
    job.watch = watch
    return _check_place(state, job)


def _check_place(state: State, job: Job) -> Job:
    """The job, if the place in an epoch where the state stands is one of its own."""
    if state.counters[1] >= job.n_batches:
        raise ValueError(
            f"state must be that of a run with {job.n_batches} batches an epoch; "
            f"got one that has done {state.counters[1]} of its present epoch"
        )
    return job


def _check_validation_data(data: Any, job: Job) -> tuple[NDArray, NDArray, NDArray | None]:
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError(f"validation_data must be (X, y) or (X, y, sample_weight); got {describe(data)}")
    try:
        X = check_inputs(data[0], job.spec, least=1)
        y = check_targets(data[1], job.spec, job.loss, len(X))
        weights = check_sample_weight(data[2], job.spec, len(X)) if len(data) == 3 else None
        check_finite_data(X, y, weights)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from error
    return X, y, weights


def _hold_out(job: Job, watch: Watch, fraction: float, seed: int) -> Job:
    """Move a part of the job's samples to the watch, of each class the same part."""
    from fastnn.reference import random

    n = len(job.X)
    if not 1 <= int(n * fraction) < n:
        raise ValueError(f"validation_fraction must leave samples on both sides of {n}; got {fraction}")
    draws = random.bits(random.key(seed, job.member, _SPLIT), np.arange(n, dtype=np.uint64))
    order = np.lexsort((draws, _classes(job)))
    place = np.arange(n)
    held = np.zeros(n, bool)  # every 1/fraction-th sample of those ordered by class
    held[order] = np.floor((place + 1) * fraction) > np.floor(place * fraction)
    weights = job.sample_weight
    check_finite_data(job.X[held], job.y[held], None if weights is None else weights[held])
    watch.X, watch.y = job.X[held], job.y[held]
    if weights is not None:
        watch.sample_weight, weights = weights[held], weights[~held]
        if not (watch.sample_weight.any() and weights.any()):
            raise ValueError("sample_weight must have a sum above 0 on both sides of validation_fraction")
    rows = n - len(watch.X)
    return replace(job, X=job.X[~held], y=job.y[~held], sample_weight=weights, batch_size=min(job.batch_size, rows))


def _classes(job: Job) -> NDArray:
    """The class of each sample, shape (n,); the same for all where there are none."""
    if job.loss.metric == "accuracy":
        if job.y.ndim == 1:
            return job.y
        if job.loss.one_class:
            return job.y.argmax(axis=1)
        if job.spec.n_out == 1:
            return job.y[:, 0] > 0.5
    return np.zeros(len(job.X), bool)
