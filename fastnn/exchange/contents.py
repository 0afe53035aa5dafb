"""What every written file holds: a title, and the numbers of a network or of an ensemble's members."""

from __future__ import annotations

from numpy.typing import NDArray

from fastnn.settings.describing import counted
from fastnn.settings.spec import NetworkSpec


def title(spec: NetworkSpec, params: NDArray) -> str:
    """A sentence on what it computes."""
    layers = " -> ".join(f"{layer.n_out} {layer.activation.name}" for layer in spec.layers)
    if params.ndim == 1:
        what = "A multi-layer perceptron"
    else:
        what = f"Mean and spread of {counted(len(params), 'multi-layer perceptron')}"
    return f"{what}: {spec.n_in} -> {layers}."


def weights_and_biases(spec: NetworkSpec, params: NDArray) -> list[tuple[NDArray, NDArray | None]]:
    """Of each layer: shapes (n_in, n_out) and (n_out,), or of an ensemble (K, n_in, n_out) and (K, n_out)."""
    biases = spec.biases(params) if spec.bias else [None] * spec.n_layers
    return list(zip(spec.weights(params), biases, strict=True))
