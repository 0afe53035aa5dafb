"""A network as a C function, for callers outside Python: C, Fortran, and SciPy's own compiled code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import cfunc, types
from numpy.typing import NDArray

from fastnn.checks import check_name
from fastnn.embed.arguments import STACK_BYTES
from fastnn.embed.pointers import scratch_for
from fastnn.jobs.aligned import address
from fastnn.kernels import point
from fastnn.kernels.jit.architecture import Architecture
from fastnn.kernels.jit.compiling import address_of
from fastnn.kernels.simd import pointer_at
from fastnn.kernels.simd.calls import KNOWN, call
from fastnn.kernels.simd.types import pointer_type
from fastnn.settings.spec import NetworkSpec


@dataclass(frozen=True, eq=False)  # as arrays, which it keeps, have no hash
class CFunction:
    """A network as a C function.

    Attributes
    ----------
    address : int
        Address of the function, for C, Fortran and others.
    ctypes : function
        The same function for ctypes and `scipy.LowLevelCallable`.
    """

    address: int
    ctypes: Any
    _kept: tuple = field(repr=False)


def make(spec: NetworkSpec, params: NDArray, caller: str = "C") -> CFunction:
    """Compile a network's function for a caller in `CALLERS`; the parameters are read in every call.

    Raises
    ------
    TypeError
        If the caller's name is not a string.
    ValueError
        If there is no such caller; or if the network is so wide that a call needs a workspace, or is not what the
        caller needs.
    """
    size, itemsize = point.scratch_size(spec, "forward"), params.itemsize
    if size * itemsize > STACK_BYTES:
        raise ValueError(
            f"cfunc needs a network whose scratch is at most {STACK_BYTES:,} bytes; "
            f"got one that needs {size * itemsize:,}"
        )
    caller = check_name("caller", caller, CALLERS)
    if caller != "C" and (spec.dtype != "float64" or (caller != "geometric_transform" and spec.n_out != 1)):
        outputs = "" if caller == "geometric_transform" else " and one output"
        raise ValueError(f"{caller} takes a float64 network{outputs}; got {spec.dtype} and {spec.n_out}")
    place, n = pointer_type(spec.dtype), types.intp
    forward = address_of(point.forward, Architecture(spec), place, place, n, place, n, place)
    returned, takes, choose = CALLERS[caller]
    # The network's numbers come as an address, of which kernels make a pointer.
    number: Any = np.ctypeslib.as_ctypes_type(params.dtype)
    known = _TYPES | {"numbers": (ctypes.POINTER(number), types.intp)}
    c_types, (result, *arguments) = zip(*(known[kind] for kind in (returned, *takes)), strict=True)
    function = cfunc(result(*arguments))(choose(spec, forward, address(params), size))
    return CFunction(function.address, ctypes.CFUNCTYPE(*c_types)(function.address), (function, params))


# ---------------------------------------------------------------- callers
def _c(spec: NetworkSpec, forward: int, params: int, size: int) -> Callable:
    number = np.dtype(spec.dtype).type

    def function(x, out):
        p, x_0, out_0 = pointer_at(params, number), pointer_at(x, number), pointer_at(out, number)
        call(forward, KNOWN, p, x_0, 1, out_0, 1, scratch_for(p, size, None))

    return function


def _quad(spec: NetworkSpec, forward: int, params: int, size: int) -> Callable:
    n_in = spec.n_in

    def function(n, x):
        if n != n_in:
            return np.nan
        p, x_0 = pointer_at(params, np.float64), pointer_at(x, np.float64)
        out = scratch_for(p, 1, None)
        call(forward, KNOWN, p, x_0, 1, out, 1, scratch_for(p, size, None))
        return out[0]

    return function


def _generic_filter(spec: NetworkSpec, forward: int, params: int, size: int) -> Callable:
    n_in = spec.n_in

    def function(window, n, out, data):
        if n != n_in:
            return 0
        p, x_0, out_0 = pointer_at(params, np.float64), pointer_at(window, np.float64), pointer_at(out, np.float64)
        call(forward, KNOWN, p, x_0, 1, out_0, 1, scratch_for(p, size, None))
        return 1

    return function


def _generic_filter1d(spec: NetworkSpec, forward: int, params: int, size: int) -> Callable:
    n_in = spec.n_in

    def function(line, n, out, n_lines, data):
        if n != n_lines + n_in - 1:
            return 0
        p, x_0, out_0 = pointer_at(params, np.float64), pointer_at(line, np.float64), pointer_at(out, np.float64)
        work = scratch_for(p, size, None)
        for i in range(n_lines):
            call(forward, KNOWN, p, x_0 + i, 1, out_0 + i, 1, work)
        return 1

    return function


def _geometric_transform(spec: NetworkSpec, forward: int, params: int, size: int) -> Callable:
    n_in, n_out = spec.n_in, spec.n_out

    def function(place, source, rank, source_rank, data):
        if rank != n_in or source_rank != n_out:
            return 0
        p, source_0 = pointer_at(params, np.float64), pointer_at(source, np.float64)
        x = scratch_for(p, n_in, None)
        for j in range(n_in):
            x[j] = float(place[j])
        call(forward, KNOWN, p, x, 1, source_0, 1, scratch_for(p, size, None))
        return 1

    return function


#: What is taken or returned, as ctypes and as Numba has it.
_TYPES: dict[str | None, tuple[Any, Any]] = {
    None: (None, types.void),
    "int": (ctypes.c_int, types.intc),
    "double": (ctypes.c_double, types.float64),
    "intptr": (ctypes.c_ssize_t, types.intp),
    "data": (ctypes.c_void_p, types.voidptr),
    "places": (ctypes.POINTER(ctypes.c_ssize_t), types.CPointer(types.intp)),
}

#: What returns what, takes what, and what makes it of a network.
CALLERS: dict[str, tuple[str | None, tuple[str, ...], Callable]] = {
    "C": (None, ("numbers", "numbers"), _c),
    "quad": ("double", ("int", "numbers"), _quad),
    "generic_filter": ("int", ("numbers", "intptr", "numbers", "data"), _generic_filter),
    "generic_filter1d": ("int", ("numbers", "intptr", "numbers", "intptr", "data"), _generic_filter1d),
    "geometric_transform": ("int", ("places", "numbers", "int", "int", "data"), _geometric_transform),
}
