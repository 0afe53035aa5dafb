"""Functions of the user's as Python runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.fingerprint import plain


def elementwise(function: Callable, dtype: Any, *arrays: NDArray) -> NDArray:
    """A scalar function on each element, by Python; NaN where it raises an error that compiled arithmetic does not."""
    of_numbers = plain(function)

    def or_nan(*numbers: Any) -> Any:
        try:
            return of_numbers(*numbers)
        except (ArithmeticError, ValueError):
            return np.nan

    with np.errstate(all="ignore"):
        broadcast = np.broadcast(*arrays)
        return np.array([or_nan(*numbers) for numbers in broadcast], dtype).reshape(broadcast.shape)
