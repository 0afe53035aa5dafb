"""Activations of the user's own."""

from __future__ import annotations

from collections.abc import Callable

from fastnn.settings import catalogue
from fastnn.settings.own.fingerprint import fingerprint
from fastnn.settings.own.functions import frozen, refuse_others
from fastnn.settings.own.names import kept, own_name, plain_name

#: What an activation's functions are called, each the derivative of the one before.
PARTS = ("value", "derivative", "second_derivative", "third_derivative")


class Activation(catalogue.Activation):
    """An activation of your own, for ``activation=`` and ``output_activation=`` wherever a name may stand.

    Parameters
    ----------
    value : callable
        ``value(z)``: the activation at a pre-activation `z`, a float. A function that Numba can compile, decorated or
        not, which neither allocates nor raises, and takes nothing from outside but numbers, modules and other
        functions.
    derivative : callable
        ``derivative(z)``: its derivative.
    second_derivative : callable, optional
        ``second_derivative(z)``, which ``hvp``, ``hessian``, ``taylor`` with a curvature, ``taylor_vjp_params`` and
        ``fit(dydx=)`` need.
    third_derivative : callable, optional
        ``third_derivative(z)``, which ``taylor_vjp_params`` needs where curvatures are trained on.
    name : str, optional
        What it is called in messages and files; the name of `value` if left out.

    Raises
    ------
    TypeError
        If an argument is not such a function, or `name` is not a name.

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

    #: The user's, as they were when the fingerprint was taken.
    functions: tuple[Callable, ...]
    _given: tuple[Callable, ...]

    def __init__(
        self,
        value: Callable,
        derivative: Callable,
        second_derivative: Callable | None = None,
        third_derivative: Callable | None = None,
        *,
        name: str | None = None,
    ):
        if second_derivative is None and third_derivative is not None:
            raise TypeError("second_derivative must be given where third_derivative is; got None")
        higher = (function for function in (second_derivative, third_derivative) if function is not None)
        given = (value, derivative, *higher)
        refuse_others(**dict(zip(PARTS, given, strict=False)))
        digest = fingerprint(*given)
        super().__init__(
            own_name(value, name, digest),
            int(digest, 16),
            needs_input=True,
            analytic=False,
            derivatives=len(given) - 1,
            exported=False,
        )
        vars(self).update(functions=tuple(map(frozen, given)), _given=given)
        catalogue.OWN_ACTIVATIONS.setdefault(self.code, self)  # the same functions under two names are one row

    def __repr__(self) -> str:
        return f"Activation({plain_name(self.name)!r})"

    def __reduce__(self) -> tuple:
        return _again, (self._given, self.name)

    def __copy__(self) -> Activation:
        return self  # for it never changes

    def __deepcopy__(self, memo: dict) -> Activation:
        return self


def lacking(names: tuple[str, ...], order: int) -> str | None:
    """The sentence on the first of these activations that has no derivative of so high an order, if there is one."""
    for name in names:
        row = catalogue.activation_of(name)
        if row.derivatives < order:
            part = PARTS[row.derivatives + 1]
            if isinstance(row, Activation):
                return f"activation {plain_name(name)!r} must be made with {part}=, which this needs"
            return f"activation {name!r} has no {part.replace('_', ' ')}, which this needs"
    return None


def _again(functions: tuple[Callable, ...], name: str) -> Activation:
    """An activation from a pickle, made of the same functions."""
    activation = Activation(*functions, name=plain_name(name))
    if activation.name != name:  # what the functions take from outside has changed
        activation = Activation(*kept(catalogue.OWN_ACTIVATIONS, "activation", name).functions, name=plain_name(name))
    return activation
