"""Hold out some of the samples as validation set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_finite_data, check_metric_exists, check_shuffle
from fastnn.jobs.job import Job
from fastnn.jobs.missing import counted_weights
from fastnn.jobs.monitor import held_out
from fastnn.reference import random


def hold_out(job: Job, seed: int) -> Job:
    """Move the fraction `Monitor.fraction` of the job's samples, and of each class, to its monitor.

    Raises
    ------
    ValueError
        If the samples held out are not finite, or if either part has no weight.
    """
    monitor, n = job.monitor, len(job.X)
    assert monitor is not None
    draws = random.bits(random.key(seed, job.member, random.HELD_OUT_EPOCH), np.arange(n, dtype=np.uint64))
    order = np.lexsort((draws, _classes(job)))
    held = np.zeros(n, bool)  # every 1/fraction-th sample of those ordered by class
    held[order] = np.diff(held_out(np.arange(n + 1), monitor.fraction)) > 0
    weights = job.sample_weight
    masked = job.loss.masked
    check_finite_data(job.X[held], job.y[held], None if weights is None else weights[held], masked=masked)
    monitor.X, monitor.y = job.X[held], job.y[held]
    if weights is not None:
        monitor.sample_weight, weights = weights[held], weights[~held]
        if not (monitor.sample_weight.any() and weights.any()):
            side = "trained on" if monitor.sample_weight.any() else "held out"
            raise ValueError(
                "sample_weight must have a sum above 0 on both sides of validation_fraction; "
                f"got only zeros for the samples {side}"
            )
    counted = counted_weights(job.loss, job.y, job.sample_weight)
    if masked and counted is not None and not (counted[held].any() and counted[~held].any()):
        side = "trained on" if counted[held].any() else "held out"
        raise ValueError(
            "y must hold a target that is not NaN on both sides of validation_fraction; "
            f"got none for the samples {side}"
        )
    if monitor.stopping is not None and monitor.stopping.monitor == "metric":
        check_metric_exists(monitor, job.loss)
    rows = n - len(monitor.X)
    slopes = job.slopes and job.slopes.rows(~held)
    batch_size = min(job.batch_size, rows)
    shuffle = check_shuffle(job.shuffle, batch_size, rows)
    X, y = job.X[~held], job.y[~held]
    return replace(job, X=X, y=y, slopes=slopes, sample_weight=weights, batch_size=batch_size, shuffle=shuffle)


def _classes(job: Job) -> NDArray:
    """The class of each sample, shape (n,); the same for all if there are no classes."""
    if job.loss.metric == "accuracy":
        if job.y.ndim == 1:
            return job.y
        if job.loss.one_class:
            return job.y.argmax(axis=1)
        if job.spec.n_out == 1:
            return job.y[:, 0] > 0.5
    return np.zeros(len(job.X), bool)
