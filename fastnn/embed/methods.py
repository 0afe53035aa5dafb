"""The methods of a network in compiled code: its outputs, and their derivatives with respect to inputs.

Types and numbers of dimensions are checked when the caller is compiled (`fastnn.embed.arguments`), and shapes when it
runs, so that nothing is ever written outside an array.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import types
from numba.extending import lower_builtin

from fastnn.embed.arguments import (
    absent,
    check_array,
    check_gradient,
    check_workspace,
    overlap_message,
    shapes_message,
)
from fastnn.embed.outside import feed
from fastnn.embed.pointers import apart, fits, holds, scratch_for, stride
from fastnn.embed.refusals import method
from fastnn.embed.together import TOGETHER_STACK_BYTES, batch_together, jacobian_together
from fastnn.embed.types import NetworkType, architecture, parameters
from fastnn.kernels import point
from fastnn.kernels.jit.options import EMBEDDED
from fastnn.kernels.simd import pointer


# ---------------------------------------------------------------- outputs
@method(NetworkType, "forward", jit_options=EMBEDDED)
def _forward(net, x, out, workspace=None):
    check_array(net, "forward", "x", x, (1, 2))
    check_array(net, "forward", "out", out, (x.ndim,), written=True)
    n_in, n_out, size = net.spec.n_in, net.spec.n_out, check_workspace(net, "forward", workspace)

    def one(net, x, out, workspace=None):
        if not (fits(x, (n_in,)) and fits(out, (n_out,)) and holds(workspace, size)):
            raise ValueError(message)
        p = parameters(net)
        work = scratch_for(p, size, workspace)
        feed(net, p, pointer(x, 0), stride(x, 0), pointer(out, 0), stride(out, 0), work)

    def many(net, x, out, workspace=None):
        n = x.shape[0]
        if not (fits(x, (n, n_in)) and fits(out, (n, n_out)) and holds(workspace, size)):
            raise ValueError(message)
        p = parameters(net)
        work = scratch_for(p, size, workspace)
        for r in range(n):
            x_r, out_r = pointer(x, r * stride(x, 0)), pointer(out, r * stride(out, 0))
            feed(net, p, x_r, stride(x, 1), out_r, stride(out, 1), work)

    def several_at_once(net, x, out, workspace=None):
        n = x.shape[0]
        if not (fits(x, (n, n_in)) and fits(out, (n, n_out)) and holds(workspace, size)):
            raise ValueError(message)
        samples = pointer(x, 0), stride(x, 0), stride(x, 1)
        outputs = pointer(out, 0), stride(out, 0), stride(out, 1)
        batch_together(architecture(net), size_together, together, parameters(net), n, samples, outputs)

    rows = () if x.ndim == 1 else ("n",)
    message = shapes_message("forward", {"x": (*rows, n_in), "out": (*rows, n_out)}, size)
    if x.ndim == 1:
        return one
    together = point.batch_rows(net.spec, TOGETHER_STACK_BYTES * 8 // net.dtype.bitwidth)
    size_together = point.batch_scratch(net.spec, together)
    looks_outside = net.outside not in (None, "ignore")
    return many if together == 1 or looks_outside else several_at_once


@method(NetworkType, "forward_with", jit_options=EMBEDDED)
def _forward_with(net, params, x, out, workspace=None):
    check_array(net, "forward_with", "params", params, (1,))
    check_array(net, "forward_with", "x", x, (1,))
    check_array(net, "forward_with", "out", out, (1,), written=True)
    n_in, n_out, size = net.spec.n_in, net.spec.n_out, check_workspace(net, "forward", workspace)
    n_params = net.spec.n_params

    def forward_with(net, params, x, out, workspace=None):
        if not (fits(params, (n_params,)) and fits(x, (n_in,)) and fits(out, (n_out,)) and holds(workspace, size)):
            raise ValueError(message)
        if stride(params, 0) != 1:
            raise ValueError(scattered)
        p = pointer(params, 0)
        work = scratch_for(p, size, workspace)
        feed(net, p, pointer(x, 0), stride(x, 0), pointer(out, 0), stride(out, 0), work)

    scattered = "net.forward_with: params must be contiguous; got numbers that lie apart"
    message = shapes_message("forward_with", {"params": (n_params,), "x": (n_in,), "out": (n_out,)}, size)
    return forward_with


@method(NetworkType, "__call__", jit_options=EMBEDDED)
def _call(net, x):
    check_array(net, "__call__", "x", x, (1, 2))
    check_workspace(net, "forward", None)
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


@lower_builtin(types.Optional, NetworkType, types.Array)
def _lower_call_of_optional(context, builder, sig, args):
    """The same of a variable that may be None, which Numba gives as it is, and calls by the network's type."""
    maybe, x = args
    net = context.cast(builder, maybe, types.Optional(sig.args[0]), sig.args[0])
    return _lower_call(context, builder, sig, (net, x))


