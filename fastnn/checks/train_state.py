"""Checks of a `TrainState`: the settings of training steps in compiled code, whose data come later."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.checks.jobs import check_l2, check_max_grad_norm, check_writable
from fastnn.checks.losses import check_loss, check_loss_parameter
from fastnn.checks.networks import check_network_spec
from fastnn.checks.optimizers import check_optimizer
from fastnn.checks.settings import check_in_dtype
from fastnn.checks.values import check_integer, describe
from fastnn.jobs.job import Job
from fastnn.settings.optimizers import Optimizer


def check_train_state(
    spec: Any,
    *,
    loss: Any,
    targets: Any,
    optimizer: Any,
    max_batch: Any,
    l2: Any,
    max_grad_norm: Any,
    **parameters: Any,
) -> Job:
    """The settings of a `TrainState`'s steps: a job whose X, y and params are empty.

    `parameters` are those of losses (`fastnn.checks.check_loss_parameter`).

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the learning rate is a schedule.
    ValueError
        If an argument is invalid.
    """
    spec, rows = check_network_spec(spec), check_integer("max_batch", max_batch, 1)
    loss, rule = check_loss(loss, spec, targets), check_optimizer(optimizer)
    if not (isinstance(rule, Optimizer) and isinstance(rule.learning_rate, float)):
        raise TypeError(
            "optimizer must be an update rule whose learning rate is a number, as a TrainState has no epochs; "
            f"got {describe(optimizer)}"
        )
    l2, parameter = check_l2(l2), check_loss_parameter(loss, spec, **parameters)
    check_in_dtype(spec, rule, l2=l2)
    return Job(
        spec=spec,
        params=np.empty(0, spec.dtype),
        X=np.empty((0, spec.n_in), spec.dtype),
        y=np.empty((0, loss.n_targets(spec.n_out)), spec.dtype),
        loss=loss,
        optimizer=rule,
        batch_size=rows,
        loss_parameter=parameter,
        shuffle=False,
        l2=l2,
        max_grad_norm=check_max_grad_norm(max_grad_norm),
    )


def check_trained_params(net: Any) -> None:
    """Refuse a network whose parameters are read-only; anything else is left to the compiler, as in `check_plain`.

    Raises
    ------
    ValueError
        If they are.
    """
    params = getattr(net, "params", None)
    if isinstance(params, np.ndarray):
        check_writable(params)
