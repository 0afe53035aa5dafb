"""The Numba type of a network: how it goes into compiled code and comes back.

The type contains the whole description of the network, so that its methods are compiled for its sizes; at run time it
is an array, the parameters, and a second one where the network has a domain. The type's name contains a digest of the
kernels, so that users' cached code is compiled again after an upgrade.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import types
from numba.extending import box, intrinsic

from fastnn.embed.fields import ArraysType, shows
from fastnn.kernels.jit.architecture import Architecture, type_name
from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.simd.types import number_type, pointer_type
from fastnn.settings.spec import NetworkSpec


@shows("params")
class NetworkType(ArraysType):
    """The Numba type of the networks with a spec; `rebuild` makes one in Python from its spec and its arrays.

    `outside` is what networks with a domain do with samples outside it, and None for networks without.
    """

    called = "net"

    def __init__(self, spec: NetworkSpec, rebuild: Callable[..., Any], outside: str | None = None):
        self.rebuild, self.outside = rebuild, outside
        self.dtype = number_type(spec.dtype)
        self.arrays = {"params": types.Array(self.dtype, 1, "C")}
        if outside is not None:
            self.arrays["domain"] = types.Array(types.float64, 1, "C")
        kind = "MLP" if outside is None else f"MLP in its domain, outside: {outside}"
        super().__init__(type_name(kind, spec), spec)


@cache
def type_of(spec: NetworkSpec, rebuild: Callable[..., Any], outside: str | None = None) -> NetworkType:
    """The Numba type of the networks with a spec, with a domain or without."""
    return NetworkType(spec, rebuild, outside)


@box(NetworkType)
def _box(typ, value, c):
    native = cgutils.create_struct_proxy(typ)(c.context, c.builder, value)
    rebuild = c.pyapi.unserialize(c.pyapi.serialize_object(typ.rebuild))
    spec = c.pyapi.unserialize(c.pyapi.serialize_object(typ.spec))
    arguments = [c.box(array_type, getattr(native, name)) for name, array_type in typ.arrays.items()]
    if typ.outside is not None:
        arguments.append(c.pyapi.unserialize(c.pyapi.serialize_object(typ.outside)))
    net = c.pyapi.call_function_objargs(rebuild, (spec, *arguments))
    for used in (rebuild, spec, *arguments):
        c.pyapi.decref(used)
    return net


# ---------------------------------------------------------------- what methods need
@intrinsic
def architecture(typingctx, net):
    """A network's spec, for kernels that are compiled for it."""
    return Architecture(net.spec)(net), lambda context, builder, sig, args: context.get_dummy_value()


@intrinsic
def parameters(typingctx, net):
    """A pointer to a network's parameters."""

    def codegen(context, builder, sig, args):
        native = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
        return context.make_array(net.arrays["params"])(context, builder, native.params).data

    return pointer_type(net.spec.dtype)(net), codegen
