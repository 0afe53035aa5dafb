"""Networks from PyTorch and for PyTorch: modules that are one dense layer after another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import describe
from fastnn.exchange import arrays
from fastnn.exchange.activations import activation
from fastnn.exchange.contents import weights_and_biases
from fastnn.exchange.folding import Network, network_of
from fastnn.exchange.numbers import floats_of, number_of
from fastnn.exchange.shape import Shape
from fastnn.exchange.steps import Dense, Step, normalisation
from fastnn.settings.spec import NetworkSpec

#: Modules that do nothing to a network in use.
_IDLE = {"Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"}

#: Our name of an activation's class, and its attributes by the names that `activation` has for them.
_ACTIVATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "ReLU": ("relu", {}),
    "LeakyReLU": ("leaky_relu", {"slope": "negative_slope"}),
    "ELU": ("elu", {"alpha": "alpha"}),
    "SELU": ("selu", {}),
    "SiLU": ("silu", {}),
    "Softplus": ("softplus", {"beta": "beta", "threshold": "threshold"}),
    "GELU": ("gelu_tanh", {"approximate": "approximate"}),
    "Softmax": ("softmax", {"axis": "dim"}),
    "Exp": ("exp", {}),
    "Sin": ("sin", {}),
    "Ascending": ("ascending", {}),
}
#: Methods that decide what a module computes.
_METHODS = ("forward", "__call__", "_wrapped_call_impl", "_call_impl", "__iter__")
_KNOWN = ("torch.nn.modules.", "fastnn.exchange.torch_modules")


def read(module: Any, activations: Any, dtype: Any) -> Network:
    """The network of a module or its state: see `fastnn.from_torch`."""
    if isinstance(module, Mapping):
        if activations is None:
            raise ValueError("activations must be given with a state_dict, which does not hold them; got None")
        return network_of(arrays.with_activations(_layers_of(module), activations), dtype)
    if not any(base.__module__ == "torch.nn.modules.module" for base in type(module).__mro__):
        raise TypeError(f"module must be a torch.nn.Module or its state_dict; got {describe(module)}")
    if activations is not None:
        raise ValueError(f"activations must be left out for a module, which has its own; got {describe(activations)}")
    return network_of(_steps_of(module), dtype)


# ---------------------------------------------------------------- modules
def _steps_of(root: Any) -> Iterator[Step]:
    """What each module does, in order; nested ones are opened without recursion, so that no depth is too much."""
    waiting, shape = [("", root)], Shape(None)
    while waiting:
        name, module = waiting.pop()
        kind = _kind_of(module)
        place = f"module {name!r} ({kind})" if name else f"the module ({kind})"
        if kind == "Sequential":
            children = [(f"{name}.{child}".lstrip("."), part) for child, part in module._modules.items()]
            waiting += reversed(children)
        elif kind == "Linear":
            if module.training and hasattr(module, "parametrizations"):
                raise ValueError(
                    f"{place} must be in evaluation mode, by module.eval(), as its weight is made of others; "
                    "it is in training mode"
                )
            biases = None if module.bias is None else floats_of(f"the bias of {place}", module.bias, 1)
            yield arrays.dense(floats_of(f"the weight of {place}", module.weight, 2).T, biases, place)
            shape.multiply(module.weight.shape[0])
        elif kind in _ACTIVATIONS:
            ours, settings = _ACTIVATIONS[kind]
            yield activation(ours, place, **{key: getattr(module, theirs) for key, theirs in settings.items()})
            if kind == "Softmax" and module.dim == 1:
                shape.dims = shape.dims or [0, 0]  # as axis 1 is taken for the last
        elif kind == "BatchNorm1d":
            yield _batch_norm(module, place)
            shape.dims = shape.dims or [0, 0]  # as features are taken for the last dimension
        elif kind == "Flatten":
            if (module.start_dim, module.end_dim) not in ((1, -1), (1, 1)):
                raise ValueError(f"{place} must flatten all but the first dimension, that of the samples; got {module}")
            if module.end_dim == -1:
                shape.reshape(0, place)
        elif kind not in _IDLE:
            raise ValueError(
                f"{place} cannot be part of an MLP: a Sequential of Linear, BatchNorm1d, Flatten, dropout and fastnn's "
                "activations can, or the state_dict of any module that computes the same"
            )
        if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
            raise ValueError(
                f"{place} must have no forward hooks and no forward of its own, which may change what it computes; "
                "it has some"
            )


def _kind_of(module: Any) -> str:
    """Name of PyTorch's class that does what the module does: its own, or one whose methods it has.

    So a Linear whose weight is parametrised, by its norm for example, is one with the weight that it then has.
    """
    base: Any
    for base in type(module).__mro__:
        known = base.__module__.startswith(_KNOWN)
        same = all(getattr(type(module), method, None) is getattr(base, method, None) for method in _METHODS)
        if known and (base is type(module) or (base.__name__ in ("Sequential", "Linear") and same)):
            return base.__name__
    return type(module).__name__ + ", a class of its own"


def _batch_norm(module: Any, place: str) -> Step:
    if module.running_mean is None or module.running_var is None:
        raise ValueError(f"{place} must have running statistics; it has track_running_stats=False")
    mean, variance, gamma, beta = (
        None if array is None else floats_of(f"an array of {place}", array, 1).astype(np.float64)
        for array in (module.running_mean, module.running_var, module.weight, module.bias)
    )
    assert mean is not None
    assert variance is not None
    return normalisation(mean, variance, number_of(f"eps of {place}", module.eps), gamma, beta, place)


# ---------------------------------------------------------------- a state_dict
def _layers_of(state: Mapping[str, Any]) -> list[Dense]:
    """The linear layers of a state, in the order of their numbers if names differ in these alone, else as stored."""
    parts: dict[str, dict[str, Any]] = {}
    for key, value in state.items():
        if not isinstance(key, str):
            raise TypeError(f"the keys of a state_dict must be names; got {describe(key)}")
        layer, _, name = key.rpartition(".")
        if name not in ("weight", "bias"):
            raise ValueError(f"a state_dict must hold only weights and biases of linear layers; got {key!r}")
        parts.setdefault(layer, {})[name] = value
    names = list(parts)
    if are_numbered(names):
        names = by_numbers(names)
    denses = []
    for name in names:
        if "weight" not in parts[name]:
            raise ValueError(f"a state_dict must hold a weight for each bias; got none for {name!r}")
        weights, biases = floats_of(f"{name}.weight", parts[name]["weight"], 2), parts[name].get("bias")
        biases = None if biases is None else floats_of(f"{name}.bias", biases, 1)
        denses.append(arrays.dense(weights.T, biases, f"layer {name!r}"))
    return denses


def are_numbered(names: Iterable[str]) -> bool:
    """Whether layers' names differ in their numbers alone, which then tell their order."""
    return len({re.sub(r"\d+", "#", name) for name in names}) == 1


