"""The two twins, by the names a user says; each is imported when first used."""

from __future__ import annotations

import importlib
from types import ModuleType

from fastnn.checks import check_name
from fastnn.kernels.jit.held import InterruptsHeld

_MODULES = {
    "numba": {
        "network": "fastnn.kernels.tiles.predict",
        "training": "fastnn.kernels.dispatch",
        "end_epoch": "fastnn.kernels.end_epoch",
        "normal_equations": "fastnn.kernels.tiles.normal_equations",
        "shuffle": "fastnn.kernels.functions.shuffle",
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
        If the backend is none of ``"numba"`` and ``"numpy"``.
    """
    name = check_name("backend", backend, _MODULES)
    found = _modules.get((name, module))
    if found is None:
        with InterruptsHeld():
            found = _modules[name, module] = importlib.import_module(_MODULES[name][module])
    return found
