"""What operators and built-in functions do to a network, an ensemble and a training state, as in Python."""

from __future__ import annotations

import operator
from typing import Any

from numba.core.typing.templates import AbstractTemplate, infer
from numba.extending import lower_builtin, overload

from fastnn.embed.fields import ArraysType
from fastnn.embed.refusals import Refusal
from fastnn.kernels.jit.architecture import named
from fastnn.kernels.jit.lowering import cgutils


@lower_builtin(operator.is_, ArraysType, ArraysType)
def _is(context, builder, sig, args):
    """Whether two are one, as far as compiled code can tell: their arrays are the same."""
    kind, other_kind = sig.args
    if kind != other_kind:
        return cgutils.false_bit
    ours, theirs = (cgutils.create_struct_proxy(kind)(context, builder, arg) for arg in args)
    same = cgutils.true_bit
    for name, array_type in kind.arrays.items():
        make = context.make_array(array_type)
        one, other = (make(context, builder, getattr(native, name)) for native in (ours, theirs))
        for field in ("data", "nitems"):
            same = builder.and_(same, builder.icmp_unsigned("==", getattr(one, field), getattr(other, field)))
    return same


@overload(operator.eq)
def _equals(one, other):
    if isinstance(one, ArraysType) and isinstance(other, ArraysType):
        return lambda one, other: one is other
    return None


@overload(operator.ne)
def _differs(one, other):
    if isinstance(one, ArraysType) and isinstance(other, ArraysType):
        return lambda one, other: one is not other
    return None


@overload(bool)
def _truth(thing):
    if not isinstance(thing, ArraysType):
        return None
    return (lambda thing: len(thing) > 0) if thing.has_members else (lambda thing: True)


@overload(operator.not_)
def _not(thing):
    return (lambda thing: not bool(thing)) if isinstance(thing, ArraysType) else None


@overload(len)
def _length(thing):
    if not isinstance(thing, ArraysType):
        return None
    if not thing.has_members:
        raise Refusal(f"{named(thing)} has no length")
    return lambda thing: thing.params.shape[0]


@overload(operator.getitem)
def _item(thing, index):
    _refuse_members(thing)


@infer
class _Iterator(AbstractTemplate):
    """Is asked what a loop over an object takes one by one."""

    key = "getiter"

    def generic(self, args, kws):
        _refuse_members(*args)


def _refuse_members(thing: Any) -> None:
    """Refuse an object of ours; others are Numba's business."""
    if isinstance(thing, ArraysType):
        instead = "; forward_with computes one of a network, with a row of params" if thing.has_members else ""
        raise Refusal(f"{named(thing)} gives no members inside compiled code{instead}")
