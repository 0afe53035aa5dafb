"""Checks of the description of a network."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import numpy as np

from fastnn.checks.own import check_own_activation
from fastnn.checks.values import check_flag, check_integer, check_name, counted, describe, is_iterable
from fastnn.settings import catalogue, own
from fastnn.settings.spec import NetworkSpec

#: Names of the activations that hidden layers may have.
_HIDDEN = [name for name, row in catalogue.ACTIVATIONS.items() if row.hidden]


def check_spec(sizes: Any, activation: Any, output_activation: Any, bias: Any, dtype: Any) -> NetworkSpec:
    """The description of a network.

    Parameters
    ----------
    sizes : iterable of int
        Width of the input, of each hidden layer and of the output.
    activation : str, fastnn.Activation, or iterable of them
        Activation of the hidden layers, one for all of them or one for each.
    output_activation : str or fastnn.Activation
        Activation of the output layer.
    bias : bool
        Whether every layer has biases.
    dtype : dtype_like
        float32 or float64.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If a size, a name or the number of names is invalid.
    """
    if not is_iterable(sizes):
        raise TypeError(f"sizes must be two or more integers, as in (3, 16, 1); got {describe(sizes)}")
    sizes = tuple(check_integer("every one of sizes", size, 1) for size in sizes)
    if len(sizes) < 2:
        raise ValueError(f"sizes must be two or more integers, as in (3, 16, 1); got {sizes}")

    hidden = len(sizes) - 2
    one = isinstance(activation, (str, own.Activation)) or callable(activation)
    names = (activation,) * max(hidden, 1) if one else _names_of(activation, hidden)
    names = tuple(check_hidden_activation(name) for name in names)[:hidden]
    output = _check_activation("output_activation", output_activation, catalogue.ACTIVATIONS)
    return NetworkSpec(sizes, (*names, output), check_flag("bias", bias), _check_dtype(dtype))


def check_network_spec(spec: Any) -> NetworkSpec:
    """The spec of a network; raises TypeError if it is anything else."""
    if not isinstance(spec, NetworkSpec):
        raise TypeError(f"spec must be a NetworkSpec, such as net.spec; got {describe(spec)}")
    return spec


def _names_of(activation: Any, hidden: int) -> tuple[Any, ...]:
    expected = f"activation must be a name, or one for each of {counted(hidden, 'hidden layer')}"
    if not is_iterable(activation):
        raise TypeError(f"{expected}; got {describe(activation)}")
    names = tuple(activation)
    if len(names) != hidden:
        raise ValueError(f"{expected}; got {counted(len(names), 'name')}")
    return names


def _check_activation(argument: str, activation: Any, known: Collection[str]) -> str:
    """The name of an activation, one of the known or a user's own, which may be given by its name in a file."""
    if isinstance(activation, str) and "@" in activation:
        try:
            activation = catalogue.activation_of(activation)
        except LookupError as error:
            raise ValueError(str(error)) from error
    if isinstance(activation, own.Activation):
        check_own_activation(activation)
        return activation.name
    if callable(activation):
        raise TypeError(
            f"{argument} must be a name, or a fastnn.Activation made of functions; got {describe(activation)}"
        )
    return check_name(argument, activation, known)


def check_hidden_activation(activation: Any) -> str:
    """The name of a hidden layer's activation, which may be a user's own; raises as `check_spec`."""
    if isinstance(activation, str) and activation in catalogue.ACTIVATIONS and activation not in _HIDDEN:
        raise ValueError(f"activation must be one for hidden layers; got {activation!r}, which is for the output alone")
    return _check_activation("activation", activation, _HIDDEN)


def _check_dtype(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name if dtype is not None else None
    except Exception:  # whatever NumPy raises of what is no dtype
        name = None
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype must be float32 or float64; got {describe(dtype)}")
    return name


def check_rng(rng: Any) -> np.random.Generator:
    """A generator, from anything `numpy.random.default_rng` takes.

    Raises
    ------
    TypeError, ValueError
        As `numpy.random.default_rng` does.
    """
    try:
        # A matrix, whose rows are matrices, would crash the process.
        return np.random.default_rng(np.asarray(rng) if isinstance(rng, np.matrix) else rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng must be something that numpy.random.default_rng takes, such as a seed; got {describe(rng)}"
        ) from error


def draw_seed(rng: Any) -> int:
    """A seed in [0, 2**63), drawn from what `check_rng` takes; from the system's entropy for None."""
    if rng is None:  # as `check_rng` would, in a tenth of the time
        return int.from_bytes(os.urandom(8), "little") >> 1
    return int(check_rng(rng).integers(2**63))
