"""``min`` and ``max`` of two whole numbers, in two instructions.

Numba makes a function of each and compiles it by itself. What stands here is for kernels alone, whose compiler asks the
declarations of this package before Numba's (`fastnn.kernels.jit.resolution`).
"""

from __future__ import annotations

from numba import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature


def _extreme(function, before):
    @infer_global(function)
    class Extreme(AbstractTemplate):
        def generic(self, args, kws):
            return signature(types.intp, *args) if tuple(args) == (types.intp, types.intp) else None

    @lower_builtin(function, types.intp, types.intp)
    def lower(context, builder, sig, args):
        x, y = args
        return builder.select(builder.icmp_signed(before, y, x), y, x)


_extreme(min, "<")
_extreme(max, ">")
