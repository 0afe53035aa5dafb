"""Networks from the weights of other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from fastnn.models.mlp import MLP
from fastnn.models.reading import path_of, require_file
from fastnn.settings.own import Activation


def from_arrays(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike | None] | None,
    activations: Sequence[str | Activation],
    *,
    layout: str = "in_out",
    dtype: DTypeLike | None = None,
) -> MLP:
    """Make a network from the arrays of its layers.

    Parameters
    ----------
    weights : list of array_like
        The weights of each layer, from first to last, shape (n_in, n_out), or (n_out, n_in) with ``layout="out_in"``:
        arrays of NumPy, PyTorch, Keras or JAX, or nested lists. Float16, bfloat16 and any byte order are accepted.
    biases : list of array_like or None, or None
        The biases of each layer, shape (n_out,), or None for zeros. None alone makes a network without biases.
    activations : list or tuple of str or Activation
        A name in `fastnn.catalogue.ACTIVATIONS`, or your own, for each layer, the output layer last.
    layout : {"in_out", "out_in"}
        The order of the weights' axes: "in_out" as in Keras and scikit-learn, "out_in" as in PyTorch.
    dtype : {"float32", "float64"}, optional
        Dtype of the network; by default float64 if any array is of it, as lists of numbers are, else float32.

    Returns
    -------
    MLP

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.

    Examples
    --------
    >>> net = fastnn.from_arrays([W0, W1], [b0, b1], ["relu", "identity"])
    """
    from fastnn.exchange import arrays

    return MLP.from_params(*arrays.read(weights, biases, activations, layout, dtype))


def from_torch(
    module: Any, activations: Sequence[str | Activation] | None = None, *, dtype: DTypeLike | None = None
) -> MLP:
    """Make a network that computes what a PyTorch module computes in evaluation mode (``module.eval()``).

    Parameters
    ----------
    module : torch.nn.Module or dict of str to array
        A ``Sequential``, possibly nested, of ``Linear``, ``BatchNorm1d``, ``Flatten``, ``Identity``, dropout and
        activations; or the ``state_dict`` of linear layers, which are taken in the order of their numbers, or as stored
        if their names differ in more than a number. Dropout is left out; normalisation by running statistics is folded
        into the neighbouring layer.
    activations : list of str or Activation
        Needed with a ``state_dict``, which does not contain them: one for each layer, the output layer last.
    dtype : {"float32", "float64"}, optional
        Dtype of the network; by default that of the weights, float32 for half precision.

    Returns
    -------
    MLP
        A network that shares no memory with the module.

    Raises
    ------
    TypeError
        If `module` is neither a module nor a dict of arrays.
    ValueError
        If a part of it has no counterpart here; the message names it.

    Notes
    -----
    ``Softplus`` is read as ``log(1 + exp(z))``. Above its threshold, 20 by default, PyTorch's own is the identity,
    which is smaller by at most 2.1e-9.
    """
    from fastnn.exchange import torch

    return MLP.from_params(*torch.read(module, activations, dtype))


def from_keras(
    model: Any, activations: Sequence[str | Activation] | None = None, *, dtype: DTypeLike | None = None
) -> MLP:
    """Make a network that computes what a Keras model computes in inference mode.

    Parameters
    ----------
    model : keras.Model or list of array
        A ``Sequential``, or a functional model that is a single chain, of ``Dense``, ``BatchNormalization``,
        ``Normalization``, ``Rescaling``, ``Flatten``, dropout and activations, as functions or layers; or the list
        that ``model.get_weights()`` returns for dense layers.
    activations : list of str or Activation
        Needed with a list of weights, which does not contain them: one for each layer, the output layer last.
    dtype : {"float32", "float64"}, optional
        Dtype of the network; by default that of the weights, float32 for half precision.

    Returns
    -------
    MLP
        A network that shares no memory with the model.

    Raises
    ------
    TypeError
        If `model` is neither a model nor a list of arrays.
    ValueError
        If a part of it has no counterpart here; the message names it.
    """
    from fastnn.exchange import keras

    return MLP.from_params(*keras.read(model, activations, dtype))


def from_onnx(path: str | PathLike[str], *, dtype: DTypeLike | None = None) -> MLP:
    """Make a network from an ONNX file whose graph is a single chain of nodes (extra ``onnx``).

    Parameters
    ----------
    path : path_like
        The file, whose weights may lie in another one beside it; a leading ``~`` is the home folder. Gemm, MatMul, Add,
        Sub, Mul, Div, BatchNormalization, fastnn's activations, Flatten, Reshape to (n, features), Cast to floats,
        Identity and Dropout are understood.
    dtype : {"float32", "float64"}, optional
        Dtype of the network; by default float64 if any weight is of it, else float32.

    Returns
    -------
    MLP

    Raises
    ------
    ImportError
        If onnx is not installed.
    OSError
        If the file cannot be read.
    TypeError
        If `path` is not a path.
    ValueError
        If the file is damaged, or a node has no counterpart here; the message names it.

    Notes
    -----
    The network computes in one dtype. What a graph casts to a narrower type, half precision for example, may differ by
    that rounding; inputs in float64 are rounded to a network in float32 by `predict`, as the graph's Cast does.
    """
    from fastnn.exchange import onnx_reading

    file = path_of(path)
    require_file(file)
    return MLP.from_params(*onnx_reading.read(file, dtype))
