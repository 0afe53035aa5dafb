"""Numba's compiler turned off by ``NUMBA_DISABLE_JIT=1``, for a debugger say: what then stands in, or refuses.

This file imports no Numba, so that asking need not wait for it.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

#: What stands in for the tuned kernels, in one sentence.
STAND_IN = (
    "NUMBA_DISABLE_JIT turns off the compiler that the tuned kernels need: plain loops, backend='plain', "
    "compute instead"
)


def compiler_is_off() -> bool:
    """Whether functions that Numba decorates stay as Python runs them."""
    config = getattr(sys.modules.get("numba"), "config", None)
    if config is not None:
        return bool(config.DISABLE_JIT)
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def warn_of_stand_in(stacklevel: int) -> None:
    """Say that plain loops compute instead of the tuned kernels."""
    warnings.warn(STAND_IN, RuntimeWarning, stacklevel=stacklevel + 1)


def refuse(what: str) -> NoReturn:
    """Say that there is no stand-in for something.

    Raises
    ------
    RuntimeError
        Always.
    """
    raise RuntimeError(f"{what} needs Numba's compiler, which NUMBA_DISABLE_JIT turns off")


def refusing(function: Callable) -> Callable:
    """What a compiled function is without the compiler, for its intrinsics cannot run: a refusal."""

    @wraps(function)
    def refused(*args: Any, **kwargs: Any) -> NoReturn:
        refuse(f"{function.__module__}.{function.__qualname__}")

    return refused
