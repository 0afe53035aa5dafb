"""The backends, by the names a user says; each is imported when first used."""

from __future__ import annotations

import importlib
import os
import warnings
from types import ModuleType

from fastnn.checks import check_name
from fastnn.kernels.jit.held import InterruptsHeld

_MODULES = {
    "numba": {
        "network": "fastnn.kernels.tiles.predict",
        "training": "fastnn.kernels.train",
        "normal_equations": "fastnn.kernels.tiles.normal_equations",
        "shuffle": "fastnn.kernels.functions.shuffle",
    },
    "plain": {
        "network": "fastnn.kernels.plain",
        "training": "fastnn.training.plain",
        "normal_equations": "fastnn.reference.normal_equations",
    },
    "numpy": {
        "network": "fastnn.reference.network",
        "training": "fastnn.reference.training",
        "end_epoch": "fastnn.reference.end_epoch",
        "normal_equations": "fastnn.reference.normal_equations",
    },
}
_modules: dict[tuple[str, str], ModuleType] = {}


def twin(backend: str, module: str) -> ModuleType:
    """A module of the twin that computes, such as ``network`` of ``fastnn.reference``.

    Raises
    ------
    TypeError, ValueError
        If the backend is none of ``"numba"``, ``"plain"`` and ``"numpy"``.

    Warns
    -----
    RuntimeWarning
        If plain loops stand in for the tuned kernels, because Numba's compiler is turned off.
    """
    name = check_name("backend", backend, _MODULES)
    if name == "numba" and os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        warnings.warn(
            "NUMBA_DISABLE_JIT turns off the compiler that the tuned kernels need: plain loops, backend='plain', "
            "compute instead",
            RuntimeWarning,
            stacklevel=3,
        )
        name = "plain"
    found = _modules.get((name, module))
    if found is None:
        with InterruptsHeld():
            found = _modules[name, module] = importlib.import_module(_MODULES[name][module])
    return found
