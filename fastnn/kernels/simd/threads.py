"""What threads that share a step need: a barrier that spins and, after a while, yields; and each thread's part."""

from __future__ import annotations

import ctypes
import os

import numpy as np
from numba.extending import intrinsic

from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.simd import pointer_at
from fastnn.kernels.simd.calls import call_system

#: Looks at the counter of arrivals before a waiting thread lets others run.
_SPINS = 2000

#: The count of arrivals of a team that shall not begin, as one of its threads will not come.
CALLED_OFF = 2**62


@intrinsic
def fetch_add(typingctx, place, number):
    """Add to an integer in memory, atomically; its value before."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", args[0], args[1], "acq_rel")

    return place.dtype(place, place.dtype), codegen


@intrinsic
def _read(typingctx, place):
    """Read an integer that another thread may have written, atomically."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(args[0], "acquire", 8)

    return place.dtype(place), codegen


def yield_address() -> int:
    """Address of the system's function that lets another thread run."""
    function = ctypes.CDLL("kernel32").SwitchToThread if os.name == "nt" else ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@inlined
def _arrivals_from(team, arrivals, goal):
    """The count of arrivals, once there are as many as the goal."""
    spins, count = 0, _read(arrivals)
    while count < goal:
        spins += 1
        if spins > _SPINS:
            call_system(team.yield_)
        count = _read(arrivals)
    return count


@inlined
def meet(team):
    """Wait until all threads of the team have arrived here; their counter of arrivals only ever grows."""
    if team.size > 1:
        arrivals = pointer_at(team.arrivals, np.int64)
        _arrivals_from(team, arrivals, (fetch_add(arrivals, 1) // team.size + 1) * team.size)


@inlined
def begin(team):
    """Wait until all threads of the team have arrived here for the first time; False if that is called off."""
    if team.size == 1:
        return True
    arrivals = pointer_at(team.arrivals, np.int64)
    fetch_add(arrivals, 1)
    return _arrivals_from(team, arrivals, team.size) < CALLED_OFF


@inlined
def own_part(total, unit, team):
    """The part ``[start, stop)`` of ``range(total)`` that a thread takes, cut at multiples of `unit`."""
    if team.size == 1:
        return 0, total
    units = (total + unit - 1) // unit
    start, stop = units * team.rank // team.size * unit, units * (team.rank + 1) // team.size * unit
    return min(start, total), min(stop, total)
