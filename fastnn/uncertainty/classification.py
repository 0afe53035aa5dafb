"""Adaptive prediction sets: sets of classes that contain the right one with a given probability."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP
from fastnn.settings import catalogue
from fastnn.uncertainty import saved
from fastnn.uncertainty.conformal import check_coverage, finite_outputs, rank_of, smallest


class PredictionSets:
    """A classifier and the threshold of its prediction sets, which `prediction_sets` makes.

    Attributes
    ----------
    model : MLP or Ensemble
        The classifier: a copy, which further training of the given one leaves alone. An ensemble's probabilities are
        the means of its members'.
    coverage : float
        The coverage that was asked for.
    threshold : ndarray of float64, shape ()
        A class is in the set if the probabilities of it and of all more probable classes sum to at most this, or if it
        is the most probable one.
    """

    def __init__(self, model: MLP | Ensemble, coverage: float, threshold: NDArray[Any]):
        self.model, self.coverage, self.threshold = model, coverage, threshold

    def predict(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Compute the sets of classes.

        Parameters
        ----------
        X : array_like, shape (n, n_in)
            The samples.

        Returns
        -------
        ndarray of bool, shape (n, n_out)
            Whether each class is in the set of each sample. A sample for which the model has no probabilities, but NaN,
            may be of any class.

        Raises
        ------
        TypeError, ValueError
            As in `MLP.predict`.
        """
        scores, order = _scores(self.model.predict(X))
        found = ~(scores > self.threshold)
        np.put_along_axis(found, order[:, :1], True, axis=1)
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the model and its threshold to one file, for `PredictionSets.load`.

        Parameters
        ----------
        path : path_like
            The file, whose name ends in ``.npz``.

        Raises
        ------
        TypeError, ValueError
            If `path` is not a path with such an ending.
        OSError
            If the file cannot be written.
        """
        saved.save(path, self.model, {"method": "aps", "coverage": self.coverage}, {"threshold": self.threshold})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PredictionSets:
        """Load a file that `save` wrote.

        Parameters
        ----------
        path : path_like
            The file.

        Returns
        -------
        PredictionSets

        Raises
        ------
        TypeError, ValueError
            If `path` is not a path, or the file is damaged or holds something else.
        OSError
            If it cannot be read.
        """
        model, header, arrays = saved.load(path, ("aps",), ("threshold",), _check_model)
        return cls(model, header["coverage"], **arrays)

    def __repr__(self) -> str:
        return f"<PredictionSets: coverage {self.coverage:g}, of {self.model!r}>"


def prediction_sets(model: MLP | Ensemble, X: ArrayLike, y: ArrayLike, *, coverage: float = 0.9) -> PredictionSets:
    """Make sets of classes that contain the right one with a given probability; larger where the model is less sure.

    Parameters
    ----------
    model : MLP or Ensemble
        A trained network with a softmax output, or several.
    X : array_like, shape (n, n_in)
        The calibration set: samples that the networks were **not** trained on.
    y : array_like of int, shape (n,)
        Their classes.
    coverage : float
        The probability to be guaranteed, in (0, 1).

    Returns
    -------
    PredictionSets

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or there are too few samples for the coverage.

    Notes
    -----
    If the samples and a new one are exchangeable, the set contains the new sample's class with probability at least
    `coverage`, on average over calibration sets and new samples: Y. Romano, M. Sesia, E. Candès, "Classification with
    valid and adaptive coverage", NeurIPS 2020, theorem 1. Its randomisation is left out, which makes the sets larger.
    """
    coverage = check_coverage(coverage)
    _check_model(model, "aps")
    X = checks.check_inputs(X, model.spec, least=1)
    labels = checks.check_targets(y, model.spec, catalogue.LOSSES["cross_entropy"], len(X))
    if labels.ndim != 1:
        raise ValueError(f"y must have shape ({len(X)},), a class for each row of X; got {labels.shape}")
    rank = rank_of(coverage, len(X))
    scores, _ = _scores(finite_outputs(model, X))
    return PredictionSets(deepcopy(model), coverage, np.array(smallest(scores[np.arange(len(X)), labels], rank)))


def _check_model(model: Any, method: str) -> None:
    """Refuse what is no classifier."""
    if not isinstance(model, (MLP, Ensemble)) or model.spec.output_activation != "softmax":
        raise TypeError(f"model must be one network or several with a softmax output; got {checks.describe(model)}")


def _scores(outputs: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The probability of each class plus those of all more probable ones, and the classes by it, both (n, n_out).

    Where one class is all but certain, rounding gives all classes the same score, but not the same place.
    """
    p = outputs.astype(np.float64)
    p = p if p.ndim == 2 else p.mean(axis=0)
    order = np.argsort(-p, axis=1, kind="stable")
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, np.take_along_axis(p, order, axis=1).cumsum(axis=1), axis=1)
    return scores, order
