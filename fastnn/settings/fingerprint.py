"""A fingerprint of a function of the user's: two that compute the same way have the same, in any process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, ModuleType
from typing import Any

import numpy as np

_NUMBERS = (bool, int, float, str, type(None), np.number, np.bool_)


def plain(function: Any) -> Callable:
    """The Python function itself, where Numba has decorated it."""
    return getattr(function, "py_func", function)


def used_by(function: Callable) -> dict[str, Any]:
    """What a function takes from outside, by the names that it says."""
    names = _names(function.__code__)
    found = {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return found | {name: cell.cell_contents for name, cell in cells}


def fingerprint(*functions: Callable) -> str:
    """Twelve hexadecimal digits of the functions' bytecode, constants and all that they take from outside.

    Raises
    ------
    TypeError
        If one is no Python function, or takes something else than numbers, modules and compiled functions.
    """
    hasher = hashlib.sha256()
    for function in functions:
        for part in _parts(plain(function)):
            hasher.update(part.encode() + b"\0")
    return hasher.hexdigest()[:12]


def _names(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _parts(function: Callable) -> Iterator[str]:
    """What tells a function from others."""
    if not hasattr(function, "__code__"):
        raise TypeError(f"a function must be one of Python's, compiled by Numba or not; got {function!r}")
    yield from _code(function.__code__)
    yield repr(function.__defaults__)
    for name, value in used_by(function).items():
        if isinstance(value, _NUMBERS):
            yield f"{name} {value!r}"
        elif isinstance(value, (ModuleType, BuiltinFunctionType, np.ufunc, type)):
            yield f"{name} {value.__name__}"
        elif hasattr(value, "py_func"):
            yield name
            yield from _parts(value.py_func)
        else:
            raise TypeError(
                f"a function may take numbers, modules and functions compiled by Numba from outside; "
                f"{function.__name__} takes {name}, {type(value).__name__}"
            )


def _code(code: CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_argcount}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:
            yield repr(constant)
