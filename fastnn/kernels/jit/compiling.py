"""The decorators of kernels and of the pieces that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from numba import njit, types

from fastnn.kernels.jit.options import CACHE, CALLEE, ENTRY, INLINED, INLINED_CALLEE, KERNEL, OUTLINED, OWN
from fastnn.kernels.jit.recursion import RoomToRecurse
from fastnn.kernels.jit.signals import InterruptsHeld
from fastnn.kernels.jit.turned_off import compiler_is_off, refusing

#: What Numba makes of a function; its class is not public.
Dispatcher = Any


def kernel(function: Callable) -> Dispatcher:
    """Decorate an entry point: called from Python, runs without the GIL, cached on disk."""
    return _cached(function, KERNEL)


def entry(function: Callable) -> Dispatcher:
    """Decorate an entry point that raises errors, which shall not keep its arguments in memory; else as `kernel`."""
    return _cached(function, ENTRY)


def callee(function: Callable) -> Dispatcher:
    """Decorate a function that kernels call by its address (`address_of`): cached on disk."""
    return _cached(function, CALLEE)


def inlined_callee(function: Callable) -> Dispatcher:
    """Decorate a callee that is compiled into whatever calls it by its name; else as `callee`."""
    return _cached(function, INLINED_CALLEE)


def _cached(function: Callable, options: dict[str, Any]) -> Dispatcher:
    """Have Numba compile a function unless it is on disk, and finish in spite of Ctrl-C what it has begun."""
    if compiler_is_off():
        return refusing(function)
    dispatcher = njit(**options)(_with_values_in_its_name(function))
    if CACHE is not None:
        dispatcher._cache = CACHE(function)
    compile_for = dispatcher.compile

    def compile_uninterrupted(signature: Any) -> Any:
        with InterruptsHeld(), RoomToRecurse():
            return compile_for(signature)

    dispatcher.compile = compile_uninterrupted
    return dispatcher


def _with_values_in_its_name(function: Callable) -> Callable:
    """A closure whose name tells it from others of its factory: machine code, in memory and on disk, is found by name.

    Raises
    ------
    TypeError
        If the function closes over anything but numbers and texts, which a name cannot tell apart.
    """
    values = [cell.cell_contents for cell in function.__closure__ or ()]
    for value in values:
        if not isinstance(value, (bool, int, float, str)):
            raise TypeError(f"{function.__qualname__} must close over numbers and texts alone; got {value!r}")
    if values:
        pairs = zip(function.__code__.co_freevars, values, strict=True)
        function.__qualname__ += "[" + ", ".join(f"{name}={value!r}" for name, value in pairs) + "]"
    return function


def _piece(options: dict[str, Any]) -> Callable:
    """A decorator ``@piece`` or ``@piece(literals=("name", ...))`` for functions that kernels are made of.

    Numba compiles a function anew for each whole number written in a call of it. Here that is so only for the
    arguments named in `literals`.
    """

    def piece(function: Callable | None = None, *, literals: tuple[str, ...] = ()) -> Any:
        if function is None:
            return partial(piece, literals=literals)
        dispatcher = njit(**options)(function)
        if OWN and not compiler_is_off():
            _forget_literals(dispatcher, function.__code__.co_varnames, literals)
        return dispatcher

    return piece


def _forget_literals(dispatcher: Dispatcher, names: tuple[str, ...], kept: tuple[str, ...]) -> None:
    """Have a dispatcher take whole numbers as one type, not by their values, except the arguments named in `kept`."""
    get_call_template = dispatcher.get_call_template

    def get_plain_call_template(args: Any, kws: Any) -> Any:
        plain = [arg if name in kept else types.unliteral(arg) for name, arg in zip(names, args, strict=False)]
        return get_call_template(tuple(plain), kws)

    dispatcher.get_call_template = get_plain_call_template


#: A piece of a kernel: compiled into whatever calls it.
inlined = _piece(INLINED)

#: A piece of a kernel that stays a function of its own.
outlined = _piece(OUTLINED)


@cache
def address_of(function: Dispatcher, *argument_types: types.Type) -> int:
    """Address of a `callee` compiled for these argument types, for `fastnn.kernels.simd.calls`."""
    function.compile(argument_types)
    compiled = function.overloads[argument_types]
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    if address == 0:  # a call of it would end the process
        raise LookupError(f"{function.py_func.__name__} is compiled without an entry for calls by its address")
    return address
