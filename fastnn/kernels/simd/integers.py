"""``min`` and ``max`` of two whole numbers, in two instructions.

Numba makes a function of each and compiles it separately. These are for kernels alone, whose compiler asks the
declarations of this package before Numba's (`fastnn.kernels.jit.resolution`).
"""

from __future__ import annotations

from numba import types
from numba.extending import lower_builtin

from fastnn.kernels.jit.lowering import declare

_PAIR = types.intp, types.intp


def _extreme(function, before):
    declare(function, lambda *args: types.intp(*args) if args == _PAIR else None)

    @lower_builtin(function, *_PAIR)
    def lower(context, builder, sig, args):
        x, y = args
        return builder.select(builder.icmp_signed(before, y, x), y, x)


_extreme(min, "<")
_extreme(max, ">")
