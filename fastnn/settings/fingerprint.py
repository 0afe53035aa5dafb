"""A fingerprint of a function of the user's: two that compute the same way have the same, in any process."""

from __future__ import annotations

import dis
import hashlib
import sys
from collections.abc import Callable, Iterator
from enum import EnumType
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any, TypeGuard

import numpy as np

from fastnn.settings.describing import describe

_NUMBERS = (bool, int, float, str, type(None), np.number, np.bool_)

#: Packages whose functions are told apart by their names alone.
_KNOWN = sys.stdlib_module_names | {"numpy", "numba", "scipy"}


def plain(function: Any) -> Callable:
    """The Python function itself, where Numba has decorated it."""
    return getattr(function, "py_func", function)


def is_python(value: Any) -> bool:
    """Whether something is a function in Python, decorated by Numba or not."""
    return isinstance(plain(value), FunctionType)


def refuse_others(**functions: Any) -> None:
    """Refuse arguments that are no such functions; raises TypeError if one is none."""
    for argument, function in functions.items():
        if not is_python(function):
            raise TypeError(
                f"{argument} must be a function of Python's, compiled by Numba or not; got {describe(function)}"
            )


def used_by(function: Callable) -> dict[str, Any]:
    """What a function takes from outside, by the names it has there."""
    names = _globals(function.__code__)
    found = {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return found | {name: cell.cell_contents for name, cell in cells}


def with_helpers(function: Callable, decorate: Callable) -> FunctionType:
    """A copy of a Python function in which those that it calls by name are decorated."""
    function = plain(function)
    names, copies = _names(function.__code__), dict[ModuleType, ModuleType]()
    found = {name: _decorated(value, names, decorate, copies) for name, value in used_by(function).items()}
    cells = tuple(CellType(found[name]) for name in function.__code__.co_freevars)
    copy = FunctionType(function.__code__, found, function.__name__, function.__defaults__, cells)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _decorated(value: Any, names: set[str], decorate: Callable, copies: dict[ModuleType, ModuleType]) -> Any:
    """What a function takes from outside: functions decorated, modules of the user's with the parts that it names."""
    if is_python(value):
        return decorate(value)
    if not _is_users_module(value):
        return value
    if value not in copies:  # modules may import each other
        copies[value] = ModuleType(value.__name__)
        parts = names & vars(value).keys()
        vars(copies[value]).update({part: _decorated(vars(value)[part], names, decorate, copies) for part in parts})
    return copies[value]


def _is_users_module(value: Any) -> TypeGuard[ModuleType]:
    return isinstance(value, ModuleType) and value.__name__.partition(".")[0] not in _KNOWN


def frozen(function: Callable) -> FunctionType:
    """A copy of a Python function that takes from outside what there is now, whatever becomes of it later."""
    return with_helpers(function, frozen)


def fingerprint(*functions: Callable) -> str:
    """Twelve hexadecimal digits of the functions' bytecode, constants and all that they take from outside.

    Raises
    ------
    TypeError
        If one is no Python function, calls itself, or takes something else than numbers, modules and functions.
    """
    hasher = hashlib.sha256()
    for function in functions:
        for part in _parts(plain(function)):
            hasher.update(part.encode() + b"\0")
    return hasher.hexdigest()[:12]


def _globals(code: CodeType) -> set[str]:
    """The global names that code reads; `co_names` has attributes among them."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    return names.union(*map(_globals, _inner(code)))


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*map(_names, _inner(code)))


def _inner(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _parts(function: Callable, callers: tuple[Callable, ...] = ()) -> Iterator[str]:
    """What tells a function from others."""
    if not isinstance(function, FunctionType):
        raise TypeError(f"a function must be one of Python's, compiled by Numba or not; got {describe(function)}")
    if function in callers:
        raise TypeError(f"a function must not call itself; {function.__name__} does")
    yield from _code(function.__code__)
    yield repr((function.__defaults__, function.__kwdefaults__))
    for name, value in used_by(function).items():
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
        yield from _parts(plain(value), callers)
    elif isinstance(value, (ModuleType, BuiltinFunctionType, np.ufunc, type)):
        yield value.__name__
        if isinstance(value, EnumType):
            yield repr([(member.name, member.value) for member in list[Any](value)])
        if _is_users_module(value) and value not in within:
            for part in sorted(_names(user.__code__) & vars(value).keys()):
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
