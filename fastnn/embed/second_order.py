"""The methods of a network in compiled code for derivatives along a direction, and second derivatives."""

from __future__ import annotations

from fastnn.embed.arguments import absent, check_array, check_workspace, require_derivatives, shapes_message
from fastnn.embed.pointers import fits, holds, scratch_for, stride
from fastnn.embed.refusals import Refusal, method
from fastnn.embed.types import NetworkType, architecture, parameters
from fastnn.kernels import point
from fastnn.kernels.jit.options import EMBEDDED
from fastnn.kernels.simd import pointer


@method(NetworkType, "hvp", jit_options=EMBEDDED)
def _hvp(net, x, v, t, out, workspace=None):
    require_derivatives(net, "hvp", 2)
    for name, array in {"x": x, "v": v, "t": t, "out": out}.items():
        check_array(net, "hvp", name, array, (1,), written=name == "out")
    n_in, n_out, size = net.spec.n_in, net.spec.n_out, check_workspace(net, "hvp", workspace)

    def hvp(net, x, v, t, out, workspace=None):
        fit = fits(x, (n_in,)) and fits(v, (n_out,)) and fits(t, (n_in,)) and fits(out, (n_in,))
        if not (fit and holds(workspace, size)):
            raise ValueError(message)
        p, x_0, v_0, t_0, out_0 = parameters(net), pointer(x, 0), pointer(v, 0), pointer(t, 0), pointer(out, 0)
        work = scratch_for(p, size, workspace)
        point.hvp(
            architecture(net), p, x_0, stride(x, 0), v_0, stride(v, 0), t_0, stride(t, 0), out_0, stride(out, 0), work
        )

    message = shapes_message("hvp", {"x": (n_in,), "v": (n_out,), "t": (n_in,), "out": (n_in,)}, size)
    return hvp


@method(NetworkType, "taylor", jit_options=EMBEDDED)
def _taylor(net, x, t, out, slope, curvature=None, workspace=None):
    require_derivatives(net, "taylor", 1 if absent(curvature) else 2)
    written = {"out": out, "slope": slope} | ({} if absent(curvature) else {"curvature": curvature})
    for name, array in ({"x": x, "t": t} | written).items():
        check_array(net, "taylor", name, array, (1,), written=name in written)
    n_in, n_out, size = net.spec.n_in, net.spec.n_out, check_workspace(net, "taylor", workspace)

    def two_terms(net, x, t, out, slope, curvature=None, workspace=None):
        fit = fits(x, (n_in,)) and fits(t, (n_in,)) and fits(out, (n_out,)) and fits(slope, (n_out,))
        if not (fit and holds(workspace, size)):
            raise ValueError(message)
        p, x_0, t_0, u_0, u_1 = parameters(net), pointer(x, 0), pointer(t, 0), pointer(out, 0), pointer(slope, 0)
        work = scratch_for(p, size, workspace)
        point.slopes(
            architecture(net), p, x_0, stride(x, 0), t_0, stride(t, 0), u_0, stride(out, 0), u_1, stride(slope, 0), work
        )

    def three_terms(net, x, t, out, slope, curvature=None, workspace=None):
        fit = fits(x, (n_in,)) and fits(t, (n_in,)) and fits(out, (n_out,)) and fits(slope, (n_out,))
        if not (fit and fits(curvature, (n_out,)) and holds(workspace, size)):
            raise ValueError(message)
        p, x_0, t_0, u_0, u_1 = parameters(net), pointer(x, 0), pointer(t, 0), pointer(out, 0), pointer(slope, 0)
        work = scratch_for(p, size, workspace)
        point.curvatures(
            architecture(net), p, x_0, stride(x, 0), t_0, stride(t, 0), u_0, stride(out, 0), u_1, stride(slope, 0),
            pointer(curvature, 0), stride(curvature, 0), work,
        )  # fmt: skip

    message = shapes_message("taylor", {"x": (n_in,), "t": (n_in,), "out, slope and curvature": (n_out,)}, size)
    return two_terms if absent(curvature) else three_terms


@method(NetworkType, "hessian", jit_options=EMBEDDED)
def _hessian(net, x, h, workspace=None, v=None):
    require_derivatives(net, "hessian", 2)
    if absent(v) and net.spec.n_out != 1:
        raise Refusal(f"net.hessian: v must say which outputs, as this network has {net.spec.n_out}; got none")
    for name, array, n in (("x", x, 1), ("h", h, 2), *([] if absent(v) else [("v", v, 1)])):
        check_array(net, "hessian", name, array, (n,), written=name == "h")
    n_in, n_out, size = net.spec.n_in, net.spec.n_out, check_workspace(net, "hessian", workspace)

    def of_the_output(net, x, h, workspace=None, v=None):
        if not (fits(x, (n_in,)) and fits(h, (n_in, n_in)) and holds(workspace, size)):
            raise ValueError(message)
        p, x_0, h_0 = parameters(net), pointer(x, 0), pointer(h, 0)
        work, one = scratch_for(p, size, workspace), scratch_for(p, 1, None)
        one[0] = 1.0
        point.hessian(architecture(net), p, x_0, stride(x, 0), one, 0, h_0, stride(h, 0), stride(h, 1), work)

    def of_outputs(net, x, h, workspace=None, v=None):
        if not (fits(x, (n_in,)) and fits(v, (n_out,)) and fits(h, (n_in, n_in)) and holds(workspace, size)):
            raise ValueError(message)
        p, x_0, v_0, h_0 = parameters(net), pointer(x, 0), pointer(v, 0), pointer(h, 0)
        work = scratch_for(p, size, workspace)
        point.hessian(architecture(net), p, x_0, stride(x, 0), v_0, stride(v, 0), h_0, stride(h, 0), stride(h, 1), work)

    if absent(v):
        message = shapes_message("hessian", {"x": (n_in,), "h": (n_in, n_in)}, size)
        return of_the_output
    message = shapes_message("hessian", {"x": (n_in,), "v": (n_out,), "h": (n_in, n_in)}, size)
    return of_outputs
