"""What threads that share a step need of each other: a barrier that spins, and yields when it must wait long."""

from __future__ import annotations

import ctypes
import os

from llvmlite import ir
from numba.extending import intrinsic

from fastnn.kernels.compiling import inlined
from fastnn.kernels.llvm.calls import call

_SPINS = 2000


@intrinsic
def _fetch_add(typingctx, place, number):
    """Add to an integer in memory, atomically; its value before."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", args[0], args[1], "acq_rel")

    return place.dtype(place, place.dtype), codegen


@intrinsic
def _read(typingctx, place):
    """An integer that another thread may have written."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(args[0], "acquire", 8)

    return place.dtype(place), codegen


def yield_address() -> int:
    """Address of the system's function that lets another thread run."""
    library = ctypes.WinDLL("kernel32").SwitchToThread if os.name == "nt" else ctypes.CDLL(None).sched_yield
    return ctypes.cast(library, ctypes.c_void_p).value


@inlined
def meet(arrivals, size, yield_):
    """Wait until all `size` threads have come here. `arrivals` points to an int64 that only ever grows."""
    if size == 1:
        return
    goal = (_fetch_add(arrivals, 1) // size + 1) * size
    spins = 0
    while _read(arrivals) < goal:
        spins += 1
        if spins > _SPINS:
            call(yield_)


@inlined
def share(total, unit, rank, size):
    """The part ``[start, stop)`` of ``range(total)`` that thread `rank` takes, cut at multiples of `unit`."""
    units = (total + unit - 1) // unit
    start, stop = units * rank // size * unit, units * (rank + 1) // size * unit
    return min(start, total), min(stop, total)
