"""Functions of the user's, which take numbers, as functions of vectors: compiled in, and called for each lane.

They come by their codes, which no row of the catalogue has (`fastnn.settings.own`). Where the compiler finds the same
arithmetic in all lanes it takes them together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from fastnn.kernels.jit.compiling import Dispatcher, inlined
from fastnn.kernels.simd import lanes, load, scratch, store
from fastnn.settings import own
from fastnn.settings.fingerprint import fingerprint, with_helpers


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
def loss_of_vectors(value: Callable, gradient: Callable) -> Dispatcher:
    """``(o, y, parameter) -> (loss, derivative)`` of vectors."""
    value, gradient = of_numbers(value), of_numbers(gradient)

    @inlined
    def own_loss(o, y, parameter):
        outputs, targets, values, slopes = scratch(o, 1), scratch(o, 1), scratch(o, 1), scratch(o, 1)
        store(outputs, o)
        store(targets, y)
        for i in range(lanes(o)):
            values[i] = value(outputs[i], targets[i])
            slopes[i] = gradient(outputs[i], targets[i])
        return load(values), load(slopes)

    return own_loss


@cache
def activation_of_vectors(activation: own.Activation, order: int) -> Dispatcher:
    """``z -> h`` of vectors, or with an `order` above 0 a derivative ``(z, h) -> d``."""
    function = of_numbers(activation.functions[order])

    @inlined
    def own_activation(z):
        source, target = scratch(z, 1), scratch(z, 1)
        store(source, z)
        for i in range(lanes(z)):
            target[i] = function(source[i])
        return load(target)

    @inlined
    def own_derivative(z, h):
        return own_activation(z)

    return own_activation if order == 0 else own_derivative