# ---------------------------------------------------------------- derivatives
@method(NetworkType, "vjp", jit_options=EMBEDDED)
def _vjp(net, x, v, out, workspace=None, grad=None):
    for name, array in {"x": x, "v": v, "out": out}.items():
        check_array(net, "vjp", name, array, (1,), written=name == "out")
    n_in, n_out, n_params = net.spec.n_in, net.spec.n_out, net.spec.n_params
    size = check_workspace(net, "vjp" if absent(grad) else "vjp_params", workspace)

    def vjp(net, x, v, out, workspace=None, grad=None):
        if not (fits(x, (n_in,)) and fits(v, (n_out,)) and fits(out, (n_in,)) and holds(workspace, size)):
            raise ValueError(message)
        p, x_0, v_0, out_0 = parameters(net), pointer(x, 0), pointer(v, 0), pointer(out, 0)
        work = scratch_for(p, size, workspace)
        point.vjp(architecture(net), p, x_0, stride(x, 0), v_0, stride(v, 0), out_0, stride(out, 0), work)

    def with_params(net, x, v, out, workspace=None, grad=None):
        fit = fits(x, (n_in,)) and fits(v, (n_out,)) and fits(out, (n_in,)) and fits(grad, (n_params,))
        if not (fit and holds(workspace, size)):
            raise ValueError(message)
        if not apart(grad, net.params):
            raise ValueError(overlap)
        p, x_0, v_0, out_0 = parameters(net), pointer(x, 0), pointer(v, 0), pointer(out, 0)
        work = scratch_for(p, size, workspace)
        point.vjp_with_params(
            architecture(net), p, x_0, stride(x, 0), v_0, stride(v, 0), out_0, stride(out, 0), pointer(grad, 0), work
        )

    shapes = {"x": (n_in,), "v": (n_out,), "out": (n_in,)}
    if absent(grad):
        message = shapes_message("vjp", shapes, size)
        return vjp
    check_gradient(net, "vjp", grad)
    overlap = overlap_message("vjp", "grad", "params")
    message = shapes_message("vjp", shapes | {"grad": (n_params,)}, size)
    return with_params


@method(NetworkType, "jvp", jit_options=EMBEDDED)
def _jvp(net, x, t, out, workspace=None):
    for name, array in {"x": x, "t": t, "out": out}.items():
        check_array(net, "jvp", name, array, (1,), written=name == "out")
    n_in, n_out, size = net.spec.n_in, net.spec.n_out, check_workspace(net, "jvp", workspace)

    def jvp(net, x, t, out, workspace=None):
        if not (fits(x, (n_in,)) and fits(t, (n_in,)) and fits(out, (n_out,)) and holds(workspace, size)):
            raise ValueError(message)
        p, x_0, t_0, out_0 = parameters(net), pointer(x, 0), pointer(t, 0), pointer(out, 0)
        work = scratch_for(p, size, workspace)
        point.jvp(architecture(net), p, x_0, stride(x, 0), t_0, stride(t, 0), out_0, stride(out, 0), work)

    message = shapes_message("jvp", {"x": (n_in,), "t": (n_in,), "out": (n_out,)}, size)
    return jvp


