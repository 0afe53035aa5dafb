"""Members that use only some of the features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.spec import NetworkSpec


def unseen(spec: NetworkSpec, features: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which parameters are weights of features that a member does not use.

    Parameters
    ----------
    spec : NetworkSpec
        The description of every member.
    features : ndarray of bool, shape (..., n_in)
        Which features each member uses.

    Returns
    -------
    ndarray of bool, shape (..., n_params)
    """
    first = spec.layers[0]
    flags = np.zeros((*features.shape[:-1], spec.n_params), bool)
    flags[..., first.weights : first.weights + first.n_in * first.n_out] = np.repeat(~features, first.n_out, axis=-1)
    return flags
