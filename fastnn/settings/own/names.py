"""What rows of the user's own are called, a name and a fingerprint of the functions; and on which numbers they work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastnn.settings.describing import describe, is_number
from fastnn.settings.fingerprint import plain


def plain_name(name: str) -> str:
    """What the user called a row of that name."""
    return name.partition("@")[0]


def kept(rows: Mapping[int, Any], what: str, name: str) -> Any:
    """The row of that name which this process knows already; its functions are as they were when it was made.

    Raises
    ------
    ValueError
        If there is none.
    """
    row = rows.get(int(name.partition("@")[2], 16))
    if row is None:
        raise ValueError(
            f"the functions of {what} {plain_name(name)!r} must be those it was pickled with; got others of these names"
        )
    return row


def own_name(function: Callable, name: str | None, digest: str) -> str:
    """The name of a row: the user's, or that of a function, and the functions' fingerprint."""
    name = plain(function).__name__ if name is None else name
    if not isinstance(name, str) or not name or "@" in name:
        raise TypeError(f"name must be a text without @; got {describe(name)}")
    return f"{name}@{digest}"


def interval(argument: str, given: Any) -> tuple[float, float]:
    """The least and the greatest number that a function is defined on.

    Raises
    ------
    TypeError
        If it is no pair of numbers.
    ValueError
        If the second is not above the first.
    """
    is_pair = isinstance(given, (list, tuple)) or (isinstance(given, np.ndarray) and given.ndim == 1)
    ends = tuple(given) if is_pair else ()
    if len(ends) != 2 or not all(map(is_number, ends)):
        raise TypeError(f"{argument} must be two numbers, the least and the greatest; got {describe(given)}")
    try:
        low, high = map(float, ends)
    except OverflowError as error:  # of a whole number
        raise TypeError(f"{argument} must be two numbers of float64; got {describe(given)}") from error
    if not low < high:
        raise ValueError(f"{argument} must be two numbers, the second above the first; got {describe(given)}")
    return low, high
