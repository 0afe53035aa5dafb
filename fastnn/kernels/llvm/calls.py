"""Calling compiled code by its address, so that its caller need not be compiled again for each callee."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

#: Stands for an argument that the callee was compiled for, a literal.
KNOWN = 0


def _caller(result):
    def typing(typingctx, address, *arguments):
        if not isinstance(address, types.Integer):
            return None
        plain = tuple(types.unliteral(argument) for argument in arguments)

        def codegen(context, builder, sig, args):
            values = [builder.extract_value(args[1], i) for i in range(len(plain))]
            values = [
                context.cast(builder, value, given, wanted)
                for value, given, wanted in zip(values, sig.args[1], plain, strict=True)
            ]
            function_type = ir.FunctionType(
                ir.VoidType() if result is types.void else context.get_value_type(result),
                [value.type for value in values],
            )
            outcome = builder.call(builder.inttoptr(args[0], function_type.as_pointer()), values)
            return context.get_dummy_value() if result is types.void else outcome

        return result(types.intp, types.StarArgTuple(plain)), codegen

    return typing


#: ``call(address, *arguments)`` of a function that returns nothing.
call = intrinsic(_caller(types.void))

#: ``call_float(address, *arguments)`` of a function that returns a float64.
call_float = intrinsic(_caller(types.float64))

#: ``call_integer(address, *arguments)`` of a function that returns an intp.
call_integer = intrinsic(_caller(types.intp))
