"""The methods of a network in compiled code for the caller's own training: derivatives with respect to parameters.

They add to a flat `grad`, which the caller sets to zero when a sum begins, and passes to ``state.apply`` when it is
complete. ``net.train_step`` takes a whole step.
"""

from __future__ import annotations

from fastnn.embed.arguments import (
    absent,
    check_array,
    check_gradient,
    check_workspace,
    overlap_message,
    require_derivatives,
    shapes_message,
)
from fastnn.embed.pointers import apart, fits, holds, scratch_for, stride
from fastnn.embed.refusals import method
from fastnn.embed.types import NetworkType, architecture, parameters
from fastnn.kernels import point
from fastnn.kernels.jit.options import EMBEDDED
from fastnn.kernels.simd import pointer


@method(NetworkType, "vjp_params", jit_options=EMBEDDED)
def _vjp_params(net, x, v, grad, workspace=None):
    check_array(net, "vjp_params", "x", x, (1, 2))
    check_array(net, "vjp_params", "v", v, (x.ndim,))
    check_gradient(net, "vjp_params", grad)
    n_in, n_out, n_params = net.spec.n_in, net.spec.n_out, net.spec.n_params
    size = check_workspace(net, "vjp_params", workspace)

    def one(net, x, v, grad, workspace=None):
        if not (fits(x, (n_in,)) and fits(v, (n_out,)) and fits(grad, (n_params,)) and holds(workspace, size)):
            raise ValueError(message)
        if not apart(grad, net.params):
            raise ValueError(overlap)
        p, x_0, v_0 = parameters(net), pointer(x, 0), pointer(v, 0)
        work = scratch_for(p, size, workspace)
        point.vjp_params(architecture(net), p, x_0, stride(x, 0), v_0, stride(v, 0), pointer(grad, 0), work)

    def many(net, x, v, grad, workspace=None):
        n = x.shape[0]
        if not (fits(x, (n, n_in)) and fits(v, (n, n_out)) and fits(grad, (n_params,)) and holds(workspace, size)):
            raise ValueError(message)
        if not apart(grad, net.params):
            raise ValueError(overlap)
        p, gradient = parameters(net), pointer(grad, 0)
        work = scratch_for(p, size, workspace)
        for r in range(n):
            x_r, v_r = pointer(x, r * stride(x, 0)), pointer(v, r * stride(v, 0))
            point.vjp_params(architecture(net), p, x_r, stride(x, 1), v_r, stride(v, 1), gradient, work)

    rows = () if x.ndim == 1 else ("n",)
    shapes = {"x": (*rows, n_in), "v": (*rows, n_out), "grad": (n_params,)}
    message, overlap = shapes_message("vjp_params", shapes, size), overlap_message("vjp_params", "grad", "params")
    return one if x.ndim == 1 else many


@method(NetworkType, "taylor_vjp_params", jit_options=EMBEDDED)
def _taylor_vjp_params(net, x, t, v, v_slope, v_curvature, grad, workspace=None):
    arrays = {"x": x, "t": t, "v": v, "v_slope": v_slope}
    curved = not absent(v_curvature)
    require_derivatives(net, "taylor_vjp_params", 3 if curved else 2)
    for name, array in (arrays | ({"v_curvature": v_curvature} if curved else {})).items():
        check_array(net, "taylor_vjp_params", name, array, (1,))
    check_gradient(net, "taylor_vjp_params", grad)
    n_in, n_out, n_params = net.spec.n_in, net.spec.n_out, net.spec.n_params
    size = check_workspace(net, "taylor_vjp_params", workspace)

    def slope(net, x, t, v, v_slope, v_curvature, grad, workspace=None):
        fit = fits(x, (n_in,)) and fits(t, (n_in,)) and fits(v, (n_out,)) and fits(v_slope, (n_out,))
        if not (fit and fits(grad, (n_params,)) and holds(workspace, size)):
            raise ValueError(message)
        if not apart(grad, net.params):
            raise ValueError(overlap)
        p, x_0, t_0, v_0, v_1 = parameters(net), pointer(x, 0), pointer(t, 0), pointer(v, 0), pointer(v_slope, 0)
        work = scratch_for(p, size, workspace)
        point.slope_vjp_params(
            architecture(net), p, x_0, stride(x, 0), t_0, stride(t, 0), v_0, stride(v, 0), v_1, stride(v_slope, 0),
            pointer(grad, 0), work,
        )  # fmt: skip

    def curvature(net, x, t, v, v_slope, v_curvature, grad, workspace=None):
        fit = fits(x, (n_in,)) and fits(t, (n_in,)) and fits(v, (n_out,)) and fits(v_slope, (n_out,))
        if not (fit and fits(v_curvature, (n_out,)) and fits(grad, (n_params,)) and holds(workspace, size)):
            raise ValueError(message)
        if not apart(grad, net.params):
            raise ValueError(overlap)
        p, x_0, t_0, v_0, v_1 = parameters(net), pointer(x, 0), pointer(t, 0), pointer(v, 0), pointer(v_slope, 0)
        work = scratch_for(p, size, workspace)
        point.curvature_vjp_params(
            architecture(net), p, x_0, stride(x, 0), t_0, stride(t, 0), v_0, stride(v, 0), v_1, stride(v_slope, 0),
            pointer(v_curvature, 0), stride(v_curvature, 0), pointer(grad, 0), work,
        )  # fmt: skip

    shapes = {"x": (n_in,), "t": (n_in,), "v, v_slope and v_curvature": (n_out,), "grad": (n_params,)}
    message = shapes_message("taylor_vjp_params", shapes, size)
    overlap = overlap_message("taylor_vjp_params", "grad", "params")
    return curvature if curved else slope


@method(NetworkType, "train_step", jit_options=EMBEDDED)
def _train_step(net, x, y, state):
    from fastnn.embed.steps import choose_step  # which takes time to import, and is there if there is a state

    return choose_step(net, x, y, state)
