"""What compiled code calls on a network: its outputs, and their derivatives with respect to the inputs.

Types and numbers of dimensions are checked when the caller is compiled, shapes when it runs; nothing is ever written
outside an array.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin
from numba.extending import overload_method

from fastnn.embed.types import NetworkType, architecture, fits, memory, parameters, stride
from fastnn.kernels import sample
from fastnn.kernels.compiling import kernel
from fastnn.kernels.llvm.simd import pointer

#: Most bytes of scratch that are taken from the stack: a thread's may be small.
STACK_BYTES = 32 * 1024

_INLINE = {"forceinline": True, "error_model": "numpy"}


# ---------------------------------------------------------------- checks while compiling
def _check_array(net: NetworkType, method: str, name: str, array: types.Type, dims: tuple[int, ...], written: bool) -> None:
    """Refuse what is no array of the network's dtype and so many dimensions."""
    wanted = f"net.{method}: {name} must be a {' or '.join(f'{n}-D' for n in dims)} array of {net.dtype}"
    if not isinstance(array, types.Array) or array.dtype != net.dtype or array.ndim not in dims:
        raise TypingError(f"{wanted}; got {array}")
    if written and not array.mutable:
        raise TypingError(f"{wanted} that can be written to; got {array}")


def _check_workspace(net: NetworkType, method: str, workspace, count: int) -> None:
    """Refuse a network that is too wide for the stack without a workspace, and a workspace of another type."""
    size = count * net.dtype.bitwidth // 8
    if workspace is None or isinstance(workspace, (types.NoneType, types.Omitted)):
        if size > STACK_BYTES:
            raise TypingError(
                f"net.{method}: this network needs {size:,} bytes of scratch, more than the {STACK_BYTES:,} that are taken "
                f"from the stack; pass workspace=, an array of {count} {net.dtype} for each thread, "
                f'such as net.workspace("{method}")'
            )
        return
    if workspace != types.Array(net.dtype, 1, "C"):
        raise TypingError(f"net.{method}: workspace must be a contiguous 1-D array of {net.dtype}; got {workspace}")


# ---------------------------------------------------------------- outputs
@overload_method(NetworkType, "forward", jit_options=_INLINE)
def _forward(net, x, out, workspace=None):
    _check_array(net, "forward", "x", x, (1, 2), False)
    _check_array(net, "forward", "out", out, (x.ndim,), True)
    spec = net.spec
    size = sample.scratch_size(spec, "forward")
    _check_workspace(net, "forward", workspace, size)
    n_in, n_out, width = spec.n_in, spec.n_out, sample.width_of(spec)
    message = f"net.forward: x must have shape (..., {n_in}), out (..., {n_out}), workspace {size} numbers if it is given"

    def one(net, x, out, workspace=None):
        if not (fits(x, (n_in,)) and fits(out, (n_out,))) or (workspace is not None and workspace.size < size):
            raise ValueError(message)
        here = memory(net, size, workspace)
        sample.forward(
            architecture(net), parameters(net), pointer(x, 0), stride(x, 0), pointer(out, 0), stride(out, 0), here, here + width
        )

    def many(net, x, out, workspace=None):
        n = x.shape[0]
        if not (fits(x, (n, n_in)) and fits(out, (n, n_out))) or (workspace is not None and workspace.size < size):
            raise ValueError(message)
        here = memory(net, size, workspace)
        for r in range(n):
            x_r, out_r = pointer(x, r * stride(x, 0)), pointer(out, r * stride(out, 0))
            sample.forward(architecture(net), parameters(net), x_r, stride(x, 1), out_r, stride(out, 1), here, here + width)

    return one if x.ndim == 1 else many


@overload_method(NetworkType, "__call__", jit_options=_INLINE)
def _call(net, x):
    _check_array(net, "__call__", "x", x, (1, 2), False)
    n_out, dtype = net.spec.n_out, np.dtype(net.spec.dtype)

    def one(net, x):
        out = np.empty(n_out, dtype)
        net.forward(x, out)
        return out

    def many(net, x):
        out = np.empty((x.shape[0], n_out), dtype)
        net.forward(x, out)
        return out

    return one if x.ndim == 1 else many


@lower_builtin(NetworkType, NetworkType, types.Array)
def _lower_call(context, builder, sig, args):
    return context.compile_internal(builder, lambda net, x: net.__call__(x), sig, args)


# ---------------------------------------------------------------- from Python
@kernel
def forward(net, x, out):
    """`MLP.forward`."""
    net.forward(x, out)
