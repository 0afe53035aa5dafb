"""Functions of the user's: Python's own behind Numba's, copies of them with what they use, and how Python runs them."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.describing import describe

#: Packages whose functions are told apart by their names alone.
_KNOWN = sys.stdlib_module_names | {"numpy", "numba", "scipy"}


def undecorated(function: Any) -> Callable:
    """The Python function itself, where Numba has decorated it."""
    return getattr(function, "py_func", function)


def is_python(value: Any) -> bool:
    """Whether something is a function in Python, decorated by Numba or not."""
    return isinstance(undecorated(value), FunctionType)


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
    function = undecorated(function)
    names, copies = names_in(function.__code__), dict[ModuleType, ModuleType]()
    found = {name: _decorated(value, names, decorate, copies) for name, value in used_by(function).items()}
    cells = tuple(CellType(found[name]) for name in function.__code__.co_freevars)
    copy = FunctionType(function.__code__, found, function.__name__, function.__defaults__, cells)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _decorated(value: Any, names: set[str], decorate: Callable, copies: dict[ModuleType, ModuleType]) -> Any:
    """What a function takes from outside: functions decorated, modules of the user's with the parts that it names."""
    if is_python(value):
        return decorate(value)
    if not is_users_module(value):
        return value
    if value not in copies:  # modules may import each other
        copies[value] = ModuleType(value.__name__)
        parts = names & vars(value).keys()
        vars(copies[value]).update({part: _decorated(vars(value)[part], names, decorate, copies) for part in parts})
    return copies[value]


def frozen(function: Callable) -> FunctionType:
    """A copy of a Python function that takes from outside what there is now, whatever becomes of it later."""
    return with_helpers(function, frozen)


def is_users_module(value: Any) -> TypeGuard[ModuleType]:
    """Whether something is a module, and no known package's."""
    return isinstance(value, ModuleType) and value.__name__.partition(".")[0] not in _KNOWN


def names_in(code: CodeType) -> set[str]:
    """All global names and attributes that code mentions."""
    return set(code.co_names).union(*map(names_in, _inner(code)))


def _globals(code: CodeType) -> set[str]:
    """The global names that code reads; `co_names` has attributes among them."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    return names.union(*map(_globals, _inner(code)))


def _inner(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def or_nan(function: Callable) -> Callable:
    """A scalar function, run by Python; NaN where it raises an error that compiled arithmetic does not."""
    of_numbers = undecorated(function)

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
