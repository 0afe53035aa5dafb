"""From a file back to what a user holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastnn.models import files
from fastnn.models.domain import aligned
from fastnn.models.mlp import MLP

if TYPE_CHECKING:
    from fastnn.models.ensemble import Ensemble


def load(path: str | os.PathLike[str]) -> MLP | Ensemble:
    """Load a network, or an ensemble, that its ``save`` wrote.

    Parameters
    ----------
    path : path_like
        The file; ends in ``.npz`` or ``.safetensors``.

    Returns
    -------
    MLP or Ensemble

    Raises
    ------
    ValueError
        If the file is damaged, of a later version, or no network of fastnn's.
    ImportError
        If safetensors is needed and not installed.
    OSError
        If the file cannot be read.
    """
    saved = files.read(path)
    if isinstance(saved, files.SavedNetwork):
        domain = None if saved.domain is None else aligned(saved.domain, saved.spec.n_in)
        return MLP._sharing(saved.spec, saved.params, domain, saved.outside)
    from fastnn.models.ensemble import Ensemble  # which few need

    return Ensemble(*saved)
