"""Calling compiled code by its address, so that its caller need not be compiled again for each callee.

Compiled code is called as Numba calls it, the system's and libraries' functions as C does.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

#: Stands for an argument that is a literal, known since the callee was compiled.
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
            convention = context.call_conv
            function_type = convention.get_function_type(result, plain)
            function = builder.inttoptr(args[0], function_type.as_pointer())
            return convention.call_function(builder, function, result, plain, values)[1]

        return result(types.intp, types.StarArgTuple(plain)), codegen

    return typing


@intrinsic
def call_system(typingctx, address, *arguments):
    """Call a C function of the system's or a library's, which takes numbers and returns an integer or nothing."""
    plain = tuple(types.unliteral(argument) for argument in arguments)

    def codegen(context, builder, sig, args):
        values = [builder.extract_value(args[1], i) for i in range(len(plain))]
        function_type = ir.FunctionType(ir.IntType(types.intp.bitwidth), [value.type for value in values])
        return builder.call(builder.inttoptr(args[0], function_type.as_pointer()), values)

    return types.intp(types.intp, types.StarArgTuple(plain)), codegen


#: ``call(address, *arguments)`` of a function that returns nothing.
call = intrinsic(_caller(types.void))

#: ``call_float(address, *arguments)`` of a function that returns a float64.
call_float = intrinsic(_caller(types.float64))

#: ``call_integer(address, *arguments)`` of a function that returns an intp.
call_integer = intrinsic(_caller(types.intp))
