"""What rows of the user's own are called: a name, and a fingerprint of the functions."""

from __future__ import annotations

from collections.abc import Callable

from fastnn.settings.fingerprint import plain


def plain_name(name: str) -> str:
    """What the user called a row of that name."""
    return name.partition("@")[0]


def own_name(function: Callable, name: str | None, digest: str) -> str:
    """The name of a row: the user's, or that of a function, and the functions' fingerprint."""
    name = plain(function).__name__ if name is None else name
    if not isinstance(name, str) or not name or "@" in name:
        raise TypeError(f"name must be a text without @; got {name!r}")
    return f"{name}@{digest}"
