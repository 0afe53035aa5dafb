"""Flushing denormal numbers to zero while a kernel runs.

An update that decays towards zero, such as Adam's means of a gradient that has vanished, ends in numbers so small that
x86 computes with them several times slower. A training kernel takes them for zero, and leaves the processor as it was.
"""

from __future__ import annotations

import platform

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.jit.lowering import cgutils

_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
_FLUSH_RESULTS, _FLUSH_OPERANDS = 1 << 15, 1 << 6  # bits of the register MXCSR


def _control(builder, name, place):
    byte_pointer = ir.IntType(8).as_pointer()
    function_type = ir.FunctionType(ir.VoidType(), [byte_pointer])
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(place, byte_pointer)])


@intrinsic
def flush_denormals(typingctx):
    """Have this thread take denormal numbers for zero; what `restore_denormals` needs to undo it."""

    def codegen(context, builder, sig, args):
        if not _IS_X86:
            return ir.Constant(ir.IntType(32), 0)
        place = cgutils.alloca_once(builder, ir.IntType(32))
        _control(builder, "stmxcsr", place)
        before = builder.load(place)
        builder.store(builder.or_(before, ir.Constant(before.type, _FLUSH_RESULTS | _FLUSH_OPERANDS)), place)
        _control(builder, "ldmxcsr", place)
        return before

    return types.int32(), codegen


@intrinsic
def restore_denormals(typingctx, before):
    """Undo `flush_denormals`."""

    def codegen(context, builder, sig, args):
        if _IS_X86:
            place = cgutils.alloca_once_value(builder, args[0])
            _control(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.void(types.int32), codegen
