"""Small feedforward networks: explicit loops that Numba compiles, beside a NumPy twin written for reading.

`MLP` is a network; `SGD`, `RMSprop`, `Adam`, `AdamW`, `Rprop` and two variants are the update rules its
``fit`` takes, with `schedules` for their learning rates, and `LevenbergMarquardt` what it takes instead;
`EarlyStopping` says when to end; `load` reads what its ``save`` wrote; `warmup` compiles ahead of the first use;
`reference` is the NumPy twin. Networks go into compiled code as arguments, and learn there by a `TrainState`;
`standardize` tells the scales of `MLP.with_scaling`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastnn import schedules
from fastnn.history import History
from fastnn.model import MLP
from fastnn.optimizers import SGD, Adam, AdamHat, AdamW, RMSprop, Rprop, VelocitySGD
from fastnn.precompile import warmup
from fastnn.scaling import standardize
from fastnn.solvers import LBFGS, LevenbergMarquardt
from fastnn.spec import NetworkSpec
from fastnn.storage import load
from fastnn.watch import EarlyStopping

if TYPE_CHECKING:
    from fastnn import reference
    from fastnn.embed.training import TrainState
    from fastnn.ensemble import Ensemble
    from fastnn.many import fit_many
    from fastnn.sweeps import sweep

__version__ = "0.1.0"

__all__ = [
    "LBFGS",
    "MLP",
    "SGD",
    "Adam",
    "AdamHat",
    "AdamW",
    "EarlyStopping",
    "Ensemble",
    "History",
    "LevenbergMarquardt",
    "NetworkSpec",
    "RMSprop",
    "Rprop",
    "TrainState",
    "VelocitySGD",
    "fit_many",
    "load",
    "reference",
    "schedules",
    "standardize",
    "sweep",
    "warmup",
]

# Imported when first used, as are the kernels.
_LATE = {
    "fit_many": "fastnn.many",
    "Ensemble": "fastnn.ensemble",
    "sweep": "fastnn.sweeps",
    "TrainState": "fastnn.embed.training",
}


def __getattr__(name: str) -> Any:
    if name == "reference":
        return importlib.import_module("fastnn.reference")
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")
