"""A fingerprint of a function of the user's: two that compute the same way have the same, in any process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from enum import EnumType
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from fastnn.settings.describing import describe
from fastnn.settings.own.functions import is_python, is_users_module, names_in, undecorated, used_by

_NUMBERS = (bool, int, float, str, type(None), np.number, np.bool_)


def fingerprint(*functions: Callable) -> str:
    """Twelve hexadecimal digits of the functions' bytecode, constants and all that they take from outside.

    Raises
    ------
    TypeError
        If one is no Python function, calls itself, or takes something else than numbers, modules and functions.
    """
    hasher = hashlib.sha256()
    for function in functions:
        for part in _parts(undecorated(function)):
            hasher.update(part.encode() + b"\0")
    return hasher.hexdigest()[:12]


def _parts(function: Callable, callers: tuple[Callable, ...] = ()) -> Iterator[str]:
    """What tells a function from others."""
    if not isinstance(function, FunctionType):
        raise TypeError(f"a function must be one of Python's, compiled by Numba or not; got {describe(function)}")
    if function in callers:
        raise TypeError(f"a function must not call itself; {function.__name__} does")
    yield from _code(function.__code__)
    defaults, names = function.__defaults__ or (), function.__code__.co_varnames[: function.__code__.co_argcount]
    given = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)) | (function.__kwdefaults__ or {})
    for name, value in (*given.items(), *used_by(function).items()):
        yield name
        yield from _parts_outside(name, value, (*callers, function))


def _parts_outside(
    name: str, value: Any, callers: tuple[Callable, ...], within: tuple[ModuleType, ...] = ()
) -> Iterator[str]:
    """The same of something from outside that a function uses, `within` modules that are looked at already."""
    user = callers[-1]
    if isinstance(value, _NUMBERS):
        yield repr(value)
    elif is_python(value):
        yield from _parts(undecorated(value), callers)
    elif isinstance(value, np.ufunc):
        yield f"ufunc {value.__name__}"  # math has some of the same names that compute something else
    elif isinstance(value, (ModuleType, BuiltinFunctionType, type)):
        yield value.__name__
        if isinstance(value, EnumType):
            yield repr([(member.name, member.value) for member in list[Any](value)])
        if is_users_module(value) and value not in within:
            for part in sorted(names_in(user.__code__) & vars(value).keys()):
                yield part
                yield from _parts_outside(f"{name}.{part}", vars(value)[part], callers, (*within, value))
    else:
        raise TypeError(
            "a function may take numbers, modules and functions from outside; "
            f"{user.__name__} takes {name}, {type(value).__name__}"
        )


def _code(code: CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_argcount}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:
            yield repr(constant)
