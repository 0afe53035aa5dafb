"""Several samples, or rows of a Jacobian, together through a large network, with scratch on the stack.

That is more than a user's function should hold for each call in it: the scratch belongs to functions of their own here,
which free it when they return.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from fastnn.embed.pointers import scratch_for
from fastnn.kernels import point
from fastnn.kernels.jit.compiling import outlined
from fastnn.kernels.simd.registers import REGISTER_FILE

#: Most bytes of scratch that are taken from the stack here: the products take as much beside.
TOGETHER_STACK_BYTES = REGISTER_FILE.together_bytes


@intrinsic
def _keep_apart(typingctx):
    """Keep the compiler from moving the function that calls this into its callers."""

    def codegen(context, builder, sig, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.none(), codegen


@outlined(literals=("size", "most"))
def batch_together(architecture, size, most, p, n, x, out):
    """Outputs of n samples, `most` at a time, with `size` numbers of scratch; `x` and `out` as in `forward_batch`."""
    _keep_apart()
    (x, x_row, x_stride), (out, out_row, out_stride), here = x, out, scratch_for(p, size, None)
    there = here + size // 2
    for r in range(0, n, most):
        samples, outputs = (x + r * x_row, x_row, x_stride), (out + r * out_row, out_row, out_stride)
        point.forward_batch(architecture, p, min(most, n - r), samples, outputs, here, there)


@outlined(literals=("size",))
def jacobian_together(architecture, size, rows, p, n, x, out, jac):
    """Outputs and Jacobians of n samples, `rows` rows or columns of one together; `jac` has three strides."""
    _keep_apart()
    (x, x_row, x_stride), (out, out_row, out_stride), work = x, out, scratch_for(p, size, None)
    jac, jac_row, row, column = jac
    for r in range(n):
        x_r, out_r, jac_r = x + r * x_row, out + r * out_row, jac + r * jac_row
        point.jacobian(architecture, p, x_r, x_stride, out_r, out_stride, jac_r, row, column, rows, work)
