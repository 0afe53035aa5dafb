"""Networks from plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from fastnn.checks import check_name, counted, describe
from fastnn.exchange.activations import activation
from fastnn.exchange.folding import Network, network_of
from fastnn.exchange.numbers import floats_of
from fastnn.exchange.steps import Activate, Dense, Step
from fastnn.settings.own import Activation

#: What the rows of a matrix of weights belong to.
_OTHER_LAYOUT = {"in_out": "out_in", "out_in": "in_out"}


def read(weights: Any, biases: Any, activations: Any, layout: str, dtype: Any) -> Network:
    """The network of these arrays: see `fastnn.from_arrays`."""
    check_name("layout", layout, _OTHER_LAYOUT)
    weights = _list_of("weights", weights)
    biases = [None] * len(weights) if biases is None else _list_of("biases", biases)
    if len(biases) != len(weights):
        raise ValueError(f"biases must be one array for each of {counted(len(weights), 'layer')}; got {len(biases)}")
    matrices = [floats_of(f"weights[{l}]", matrix, 2) for l, matrix in enumerate(weights)]
    vectors = [None if b is None else floats_of(f"biases[{l}]", b, 1) for l, b in enumerate(biases)]
    denses = [
        dense(matrix if layout == "in_out" else matrix.T, vector, f"layer {l}", _OTHER_LAYOUT[layout])
        for l, (matrix, vector) in enumerate(zip(matrices, vectors, strict=True))
    ]
    return network_of(with_activations(denses, activations), dtype)


def dense(weights: NDArray, biases: NDArray | None, place: str, other_layout: str = "") -> Dense:
    """A dense layer whose biases fit its weights; the error names a layout by which they would.

    Raises
    ------
    ValueError
        If they do not.
    """
    if biases is not None and len(biases) != weights.shape[1]:
        hint = f"; layout={other_layout!r} reads such weights" if other_layout and len(biases) == len(weights) else ""
        expected = f"{counted(weights.shape[1], 'bias', 'biases')}, one for each output"
        raise ValueError(f"{place} must have {expected}; got {len(biases)}{hint}")
    return Dense(weights, biases, place)


def with_activations(denses: Sequence[Dense], activations: Any) -> list[Step]:
    """Each layer followed by its activation.

    Raises
    ------
    TypeError, ValueError
        If there is not one for each layer, a name or a user's own.
    """
    names = _list_of("activations", activations)
    if len(names) != len(denses):
        layers = counted(len(denses), "layer")
        raise ValueError(f"activations must be one name for each of {layers}, the output's last; got {len(names)}")
    steps: list[Step] = []
    for layer, name in zip(denses, names, strict=True):
        place = f"the activation of {layer.place}"
        if not isinstance(name, (str, Activation)):
            raise TypeError(f"activations must be names, or a fastnn.Activation of your own; got {describe(name)}")
        steps += [layer, activation(name, place) if isinstance(name, str) else Activate(name.name, place)]
    return steps


def _list_of(argument: str, value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{argument} must be a list with one for each layer; got {describe(value)}")
    if not value:
        raise ValueError(f"{argument} must have one for each layer; got none")
    return list(value)
