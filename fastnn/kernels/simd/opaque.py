"""Hiding from LLVM where a number comes from.

If LLVM knows several strides, it derives one address from another, in a chain as long as the loop's body, or keeps an
address for each of them, more than there are registers.
"""

from __future__ import annotations

from llvmlite import ir
from numba.extending import intrinsic


@intrinsic
def opaque(typingctx, value):
    """The same whole number or pointer; LLVM knows nothing about it."""

    def codegen(context, builder, sig, args):
        kind = args[0].type
        return builder.asm(ir.FunctionType(kind, [kind]), "", "=r,0", args, side_effect=False)

    return value(value), codegen