@method(NetworkType, "jacobian", jit_options=EMBEDDED)
def _jacobian(net, x, out, jac, workspace=None):
    check_array(net, "jacobian", "x", x, (1, 2))
    check_array(net, "jacobian", "out", out, (x.ndim,), written=True)
    check_array(net, "jacobian", "jac", jac, (x.ndim + 1,), written=True)
    n_in, n_out, at_once = net.spec.n_in, net.spec.n_out, point.jacobian_rows(net.spec)
    size = check_workspace(net, "jacobian", workspace, point.jacobian_scratch(net.spec, 1))
    if absent(workspace):
        at_once = point.jacobian_rows(net.spec, TOGETHER_STACK_BYTES * 8 // net.dtype.bitwidth)
        size = point.jacobian_scratch(net.spec, at_once)

    def one(net, x, out, jac, workspace=None):
        if not (fits(x, (n_in,)) and fits(out, (n_out,)) and fits(jac, (n_out, n_in)) and holds(workspace, size)):
            raise ValueError(message)
        if not apart(jac, out):
            raise ValueError(overlap)
        p, x_0, out_0, jac_0 = parameters(net), pointer(x, 0), pointer(out, 0), pointer(jac, 0)
        work = scratch_for(p, size, workspace)
        row, column = stride(jac, 0), stride(jac, 1)
        point.jacobian(
            architecture(net), p, x_0, stride(x, 0), out_0, stride(out, 0), jac_0, row, column, np.intp(at_once), work
        )

    def many(net, x, out, jac, workspace=None):
        n = x.shape[0]
        fit = fits(x, (n, n_in)) and fits(out, (n, n_out)) and fits(jac, (n, n_out, n_in))
        if not (fit and holds(workspace, size)):
            raise ValueError(message)
        if not apart(jac, out):
            raise ValueError(overlap)
        p = parameters(net)
        work = scratch_for(p, size, workspace)
        for r in range(n):
            x_r, out_r = pointer(x, r * stride(x, 0)), pointer(out, r * stride(out, 0))
            jac_r, row, column = pointer(jac, r * stride(jac, 0)), stride(jac, 1), stride(jac, 2)
            x_column, out_column = stride(x, 1), stride(out, 1)
            point.jacobian(
                architecture(net), p, x_r, x_column, out_r, out_column, jac_r, row, column, np.intp(at_once), work
            )

    rows = () if x.ndim == 1 else ("n",)
    shapes = {"x": (*rows, n_in), "out": (*rows, n_out), "jac": (*rows, n_out, n_in)}
    message, overlap = shapes_message("jacobian", shapes, size), overlap_message("jacobian", "jac", "out")
    if absent(workspace) and at_once > 1:
        return _jacobian_together(n_in, n_out, x.ndim, at_once, size, message, overlap)
    return one if x.ndim == 1 else many


def _jacobian_together(
    n_in: int, n_out: int, dims: int, at_once: int, size: int, message: str, overlap: str
) -> Callable:
    """``net.jacobian`` of a large network without a workspace: `at_once` rows or columns together."""

    def one(net, x, out, jac, workspace=None):
        if not (fits(x, (n_in,)) and fits(out, (n_out,)) and fits(jac, (n_out, n_in))):
            raise ValueError(message)
        if not apart(jac, out):
            raise ValueError(overlap)
        samples, outputs = (pointer(x, 0), 0, stride(x, 0)), (pointer(out, 0), 0, stride(out, 0))
        jacobians = pointer(jac, 0), 0, stride(jac, 0), stride(jac, 1)
        jacobian_together(architecture(net), size, np.intp(at_once), parameters(net), 1, samples, outputs, jacobians)

    def many(net, x, out, jac, workspace=None):
        n = x.shape[0]
        if not (fits(x, (n, n_in)) and fits(out, (n, n_out)) and fits(jac, (n, n_out, n_in))):
            raise ValueError(message)
        if not apart(jac, out):
            raise ValueError(overlap)
        samples = pointer(x, 0), stride(x, 0), stride(x, 1)
        outputs = pointer(out, 0), stride(out, 0), stride(out, 1)
        jacobians = pointer(jac, 0), stride(jac, 0), stride(jac, 1), stride(jac, 2)
        jacobian_together(architecture(net), size, np.intp(at_once), parameters(net), n, samples, outputs, jacobians)

    return one if dims == 1 else many
