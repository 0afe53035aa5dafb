"""What the operations on vectors share where they write LLVM code; only the files of this folder need it."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from fastnn.kernels.jit.lowering import cgutils, declare

INT32 = ir.IntType(32)


def splat(builder, number, lanes):
    """The vector that holds `number` in every lane."""
    undefined = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(INT32, 0))
    return shuffle(builder, first, undefined, [0] * lanes)


def shuffle(builder, x, y, chosen):
    """The vector of the `chosen` lanes, where the lanes of `y` are counted on from those of `x`."""
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(INT32, len(chosen)), chosen))


def permute(builder, x, chosen):
    """The vector of the `chosen` lanes of `x`."""
    return shuffle(builder, x, ir.Constant(x.type, ir.Undefined), chosen)


def call_intrinsic(builder, name, vector, result, arguments, pointer=""):
    """Call ``llvm.<name>`` in its form for vectors of a type, and for a ``.p0``, a pointer, if it takes one."""
    kind = "f" if isinstance(vector.dtype, types.Float) else "i"
    form = f"llvm.{name}.v{vector.lanes}{kind}{vector.dtype.bitwidth}{pointer}"
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, form), arguments)


def lanewise(name):
    """Code generator of ``llvm.<name>``, whose arguments and result are vectors of one type."""

    def codegen(context, builder, sig, args):
        return call_intrinsic(builder, name, sig.args[0], args[0].type, args)

    return codegen


def at_place(op, base, index, typing):
    """Declare ``op(base, index, ...)``, both of these types; ``typing(base)`` is its signature."""

    def signature(place=None, where=None, *others):
        return typing(place) if isinstance(place, base) and isinstance(where, index) else None

    declare(op, signature)
