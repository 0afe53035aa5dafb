"""Checks of the arguments of `fit_many`, up to the whole `MembersJob`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.data import naming, split_data
from fastnn.checks.jobs import check_batch_size, check_max_grad_norm, check_shuffle
from fastnn.checks.losses import check_loss, check_loss_parameter
from fastnn.checks.members import (
    check_data,
    check_features,
    check_for_each,
    check_members,
    check_optimizers,
    check_seeds,
)
from fastnn.checks.memory import BYTES_AN_EPOCH, check_epochs
from fastnn.checks.monitor import check_early_stopping, check_metric_exists
from fastnn.checks.networks import check_network_spec, draw_seed
from fastnn.checks.settings import check_in_dtype
from fastnn.checks.slopes import check_slopes
from fastnn.checks.solvers import refuse_with_solver
from fastnn.checks.values import check_flag, check_name, check_optional_flag, describe
from fastnn.jobs.job import Job
from fastnn.jobs.members import MembersJob
from fastnn.jobs.monitor import Monitor
from fastnn.settings.catalogue import Loss
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.initializers import INITIALIZERS
from fastnn.settings.schedules import Schedule
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec


def check_members_job(
    spec: Any,
    X: Any,
    y: Any,
    *,
    epochs: Any,
    members: Any,
    params: Any,
    loss: Any,
    optimizer: Any,
    batch_size: Any,
    shuffle: Any,
    sample_weight: Any,
    l2: Any,
    max_grad_norm: Any,
    delta: Any,
    quantiles: Any,
    min_variance: Any,
    targets: Any,
    features: Any,
    dydx: Any,
    dydx_weight: Any,
    directions: Any,
    validation_data: Any,
    early_stopping: Any,
    init: Any,
    rng: Any,
    seeds: Any,
    history: Any,
    specialize: Any,
) -> MembersJob:
    """The members and their data; the arguments are those of `fastnn.fit_many`.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an argument is invalid, or does not fit the others.
    """
    spec = check_network_spec(spec)
    numbers, params = check_members(members, params, spec)
    k, loss = len(numbers), check_loss(loss, spec, targets)
    optimizer, rates, momenta = check_optimizers(optimizer, k)
    X, y, weights = check_data(X, y, sample_weight, spec, loss, k)
    batch_size, l2 = check_batch_size(batch_size, X.shape[1], optimizer), check_for_each("l2", l2, k)
    check_in_dtype(spec, optimizer, l2=l2)
    if validation_data is None:
        X_val, y_val, weights_val = X[:1, :0], y[:1, :0], weights[:0, :0]
    else:
        X_val, y_val, weights_val = _check_validation_data(validation_data, spec, loss, k)
    stopping = _check_stopping(early_stopping, X_val, y_val, weights_val, loss)
    slopes = check_slopes(dydx, dydx_weight, directions, spec, loss, X.shape[1])
    if slopes is not None and len(X) > 1:
        raise ValueError(f"dydx must be None where each member has an X of its own; got {describe(dydx)}")
    seeds, streams = _check_streams(rng, seeds, numbers)
    history = check_flag("history", history)
    epochs = check_epochs(epochs, BYTES_AN_EPOCH * (k if history else 1))
    job = MembersJob(
        spec=spec,
        loss=loss,
        loss_parameter=check_loss_parameter(loss, spec, delta=delta, quantiles=quantiles, min_variance=min_variance),
        batch_size=batch_size,
        max_grad_norm=check_max_grad_norm(max_grad_norm),
        X=X,
        y=y,
        weights=weights,
        X_val=X_val,
        y_val=y_val,
        weights_val=weights_val,
        optimizer=optimizer,
        rates=rates,
        momenta=momenta,
        l2=l2,
        schedule=np.ones(1),
        seeds=seeds,
        streams=streams,
        init=check_name("init", init, INITIALIZERS),
        params=params,
        epochs=epochs,
        shuffle=check_shuffle(shuffle, batch_size, X.shape[1]),
        stopping=stopping,
        history=history,
        features=check_features(features, spec, k),
        slopes=slopes,
        specialize=check_optional_flag("specialize", specialize),
    )
    if job.specialize and not job.may_use_lanes:
        raise ValueError(
            "specialize must not be True with ReduceOnPlateau, dydx, a monitored metric or a solver, which lanes do "
            "not support"
        )
    if isinstance(optimizer, Solver):
        settings: dict[str, Any] = {"l2": float(l2.max()), "max_grad_norm": job.max_grad_norm, "slopes": slopes}
        refuse_with_solver(Job(spec, np.empty(0), X[0], y[0], loss, optimizer, job.batch_size, **settings))
    elif isinstance(optimizer.learning_rate, Schedule) and job.may_use_lanes:
        job.schedule = optimizer.learning_rate.rates(0, epochs)
    return job


def _check_validation_data(given: Any, spec: NetworkSpec, loss: Loss, members: int) -> tuple[NDArray, NDArray, NDArray]:
    """One validation set for all members, as `check_data` returns it."""
    X, y, weights = split_data(given, "validation_data must be")
    with naming("validation_data"):
        X, y, weights = check_data(X, y, weights, spec, loss, members)
    if len(X) > 1 or len(y) > 1:
        raise ValueError(
            "validation_data must be one set for all members, which may weigh its samples differently; "
            f"got {len(X)} of X and {len(y)} of y"
        )
    return X, y, weights


def _check_stopping(
    early_stopping: Any, X_val: NDArray, y_val: NDArray, weights_val: NDArray, loss: Loss
) -> EarlyStopping | None:
    """When members stop; if by a metric, one that exists for each member's weights of the validation set."""
    stopping = check_early_stopping(early_stopping, X_val.shape[1] > 0)
    if stopping is not None and stopping.monitor == "metric":
        for weight in weights_val if len(weights_val) else [None]:
            check_metric_exists(Monitor(X=X_val[0], y=y_val[0], sample_weight=weight), loss)
    return stopping


def _check_streams(rng: Any, seeds: Any, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each member's seed, and the number of its stream of random numbers."""
    if seeds is None:
        seed = draw_seed(rng)
        return np.full(len(numbers), seed, np.int64), numbers
    if rng is not None:
        raise ValueError(f"rng must be None where each member has its seed; got {describe(rng)}")
    return check_seeds(seeds, len(numbers)), np.zeros(len(numbers), np.int64)
