"""Checks of single values: numbers, flags and names."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Sequence
from ctypes import c_float
from math import inf
from typing import Any

import numpy as np

from fastnn.settings.describing import counted as counted
from fastnn.settings.describing import describe as describe
from fastnn.settings.describing import is_number
from fastnn.settings.intervals import ABOVE_0 as ABOVE_0
from fastnn.settings.intervals import AT_LEAST_0 as AT_LEAST_0
from fastnn.settings.intervals import Interval as Interval

#: The smallest normal number of float32.
_TINY = float(np.finfo(np.float32).smallest_normal)

#: What other libraries call things that have another name here, where the spelling alone would suggest a wrong one.
_ELSEWHERE = {
    "linear": "identity",
    "purelin": "identity",
    "logistic": "sigmoid",
    "logsig": "sigmoid",
    "swish": "silu",
    "gelu": "gelu_tanh",
    "squared_error": "mse",
    "mean_squared_error": "mse",
    "absolute_error": "mae",
    "mean_absolute_error": "mae",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
}

#: The largest integer that kernels know.
LARGEST = 2**63 - 1


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few of several names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def is_sequence(value: Any) -> bool:
    """Whether it is a list, a tuple or an array of one or more dimensions, as settings for each output are."""
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def is_iterable(value: Any) -> bool:
    """Whether it holds values in an order: it is neither a text, nor a set, nor an array without dimensions."""
    return (
        isinstance(value, Iterable)
        and not isinstance(value, (str, bytes, bytearray, set, frozenset))
        and getattr(value, "ndim", 1) > 0
    )


def check_number(argument: str, value: Any, interval: Interval) -> float:
    """A real number in the interval, as a float; NaN is in no interval.

    Raises
    ------
    TypeError
        If it is not a real number; a bool is not one.
    ValueError
        If it is outside the interval.
    """
    if type(value) is float and value in interval:
        return value
    if not is_number(value):
        raise TypeError(f"{argument} must be {interval}; got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if number not in interval:
        raise ValueError(f"{argument} must be {interval}; got {describe(value)}")
    return number


def check_in_float32(argument: str, numbers: Any, interval: Interval) -> None:
    """Refuse numbers of an interval that leave it when rounded to float32, where kernels take tiny ones for 0.

    Raises
    ------
    ValueError
        If one does.
    """
    ends = (numbers,) if type(numbers) is float else (float(np.min(numbers)), float(np.max(numbers)))
    for number in ends:  # rounding keeps the order
        rounded = c_float(number).value
        rounded = 0.0 if abs(rounded) < _TINY else rounded
        if rounded not in interval:
            raise ValueError(f"{argument} must be {interval} in float32, too; got {number}, which becomes {rounded}")


def check_integer(argument: str, value: Any, low: int) -> int:
    """An integer of at least `low`, as an int.

    Raises
    ------
    TypeError
        If it is not an integer; neither a float nor a bool is one.
    ValueError
        If it is less than `low`, or does not fit into 64 bits.
    """
    if type(value) is not int:
        is_array = hasattr(value, "shape") and not isinstance(value, np.integer)
        if isinstance(value, (bool, type)) or is_array or not hasattr(value, "__index__"):
            raise TypeError(f"{argument} must be an integer of at least {low}; got {describe(value)}")
        value = operator.index(value)
    if value < low:
        raise ValueError(f"{argument} must be an integer of at least {low}; got {describe(value)}")
    if value > LARGEST:
        raise ValueError(f"{argument} must be an integer of at most {LARGEST}; got one of {value.bit_length()} bits")
    return value


def check_flag(argument: str, value: object) -> bool:
    """True or False, as Python's or NumPy's bool.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument} must be True or False; got {describe(value)}")
    return bool(value)


def check_callback(callback: Any) -> Any:
    """A function to call after every epoch, or None; raises TypeError if it is not callable."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, or None; got {describe(callback)}")
    return callback


def check_optional_flag(argument: str, value: object) -> bool | None:
    """True, False, or None, which leaves the choice open; raises as `check_flag`."""
    return None if value is None else check_flag(argument, value)


def check_name(argument: str, value: object, known: Collection[str]) -> str:
    """One of the known names, as a plain string.

    Raises
    ------
    TypeError
        If it is not a string.
    ValueError
        If it is none of them; the message suggests the nearest.
    """
    if isinstance(value, str) and value in known:
        return value if type(value) is str else str.__str__(value)  # plain also of an enumeration
    names = tuple(known)
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be one of {', '.join(names)}; got {describe(value)}")
    raise ValueError(f"{argument} must be one of {', '.join(names)}; got {describe(value)}{nearest(value, names)}")


def nearest(value: str, known: Iterable[str], written: str = "{!r}") -> str:
    """A suggestion of the nearest known name, to end an error message with; empty if none is near."""
    import difflib  # only on the way to an error

    folded, value = {name.lower(): name for name in known}, value.lower()
    ours = _ELSEWHERE.get(value)
    near = difflib.get_close_matches(ours if ours in folded else value, folded, 1)
    return f"; did you mean {written.format(folded[near[0]])}?" if near else ""
