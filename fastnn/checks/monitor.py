"""Checks of early stopping and validation sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.data import (
    check_finite_data,
    check_inputs,
    check_sample_weight,
    check_some_present,
    check_targets,
    copied_labels,
    naming,
    split_data,
    without_marks,
)
from fastnn.checks.jobs import check_no_views
from fastnn.checks.settings import check_settings
from fastnn.checks.values import check_number, describe
from fastnn.jobs.job import Job
from fastnn.jobs.monitor import Monitor, held_out
from fastnn.settings.catalogue import Loss
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.intervals import INSIDE_UNIT
from fastnn.settings.schedules import ReduceOnPlateau


def check_early_stopping(early_stopping: Any, validates: bool) -> EarlyStopping | None:
    """When to stop, or None; `validates` says whether there is a validation set.

    Raises
    ------
    TypeError, ValueError
        If it is not an `EarlyStopping`, or a setting is invalid.
    """
    if early_stopping is None:
        return None
    if not isinstance(early_stopping, EarlyStopping):
        raise TypeError(f"early_stopping must be a fastnn.EarlyStopping or None; got {describe(early_stopping)}")
    stopping = check_settings(early_stopping)
    if stopping.monitor == "metric" and not validates:
        raise ValueError("monitor of EarlyStopping must be 'loss' without a validation set; got 'metric'")
    return stopping


def check_monitor(job: Job, validation_data: Any, validation_fraction: Any, early_stopping: Any) -> Monitor | None:
    """What a job is to monitor, if anything; `fastnn.training.holding_out` holds out the samples of a fraction.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an argument is invalid, or does not fit the others.
    """
    rate = getattr(job.optimizer, "learning_rate", None)
    plateau = rate if isinstance(rate, ReduceOnPlateau) else None
    if validation_data is None and validation_fraction is None and early_stopping is None and plateau is None:
        return None
    monitor = Monitor(plateau=plateau)
    if validation_data is not None:
        if validation_fraction is not None:
            raise ValueError(
                f"validation_fraction must be None where validation_data is given; got {describe(validation_fraction)}"
            )
        monitor.X, monitor.y, monitor.sample_weight = _check_validation_data(validation_data, job)
    elif validation_fraction is not None:
        if job.batches is not None:
            raise ValueError(
                "validation_fraction must be None where X yields batches, with which validation_data may be given; "
                f"got {describe(validation_fraction)}"
            )
        monitor.fraction = check_number("validation_fraction", validation_fraction, INSIDE_UNIT)
        n = len(job.X)
        if not 1 <= held_out(n, monitor.fraction) < n:
            raise ValueError(f"validation_fraction must leave samples on both sides of {n}; got {monitor.fraction}")
    monitor.stopping = check_early_stopping(early_stopping, monitor.validates)
    if monitor.stopping is not None and monitor.stopping.monitor == "metric" and monitor.y is not None:
        check_metric_exists(monitor, job.loss)
    return monitor


def check_metric_exists(monitor: Monitor, loss: Loss) -> None:
    """Refuse a validation set by whose metric a run is to stop although it has none.

    Raises
    ------
    ValueError
        If the metric is r2 and no output's targets vary.
    """
    if loss.metric == "r2" and np.isnan(monitor.shares).any():
        raise ValueError(
            "monitor of EarlyStopping must be 'loss' where the targets of the validation set have no r2, as they do "
            "not vary, or their squares overflow; got 'metric'"
        )


def _check_validation_data(data: Any, job: Job) -> tuple[NDArray, NDArray, NDArray | None]:
    X, y, weights = split_data(data, "validation_data must be")
    with naming("validation_data"):
        X = check_inputs(X, job.spec, least=1)
        y = copied_labels(check_targets(y, job.spec, job.loss, len(X)))
        weights = check_sample_weight(weights, job.spec, len(X))
        check_finite_data(X, y, weights, masked=job.loss.masked)
        check_some_present(job.loss, y, weights)
        check_no_views(job.params, X=X, y=y, sample_weight=weights)
    return without_marks(X, weights), without_marks(y, weights), weights
