"""What all conformal methods share: the outputs on a calibration set, and the k-th smallest of n scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_number
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP
from fastnn.settings.intervals import INSIDE_UNIT


def check_coverage(coverage: float) -> float:
    """The probability to be guaranteed: a number in (0, 1)."""
    return check_number("coverage", coverage, INSIDE_UNIT)


def finite_outputs(model: MLP | Ensemble, X: NDArray[Any]) -> NDArray[np.float64]:
    """The outputs, shape (n, n_out), or (K, n, n_out) of an ensemble's members.

    Raises
    ------
    ValueError
        If some output is not finite, as of a network that diverged, or an ensemble has no members.
    """
    if isinstance(model, Ensemble) and not len(model):
        raise ValueError("model must have members; got an ensemble of none")
    outputs = model.predict(X).astype(np.float64, copy=False)
    bad = ~np.isfinite(outputs)
    if bad.any():
        row = np.argwhere(bad)[0][-2]
        raise ValueError(f"model must have finite outputs for all of X; got {outputs[bad][0]} for row {row}")
    return outputs


def rank_of(coverage: float, n: int) -> int:
    """The rank, from 1, of the score that a new one exceeds with a probability of at most 1 - coverage.

    Raises
    ------
    ValueError
        If n scores are too few to guarantee it.
    """
    rank = max(1, math.ceil(round((n + 1) * coverage, 9)))  # rounded, so that 25 * 0.56 is 14
    if rank > n:
        least = math.ceil((1 - 5e-10) / (1 - coverage)) - 1  # by the same rounding
        raise ValueError(f"X must have at least {least} rows for a coverage of {coverage:g}; got {n}")
    return rank


def smallest(scores: NDArray[Any], rank: int) -> NDArray[Any]:
    """The score with this rank, from 1, along the first axis."""
    return np.partition(scores, rank - 1, axis=0)[rank - 1]
