"""What intrinsics need and Numba has no public name for; the rest is in `numba.extending`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global

__all__ = ["cgutils", "declare"]


def declare(function: Callable, typing: Callable[..., Any]) -> None:
    """Declare what a function or an operator of Python's does to types of this package.

    ``typing(*argument_types)`` gives the call's signature, or None for arguments that are not its business.
    `numba.extending.type_callable` does the same, and takes each declaration's Python signature apart at each call.
    """

    @infer_global(function)
    class Declaration(AbstractTemplate):
        def generic(self, args: tuple[types.Type, ...], kws: dict[str, types.Type]) -> Any:
            return None if kws else typing(*args)
