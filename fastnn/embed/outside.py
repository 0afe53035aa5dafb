"""One sample through a network in compiled code, with regard to the network's domain."""

from __future__ import annotations

import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload

from fastnn.embed.pointers import scratch_for
from fastnn.embed.types import architecture
from fastnn.kernels import point
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.jit.options import INLINED
from fastnn.kernels.simd.types import Pointer, native_lanes

REFUSAL = "x must lie in the domain of net, as net.inside(x) says, for it was made with outside='raise'"


@intrinsic
def domain_of(typingctx, net):
    """Where a network's domain begins."""

    def codegen(context, builder, sig, args):
        native = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
        return context.make_array(net.arrays["domain"])(context, builder, native.domain).data

    return Pointer(types.float64, native_lanes(types.float64))(net), codegen


@inlined
def lies_inside(domain, n, x, stride):
    """Whether a sample of n numbers, `stride` apart, lies in the box; NaN does not."""
    within = True
    for j in range(n):
        within = within and domain[j] <= x[j * stride] <= domain[n + j]
    return within


def feed(net, p, x, x_stride, out, out_stride, work):
    """`point.forward` with the parameters at p, after a sample outside the domain is treated as the network says."""


@overload(feed, jit_options=INLINED)
def _choose_feed(net, p, x, x_stride, out, out_stride, work):
    n_in, n_out = net.spec.n_in, net.spec.n_out

    def ignore(net, p, x, x_stride, out, out_stride, work):
        point.forward(architecture(net), p, x, x_stride, out, out_stride, work)

    def clip(net, p, x, x_stride, out, out_stride, work):
        domain, clipped = domain_of(net), scratch_for(p, n_in, None)
        for j in range(n_in):
            x_j = np.float64(x[j * x_stride])
            if x_j < domain[j]:
                x_j = domain[j]
            if x_j > domain[n_in + j]:
                x_j = domain[n_in + j]
            clipped[j] = x_j
        point.forward(architecture(net), p, clipped, 1, out, out_stride, work)

    def refuse(net, p, x, x_stride, out, out_stride, work):
        if not lies_inside(domain_of(net), n_in, x, x_stride):
            raise ValueError(REFUSAL)
        point.forward(architecture(net), p, x, x_stride, out, out_stride, work)

    def nan(net, p, x, x_stride, out, out_stride, work):
        if lies_inside(domain_of(net), n_in, x, x_stride):
            point.forward(architecture(net), p, x, x_stride, out, out_stride, work)
        else:
            for k in range(n_out):
                out[k * out_stride] = np.nan

    return {"clip": clip, "raise": refuse, "nan": nan}.get(net.outside, ignore)
