"""Packages that only some features need: imported when used, with an error that names the extra."""

from __future__ import annotations

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import a module that comes with one of fastnn's extras.

    Parameters
    ----------
    module : str
        The module's full name, as in ``matplotlib.pyplot``.
    extra : str
        The extra that installs it.

    Returns
    -------
    ModuleType
        The module.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{package} is needed here and is not installed; pip install 'fastnn-jit[{extra}]' brings it"
        ) from error
