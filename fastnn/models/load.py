"""Load a saved network or ensemble."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fastnn.checks import describe
from fastnn.models import files
from fastnn.models.domain import aligned
from fastnn.models.mlp import MLP, network_over
from fastnn.settings.own import Activation

if TYPE_CHECKING:
    from fastnn.models.ensemble import Ensemble


def load(path: str | os.PathLike[str], functions: Sequence[Activation] = ()) -> MLP | Ensemble:
    """Load a network or an ensemble from a file that its ``save`` wrote.

    Parameters
    ----------
    path : path_like
        The file, whose name ends in ``.npz`` or ``.safetensors``.
    functions : sequence of Activation
        Your own activations, if the network has any. A file contains their names, fingerprints and some values, but no
        code. Activations that this process has made already need not be passed.

    Returns
    -------
    MLP or Ensemble

    Raises
    ------
    ValueError
        If the file is damaged, comes from a later version, or is not a network of fastnn's; or if one of your own
        activations is missing.
    TypeError
        If `path` is not a path, or `functions` not a sequence of `fastnn.Activation`.
    ImportError
        If safetensors is needed and not installed.
    OSError
        If the file cannot be read.
    """
    if not isinstance(functions, Iterable) or getattr(functions, "ndim", 1) == 0:
        raise TypeError(f"functions must be a sequence of fastnn.Activation; got {describe(functions)}")
    for function in functions:
        if not isinstance(function, Activation):
            raise TypeError(f"functions must be a sequence of fastnn.Activation; got {describe(function)} among them")
    saved = files.read(path)
    if isinstance(saved, files.SavedNetwork):
        return network_of(saved)
    from fastnn.models.ensemble import Ensemble  # which few need

    return Ensemble(*saved)


def network_of(saved: files.SavedNetwork) -> MLP:
    """The network that a file holds."""
    domain = None if saved.domain is None else aligned(saved.domain, saved.spec.n_in)
    return network_over(saved.spec, saved.params, domain, saved.outside)
