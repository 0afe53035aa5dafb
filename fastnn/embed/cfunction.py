"""A network as a C function, for callers that know no Python."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import cfunc, types
from numpy.typing import NDArray

from fastnn.embed.methods import STACK_BYTES
from fastnn.embed.pointers import memory
from fastnn.embed.types import place_of
from fastnn.kernels import point
from fastnn.kernels.jit.architecture import Architecture
from fastnn.kernels.jit.compiling import address_of
from fastnn.kernels.simd import pointer_at
from fastnn.kernels.simd.calls import KNOWN, call
from fastnn.settings.spec import NetworkSpec


@dataclass(frozen=True)
class CFunction:
    """``void f(const T *x, T *out)``: the outputs of one sample; T is double or float, as the network's dtype.

    Attributes
    ----------
    address : int
        Where the function is, for C, Fortran and others.
    ctypes : function
        The same for ctypes and `scipy.LowLevelCallable`.
    """

    address: int
    ctypes: Any
    _kept: tuple = field(repr=False)


def make(spec: NetworkSpec, params: NDArray) -> CFunction:
    """The function of a network, whose parameters are read at every call.

    Raises
    ------
    ValueError
        If the network is so wide that a call needs a workspace.
    """
    size, itemsize = point.scratch_size(spec, "forward"), params.itemsize
    if size * itemsize > STACK_BYTES:
        raise ValueError(
            f"cfunc must be asked of a network that needs at most {STACK_BYTES:,} bytes of scratch; "
            f"got one that needs {size * itemsize:,}"
        )
    place, n, number = place_of(spec), types.intp, params.dtype.type
    forward = address_of(point.forward, Architecture(spec), place, place, n, place, n, place)
    parameters = params.ctypes.data

    @cfunc(types.void(n, n))
    def function(x, out):
        work = memory(pointer_at(x, number), size, None)
        p, x_0, out_0 = pointer_at(parameters, number), pointer_at(x, number), pointer_at(out, number)
        call(forward, KNOWN, p, x_0, 1, out_0, 1, work)

    numbers = ctypes.POINTER(np.ctypeslib.as_ctypes_type(params.dtype))
    view = ctypes.CFUNCTYPE(None, numbers, numbers)(function.address)
    return CFunction(function.address, view, (function, params))
