"""In compiled code: whether a network has seen samples like this one."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numba import types

from fastnn.embed.arguments import check_array, shapes_message
from fastnn.embed.outside import domain_of, lies_inside
from fastnn.embed.pointers import fits, scratch_for, stride
from fastnn.embed.refusals import Refusal, method
from fastnn.embed.types import NetworkType
from fastnn.kernels.jit.options import EMBEDDED
from fastnn.kernels.simd import broadcast, fma, lanes, load, pointer, total, widen
from fastnn.kernels.simd.opaque import opaque
from fastnn.kernels.simd.types import native_lanes
from fastnn.settings.domain import LINE, stride_of


def _check(net: Any, name: str, x: Any) -> None:
    if net.outside is None:
        raise Refusal(f"net.{name}: net must have a domain, which net.with_domain(X) gives it; got one without")
    check_array(net, name, "x", x, (1,))


@method(NetworkType, "distance", jit_options=EMBEDDED)
def _distance(net, x):
    _check(net, "distance", x)
    n, step = net.spec.n_in, stride_of(net.spec.n_in)
    at_once = LINE // native_lanes(types.float64)
    message = shapes_message("distance", {"x": (n,)})

    def distance(net, x):
        if not fits(x, (n,)):
            raise ValueError(message)
        domain = widen(domain_of(net), at_once)
        mean, matrix, away = domain + 2 * n, domain + 3 * n, scratch_for(domain, step, None)
        for j in range(n):
            away[j] = np.float64(x[j]) - mean[j]
        zero = squares = broadcast(0.0, domain)
        for i in range(0, step, lanes(domain)):
            count = opaque(np.intp(n))  # unrolled as a whole, the loop would not keep to its registers
            rows = min(count, i + lanes(domain))  # beyond, the triangle is zero here
            even, odd = zero, zero  # or each term would wait for the one before
            for j in range(0, rows - 1, 2):
                here = matrix + (j * step + i)
                even = fma(broadcast(away[j], domain), load(here), even)
                odd = fma(broadcast(away[j + 1], domain), load(here + step), odd)
            if rows % 2 == 1:
                even = fma(broadcast(away[rows - 1], domain), load(matrix + ((rows - 1) * step + i)), even)
            whitened = even + odd
            squares = fma(whitened, whitened, squares)
        return sqrt(total(squares))

    return distance


@method(NetworkType, "inside", jit_options=EMBEDDED)
def _inside(net, x):
    _check(net, "inside", x)
    n = net.spec.n_in
    message = shapes_message("inside", {"x": (n,)})

    def inside(net, x):
        if not fits(x, (n,)):
            raise ValueError(message)
        return lies_inside(domain_of(net), n, pointer(x, 0), stride(x, 0))

    return inside
