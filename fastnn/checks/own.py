"""Checks of users' own functions: their arguments and values, and that a derivative is the derivative."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from fastnn.checks.values import counted
from fastnn.settings import own
from fastnn.settings.own.activations import PARTS
from fastnn.settings.own.functions import undecorated, with_helpers

#: Where functions are evaluated in an interval without ends: at no round number, where a kink might be.
POINTS = (-3.137, -1.618, -0.7312, -0.2071, 0.1693, 0.5772, 1.313, 2.906)

#: The same for targets: at none of those points, as many losses have a kink where an output equals its target.
TARGET_POINTS = (-2.713, -1.302, -0.4519, -0.1139, 0.3071, 0.8347, 1.777, 2.351)

#: Largest error of a derivative, relative to the largest of 1, it and the function; fourth-order differences have less.
TOLERANCE = 1e-6

#: Marks in the LLVM code of a function that allocates, and of one that raises.
_REFUSED = {"@NRT_MemInfo_alloc": "allocate", "@NRT_Allocate": "allocate", ".const.picklebuf": "raise exceptions"}

_checked: set[tuple] = set()


def check_own_loss(loss: own.Loss) -> None:
    """Check once that a user's loss is valid.

    Raises
    ------
    TypeError
        If a function does not take two numbers, does not compile, allocates, raises or returns no number.
    ValueError
        If one is not finite where it is evaluated, or the gradient does not agree with central differences.
    """
    if (key := (loss.name, loss.outputs, loss.targets)) in _checked:
        return
    of = f"the loss {own.plain_name(loss.name)!r}"
    first, second = loss.PARTS
    function = _compiled(f"{first} of {of}", loss.functions[0], ("o", "y"))
    derivative = _compiled(f"{second} of {of}", loss.functions[1], ("o", "y"))
    for o, y in product(_points(loss.outputs), _points(loss.targets, TARGET_POINTS)):
        place = f"at o = {o:.4g}, y = {y:.4g}"
        _agree(of, first, lambda x, y=y: function(x, y), second, lambda x, y=y: derivative(x, y), o, place)
    _checked.add(key)


def check_own_activation(activation: own.Activation) -> None:
    """Check once that a user's activation is valid; raises as `check_own_loss`."""
    if (key := (activation.name,)) in _checked:
        return
    of = f"the activation {own.plain_name(activation.name)!r}"
    functions = [
        _compiled(f"{name} of {of}", function, ("z",))
        for name, function in zip(PARTS, activation.functions, strict=False)
    ]
    for order in range(1, len(functions)):
        function, derivative, names = functions[order - 1], functions[order], PARTS[order - 1 : order + 1]
        for z in (-11.37, *POINTS, 10.71):
            _agree(of, names[0], function, names[1], derivative, z, f"at z = {z:.4g}")
    _checked.add(key)


def _compiled(what: str, function: Any, arguments: tuple[str, ...]) -> Callable:
    """A function of this many numbers, as Numba compiles it where it may."""
    import numba  # only if there are functions of the user's

    function = undecorated(function)
    n = len(inspect.signature(function).parameters)
    if n != len(arguments):
        raise TypeError(f"{what} must take {counted(len(arguments), 'number')}, {', '.join(arguments)}; it takes {n}")
    if numba.config.DISABLE_JIT:
        return own.or_nan(function)
    compiled = _with_helpers_compiled(function)
    signature = (numba.types.float64,) * n
    try:
        compiled.compile(signature)
    except (numba.core.errors.NumbaError, numba.core.errors.UnsupportedBytecodeError) as error:
        first, *lines = str(error).splitlines() or ["no reason is given"]
        reason = next((line.strip() for line in lines if line.strip()), first)
        raise TypeError(f"{what} must be a function that Numba can compile for floats; {reason}") from error
    result, code = compiled.overloads[signature].signature.return_type, compiled.inspect_llvm(signature)
    if not isinstance(result, (numba.types.Float, numba.types.Integer)):
        raise TypeError(f"{what} must return a number; it returns {numba.types.unliteral(result)}")
    for mark, deed in _REFUSED.items():
        if mark in code:
            raise TypeError(f"{what} must not {deed}; it does")
    return compiled


def _with_helpers_compiled(function: Callable) -> Any:
    from numba import njit

    return njit(error_model="numpy")(with_helpers(function, _with_helpers_compiled))


def _points(interval: tuple[float, float], points: tuple[float, ...] = POINTS) -> list[float]:
    """Points in an interval, away from its ends."""
    low, high = interval
    if low > -np.inf and high < np.inf:
        return [low + (high - low) * (x - POINTS[0] + 0.1) / (POINTS[-1] - POINTS[0] + 0.2) for x in points]
    if low > -np.inf:
        return [low + float(np.exp(x)) for x in points]
    return list(points) if high == np.inf else [high - float(np.exp(x)) for x in points]


def _agree(
    of: str, name: str, function: Callable, derivative_name: str, derivative: Callable, x: float, place: str
) -> None:
    """Check that two functions are finite and that one is the derivative of the other, by fourth-order differences."""
    value, slope, step = function(x), derivative(x), 1e-4 * min(1.0, abs(x))
    for told, number in ((name, value), (derivative_name, slope)):
        if not np.isfinite(number):
            raise ValueError(f"{told} of {of} must be finite; {place} it is {number}")
    near, far = function(x + step) - function(x - step), function(x + 2 * step) - function(x - 2 * step)
    difference = (8 * near - far) / (12 * step)
    if not abs(difference - slope) <= TOLERANCE * max(1.0, abs(slope), abs(value)):
        raise ValueError(
            f"{derivative_name} of {of} must be the derivative of {name}; {place} it is {slope:.6g}, "
            f"and central differences give {difference:.6g}"
        )
