"""Losses of the user's own: of a value and its gradient, or of a residual to be squared."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from fastnn.settings import catalogue
from fastnn.settings.describing import describe, is_number
from fastnn.settings.own.fingerprint import fingerprint
from fastnn.settings.own.functions import frozen, refuse_others, undecorated
from fastnn.settings.own.names import kept, own_name, plain_name


class Loss(catalogue.Loss):
    """A loss of your own, for ``loss=`` wherever a name may stand.

    Over the outputs of a row, and over a batch, it is a mean, as ``"mse"`` is; the output activation may be any but
    softmax and ascending.

    Parameters
    ----------
    value : callable
        ``value(o, y)``: the loss of one output `o` whose target is `y`, both floats. A function that Numba can compile,
        decorated or not, which neither allocates nor raises, and takes nothing from outside but numbers, modules and
        other functions.
    gradient : callable
        ``gradient(o, y)``: its derivative with respect to `o`.
    name : str, optional
        What it is called in messages; the name of `value` if left out.
    outputs, targets : tuple of float, optional
        The least and the greatest output and target that `value` is defined on; targets outside are refused.

    Raises
    ------
    TypeError
        If `value` or `gradient` is not such a function, `name` is not a name, or an interval is not a pair of numbers.
    ValueError
        If an interval does not increase.

    See Also
    --------
    LeastSquares : a loss that `LevenbergMarquardt` can minimise, too.

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
    >>> loss = fastnn.Loss(value, gradient, name="log_cosh")
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], loss=loss, epochs=10)
    """

    value: Callable
    gradient: Callable
    outputs: tuple[float, float]
    _given: tuple[Callable, ...]

    #: What the functions that a user gives are called; the second is the derivative of the first.
    PARTS = ("value", "gradient")

    def __init__(
        self,
        value: Callable,
        gradient: Callable,
        *,
        name: str | None = None,
        outputs: tuple[float, float] = (-inf, inf),
        targets: tuple[float, float] = (-inf, inf),
    ):
        refuse_others(value=value, gradient=gradient)
        digest = fingerprint(value, gradient)
        super().__init__(own_name(value, name, digest), int(digest, 16), targets=_interval("targets", targets))
        self._keep(value=value, gradient=gradient)
        vars(self).update(outputs=_interval("outputs", outputs))
        catalogue.OWN_LOSSES.setdefault(self.code, self)

    def _keep(self, **given: Callable) -> None:
        """Compute with the user's functions as they are now, and let pickles name them as the user does."""
        vars(self).update({name: frozen(function) for name, function in given.items()}, _given=tuple(given.values()))

    @property
    def functions(self) -> tuple[Callable, Callable]:
        """Those that the user gave, as they were."""
        return self.value, self.gradient

    def __repr__(self) -> str:
        return f"{type(self).__name__}({plain_name(self.name)!r})"

    def __reduce__(self) -> tuple:
        return _again, (type(self), self._given, self.name, self.outputs, self.targets, self.masked)

    def __copy__(self) -> Loss:
        return self  # for it never changes

    def __deepcopy__(self, memo: dict) -> Loss:
        return self


class LeastSquares(Loss):
    """A loss of your own that is the square of a residual, for ``loss=`` wherever a name may stand.

    Over the outputs of a row, and over a batch, it is a mean, as ``"mse"`` is, whose residual is ``o - y``.
    `LevenbergMarquardt` minimises it by the residuals themselves; other optimizers by its gradient.

    Parameters
    ----------
    residual : callable
        ``residual(o, y)``: how far one output `o` is off, whose target is `y`; a function as in `Loss`.
    derivative : callable
        ``derivative(o, y)``: its derivative with respect to `o`.
    name : str, optional
        What it is called in messages; the name of `residual` if left out.
    outputs, targets : tuple of float, optional
        The least and the greatest output and target that `residual` is defined on; targets outside are refused.

    Raises
    ------
    TypeError
        If `residual` or `derivative` is not such a function, `name` is not a name, or an interval is not a pair of
        numbers.
    ValueError
        If an interval does not increase.

    Examples
    --------
    >>> import fastnn
    >>> def relative_error(o, y):
    ...     return (o - y) / y
    >>> def derivative(o, y):
    ...     return 1 / y
    >>> loss = fastnn.LeastSquares(relative_error, derivative, targets=(0, float("inf")))
    >>> net = fastnn.MLP((1, 8, 1), rng=0)
    >>> solver = fastnn.LevenbergMarquardt()
    >>> history = net.fit([[0.0], [1.0]], [1.0, 9.0], loss=loss, optimizer=solver, epochs=10)
    """

    residual: Callable
    derivative: Callable

    PARTS = ("residual", "derivative")

    def __init__(
        self,
        residual: Callable,
        derivative: Callable,
        *,
        name: str | None = None,
        outputs: tuple[float, float] = (-inf, inf),
        targets: tuple[float, float] = (-inf, inf),
    ):
        refuse_others(residual=residual, derivative=derivative)
        fingerprint(residual, derivative)  # which refuses what cannot be compared
        name = undecorated(residual).__name__ if name is None else name
        super().__init__(*_square(residual, derivative), name=name, outputs=outputs, targets=targets)
        self._keep(residual=residual, derivative=derivative)
        vars(self).update(squared=True)

    @property
    def functions(self) -> tuple[Callable, Callable]:
        """Those that the user gave, as they were."""
        return self.residual, self.derivative


def _square(residual: Callable, derivative: Callable) -> tuple[Callable, Callable]:
    """The square of a residual, and its derivative."""
    from numba import njit  # which networks without functions of the user's do without

    residual, derivative = njit(undecorated(residual)), njit(undecorated(derivative))

    def value(o, y):
        r = residual(o, y)
        return r * r

    def gradient(o, y):
        return 2 * residual(o, y) * derivative(o, y)

    return value, gradient


def _interval(argument: str, given: Any) -> tuple[float, float]:
    """The least and the greatest number that a function is defined on.

    Raises
    ------
    TypeError
        If it is no pair of numbers.
    ValueError
        If the second is not above the first.
    """
    is_pair = isinstance(given, (list, tuple)) or (isinstance(given, np.ndarray) and given.ndim == 1)
    ends = tuple(given) if is_pair else ()
    if len(ends) != 2 or not all(map(is_number, ends)):
        raise TypeError(f"{argument} must be two numbers, the least and the greatest; got {describe(given)}")
    try:
        low, high = map(float, ends)
    except OverflowError as error:  # of a whole number
        raise TypeError(f"{argument} must be two numbers of float64; got {describe(given)}") from error
    if not low < high:
        raise ValueError(f"{argument} must be two numbers, the second above the first; got {describe(given)}")
    return low, high


def _again(
    kind: type[Loss],
    functions: tuple[Callable, Callable],
    name: str,
    outputs: tuple[float, float],
    targets: tuple[float, float],
    masked: bool,
) -> Loss:
    """A loss from a pickle, made of the same functions."""
    settings: Any = {"name": plain_name(name), "outputs": outputs, "targets": targets}
    loss = kind(*functions, **settings)
    if loss.name != name:  # what the functions take from outside has changed
        loss = kind(*kept(catalogue.OWN_LOSSES, "loss", name).functions, **settings)
    return loss.where_present() if masked else loss
