"""What methods need to know about their array arguments, and where they find scratch."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.simd.tiles import place_on_stack
from fastnn.kernels.simd.types import Pointer

_INTP = ir.IntType(types.intp.bitwidth)


@intrinsic(prefer_literal=True)
def scratch_for(typingctx, like, count, workspace):
    """A pointer, of the type of `like`, to scratch for `count` numbers, a literal.

    The scratch is the array `workspace`, or on the stack if that is None.
    """
    place = Pointer(like.dtype, like.lanes)

    def on_stack(context, builder, sig, args):
        return place_on_stack(context, builder, place, -(-count.literal_value // place.lanes))

    def in_array(context, builder, sig, args):
        return context.make_array(workspace)(context, builder, args[2]).data

    return place(like, count, workspace), in_array if isinstance(workspace, types.Array) else on_stack


@intrinsic
def holds(typingctx, workspace, count):
    """Whether a workspace, if there is one, has room for `count` numbers."""

    def codegen(context, builder, sig, args):
        if not isinstance(workspace, types.Array):
            return cgutils.true_bit
        size = context.make_array(workspace)(context, builder, args[0]).nitems
        return builder.icmp_signed(">=", size, args[1])

    return types.boolean(workspace, types.intp), codegen


@intrinsic(prefer_literal=True)
def stride(typingctx, array, axis):
    """The distance, in numbers, between neighbouring elements of an array along an axis, a literal."""

    def codegen(context, builder, sig, args):
        if array.layout == "C" and axis.literal_value == array.ndim - 1:
            return ir.Constant(_INTP, 1)
        strides = cgutils.unpack_tuple(builder, context.make_array(array)(context, builder, args[0]).strides)
        return builder.sdiv(strides[axis.literal_value], ir.Constant(_INTP, array.dtype.bitwidth // 8))

    return types.intp(array, axis), codegen


@intrinsic
def fits(typingctx, array, shape):
    """Whether an array has this shape, and strides that are multiples of its itemsize."""

    def codegen(context, builder, sig, args):
        native = context.make_array(array)(context, builder, args[0])
        fit = cgutils.true_bit
        pairs = zip(cgutils.unpack_tuple(builder, native.shape), cgutils.unpack_tuple(builder, args[1]), strict=True)
        for given, wanted in pairs:
            fit = builder.and_(fit, builder.icmp_signed("==", given, wanted))
        if array.layout != "C":  # a field of a record array, say
            for distance in cgutils.unpack_tuple(builder, native.strides):
                part = builder.srem(distance, ir.Constant(_INTP, array.dtype.bitwidth // 8))
                fit = builder.and_(fit, builder.icmp_signed("==", part, ir.Constant(_INTP, 0)))
        return fit

    return types.boolean(array, types.UniTuple(types.intp, array.ndim)), codegen


@intrinsic
def apart(typingctx, array, other):
    """Whether two contiguous arrays share no memory.

    Of others it says nothing: what lies between their numbers may be another array's.
    """

    def codegen(context, builder, sig, args):
        if not array.layout == other.layout == "C":
            return cgutils.true_bit
        natives = (context.make_array(kind)(context, builder, arg) for kind, arg in zip(sig.args, args, strict=True))
        (first, end), (other_first, other_end) = ((a.data, builder.gep(a.data, [a.nitems])) for a in natives)
        before = builder.icmp_unsigned("<=", end, other_first)
        return builder.or_(before, builder.icmp_unsigned("<=", other_end, first))

    return types.boolean(array, other), codegen
