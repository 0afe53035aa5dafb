"""A network's spec as a Numba type: kernels that take one are compiled for its sizes.

A `NetworkSpec` passed to compiled code carries nothing at run time; all is in its type, which an ``@overload``
reads as ``architecture.spec``. The type's name holds the digest of the kernels, so that what users compile and
cache with it is compiled anew after an upgrade.
"""

from __future__ import annotations

from dataclasses import astuple
from functools import cache

from numba import types
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox

from fastnn.kernels.jit.digest import digest
from fastnn.settings.spec import NetworkSpec


class TypeOfSpec(types.Type):
    """A type that knows a spec by its fields: cached kernels hold types, and must not need functions of the user's."""

    def __init__(self, name: str, spec: NetworkSpec):
        self._fields = astuple(spec)
        super().__init__(name)

    @property
    def spec(self) -> NetworkSpec:
        """The spec."""
        return _spec_of(*self._fields)


_spec_of = cache(NetworkSpec)


class Architecture(TypeOfSpec):
    """The type of a network's spec."""

    def __init__(self, spec: NetworkSpec):
        super().__init__(type_name("Architecture", spec), spec)


def type_name(kind: str, spec: NetworkSpec) -> str:
    """Name of a Numba type for a spec: another for other kernels."""
    return f"{kind}({spec.sizes}, {spec.activations}, bias={spec.bias}, {spec.dtype}, kernels {digest()})"


def named(kind: object) -> str:
    """A type under the name that users know."""
    return str(kind).replace(f", kernels {digest()}", "")


@register_model(Architecture)
class _ArchitectureModel(models.OpaqueModel):
    pass


@typeof_impl.register(NetworkSpec)
def _typeof_spec(spec, context):
    return Architecture(spec)


@unbox(Architecture)
def _unbox_spec(typ, spec, context):
    return NativeValue(context.context.get_dummy_value())
