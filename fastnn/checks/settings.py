"""Checks of dataclasses of settings: each setting has the type and lies in the interval that its field declares."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache, lru_cache
from typing import Any

from fastnn.checks.values import check_flag, check_in_float32, check_integer, check_name, check_number, describe
from fastnn.settings import schedules
from fastnn.settings.intervals import AT_LEAST_0
from fastnn.settings.optimizers import Optimizer
from fastnn.settings.schedules import Schedule
from fastnn.settings.spec import NetworkSpec

_SCHEDULES = tuple(getattr(schedules, name) for name in schedules.NAMES)


@cache
def _settings_of(kind: type) -> list[tuple[str, str, Any, tuple[str, ...]]]:
    """Each setting of a class: its name and annotation; the interval of a number, else None; the names it may be."""
    return [
        (row.name, str(row.type), row.metadata.get("interval"), row.metadata.get("names", ())) for row in fields(kind)
    ]


def check_settings(settings: Any) -> Any:
    """An instance of one of fastnn's dataclasses whose settings are within their bounds.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If a setting is out of its bounds.
    """
    converted: dict[str, Any] = {}
    for name, kind, interval, names in _settings_of(type(settings)):  # type: ignore[arg-type] # taken for an instance
        value = getattr(settings, name)
        if (type(value) is float and "float" in kind and value in interval) or (type(value) is bool and kind == "bool"):
            continue
        argument = f"{name} of {type(settings).__name__}"
        if isinstance(value, Schedule) and "Schedule" in kind:
            checked: Any = _check_schedule(value)
        elif kind == "bool":
            checked = check_flag(argument, value)
        elif kind == "int":
            checked = check_integer(argument, value, int(interval.low))
        elif names:
            checked = value if value is None and "None" in kind else check_name(argument, value, names)
        else:
            checked = check_number(argument, value, interval)
        if checked is not value:
            converted[name] = checked
    return replace(settings, **converted) if converted else settings


def check_in_dtype(spec: NetworkSpec, optimizer: Any, **numbers: Any) -> None:
    """Refuse settings of an update rule, and numbers of at least 0, that leave their interval in the network's dtype.

    Raises
    ------
    ValueError
        If one does.
    """
    if spec.dtype != "float32":
        return
    if isinstance(optimizer, Optimizer):  # solvers compute in float64
        _check_settings_in_float32(optimizer)
    for name, number in numbers.items():
        if type(number) is not float or number > 0:
            check_in_float32(name, number, AT_LEAST_0)


@lru_cache
def _check_settings_in_float32(settings: Any) -> None:
    for name, _, interval, _ in _settings_of(type(settings)):  # type: ignore[arg-type] # taken for an instance
        value = getattr(settings, name)
        if type(value) is float:
            check_in_float32(f"{name} of {type(settings).__name__}", value, interval)


def _check_schedule(schedule: Any) -> Schedule:
    """A learning rate schedule whose settings are within their bounds.

    Raises
    ------
    TypeError
        If it is none of fastnn's schedules, or a setting has the wrong type.
    ValueError
        If a setting is out of its bounds.
    """
    if type(schedule) not in _SCHEDULES:
        names = ", ".join(f"fastnn.schedules.{name}" for name in schedules.NAMES)
        raise TypeError(f"learning_rate must be a number or an instance of {names}; got {describe(schedule)}")
    schedule = check_settings(schedule)
    if isinstance(schedule, schedules.Cosine) and schedule.warm_up >= schedule.epochs:
        raise ValueError(f"warm_up of Cosine must be less than its epochs, {schedule.epochs}; got {schedule.warm_up}")
    if isinstance(schedule, schedules.ReduceOnPlateau) and schedule.min_rate > schedule.learning_rate:
        raise ValueError(
            f"min_rate of ReduceOnPlateau must be at most its learning_rate, {schedule.learning_rate}; "
            f"got {schedule.min_rate}"
        )
    return schedule
