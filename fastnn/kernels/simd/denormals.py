"""Flushing denormal numbers to zero while a kernel runs.

An update that decays towards zero, such as Adam's means of a gradient that has vanished, ends in numbers so small that
processors compute with them several times slower. A training kernel treats them as zero, and leaves the processor as it
found it: on x86 by its register MXCSR, on 64-bit ARM by FPCR.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.jit.lowering import cgutils

_ARCHITECTURE = llvm.get_process_triple().partition("-")[0]
_IS_X86, _IS_ARM = _ARCHITECTURE in ("x86_64", "i686"), _ARCHITECTURE in ("aarch64", "arm64")
_FLUSH_RESULTS, _FLUSH_OPERANDS = 1 << 15, 1 << 6  # bits of MXCSR
_FLUSH_ALL = 1 << 24  # bit of FPCR

INT64 = ir.IntType(64)


def _read(builder):
    """The control register."""
    if _IS_ARM:
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(INT64, []), "llvm.aarch64.get.fpcr")
        return builder.call(function, [])
    place = cgutils.alloca_once(builder, ir.IntType(32))
    _x86(builder, "stmxcsr", place)
    return builder.zext(builder.load(place), INT64)


def _write(builder, value):
    """Set the control register."""
    if _IS_ARM:
        kind = ir.FunctionType(ir.VoidType(), [INT64])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr"), [value])
    else:
        place = cgutils.alloca_once_value(builder, builder.trunc(value, ir.IntType(32)))
        _x86(builder, "ldmxcsr", place)


def _x86(builder, name, place):
    byte_pointer = ir.IntType(8).as_pointer()
    function_type = ir.FunctionType(ir.VoidType(), [byte_pointer])
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(place, byte_pointer)])


@intrinsic
def flush_denormals(typingctx):
    """Have this thread treat denormal numbers as zero; what `restore_denormals` needs to undo it."""
    flush = _FLUSH_ALL if _IS_ARM else _FLUSH_RESULTS | _FLUSH_OPERANDS

    def codegen(context, builder, sig, args):
        if not (_IS_X86 or _IS_ARM):
            return ir.Constant(INT64, 0)
        before = _read(builder)
        _write(builder, builder.or_(before, ir.Constant(INT64, flush)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_denormals(typingctx, before):
    """Undo `flush_denormals`."""

    def codegen(context, builder, sig, args):
        if _IS_X86 or _IS_ARM:
            _write(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
