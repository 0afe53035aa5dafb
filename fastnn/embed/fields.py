"""Objects that compiled code sees as their arrays: a network, an ensemble, a training state."""

from __future__ import annotations

from collections.abc import Callable

from numba import types
from numba.core.registry import cpu_target
from numba.extending import NativeValue, make_attribute_wrapper, models, register_model, unbox

from fastnn.kernels.jit.architecture import TypeOfSpec
from fastnn.kernels.jit.loading import put_off_scipy
from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.jit.pipeline import OWN


class ArraysType(TypeOfSpec):
    """The Numba type of such an object, for `shows` to register.

    Attributes
    ----------
    arrays : dict of types.Array
        The arrays by name; the object has each as an attribute of this name with an underscore before it.
    called : str
        What errors call such an object.
    has_members : bool
        Whether the first axis of its `params` is that of its members.
    """

    arrays: dict[str, types.Array]
    called: str
    has_members = False


class _ArraysModel(models.StructModel):
    def __init__(self, manager, typ):
        super().__init__(manager, typ, list(typ.arrays.items()))


def shows(*names: str) -> Callable:
    """Decorate an `ArraysType`: its objects have these arrays in compiled code."""

    def register(cls: type[ArraysType]) -> type[ArraysType]:
        register_model(cls)(_ArraysModel)
        for name in names:
            make_attribute_wrapper(cls, name, name)
        return cls

    return register


@unbox(ArraysType)
def _unbox(typ, thing, c):
    native = cgutils.create_struct_proxy(typ)(c.context, c.builder)
    failed = cgutils.false_bit
    for name, array_type in typ.arrays.items():
        array = c.pyapi.object_getattr_string(thing, f"_{name}")
        value = c.unbox(array_type, array)
        c.pyapi.decref(array)
        setattr(native, name, value.value)
        failed = c.builder.or_(failed, value.is_error)
    return NativeValue(native._getvalue(), is_error=failed)


def announce() -> None:
    """Make the declared types known to Numba at once, as it meets an object that is a global only while it compiles."""
    if OWN:
        put_off_scipy()  # which takes as long to load as all the rest
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
