"""From steps to a network: scalings are folded into the dense layer before or behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_spec
from fastnn.exchange.steps import Activate, Dense, Scaling, Step
from fastnn.settings.catalogue import activation_of
from fastnn.settings.spec import NetworkSpec

Network = tuple[NetworkSpec, NDArray]


@dataclass
class _Layer:
    """A dense layer of the network to be."""

    weights: NDArray
    biases: NDArray | None
    dtype: np.dtype  # of what was read; what is folded is a float64
    place: str
    activation: str = "identity"
    activated: str = ""  # the place of the activation, if it has one


def network_of(steps: Iterable[Step], dtype: Any = None) -> Network:
    """The network that does what the steps do, one after another.

    Parameters
    ----------
    steps : iterable of Step
        Dense layers, activations and scalings.
    dtype : dtype_like, optional
        float32 or float64; by default float64 if any weight is of it, else float32, which holds all of them exactly.

    Returns
    -------
    spec : NetworkSpec
    params : ndarray, shape (n_params,)
        Folding is computed in float64 and rounded once; weights that nothing is folded into keep their bits.

    Raises
    ------
    ValueError
        If the steps are not a sequence of dense layers, each with at most one activation, or a number does not fit into
        the dtype.
    """
    layers = _layers_of(steps)
    for this, following in pairwise(layers):
        if this.weights.shape[1] != following.weights.shape[0]:
            raise ValueError(
                f"{following.place} must take the {this.weights.shape[1]} outputs of {this.place}; "
                f"it takes {following.weights.shape[0]}"
            )
        if not activation_of(this.activation).hidden:
            raise ValueError(
                f"{this.activated} must be the last step, as {this.activation} is for the output only; "
                f"{following.place} comes after it"
            )
    bias = any(layer.biases is not None for layer in layers)
    widest = np.result_type(np.float32, *(layer.dtype for layer in layers))
    spec = check_spec(
        (layers[0].weights.shape[0], *(layer.weights.shape[1] for layer in layers)),
        [layer.activation for layer in layers[:-1]],
        layers[-1].activation,
        bias,
        widest if dtype is None else dtype,
    )
    params = np.zeros(spec.n_params, spec.dtype)
    for l, (layer, weights) in enumerate(zip(layers, spec.weights(params), strict=True)):
        _put(layer.weights, weights, f"the weights of {layer.place}")
        if layer.biases is not None:
            _put(layer.biases, spec.biases(params)[l], f"the biases of {layer.place}")
    return spec, params


def _put(values: NDArray, target: NDArray, what: str) -> None:
    """Store numbers in the network's dtype; none of them may become infinite on the way."""
    with np.errstate(over="ignore"):
        target[...] = values
    lost = np.isinf(target) & np.isfinite(values)
    if lost.any():
        raise ValueError(f"{what} must fit into {target.dtype}; got {values[lost][0]}")


def _layers_of(steps: Iterable[Step]) -> list[_Layer]:
    layers: list[_Layer] = []
    waiting: Scaling | None = None  # for the next dense layer
    for step in steps:
        if isinstance(step, Dense):
            dtypes = [array.dtype for array in (step.weights, step.biases) if array is not None]
            layer = _Layer(step.weights, step.biases, np.result_type(*dtypes), step.place)
            layers.append(layer if waiting is None else _scaled_input(layer, waiting))
            waiting = None
        elif isinstance(step, Scaling):
            if layers and not layers[-1].activated and waiting is None:
                layers[-1] = _scaled_output(layers[-1], step)
            else:
                waiting = step if waiting is None else _composed(waiting, step)
        elif not layers or waiting is not None:
            place = "before any" if waiting is None else f"after {waiting.place}"
            raise ValueError(f"{step.place} must come right after a dense layer; got it {place}")
        else:
            _activate(layers[-1], step)
    if not layers:
        raise ValueError("the network must have a dense layer; got none")
    if waiting is not None:
        raise ValueError(
            f"{waiting.place} must have a dense layer before or behind it to be folded into; got it at the end, "
            f"after {layers[-1].activated}"
        )
    return layers


def _activate(layer: _Layer, step: Activate) -> None:
    if step.name == "identity":
        return
    if layer.activated:
        raise ValueError(f"{step.place} must come right after a dense layer; got it after {layer.activated}")
    layer.activation, layer.activated = step.name, step.place


def _widened(scaling: Scaling, width: int) -> tuple[NDArray, NDArray]:
    """Factor and shift of each of `width` features, in float64."""
    try:
        factor = np.broadcast_to(np.asarray(scaling.factor, np.float64), (width,))
        return factor, np.broadcast_to(np.asarray(scaling.shift, np.float64), (width,))
    except ValueError as error:
        raise ValueError(
            f"{scaling.place} must scale {width} features; it scales "
            f"{max(np.size(scaling.factor), np.size(scaling.shift))}"
        ) from error


def _scaled_output(layer: _Layer, scaling: Scaling) -> _Layer:
    """``factor (x W + b) + shift``."""
    factor, shift = _widened(scaling, layer.weights.shape[1])
    with np.errstate(all="ignore"):
        biases = shift if layer.biases is None else factor * layer.biases + shift
        return _folded(replace(layer, weights=layer.weights * factor, biases=biases), layer, scaling)


def _scaled_input(layer: _Layer, scaling: Scaling) -> _Layer:
    """``(factor x + shift) W + b``."""
    factor, shift = _widened(scaling, layer.weights.shape[0])
    weights = layer.weights.astype(np.float64)
    with np.errstate(all="ignore"):
        biases = shift @ weights if layer.biases is None else layer.biases + shift @ weights
        return _folded(replace(layer, weights=factor[:, np.newaxis] * weights, biases=biases), layer, scaling)


def _folded(made: _Layer, layer: _Layer, scaling: Scaling) -> _Layer:
    """What was made of a layer and a scaling, unless numbers were lost on the way."""
    before = (layer.weights, layer.biases, scaling.factor, scaling.shift)
    if _are_finite(*before) and not _are_finite(made.weights, made.biases):
        raise ValueError(f"{scaling.place} must fit into a float64 once folded into {layer.place}; it does not")
    return made


def _are_finite(*arrays: NDArray | np.float64 | None) -> bool:
    return all(np.isfinite(array).all() for array in arrays if array is not None)


def _composed(first: Scaling, second: Scaling) -> Scaling:
    """One scaling after another."""
    place = f"{first.place} and {second.place}"
    try:
        return Scaling(second.factor * first.factor, second.factor * first.shift + second.shift, place)
    except ValueError as error:
        raise ValueError(f"{place} must scale equally many features, or all by one number; they do not") from error
