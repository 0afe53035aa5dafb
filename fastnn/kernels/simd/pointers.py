"""Pointers: ``pointer(array, i)`` is a place in an array, ``p + n`` another, ``p[k]`` the number k places on.

Nothing checks the bounds.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin

from fastnn.kernels.simd.build import at_place
from fastnn.kernels.simd.types import Pointer, native_lanes


@intrinsic
def pointer(typingctx, array, offset):
    """Pointer to element `offset` of a contiguous array, whose loads fill one native register."""
    place = Pointer(array.dtype, native_lanes(array.dtype))

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return place(array, types.intp), codegen


@intrinsic
def pointer_at(typingctx, address, like):
    """Pointer to an address, with the dtype of an array or a pointer `like`, or of a NumPy type such as np.int64."""
    place = Pointer(like.dtype, native_lanes(like.dtype))

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(place))

    return place(types.intp, like), codegen


@intrinsic(prefer_literal=True)
def with_lanes(typingctx, place, count):
    """The same pointer, but each load takes `count` lanes, a literal."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    return Pointer(place.dtype, count.literal_value)(place, count), lambda context, builder, sig, args: args[0]


@intrinsic(prefer_literal=True)
def widen(typingctx, place, factor):
    """The same pointer, but each load takes `factor` times as many lanes, a literal: that many registers at once."""
    if not isinstance(factor, types.IntegerLiteral):
        return None
    wide = Pointer(place.dtype, place.lanes * factor.literal_value)
    return wide(place, factor), lambda context, builder, sig, args: args[0]


@intrinsic
def lanes(typingctx, x):
    """How many lanes a vector has, or a load from a pointer takes."""
    return types.literal(x.lanes)(x), lambda context, builder, sig, args: ir.Constant(ir.IntType(64), x.lanes)


at_place(operator.add, Pointer, types.Integer, lambda p: p(p, types.intp))
at_place(operator.getitem, Pointer, types.Integer, lambda p: p.dtype(p, types.intp))
at_place(operator.setitem, Pointer, types.Integer, lambda p: types.none(p, types.intp, p.dtype))


@lower_builtin(operator.add, Pointer, types.Integer)
def _add(context, builder, sig, args):
    return builder.gep(args[0], [args[1]])


@lower_builtin(operator.getitem, Pointer, types.Integer)
def _get(context, builder, sig, args):
    return builder.load(builder.gep(args[0], [args[1]]))


@lower_builtin(operator.setitem, Pointer, types.Integer, types.Any)
def _set(context, builder, sig, args):
    builder.store(args[2], builder.gep(args[0], [args[1]]))
