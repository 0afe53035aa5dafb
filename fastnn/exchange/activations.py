"""Activations with settings, as other packages have them: which of them is one of ours, exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.exchange.steps import Activate
from fastnn.settings.catalogue import ACTIVATIONS
from fastnn.settings.constants import LEAKY_SLOPE, SELU_ALPHA, SELU_SCALE

#: What each setting must be for the activation to be ours, in the words of an error, and whether a value is that.
_Rule = tuple[str, Callable[[Any], bool]]


def _is(number: float) -> _Rule:
    """Equal as a float32, which is what ONNX writes its settings as."""
    return f"{number:g}", lambda value: np.float32(value) == np.float32(number)


_RULES: dict[str, dict[str, _Rule]] = {
    "relu": {"slope": _is(0), "max_value": ("None", lambda value: value is None), "threshold": _is(0)},
    "leaky_relu": {"slope": _is(LEAKY_SLOPE)},
    "elu": {"alpha": _is(1)},
    "selu": {  # some write its constants with six digits after the point
        "alpha": ("1.67326", lambda value: abs(value - SELU_ALPHA) < 2e-7),
        "gamma": ("1.05070", lambda value: abs(value - SELU_SCALE) < 1e-7),
    },
    "silu": {"beta": _is(1)},
    # PyTorch's is the identity above a threshold; from 20 on that is at most log(1 + exp(-20)) = 2e-9 less.
    "softplus": {"beta": _is(1), "threshold": ("at least 20", lambda value: value >= 20)},
    "gelu_tanh": {"approximate": ("tanh (fastnn does not have the exact GELU)", lambda value: value in ("tanh", True))},
    "softmax": {"axis": ("the last", lambda value: value in (-1, 1, None))},
}


def activation(name: str, place: str, **settings: Any) -> Activate:
    """The activation of this name, if its settings are those that it has here.

    Raises
    ------
    ValueError
        If there is none of this name, or a setting is another.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"{place} must be an activation of fastnn's, one of {', '.join(ACTIVATIONS)}; got {name!r}")
    for setting, value in settings.items():
        wanted, holds = _RULES[name][setting]
        try:
            right = holds(value)
        except (TypeError, ValueError):  # it is no number at all
            right = False
        if not right:
            other = "; from_arrays takes another as your own fastnn.Activation" if ACTIVATIONS[name].hidden else ""
            raise ValueError(f"{place} must have {setting} {wanted}, to be fastnn's {name}; got {value!r}{other}")
    return Activate(name, place)