def by_numbers(names: Iterable[str]) -> list[str]:
    """Layers' names in the order of their numbers."""
    return sorted(names, key=lambda name: [int(digits) for digits in re.findall(r"\d+", name)])


# ---------------------------------------------------------------- writing
def write(spec: NetworkSpec, params: NDArray) -> Any:
    """A ``torch.nn.Sequential`` of the network: see `MLP.to_torch`."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("PyTorch is needed here but not installed; pip install torch installs it") from error
    from fastnn.exchange.torch_modules import Ascending, Exp, Sin

    nn = torch.nn
    modules: dict[str, Callable[[], Any]] = {
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "leaky_relu": nn.LeakyReLU,
        "elu": nn.ELU,
        "selu": nn.SELU,
        "silu": nn.SiLU,
        "softplus": lambda: nn.Softplus(threshold=40),  # beyond, the identity to the last bit of a float64
        "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
        "softmax": lambda: nn.Softmax(dim=-1),
        "exp": Exp,
        "sin": Sin,
        "ascending": Ascending,
    }
    sequence = []
    for layer, (W, b) in zip(spec.layers, weights_and_biases(spec, params), strict=True):
        # On "meta" nothing is drawn from PyTorch's random numbers.
        linear = nn.Linear(layer.n_in, layer.n_out, bias=spec.bias, device="meta", dtype=getattr(torch, spec.dtype))
        linear.weight = nn.Parameter(torch.from_numpy(W.T.copy()))
        if b is not None:
            linear.bias = nn.Parameter(torch.from_numpy(b.copy()))
        sequence.append(linear)
        if layer.activation.name in modules:
            sequence.append(modules[layer.activation.name]())
    return nn.Sequential(*sequence)
