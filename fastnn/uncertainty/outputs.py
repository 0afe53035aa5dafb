"""What a model says of the calibration set: finite numbers, or it cannot be calibrated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP


def finite_outputs(model: MLP | Ensemble, X: NDArray) -> NDArray[np.float64]:
    """The outputs, shape (n, n_out), or (K, n, n_out) of an ensemble's members.

    Raises
    ------
    ValueError
        If some output is not finite, as of a network that diverged, or an ensemble has no members.
    """
    if isinstance(model, Ensemble) and not len(model):
        raise ValueError("model must have members; got an ensemble of none")
    outputs = model.predict(X).astype(np.float64)
    bad = ~np.isfinite(outputs)
    if bad.any():
        row = np.argwhere(bad)[0][-2]
        raise ValueError(f"model must have finite outputs for all of X; got {outputs[bad][0]} for row {row}")
    return outputs
