"""Checks of optimizers: the settings of an update rule or a solver, each in its interval."""

from __future__ import annotations

from typing import Any

from fastnn.checks.settings import check_settings
from fastnn.checks.values import describe, nearest
from fastnn.settings import catalogue, optimizers, solvers
from fastnn.settings.optimizers import Optimizer
from fastnn.settings.schedules import Schedule
from fastnn.settings.solvers import Solver

_SOLVERS = {"LevenbergMarquardt": solvers.LevenbergMarquardt, "LBFGS": solvers.LBFGS}
_OPTIMIZERS = {name: getattr(optimizers, name) for name in catalogue.OPTIMIZERS} | _SOLVERS
_KNOWN = frozenset(_OPTIMIZERS.values())


def check_optimizer(optimizer: Any) -> Optimizer | Solver:
    """An update rule whose settings are floats and bools within their bounds.

    Raises
    ------
    TypeError
        If it is none of fastnn's optimizers, or a setting has the wrong type.
    ValueError
        If a setting is out of its bounds.
    """
    if type(optimizer) not in _KNOWN:
        hint = nearest(optimizer, _OPTIMIZERS, "fastnn.{}()") if isinstance(optimizer, str) else ""
        hint = "; call it: its settings have defaults" if any(optimizer is kind for kind in _KNOWN) else hint
        names = ", ".join(f"fastnn.{name}" for name in _OPTIMIZERS)
        raise TypeError(f"optimizer must be an instance of {names}; got {describe(optimizer)}{hint}")
    row = catalogue.OPTIMIZERS.get(type(optimizer).__name__)
    if row is not None and row.keeps_step_sizes and isinstance(optimizer.learning_rate, Schedule):
        raise TypeError(
            f"learning_rate of {row.name} must be a number, its first step size; got {optimizer.learning_rate}"
        )
    optimizer = check_settings(optimizer)
    if isinstance(optimizer, optimizers.SGD) and optimizer.nesterov and optimizer.momentum == 0:
        raise ValueError(f"momentum of {type(optimizer).__name__} must be above 0 with nesterov=True; got 0.0")
    if isinstance(optimizer, optimizers.Rprop) and optimizer.step_min > optimizer.step_max:
        raise ValueError(f"step_min of Rprop must be at most step_max, {optimizer.step_max}; got {optimizer.step_min}")
    return optimizer
