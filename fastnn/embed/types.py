"""The Numba type of a network: how it goes into compiled code and comes back.

All that describes the network is in the type, so that what is called on it is compiled for its sizes; at run time it
is one array, the parameters. The type's name holds a digest of the kernels: what users compile with it and cache is
compiled anew after an upgrade.
"""

from __future__ import annotations

from functools import cache

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import NativeValue, box, intrinsic, make_attribute_wrapper, models, register_model, unbox

from fastnn.kernels.architecture import Architecture
from fastnn.kernels.compiling import digest
from fastnn.kernels.llvm.types import Pointer, llvm_vector, native_lanes
from fastnn.spec import NetworkSpec

_INTP = ir.IntType(types.intp.bitwidth)


class NetworkType(types.Type):
    """The Numba type of the networks of one spec."""

    def __init__(self, spec: NetworkSpec):
        self.spec = spec
        self.dtype = types.float32 if spec.dtype == "float32" else types.float64
        super().__init__(f"MLP({spec.sizes}, {spec.activations}, bias={spec.bias}, {spec.dtype}, kernels {digest()})")

    @property
    def params(self) -> types.Array:
        """The type of the parameters."""
        return types.Array(self.dtype, 1, "C")

    @property
    def place(self) -> Pointer:
        """The type of a place among its numbers."""
        return Pointer(self.dtype, native_lanes(self.dtype))


@cache
def type_of(spec: NetworkSpec) -> NetworkType:
    """The Numba type of the networks of a spec."""
    return NetworkType(spec)


@register_model(NetworkType)
class _NetworkModel(models.StructModel):
    def __init__(self, manager, network):
        super().__init__(manager, network, [("params", network.params)])


make_attribute_wrapper(NetworkType, "params", "params")


@unbox(NetworkType)
def _unbox(typ, net, c):
    native = cgutils.create_struct_proxy(typ)(c.context, c.builder)
    array = c.pyapi.object_getattr_string(net, "_params")
    params = c.unbox(typ.params, array)
    c.pyapi.decref(array)
    native.params = params.value
    return NativeValue(native._getvalue(), is_error=params.is_error)


@box(NetworkType)
def _box(typ, value, c):
    native = cgutils.create_struct_proxy(typ)(c.context, c.builder, value)
    rebuild = c.pyapi.unserialize(c.pyapi.serialize_object(_rebuild))
    spec = c.pyapi.unserialize(c.pyapi.serialize_object(typ.spec))
    params = c.box(typ.params, native.params)
    net = c.pyapi.call_function_objargs(rebuild, (spec, params))
    for used in (rebuild, spec, params):
        c.pyapi.decref(used)
    return net


def _rebuild(spec, params):
    """The network that has these very parameters."""
    from fastnn.model import MLP  # which is above this

    return MLP._sharing(spec, params)


# ---------------------------------------------------------------- what methods need
@intrinsic
def architecture(typingctx, net):
    """A network's spec, for kernels that are compiled for it."""
    return Architecture(net.spec)(net), lambda context, builder, sig, args: context.get_dummy_value()


@intrinsic
def parameters(typingctx, net):
    """Where a network's parameters begin."""

    def codegen(context, builder, sig, args):
        native = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
        return context.make_array(net.params)(context, builder, native.params).data

    return net.place(net), codegen


@intrinsic(prefer_literal=True)
def memory(typingctx, like, count, workspace):
    """Scratch for `count` numbers, a literal: in the array `workspace`, or on the stack if that is None.

    A pointer as `like`.
    """
    place = Pointer(like.dtype, like.lanes)

    def on_stack(context, builder, sig, args):
        vector = llvm_vector(place.vector)
        with builder.goto_entry_block():
            start = builder.alloca(vector, size=-(-count.literal_value // place.lanes))
        return builder.bitcast(start, context.get_value_type(place))

    def in_array(context, builder, sig, args):
        return context.make_array(workspace)(context, builder, args[2]).data

    return place(like, count, workspace), in_array if isinstance(workspace, types.Array) else on_stack


@intrinsic
def holds(typingctx, workspace, count):
    """Whether a workspace, if it is one, has room for `count` numbers."""

    def codegen(context, builder, sig, args):
        if not isinstance(workspace, types.Array):
            return cgutils.true_bit
        size = context.make_array(workspace)(context, builder, args[0]).nitems
        return builder.icmp_signed(">=", size, args[1])

    return types.boolean(workspace, types.intp), codegen


@intrinsic(prefer_literal=True)
def stride(typingctx, array, axis):
    """How many numbers lie from one element of an array to the next along an axis, a literal."""

    def codegen(context, builder, sig, args):
        if array.layout == "C" and axis.literal_value == array.ndim - 1:
            return ir.Constant(_INTP, 1)
        strides = cgutils.unpack_tuple(builder, context.make_array(array)(context, builder, args[0]).strides)
        return builder.sdiv(strides[axis.literal_value], ir.Constant(_INTP, array.dtype.bitwidth // 8))

    return types.intp(array, axis), codegen


@intrinsic
def fits(typingctx, array, shape):
    """Whether an array has this shape, and its elements lie whole numbers apart."""

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
