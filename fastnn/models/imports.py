"""Networks that were made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from fastnn.models.mlp import MLP


def from_arrays(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike | None] | None,
    activations: list[str],
    *,
    layout: str = "in_out",
    dtype: DTypeLike | None = None,
) -> MLP:
    """Make a network from the arrays of its layers.

    Parameters
    ----------
    weights : list of array_like
        Of each layer, first to last: shape (n_in, n_out), or (n_out, n_in) with ``layout="out_in"``. Arrays of NumPy,
        PyTorch, Keras or JAX, or nested lists; of float16 and bfloat16, too, and of any byte order.
    biases : list of array_like or None, or None
        Of each layer, shape (n_out,); where one is None they are zero. None for a network without biases.
    activations : list of str
        A name of `fastnn.settings.catalogue.ACTIVATIONS` for each layer, the output's last.
    layout : {"in_out", "out_in"}
        What rows and columns of the weights belong to: "in_out" as in Keras and scikit-learn, "out_in" as in PyTorch.
    dtype : {"float32", "float64"}, optional
        Of the network; by default that which holds all numbers exactly.

    Returns
    -------
    MLP

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.

    Examples
    --------
    >>> net = fastnn.from_arrays([W0, W1], [b0, b1], ["relu", "identity"])
    """
    from fastnn.exchange import arrays

    return MLP.from_params(*arrays.read(weights, biases, activations, layout, dtype))


def from_torch(module: Any, activations: list[str] | None = None, *, dtype: DTypeLike | None = None) -> MLP:
    """Make a network that computes what a PyTorch module does when it is in use (``module.eval()``).

    Parameters
    ----------
    module : torch.nn.Module or dict of str to array
        A ``Sequential``, nested at will, of ``Linear``, ``BatchNorm1d``, ``Flatten``, ``Identity``, dropout and
        activations; or a ``state_dict`` of linear layers, which are taken in the order of their numbers, or as stored
        where names differ in more than a number. Dropout is left out; normalisation by running statistics is folded
        into the layer next to it.
    activations : list of str
        With a ``state_dict``, which does not hold them: one name for each layer, the output's last.
    dtype : {"float32", "float64"}, optional
        Of the network; by default that of the weights, float32 for half precision.

    Returns
    -------
    MLP
        It shares nothing with the module.

    Raises
    ------
    TypeError
        If it is no module and no dict of arrays.
    ValueError
        If a part of it has no counterpart here: the message names it.

    Notes
    -----
    ``Softplus`` is read as ``log(1 + exp(z))``; PyTorch's own is the identity above its threshold, 20 by default, which
    is at most 2.1e-9 less.
    """
    from fastnn.exchange import torch

    return MLP.from_params(*torch.read(module, activations, dtype))


def from_keras(model: Any, activations: list[str] | None = None, *, dtype: DTypeLike | None = None) -> MLP:
    """Make a network that computes what a Keras model does when it is in use.

    Parameters
    ----------
    model : keras.Model or list of array
        A ``Sequential``, or a functional model that is one chain, of ``Dense``, ``BatchNormalization``,
        ``Normalization``, ``Rescaling``, ``Flatten``, dropout and activations, as functions or layers; or the list
        that ``model.get_weights()`` of dense layers gives.
    activations : list of str
        With a list of weights, which does not hold them: one name for each layer, the output's last.
    dtype : {"float32", "float64"}, optional
        Of the network; by default that of the weights, float32 for half precision.

    Returns
    -------
    MLP
        It shares nothing with the model.

    Raises
    ------
    TypeError
        If it is no model and no list of arrays.
    ValueError
        If a part of it has no counterpart here: the message names it.
    """
    from fastnn.exchange import keras

    return MLP.from_params(*keras.read(model, activations, dtype))


def from_onnx(path: str | PathLike[str], *, dtype: DTypeLike | None = None) -> MLP:
    """Make a network from an ONNX file whose graph is one chain of nodes (extra ``onnx``).

    Parameters
    ----------
    path : path_like
        The file; weights may stand in another one beside it. Gemm, MatMul, Add, Sub, Mul, Div, BatchNormalization,
        fastnn's activations, Flatten, Reshape to (n, features), Identity and Dropout are read.
    dtype : {"float32", "float64"}, optional
        Of the network; by default that which holds all weights exactly.

    Returns
    -------
    MLP

    Raises
    ------
    ImportError
        If onnx is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, or a node has no counterpart here: the message names it.
    """
    from fastnn.exchange import onnx

    return MLP.from_params(*onnx.read(path, dtype))
