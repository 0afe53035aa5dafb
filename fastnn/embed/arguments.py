"""Checks of a method's arguments while its caller is compiled, and the messages for those that fail when it runs."""

from __future__ import annotations

from typing import Any

from numba import types

from fastnn.embed.refusals import Refusal
from fastnn.kernels import point
from fastnn.kernels.jit.architecture import named
from fastnn.settings import own

#: Most bytes of scratch that are taken from the stack: a thread's may be small.
STACK_BYTES = 32 * 1024


def check_array(net: Any, method: str, name: str, array: Any, dims: tuple[int, ...], *, written: bool = False) -> None:
    """Refuse anything but an array of the network's dtype with this number of dimensions."""
    wanted = f"{net.called}.{method}: {name} must be a {' or '.join(f'{n}-D' for n in dims)} array of {net.dtype}"
    if not isinstance(array, types.Array) or array.dtype != net.dtype or array.ndim not in dims:
        raise Refusal(f"{wanted}; got {named(array)}")
    if written and not array.mutable:
        raise Refusal(f"{wanted} that can be written to; got {named(array)}")


def check_gradient(net: Any, method: str, grad: Any) -> None:
    """Refuse anything but a contiguous, writable vector of the network's dtype."""
    check_array(net, method, "grad", grad, (1,), written=True)
    if grad.layout != "C":
        raise Refusal(f"net.{method}: grad must be contiguous; got {named(grad)}")


def absent(argument: Any) -> bool:
    """Whether an argument is None or omitted."""
    return argument is None or isinstance(argument, (types.NoneType, types.Omitted))


def check_workspace(net: Any, method: str, workspace: Any, least: int | None = None) -> int:
    """The size of a method's scratch; refuse networks too wide for the stack, and a workspace of the wrong type.

    A method that can do with less, down to `least`, takes what it wants of the stack by itself.
    """
    count, itemsize, where = point.scratch_size(net.spec, method), net.dtype.bitwidth // 8, f"{net.called}.{method}"
    if absent(workspace):
        if (count if least is None else least) * itemsize > STACK_BYTES:
            one = f"{net.called}[0]" if net.has_members else net.called
            raise Refusal(
                f"{where}: this network needs {count * itemsize:,} bytes of scratch, more than the {STACK_BYTES:,} "
                f"that are taken from the stack; pass workspace=, an array of {count} {net.dtype} for each thread, "
                f'such as {one}.workspace("{method}")'
            )
    elif workspace != types.Array(net.dtype, 1, "C"):
        raise Refusal(f"{where}: workspace must be a contiguous 1-D array of {net.dtype}; got {named(workspace)}")
    return count


def require_derivatives(net: Any, method: str, order: int) -> None:
    """Refuse a network with an activation, a user's own, that lacks a derivative of this order."""
    lacks = own.lacking(net.spec.activations, order)
    if lacks is not None:
        raise Refusal(f"net.{method}: {lacks}")


def shapes_message(method: str, shapes: dict[str, tuple], scratch: int | None = None) -> str:
    """The error message for arrays of the wrong shape, and what else they must be."""
    (first, shape), *others = ((name, str(shape).replace("'", "")) for name, shape in shapes.items())
    arrays = "".join(f", {name} {shape}" for name, shape in others)
    return f"net.{method}: {first} must have shape {shape}{arrays}{also_required(scratch)}"


def also_required(scratch: int | None) -> str:
    """What else is checked with the shapes: the length of a workspace, if one may be given, and strides."""
    workspace = "" if scratch is None else f"; a workspace, if it is given, at least {scratch} numbers"
    return f"{workspace}; all strides multiples of the itemsize"


def overlap_message(method: str, written: str, other: str) -> str:
    """The error message for an array to write to that shares memory, as from Python."""
    return f"net.{method}: {written} must be an array of its own; got one that shares the memory of {other}"
