"""Packages that only some features need: imported when used, with an error that names the extra."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.util import find_spec
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
        If it is not installed; the message names the extra. Or as the module raises it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:  # it is there, and lacks something itself
            raise
        raise ImportError(_sentence([package], [extra])) from error


def require_all(extras: Mapping[str, str]) -> None:
    """Check before a long piece of work that everything it needs is installed, without importing it.

    Parameters
    ----------
    extras : mapping of str to str
        The extra that installs each package.

    Raises
    ------
    ImportError
        If packages are not installed; the message names all of them, and their extras.
    """
    missing = [package for package in extras if find_spec(package) is None]
    if missing:
        raise ImportError(_sentence(missing, [extras[package] for package in missing]))


def _sentence(packages: list[str], extras: list[str]) -> str:
    names = ["scikit-learn" if name == "sklearn" else name for name in packages]
    *others, last = names
    several = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    brings = f'pip install "fastnn-jit[{",".join(dict.fromkeys(extras))}]"'
    return f"{several} needed here but not installed; {brings} installs {'them' if others else 'it'}"
