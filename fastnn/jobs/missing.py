"""Missing targets: NaN, if a loss is `fastnn.settings.catalogue.Loss.masked`."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.catalogue import Loss


@overload
def counted_weights(loss: Loss, y: NDArray, sample_weight: NDArray) -> NDArray: ...
@overload
def counted_weights(loss: Loss, y: NDArray, sample_weight: NDArray | None) -> NDArray | None: ...


def counted_weights(loss: Loss, y: NDArray, sample_weight: NDArray | None) -> NDArray | None:
    """The part of each row in the divisor of a mean: its weight times the fraction of its targets that are present.

    Parameters
    ----------
    loss : catalogue.Loss
        The loss; unless it is masked, no target is missing.
    y : ndarray, shape (..., n, n_targets), or (n,) of labels
        The targets.
    sample_weight : ndarray, shape (..., n), or None
        The rows' weights.

    Returns
    -------
    ndarray, shape (..., n), or None
        `sample_weight` itself if no target is missing.
    """
    if not loss.masked:
        return sample_weight
    present = (1 - np.isnan(y).mean(axis=-1)).astype(y.dtype)
    return present if sample_weight is None else present * sample_weight
