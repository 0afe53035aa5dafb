"""Small feedforward networks: explicit loops that Numba compiles, beside a NumPy twin written for reading.

`MLP` is a network. Its ``fit`` takes an update rule (`SGD`, `RMSprop`, `Adam`, `AdamW`, `Rprop`, and two variants),
with `schedules` for learning rates, or a solver, `LevenbergMarquardt` or `LBFGS`. `EarlyStopping` says when to end;
`standardize` finds the scales for `MLP.with_scaling`; `Activation`, `Loss` and `LeastSquares` make your own functions.
`load` reads what ``save`` wrote; `explain` says which path a call takes, and `warmup` compiles ahead of the first use.

`fit_many` trains many networks in one call, an `Ensemble`, and `sweep` a grid of settings. `intervals`,
`prediction_sets` and `laplace` say how sure a network is. `TableModel` is what ``fastnn train`` saves. Networks go into
compiled code as arguments, and learn there by a `TrainState`; ``from_arrays``, ``from_torch``, ``from_keras`` and
``from_onnx`` read other packages' networks, and the methods ``to_...`` write ours.

`fastnn.sklearn` has scikit-learn's estimators, `fastnn.plots` figures; `reference` is the NumPy twin.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fastnn.kernels.jit.importing import importing_numba
from fastnn.kernels.jit.signals import InterruptsHeld
from fastnn.models.load import load
from fastnn.models.mlp import MLP
from fastnn.models.scaling import standardize
from fastnn.models.warmup import warmup
from fastnn.settings import catalogue as catalogue
from fastnn.settings import initializers as initializers
from fastnn.settings import optimizers as optimizers
from fastnn.settings import schedules
from fastnn.settings import solvers as solvers
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.optimizers import SGD, Adam, AdamHat, AdamW, RMSprop, Rprop, VelocitySGD
from fastnn.settings.own import Activation, LeastSquares, Loss
from fastnn.settings.solvers import LBFGS, LevenbergMarquardt
from fastnn.settings.spec import NetworkSpec
from fastnn.training.history import History

if TYPE_CHECKING:
    from fastnn import plots as plots
    from fastnn import reference
    from fastnn import sklearn as sklearn
    from fastnn import tabular as tabular
    from fastnn.embed.training import TrainState
    from fastnn.ensembles.fit_many import fit_many
    from fastnn.ensembles.sweep import sweep
    from fastnn.models.ensemble import Ensemble
    from fastnn.models.imports import from_arrays, from_keras, from_onnx, from_torch
    from fastnn.tabular.model import TableModel
    from fastnn.training.explain import explain
    from fastnn.uncertainty import Intervals, Laplace, PredictionSets, intervals, laplace, prediction_sets

__version__ = "0.2.0"

__all__ = [
    "LBFGS",
    "MLP",
    "SGD",
    "Activation",
    "Adam",
    "AdamHat",
    "AdamW",
    "EarlyStopping",
    "Ensemble",
    "History",
    "Intervals",
    "Laplace",
    "LeastSquares",
    "LevenbergMarquardt",
    "Loss",
    "NetworkSpec",
    "PredictionSets",
    "RMSprop",
    "Rprop",
    "TableModel",
    "TrainState",
    "VelocitySGD",
    "explain",
    "fit_many",
    "from_arrays",
    "from_keras",
    "from_onnx",
    "from_torch",
    "intervals",
    "laplace",
    "load",
    "prediction_sets",
    "reference",
    "schedules",
    "standardize",
    "sweep",
    "warmup",
]

# What a user chooses can be imported from the top too: ``from fastnn.schedules import OneCycle``;
# type checkers see ``fastnn.schedules.OneCycle`` alone.
_SETTINGS = {
    "catalogue": catalogue,
    "initializers": initializers,
    "optimizers": optimizers,
    "schedules": schedules,
    "solvers": solvers,
}
sys.modules.update({f"fastnn.{name}": module for name, module in _SETTINGS.items()})

# Imported when first used, as are the kernels.
_LATE = {
    "fit_many": "fastnn.ensembles.fit_many",
    "Ensemble": "fastnn.models.ensemble",
    "sweep": "fastnn.ensembles.sweep",
    "TrainState": "fastnn.embed.training",
    "explain": "fastnn.training.explain",
    "from_arrays": "fastnn.models.imports",
    "from_keras": "fastnn.models.imports",
    "from_onnx": "fastnn.models.imports",
    "from_torch": "fastnn.models.imports",
    "TableModel": "fastnn.tabular.model",
    "Intervals": "fastnn.uncertainty",
    "Laplace": "fastnn.uncertainty",
    "PredictionSets": "fastnn.uncertainty",
    "intervals": "fastnn.uncertainty",
    "laplace": "fastnn.uncertainty",
    "prediction_sets": "fastnn.uncertainty",
}
_LATE_MODULES = {
    "plots": "fastnn.plots",
    "reference": "fastnn.reference",
    "sklearn": "fastnn.sklearn",
    "tabular": "fastnn.tabular",
}


if not TYPE_CHECKING:  # type checkers would take any name for one of the package's

    def __getattr__(name: str) -> Any:
        if name in _LATE_MODULES:
            return importlib.import_module(_LATE_MODULES[name])
        if name in _LATE:
            with importing_numba() if name == "TrainState" else InterruptsHeld():
                found = globals()[name] = getattr(importlib.import_module(_LATE[name]), name)
            return found
        raise AttributeError(f"module 'fastnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_SETTINGS, *_LATE_MODULES})
