"""Functions of the user's, which take numbers, as functions of vectors.

They come by their codes, which no row of the catalogue has (`fastnn.settings.own`). What they may call on a vector
is in `math_overloads`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from numba import float64
from numba.core.errors import NumbaError

from fastnn.kernels.functions import math_overloads as math_overloads
from fastnn.kernels.jit.compiling import Dispatcher, inlined
from fastnn.kernels.simd import as_double, as_numbers_of, lanes, load, scratch, store
from fastnn.kernels.simd.types import Vector, native_lanes
from fastnn.settings import own
from fastnn.settings.own.fingerprint import fingerprint
from fastnn.settings.own.functions import with_helpers


@cache
def of_numbers(function: Callable) -> Dispatcher:
    """A function of the user's as a piece of a kernel, and so all functions that it calls.

    Its name holds its fingerprint, for machine code is found by names, and the user may have given one twice.
    """
    copy = with_helpers(function, of_numbers)
    copy.__qualname__ = f"{copy.__name__}_{fingerprint(function)}"
    copy.__module__ = __name__  # imported where a kernel that was kept is loaded, which needs none of the user's
    return inlined(copy)


@cache
def of_vectors(function: Dispatcher) -> Dispatcher:
    """A piece that takes two numbers as one that takes vectors, of either precision; it computes in double.

    If its code compiles for vectors as it stands, it takes all lanes together. If not, because it branches or calls
    what has no form for vectors, it takes them one after another.
    """

    @inlined
    def together(x, y):
        return as_numbers_of(function(as_double(x), as_double(y)), x)

    @inlined
    def one_by_one(x, y):
        xs, ys, results = scratch(x, 1), scratch(x, 1), scratch(x, 1)
        store(xs, x)
        store(ys, y)
        for i in range(lanes(x)):
            results[i] = function(float64(xs[i]), float64(ys[i]))
        return load(results)

    return together if takes_vectors(together) else one_by_one


def takes_vectors(function: Dispatcher) -> bool:
    """Whether a piece that takes two numbers takes two vectors, too."""
    like = Vector(float64, native_lanes(float64))
    try:
        function.compile((like, like))
    except NumbaError:
        return False
    return True


@cache
def loss_of_vectors(value: Callable, gradient: Callable) -> Dispatcher:
    """``(o, y, parameter) -> (loss, derivative)`` of vectors."""
    value, gradient = of_vectors(of_numbers(value)), of_vectors(of_numbers(gradient))

    @inlined
    def own_loss(o, y, parameter):
        return value(o, y), gradient(o, y)

    return own_loss


@cache
def activation_of_vectors(activation: own.Activation, order: int) -> Dispatcher:
    """``z -> h`` of vectors, or with an `order` above 0 a derivative ``(z, h) -> d``."""
    function = of_numbers(activation.functions[order])
    of_pairs = of_vectors(inlined(lambda z, _: function(z)))

    @inlined
    def own_activation(z):
        return of_pairs(z, z)

    return own_activation if order == 0 else of_pairs
