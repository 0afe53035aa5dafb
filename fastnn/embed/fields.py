"""Objects that compiled code sees as their arrays: a network, an ensemble, a training state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from numba import types
from numba.core.registry import cpu_target
from numba.extending import NativeValue, make_attribute_wrapper, models, register_model, unbox

from fastnn.kernels.jit.architecture import TypeOfSpec, named
from fastnn.kernels.jit.loading import put_off_scipy
from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.jit.options import OWN

#: Part of the names of the functions by which Numba takes arguments from Python, whose types it has looked at before.
_ENTRY = "7cpython"


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
    native, builder = cgutils.create_struct_proxy(typ)(c.context, c.builder), c.builder
    failed = cgutils.alloca_once_value(builder, cgutils.true_bit)
    with ExitStack() as steps:
        if _ENTRY not in builder.function.name:
            with cgutils.early_exit_if(builder, steps, _is_other(typ, thing, c)):
                wanted = named(typ).replace("%", "%%")
                c.pyapi.err_format("PyExc_TypeError", f"compiled code was told to expect {wanted}; got %R", thing)
        error = cgutils.false_bit
        for name, array_type in typ.arrays.items():
            array = c.pyapi.object_getattr_string(thing, f"_{name}")
            value = c.unbox(array_type, array)
            c.pyapi.decref(array)
            setattr(native, name, value.value)
            error = builder.or_(error, value.is_error)
        builder.store(error, failed)
    return NativeValue(native._getvalue(), is_error=builder.load(failed))


def _is_other(typ, thing, c):
    """Whether a thing is of another type, whose arrays are others: what a block in object mode hands back may be."""
    wanted = c.pyapi.unserialize(c.pyapi.serialize_object(typ))
    found = c.pyapi.object_getattr_string(thing, "_numba_type_")  # null where there is none
    for kind in (found, wanted):
        c.pyapi.decref(kind)
    return c.builder.icmp_unsigned("!=", found, wanted)


def announce() -> None:
    """Make the declared types known to Numba at once, as it meets an object that is a global only while it compiles.

    Where it has compiled nothing yet it looks for them itself when it begins, and a process whose kernels are all on
    disk is spared the modules that it then loads.
    """
    if OWN:
        put_off_scipy()  # which takes as long to load as all the rest
        if not cpu_target.target_context._registries:
            return
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
