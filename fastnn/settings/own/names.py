"""What rows of the user's own are called: a name and a fingerprint of the functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastnn.settings.describing import describe
from fastnn.settings.own.functions import undecorated


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
    name = undecorated(function).__name__ if name is None else name
    if not isinstance(name, str) or not name or "@" in name:
        raise TypeError(f"name must be a text without @; got {describe(name)}")
    return f"{name}@{digest}"
