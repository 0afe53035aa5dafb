"""From a file back to what a user holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastnn.checks import describe
from fastnn.models import files
from fastnn.models.domain import aligned
from fastnn.models.mlp import MLP
from fastnn.settings.own import Activation

if TYPE_CHECKING:
    from fastnn.models.ensemble import Ensemble


def load(path: str | os.PathLike[str], functions: Sequence[Activation] = ()) -> MLP | Ensemble:
    """Load a network, or an ensemble, that its ``save`` wrote.

    Parameters
    ----------
    path : path_like
        The file; ends in ``.npz`` or ``.safetensors``.
    functions : sequence of Activation
        The activations of your own that the network has. A file holds their names, fingerprints and some values, but no
        code; any that this process has made will do.

    Returns
    -------
    MLP or Ensemble

    Raises
    ------
    ValueError
        If the file is damaged, of a later version, or no network of fastnn's, or an activation is not there.
    TypeError
        If one of `functions` is no `fastnn.Activation`.
    ImportError
        If safetensors is needed and not installed.
    OSError
        If the file cannot be read.
    """
    for function in functions:
        if not isinstance(function, Activation):
            raise TypeError(f"functions must be a sequence of fastnn.Activation; got {describe(function)} among them")
    saved = files.read(path)
    if isinstance(saved, files.SavedNetwork):
        domain = None if saved.domain is None else aligned(saved.domain, saved.spec.n_in)
        return MLP._sharing(saved.spec, saved.params, domain, saved.outside)
    from fastnn.models.ensemble import Ensemble  # which few need

    return Ensemble(*saved)
