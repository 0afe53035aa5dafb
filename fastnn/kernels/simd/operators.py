"""Operators: arithmetic, comparisons and bits, lane by lane; a number beside a vector stands for itself in every lane.

A comparison gives a mask, a vector of booleans.
"""

from __future__ import annotations

import operator

from numba import types
from numba.extending import lower_builtin, lower_cast

from fastnn.kernels.jit.lowering import declare
from fastnn.kernels.simd.build import splat
from fastnn.kernels.simd.types import Vector

#: The builder's method for floats, and for integers and masks.
_ARITHMETIC = {
    operator.add: ("fadd", "add"),
    operator.sub: ("fsub", "sub"),
    operator.mul: ("fmul", "mul"),
    operator.truediv: ("fdiv", None),
    operator.and_: (None, "and_"),
    operator.or_: (None, "or_"),
    operator.lshift: (None, "shl"),
    operator.rshift: (None, "ashr"),
}
#: What masks take, beside `~`.
_OF_MASKS = {operator.and_, operator.or_}
_COMPARISON = {
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
}
_UNARY = {operator.neg: "fneg", operator.invert: "not_"}


@lower_cast(types.Number, Vector)
def _number_to_vector(context, builder, from_type, to_type, value):
    return splat(builder, context.cast(builder, value, from_type, to_type.dtype), to_type.lanes)


def _operand_type(args):
    """The vector type of a binary operation: both the same, or a vector beside a number."""
    vectors = {arg for arg in args if isinstance(arg, Vector)}
    if len(vectors) == 1 and all(isinstance(arg, (Vector, types.Number)) for arg in args):
        return vectors.pop()
    return None


def _binary(op):
    def signature(*args):
        vector = _operand_type(args) if len(args) == 2 else None
        if vector is None or (vector.dtype == types.boolean and op not in _OF_MASKS):
            return None
        result = Vector(types.boolean, vector.lanes) if op in _COMPARISON else vector
        return result(vector, vector)

    declare(op, signature)

    @lower_builtin(op, Vector, Vector)
    def lower(context, builder, sig, args):
        is_float = isinstance(sig.args[0].dtype, types.Float)
        if op not in _COMPARISON:
            return getattr(builder, str(_ARITHMETIC[op][0 if is_float else 1]))(*args)
        if not is_float:
            return builder.icmp_signed(_COMPARISON[op], *args)
        # NaN compares unequal to everything, itself included.
        compare = builder.fcmp_unordered if op is operator.ne else builder.fcmp_ordered
        return compare(_COMPARISON[op], *args)


def _unary(op):
    declare(op, lambda *args: args[0](args[0]) if len(args) == 1 and isinstance(args[0], Vector) else None)

    @lower_builtin(op, Vector)
    def lower(context, builder, sig, args):
        return getattr(builder, _UNARY[op])(*args)


for _two in (*_ARITHMETIC, *_COMPARISON):
    _binary(_two)
for _one in _UNARY:
    _unary(_one)
