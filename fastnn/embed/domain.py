"""Inside compiled code: whether a sample is one of those that the network knows."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from fastnn.embed.methods import check_array, shapes_message
from fastnn.embed.pointers import fits, memory
from fastnn.embed.refusals import Refusal, method
from fastnn.embed.types import NetworkType
from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.jit.pipeline import EMBEDDED
from fastnn.kernels.simd import broadcast, fma, lanes, load, store, total
from fastnn.kernels.simd.types import Pointer, native_lanes
from fastnn.settings.domain import stride_of


@intrinsic
def domain_of(typingctx, net):
    """Where a network's domain begins."""

    def codegen(context, builder, sig, args):
        native = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
        return context.make_array(net.arrays["domain"])(context, builder, native.domain).data

    return Pointer(types.float64, native_lanes(types.float64))(net), codegen


def _check(net: Any, name: str, x: Any) -> None:
    if not net.has_domain:
        raise Refusal(f"net.{name}: net must have a domain, which net.with_domain(X) gives it; got one without")
    check_array(net, name, "x", x, (1,), False)


@method(NetworkType, "distance", jit_options=EMBEDDED)
def _distance(net, x):
    _check(net, "distance", x)
    n, step = net.spec.n_in, stride_of(net.spec.n_in)
    message = shapes_message("distance", {"x": (n,)}, 0)

    def distance(net, x):
        if not fits(x, (n,)):
            raise ValueError(message)
        domain = domain_of(net)
        mean, matrix, whitened = domain + 2 * n, domain + 3 * n, memory(domain, step, None)
        for i in range(0, step, lanes(domain)):
            store(whitened + i, broadcast(0.0, domain))
        for j in range(n):
            away = broadcast(np.float64(x[j]) - mean[j], domain)
            for i in range(0, step, lanes(domain)):
                store(whitened + i, fma(away, load(matrix + (j * step + i)), load(whitened + i)))
        squares = broadcast(0.0, domain)
        for i in range(0, step, lanes(domain)):
            squares = fma(load(whitened + i), load(whitened + i), squares)
        return sqrt(total(squares))

    return distance


@method(NetworkType, "inside", jit_options=EMBEDDED)
def _inside(net, x):
    _check(net, "inside", x)
    n = net.spec.n_in
    message = shapes_message("inside", {"x": (n,)}, 0)

    def inside(net, x):
        if not fits(x, (n,)):
            raise ValueError(message)
        low, within = domain_of(net), True
        for j in range(n):
            within = within and low[j] <= x[j] <= low[n + j]
        return within

    return inside
