"""The two twins, by the names a user says; each is imported when first used."""

from __future__ import annotations

import importlib
from types import ModuleType

from fastnn.checks import check_name

_PACKAGES = {"numba": "fastnn.kernels", "numpy": "fastnn.reference"}
_modules: dict[tuple[str, str], ModuleType] = {}


def twin(backend: str, module: str) -> ModuleType:
    """A module of the twin that computes, such as ``network`` of ``fastnn.reference``.

    Raises
    ------
    TypeError, ValueError
        If the backend is none of ``"numba"`` and ``"numpy"``.
    """
    name = check_name("backend", backend, _PACKAGES)
    found = _modules.get((name, module))
    if found is None:
        found = _modules[name, module] = importlib.import_module(f"{_PACKAGES[name]}.{module}")
    return found
