"""Networks from Keras, of any version and backend: models that are one layer after another."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import describe
from fastnn.exchange import arrays
from fastnn.exchange.activations import activation
from fastnn.exchange.folding import Network, network_of
from fastnn.exchange.numbers import dimensions_of, floats_of, number_of
from fastnn.exchange.shape import Shape
from fastnn.exchange.steps import Activate, Scaling, Step, normalisation

#: Layers that do nothing to a network in use.
_IDLE = {
    "InputLayer",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
}

#: Our name of a function of ``keras.activations``, and its settings: our name, theirs, and Keras's default.
_FUNCTIONS: dict[str, tuple[str, dict[str, tuple[str, Any]]]] = {
    "linear": ("identity", {}),
    "sigmoid": ("sigmoid", {}),
    "tanh": ("tanh", {}),
    "relu": ("relu", {"max_value": ("max_value", None), "threshold": ("threshold", 0.0)}),
    "leaky_relu": ("leaky_relu", {"slope": ("negative_slope", 0.2)}),
    "elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "selu": ("selu", {}),
    "silu": ("silu", {}),
    "swish": ("silu", {}),
    "softplus": ("softplus", {}),
    "gelu": ("gelu_tanh", {"approximate": ("approximate", False)}),
    "softmax": ("softmax", {"axis": ("axis", -1)}),
    "exponential": ("exp", {}),
}

#: The same for layers, whose settings are attributes.
_LAYERS: dict[str, tuple[str, dict[str, tuple[str, Any]]]] = {
    "LeakyReLU": ("leaky_relu", {"slope": ("negative_slope", None)}),
    "ELU": ("elu", {"alpha": ("alpha", None)}),
    "Softmax": ("softmax", {"axis": ("axis", None)}),
}


def read(model: Any, activations: Any, dtype: Any) -> Network:
    """The network of a model, or of a list of its weights: see `fastnn.from_keras`."""
    if isinstance(model, (list, tuple)):
        if activations is None:
            raise ValueError("activations must be given with a list of weights, which does not hold them; got None")
        return network_of(arrays.with_activations(_denses(model), activations), dtype)
    if not any(base.__module__.startswith(("keras.", "tf_keras.")) for base in type(model).__mro__):
        raise TypeError(f"model must be a Keras model or the list of its weights; got {describe(model)}")
    if activations is not None:
        raise ValueError(f"activations must be left out for a model, which has its own; got {describe(activations)}")
    return network_of(_steps_of(model), dtype)


def _denses(weights: Any) -> list[Any]:
    """Kernels, each with the biases after it if there are any, as ``model.get_weights()`` lists them."""
    denses: list[Any] = []
    for index, array in enumerate(weights):
        if dimensions_of(array) == 2:
            denses.append(arrays.dense(floats_of(f"weights[{index}]", array, 2), None, f"layer {len(denses)}"))
        elif not denses or denses[-1].biases is not None:
            raise ValueError(f"weights[{index}] must be a kernel with two dimensions; got shape {np.shape(array)}")
        else:
            biases = floats_of(f"weights[{index}]", array, 1)
            denses[-1] = arrays.dense(denses[-1].weights, biases, denses[-1].place)
    return denses


def _steps_of(root: Any) -> Iterator[Step]:
    """What each layer does, in order; models within models are opened without recursion."""
    given = getattr(root, "input_shape", None)
    # A list or dict is that of several inputs, which are refused further down.
    waiting, shape = [root], Shape(None if isinstance(given, (list, dict)) else given)
    while waiting:
        layer = waiting.pop()
        kind = type(layer).__name__
        place = f"layer {layer.name!r} ({kind})"
        if not type(layer).__module__.startswith(("keras.", "tf_keras.")):
            raise ValueError(f"{place} must be one of Keras's own layers; got a class of {type(layer).__module__}")
        if getattr(layer, "quantization_mode", None):
            raise ValueError(f"{place} must not be quantised; it is, to {layer.quantization_mode}")
        if not getattr(layer, "built", True):
            raise ValueError(
                f"{place} must be built, as it has no weights yet; calling it once, or an Input, builds it"
            )
        if "call" in vars(layer):
            raise ValueError(f"{place} must have no call of its own, which may change what it computes; it has one")
        if kind in ("Sequential", "Functional"):
            waiting += reversed(_parts(layer, place))
        elif kind == "Dense":
            kernel = floats_of(f"the kernel of {place}", layer.kernel, 2)
            biases = floats_of(f"the bias of {place}", layer.bias, 1) if layer.use_bias else None
            yield arrays.dense(kernel, biases, place)
            shape.multiply(kernel.shape[1])
            yield _function(layer.activation, f"the activation of {place}", shape)
        elif kind == "Activation":
            yield _function(layer.activation, place, shape)
        elif kind == "ReLU":
            slope = number_of(f"negative_slope of {place}", layer.negative_slope)
            yield activation("relu", place, slope=slope, max_value=layer.max_value, threshold=layer.threshold)
        elif kind in _LAYERS:
            ours, settings = _LAYERS[kind]
            given = {key: _setting(layer, name) for key, (name, _) in settings.items()}
            yield activation(ours, place, **_from_end(given, shape))
        elif kind == "BatchNormalization":
            yield _batch_norm(layer, place, shape)
        elif kind == "Normalization":
            yield _normalisation(layer, place, shape)
        elif kind == "Rescaling":
            yield Scaling(_vector(layer.scale, place, shape), _vector(layer.offset, place, shape), place)
        elif kind == "Flatten" and getattr(layer, "data_format", None) != "channels_first":
            shape.reshape(0, place)
        elif kind not in _IDLE:
            raise ValueError(f"{place} cannot be part of an MLP of dense layers and fastnn's activations")


def _parts(model: Any, place: str) -> list[Any]:
    """The layers of a model, which must be one chain."""
    # Operations without weights are not layers in Keras 3, but belong to the model.
    layers = list(getattr(model, "operations", model.layers))
    if type(model).__name__ == "Functional":
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ValueError(
                f"{place} must have one input and one output; got {len(model.inputs)} and {len(model.outputs)}"
            )
        # Of layers with one input each, all that lie between one input and one output are one chain.
        nodes = [node for nodes in model._nodes_by_depth.values() for node in nodes]  # each a use of a layer
        if len(nodes) != len(layers):
            raise ValueError(f"{place} must use every layer once; it uses one again")
        for node in nodes:
            _check_use(node)
    return layers


def _check_use(node: Any) -> None:
    """Refuse a layer that trains wherever its model is used."""
    if hasattr(node, "operation"):
        layer, args, kwargs = node.operation, node.arguments.args, node.arguments.kwargs
    else:  # Keras 2
        layer, args, kwargs = node.layer, node.call_args, node.call_kwargs
    if any(isinstance(value, (int, np.bool_)) and value for value in (*args[1:], kwargs.get("training"))):
        place = f"layer {layer.name!r} ({type(layer).__name__})"
        raise ValueError(f"{place} must not be called with training=True, which keeps it in training mode; it is")


def _setting(layer: Any, name: str) -> Any:
    if name == "negative_slope" and not hasattr(layer, name):
        name = "alpha"  # as Keras 2 has it
    value = getattr(layer, name)
    return value.item() if hasattr(value, "item") else value


def _from_end(settings: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Settings whose axis, if it is one number, is counted from the last."""
    axis = settings.get("axis")
    return settings | {"axis": shape.from_end(axis)} if isinstance(axis, int) else settings


