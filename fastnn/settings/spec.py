"""The description of a network: its sizes, activations, biases and dtype, and the place of each parameter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.settings import catalogue


class Layer(NamedTuple):
    """One dense layer: its shape, its activation and its place in the flat parameter vector.

    The weights, of shape ``(n_in, n_out)`` in C order, start at index ``weights``; the ``n_out`` biases start at index
    ``biases``, which is -1 if there are none.
    """

    n_in: int
    n_out: int
    activation: catalogue.Activation
    weights: int
    biases: int

    @property
    def is_first(self) -> bool:
        """Whether it takes the network's input."""
        return self.weights == 0


@dataclass(frozen=True)
class NetworkSpec:
    """The description of a multi-layer perceptron: frozen, hashable, and without parameter values.

    Parameters
    ----------
    sizes : tuple of int
        Width of the input, of each hidden layer and of the output; at least two, each at least 1.
    activations : tuple of str
        Name of each layer's activation, the output layer's last.
    bias : bool
        Whether every layer has biases.
    dtype : str
        ``"float32"`` or ``"float64"``.

    Notes
    -----
    A spec trusts its arguments; `fastnn.checks.check_spec` makes one from what a user passes.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    bias: bool = True
    dtype: str = "float64"

    def __reduce__(self) -> tuple:
        own = [catalogue.activation_of(name) for name in self.activations if name not in catalogue.ACTIVATIONS]
        return _again, (own, self.sizes, self.activations, self.bias, self.dtype)

    @cached_property
    def _hash(self) -> int:
        return hash((self.sizes, self.activations, self.bias, self.dtype))

    def __hash__(self) -> int:
        return self._hash  # kept, for every call looks up compiled code by it

    @cached_property
    def n_in(self) -> int:
        """Width of the input."""
        return self.sizes[0]

    @cached_property
    def n_out(self) -> int:
        """Width of the output."""
        return self.sizes[-1]

    @cached_property
    def n_layers(self) -> int:
        """Number of dense layers: the hidden ones and the output layer."""
        return len(self.sizes) - 1

    @cached_property
    def output_activation(self) -> str:
        """Name of the last layer's activation."""
        return self.activations[-1]

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The dense layers, from first to last."""
        layers, offset = [], 0
        for n_in, n_out, name in zip(self.sizes, self.sizes[1:], self.activations, strict=False):
            biases = offset + n_in * n_out if self.bias else -1
            layers.append(Layer(n_in, n_out, catalogue.activation_of(name), offset, biases))
            offset += (n_in + self.bias) * n_out
        return tuple(layers)

    @cached_property
    def n_params(self) -> int:
        """Number of parameters: the length of the flat vector."""
        return sum((n_in + self.bias) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))

    @cached_property
    def n_units(self) -> int:
        """Number of units in all: of the hidden layers and of the output."""
        return sum(self.sizes[1:])

    def weights(self, params: NDArray[Any]) -> list[NDArray[Any]]:
        """View parameters as each layer's weights.

        Parameters
        ----------
        params : ndarray, shape (..., n_params)
            Parameters; leading axes are members.

        Returns
        -------
        list of ndarray, shape (..., n_in, n_out)
        """
        views = []
        for layer in self.layers:
            flat = params[..., layer.weights : layer.weights + layer.n_in * layer.n_out]
            views.append(flat.reshape(*params.shape[:-1], layer.n_in, layer.n_out))
        return views

    def biases(self, params: NDArray[Any]) -> list[NDArray[Any]]:
        """View parameters as each layer's biases.

        Parameters
        ----------
        params : ndarray, shape (..., n_params)
            Parameters; leading axes are members.

        Returns
        -------
        list of ndarray, shape (..., n_out)
            Empty if the network has no biases.
        """
        if not self.bias:
            return []
        return [params[..., layer.biases : layer.biases + layer.n_out] for layer in self.layers]

    def weight_mask(self) -> NDArray[np.bool_]:
        """Mark the weights among the parameters.

        Returns
        -------
        ndarray of bool, shape (n_params,)
            True at weights, False at biases.
        """
        mask = np.ones(self.n_params, dtype=bool)
        for biases in self.biases(mask):
            biases[:] = False
        return mask


def _again(own: list[catalogue.Activation], *fields: Any) -> NetworkSpec:
    """A pickled spec; another process has made the user's own activations by now, as they are among the arguments."""
    return NetworkSpec(*fields)
