"""Losses and activations of your own: rows beside the catalogue's, made of scalar functions of the user's.

A row's name is the user's and a fingerprint of the functions, and its code is that fingerprint: whatever is compiled,
kept or saved by either knows one version of the functions from another.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.settings import catalogue
from fastnn.settings.fingerprint import fingerprint, plain


def elementwise(function: Callable, dtype: Any, *arrays: NDArray) -> NDArray:
    """A scalar function on each element, by Python; NaN where it raises an error that compiled arithmetic does not."""
    of_numbers = plain(function)

    def or_nan(*numbers: Any) -> Any:
        try:
            return of_numbers(*numbers)
        except (ArithmeticError, ValueError):
            return np.nan

    with np.errstate(all="ignore"):
        broadcast = np.broadcast(*arrays)
        return np.array([or_nan(*numbers) for numbers in broadcast], dtype).reshape(broadcast.shape)


class Loss(catalogue.Loss):
    """A loss of your own, for ``loss=`` wherever a name may stand.

    Over the outputs of a row, and over a batch, it is a mean, as ``"mse"`` is; the output may be any but softmax.

    Parameters
    ----------
    value : callable
        ``value(o, y)``: the loss of one output `o` whose target is `y`, both floats. A function that Numba can compile,
        decorated or not, which neither allocates nor raises, and takes nothing from outside but numbers, modules and
        compiled functions.
    gradient : callable
        ``gradient(o, y)``: its derivative with respect to `o`.
    name : str, optional
        What it is called in messages; the name of `value` if left out.
    outputs, targets : tuple of float, optional
        The least and the greatest output and target that `value` is defined on; targets outside are refused.

    Raises
    ------
    TypeError
        If `value` or `gradient` is no such function, or `name` no name.

    Notes
    -----
    Before its first use it is checked once, at points of these intervals: whether the functions give finite numbers,
    and `gradient` agrees with central differences of `value`.

    Examples
    --------
    >>> import math, fastnn
    >>> def value(o, y):
    ...     return math.log(math.cosh(o - y))
    >>> def gradient(o, y):
    ...     return math.tanh(o - y)
    >>> net = fastnn.MLP((1, 8, 1), rng=0)
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], loss=fastnn.Loss(value, gradient, name="log_cosh"), epochs=10)
    """

    value: Callable
    gradient: Callable
    outputs: tuple[float, float]

    def __init__(
        self,
        value: Callable,
        gradient: Callable,
        *,
        name: str | None = None,
        outputs: tuple[float, float] = (-inf, inf),
        targets: tuple[float, float] = (-inf, inf),
    ):
        digest = fingerprint(value, gradient)
        super().__init__(own_name(value, name, digest), int(digest, 16), targets=targets)
        vars(self).update(value=value, gradient=gradient, outputs=outputs)
        catalogue.OWN_LOSSES[self.code] = self

    def where_present(self) -> Loss:
        """The same loss, in which a target that is NaN takes no part."""
        loss = copy(self)
        vars(loss).update(masked=True, code=-1 - self.code)
        return loss

    def __repr__(self) -> str:
        return f"Loss({self.name!r})"

    def __reduce__(self) -> tuple:
        return _loss_again, (self.value, self.gradient, plain_name(self.name), self.outputs, self.targets, self.masked)


class Activation(catalogue.Activation):
    """An activation of your own, for ``activation=`` and ``output_activation=`` wherever a name may stand.

    Parameters
    ----------
    value : callable
        ``value(z)``: the activation at a pre-activation `z`, a float. A function that Numba can compile, decorated or
        not, which neither allocates nor raises, and takes nothing from outside but numbers, modules and compiled
        functions.
    derivative : callable
        ``derivative(z)``: its derivative.
    second_derivative : callable, optional
        ``second_derivative(z)``, which ``hvp``, ``hessian``, ``taylor`` with a curvature, ``taylor_vjp_params`` and
        ``fit(dydx=)`` need.
    name : str, optional
        What it is called in messages and files; the name of `value` if left out.

    Raises
    ------
    TypeError
        If an argument is no such function, or `name` no name.

    Notes
    -----
    Before its first use it is checked once, at some points between -12 and 12: whether the functions give finite
    numbers, and each derivative agrees with central differences. A file holds its name and a fingerprint, but no code:
    `fastnn.load` wants the activation to be there. C, Fortran, NumPy, ONNX and PyTorch cannot be written with one.

    Examples
    --------
    >>> import fastnn
    >>> def squared(z):
    ...     return z * z
    >>> def twice(z):
    ...     return 2 * z
    >>> net = fastnn.MLP((1, 8, 1), activation=fastnn.Activation(squared, twice), rng=0)
    """

    functions: tuple[Callable, ...]

    def __init__(
        self,
        value: Callable,
        derivative: Callable,
        second_derivative: Callable | None = None,
        *,
        name: str | None = None,
    ):
        functions = (value, derivative) if second_derivative is None else (value, derivative, second_derivative)
        digest = fingerprint(*functions)
        super().__init__(own_name(value, name, digest), int(digest, 16), needs_input=True, analytic=False)
        vars(self).update(functions=functions)
        catalogue.OWN_ACTIVATIONS[self.code] = self

    def derived(self, order: int) -> Callable:
        """The function's derivative of an order, or itself.

        Raises
        ------
        ValueError
            If the user has given none.
        """
        if order >= len(self.functions):
            raise ValueError(
                f"activation {plain_name(self.name)!r} must have a {ORDERS[order]} derivative here; it has none"
            )
        return self.functions[order]

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"

    def __reduce__(self) -> tuple:
        return _activation_again, (self.functions, plain_name(self.name))


#: What a derivative is called.
ORDERS = ("", "first", "second", "third")


def lacking(spec_activations: tuple[str, ...], order: int) -> str | None:
    """An activation of the user's own that has no derivative of so high an order, by the name that the user gave."""
    for name in spec_activations:
        row = catalogue.activation_of(name)
        if isinstance(row, Activation) and order >= len(row.functions):
            return plain_name(name)
    return None


def plain_name(name: str) -> str:
    """What the user called a row of that name."""
    return name.partition("@")[0]


def own_name(function: Callable, name: str | None, digest: str) -> str:
    """The name of a row: the user's, or that of a function, and the functions' fingerprint."""
    name = plain(function).__name__ if name is None else name
    if not isinstance(name, str) or not name or "@" in name:
        raise TypeError(f"name must be a text without @; got {name!r}")
    return f"{name}@{digest}"


def _loss_again(value: Callable, gradient: Callable, name: str, outputs: Any, targets: Any, masked: bool) -> Loss:
    loss = Loss(value, gradient, name=name, outputs=outputs, targets=targets)
    return loss.where_present() if masked else loss


def _activation_again(functions: tuple[Callable, ...], name: str) -> Activation:
    return Activation(*functions, name=name)