def _function(function: Any, place: str, shape: Shape) -> Activate:
    """An activation, from one of Keras's functions or a `functools.partial` of it."""
    given = {}
    if isinstance(function, partial) and not function.args:
        function, given = function.func, function.keywords
    name = getattr(function, "__name__", describe(function))
    theirs = getattr(function, "__module__", "").startswith(("keras.", "tf_keras."))
    if not theirs or name not in _FUNCTIONS or not set(given) <= {key for key, _ in _FUNCTIONS[name][1].values()}:
        raise ValueError(f"{place} must be one that fastnn has; got {name!r}")
    ours, settings = _FUNCTIONS[name]
    return activation(ours, place, **_from_end({key: given.get(*theirs) for key, theirs in settings.items()}, shape))


def _batch_norm(layer: Any, place: str, shape: Shape) -> Step:
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) and len(layer.axis) == 1 else layer.axis  # Keras 2's
    if not isinstance(axis, int) or shape.from_end(axis) not in (1, -1):
        raise ValueError(f"{place} must normalise the last axis; got axis {layer.axis}")
    gamma = _vector(layer.gamma, place, shape) if layer.scale else None
    beta = _vector(layer.beta, place, shape) if layer.center else None
    mean, variance = _vector(layer.moving_mean, place, shape), _vector(layer.moving_variance, place, shape)
    return normalisation(mean, variance, layer.epsilon, gamma, beta, place)


def _normalisation(layer: Any, place: str, shape: Shape) -> Step:
    """``(x - mean) / max(sqrt(variance), 1e-7)``."""
    if layer.invert or getattr(layer, "mean", None) is None:
        raise ValueError(f"{place} must be adapted and not inverted; it is not")
    mean, variance = _vector(layer.mean, place, shape), _vector(layer.variance, place, shape)
    factor = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return Scaling(factor, -mean * factor, place)


def _vector(value: Any, place: str, shape: Shape) -> NDArray:
    """A number for each feature, whatever dimensions of one come before; or for each of all that will be flattened."""
    array = floats_of(f"an array of {place}", value, dimensions_of(value))
    if array.size not in (1, array.shape[-1] if array.ndim else 1, shape.width):
        raise ValueError(f"{place} must have a number for each feature, or one; got shape {array.shape}")
    return array.reshape(-1).astype(np.float64)
