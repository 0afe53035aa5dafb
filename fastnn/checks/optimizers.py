"""Checks of optimizers: the settings of an update rule or a solver, each in its interval."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

from fastnn.checks.monitor import check_schedule
from fastnn.checks.values import check_flag, check_integer, check_name, check_number, describe, nearest
from fastnn.settings import catalogue, optimizers, solvers
from fastnn.settings.intervals import ANY, Interval, intervals_of
from fastnn.settings.optimizers import Optimizer
from fastnn.settings.schedules import Schedule
from fastnn.settings.solvers import Solver

_SOLVERS = {"LevenbergMarquardt": solvers.LevenbergMarquardt, "LBFGS": solvers.LBFGS}
_OPTIMIZERS = {name: getattr(optimizers, name) for name in catalogue.OPTIMIZERS} | _SOLVERS
_KNOWN = frozenset(_OPTIMIZERS.values())


@cache
def _settings_of(kind: type[Optimizer | Solver]) -> list[tuple[str, type, Interval]]:
    """Each setting of a class: its name, the type of its default, and the numbers it may take."""
    intervals = intervals_of(kind)
    return [(row.name, type(row.default), intervals.get(row.name, ANY)) for row in fields(kind)]


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
        hint = nearest(optimizer, _OPTIMIZERS) if isinstance(optimizer, str) else ""
        hint = "; call it: its settings have defaults" if any(optimizer is kind for kind in _KNOWN) else hint
        names = ", ".join(f"fastnn.{name}" for name in _OPTIMIZERS)
        raise TypeError(f"optimizer must be an instance of {names}; got {describe(optimizer)}{hint}")
    converted: dict[str, Any] = {}
    for name, kind, interval in _settings_of(type(optimizer)):  # type: ignore[arg-type] # taken for an instance
        value = getattr(optimizer, name)
        if (kind is float and type(value) is float and value in interval) or (kind is bool and type(value) is bool):
            continue
        argument = f"{name} of {type(optimizer).__name__}"
        if name == "learning_rate" and isinstance(value, Schedule):
            checked: Any = check_schedule(value)
        elif kind is bool:
            checked = check_flag(argument, value)
        elif kind is type(None):
            names = type(optimizer).__dataclass_fields__[name].metadata["names"]
            checked = value if value is None else check_name(argument, value, names)
        elif kind is int:
            checked = check_integer(argument, value, int(interval.low))
        else:
            checked = check_number(argument, value, interval)
        if checked is not value:
            converted[name] = checked
    optimizer = replace(optimizer, **converted) if converted else optimizer
    if isinstance(optimizer, optimizers.SGD) and optimizer.nesterov and optimizer.momentum == 0:
        raise ValueError(f"momentum of {type(optimizer).__name__} must be above 0 with nesterov=True; got 0.0")
    row = catalogue.OPTIMIZERS.get(type(optimizer).__name__)
    if row is not None and row.keeps_step_sizes and isinstance(optimizer.learning_rate, Schedule):
        raise TypeError(
            f"learning_rate of {row.name} must be a number, its first step size; got {optimizer.learning_rate}"
        )
    if isinstance(optimizer, optimizers.Rprop) and optimizer.step_min > optimizer.step_max:
        raise ValueError(f"step_min of Rprop must be at most step_max, {optimizer.step_max}; got {optimizer.step_min}")
    return optimizer
