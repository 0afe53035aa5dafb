"""Adaptive prediction sets: as many classes as it takes to hold the right one with a promised probability."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP
from fastnn.settings import catalogue
from fastnn.uncertainty import saved
from fastnn.uncertainty.ranks import check_coverage, rank_of, smallest


class PredictionSets:
    """A classifier, with how much probability a set must gather; see `prediction_sets`.

    Attributes
    ----------
    model : MLP or Ensemble
        Of an ensemble the mean of the members' probabilities is meant.
    coverage : float
        What was asked for.
    threshold : ndarray of float64, shape ()
        A class is in the set if it and all likelier ones have no more probability than this, or if it is the likeliest.
    """

    def __init__(self, model: MLP | Ensemble, coverage: float, threshold: NDArray):
        self.model, self.coverage, self.threshold = model, coverage, threshold

    def predict(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which classes the sets of samples `X`, shape (n, n_in), hold: shape (n, n_out)."""
        scores = _scores(self.model, X)
        return (scores <= self.threshold) | (scores == scores.min(axis=1, keepdims=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the model and its threshold to one file that ends in ``.npz``, for `PredictionSets.load`."""
        saved.save(path, self.model, {"method": "aps", "coverage": self.coverage}, {"threshold": self.threshold})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PredictionSets:
        """What `save` wrote; raises as `Intervals.load`."""
        model, header, arrays = saved.load(path, ("aps",), ("threshold",))
        return cls(model, header["coverage"], **arrays)

    def __repr__(self) -> str:
        return f"<PredictionSets: coverage {self.coverage:g}, of {self.model!r}>"


def prediction_sets(model: MLP | Ensemble, X: ArrayLike, y: ArrayLike, *, coverage: float = 0.9) -> PredictionSets:
    """Sets of classes that hold the right one with a promised probability: larger where the network is less sure.

    Parameters
    ----------
    model : MLP or Ensemble
        Trained networks with a softmax output.
    X : array_like, shape (n, n_in)
        The calibration set: samples that the networks were **not** trained on.
    y : array_like of int, shape (n,)
        Their classes.
    coverage : float
        The probability that is asked for, in (0, 1).

    Returns
    -------
    PredictionSets

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be, or there are too few samples for the coverage.

    Notes
    -----
    If the samples and a new one are exchangeable, a set holds the new class with probability at least `coverage`, on
    average over calibration sets and new samples: Y. Romano, M. Sesia, E. Candès, "Classification with valid and
    adaptive coverage", NeurIPS 2020, theorem 1, without the randomisation, whose lack makes sets larger.
    """
    coverage = check_coverage(coverage)
    if not isinstance(model, (MLP, Ensemble)) or model.spec.output_activation != "softmax":
        raise TypeError(f"model must be networks with a softmax output; got {checks.describe(model)}")
    X = checks.check_inputs(X, model.spec, least=1)
    labels = checks.check_targets(y, model.spec, catalogue.LOSSES["cross_entropy"], len(X))
    if labels.ndim != 1:
        raise ValueError(f"y must have shape ({len(X)},), a class for each row of X; got {labels.shape}")
    rank = rank_of(coverage, len(X))
    scores = _scores(model, X)[np.arange(len(X)), labels]
    return PredictionSets(model, coverage, np.array(smallest(scores, rank)))


def _scores(model: MLP | Ensemble, X: ArrayLike) -> NDArray[np.float64]:
    """The probability of each class and all likelier ones, shape (n, n_out)."""
    p = model.predict(X).astype(np.float64)
    p = p if p.ndim == 2 else p.mean(axis=0)
    order = np.argsort(-p, axis=1, kind="stable")
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, np.take_along_axis(p, order, axis=1).cumsum(axis=1), axis=1)
    return scores
