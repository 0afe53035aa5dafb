"""Functions of the user's as Python runs them, uncompiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.fingerprint import plain


def or_nan(function: Callable) -> Callable:
    """A scalar function, run by Python; NaN where it raises an error that compiled arithmetic does not."""
    of_numbers = plain(function)

    def number_or_nan(*numbers: Any) -> Any:
        try:
            return of_numbers(*numbers)
        except (ArithmeticError, ValueError):
            return np.nan

    return number_or_nan


def elementwise(function: Callable, dtype: Any, *arrays: NDArray) -> NDArray:
    """A scalar function on each element, in double precision, as `or_nan` has it."""
    of_numbers = or_nan(function)
    with np.errstate(all="ignore"):
        broadcast = np.broadcast(*[array.astype(np.float64) for array in arrays])
        return np.array([of_numbers(*numbers) for numbers in broadcast], dtype).reshape(broadcast.shape)
