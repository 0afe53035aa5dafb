"""Conformal prediction intervals for regression, from a calibration set or from members that left samples out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP
from fastnn.models.normal_outputs import means_and_variances
from fastnn.settings import catalogue
from fastnn.uncertainty import saved
from fastnn.uncertainty.conformal import check_coverage, finite_outputs, rank_of, smallest

#: How many numbers are held at once where each training sample has its own prediction.
_AT_ONCE = 2**22

METHODS = ("absolute", "normalised", "quantile", "jackknife+")


class Intervals:
    """A network, or several, and the margins of their prediction intervals, which `intervals` makes.

    Attributes
    ----------
    model : MLP or Ensemble
        The model whose predictions lie inside the intervals: a copy, which further training of the given one leaves
        alone.
    method : str
        One of the methods of `intervals`.
    coverage : float
        The coverage that was asked for.
    margin : ndarray of float64, shape (n_targets,), or (n, n_targets) for ``"jackknife+"``
        How far an interval extends beyond the prediction, in the target's units or, for ``"normalised"``, in standard
        deviations, of the members or of the noise. For ``"absolute"`` an interval is the network's output minus and
        plus the margin, in compiled code too. For ``"jackknife+"`` it is the error of each training sample.
    min_variance : ndarray of float64, shape (n_targets,), or None
        What is added to the variances of a network that gives them, for ``"normalised"``.
    """

    def __init__(
        self,
        model: MLP | Ensemble,
        method: str,
        coverage: float,
        margin: NDArray[Any],
        shares: NDArray[Any] | None = None,
        min_variance: NDArray[Any] | None = None,
    ):
        self.model, self.method, self.coverage, self.margin = model, method, coverage, margin
        self.min_variance = min_variance
        self._shares = shares  # (n, K): each member's share in the mean of those that left a sample out

    def predict(self, X: ArrayLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Compute the ends of the intervals, and the predictions between them.

        Parameters
        ----------
        X : array_like, shape (n, n_in)
            The samples.

        Returns
        -------
        low, middle, high : ndarray of float64, shape (n, n_targets)
            `middle` is the network's output, or the mean of the members'; for ``"quantile"``, with one column, it is
            the middle quantile, or the mean of the middle two. Where quantiles cross, it may lie outside the interval;
            and a margin below 0 leaves nothing of intervals that were short, whose `low` is above `high`.

        Raises
        ------
        TypeError, ValueError
            As in `MLP.predict`.
        """
        outputs = self.model.predict(X).astype(np.float64, copy=False)
        if self.method == "jackknife+":
            return self._jackknife(outputs)
        low, middle, high, unit = _ends(outputs, self.method, self.min_variance)
        return low - self.margin * unit, middle, high + self.margin * unit

    def _jackknife(self, outputs: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The intervals from the members' outputs, shape (K, n, n_out)."""
        assert self._shares is not None
        rank = rank_of(self.coverage, len(self.margin))
        low, high = np.empty((2, *outputs.shape[1:]))
        step = max(1, _AT_ONCE // self.margin.size)
        for start in range(0, outputs.shape[1], step):
            part = np.s_[start : start + step]
            without = np.tensordot(self._shares, outputs[:, part], axes=1)  # (n_train, n, n_out)
            error = self.margin[:, np.newaxis]
            low[part], high[part] = -smallest(error - without, rank), smallest(error + without, rank)
        return low, outputs.mean(axis=0), high

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the model and its margins to one file, for `Intervals.load`.

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
        arrays = {"margin": self.margin, "shares": self._shares, "min_variance": self.min_variance}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        saved.save(path, self.model, {"method": self.method, "coverage": self.coverage}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Intervals:
        """Load a file that `save` wrote.

        Parameters
        ----------
        path : path_like
            The file.

        Returns
        -------
        Intervals

        Raises
        ------
        TypeError, ValueError
            If `path` is not a path, or the file is damaged or holds something else.
        OSError
            If it cannot be read.
        """
        model, header, arrays = saved.load(path, METHODS, ("margin", "shares", "min_variance"), _check_model)
        return cls(model, header["method"], header["coverage"], **arrays)

    def __repr__(self) -> str:
        return f"<Intervals: {self.method}, coverage {self.coverage:g}, of {self.model!r}>"


def intervals(
    model: MLP | Ensemble,
    X: ArrayLike,
    y: ArrayLike,
    *,
    coverage: float = 0.9,
    method: str = "absolute",
    sample_weight: ArrayLike | None = None,
    min_variance: float | Sequence[float] = 1e-6,
) -> Intervals:
    """Make intervals that contain the target of a new sample with a given probability, however good the model is.

    Parameters
    ----------
    model : MLP or Ensemble
        A trained network, or several, whose mean is then the prediction.
    X : array_like, shape (n, n_in)
        The calibration set: samples that the networks were **not** trained on. For ``"jackknife+"``, those that they
        were trained on.
    y : array_like, shape (n, n_out) or (n,)
        Their targets, one column for ``"quantile"``.
    coverage : float
        The probability to be guaranteed, in (0, 1), for each output separately.
    method : {"absolute", "normalised", "quantile", "jackknife+"}
        - ``"absolute"``: the same width for all samples, from the errors ``|y - o|`` [1]_.
        - ``"normalised"``: widths proportional to the standard deviation of an ensemble's members, or to that of the
          noise by a network trained with ``loss="gaussian_nll"`` [1]_.
        - ``"quantile"``: for a network trained with ``loss="pinball"`` or ``"ascending_pinball"`` whose first and last
          outputs are the quantiles at the ends; both are moved by the same amount [2]_.
        - ``"jackknife+"``: for an ensemble whose members were each trained without some of the samples, on bootstraps
          [3]_ or on all folds but one (CV+) [4]_. It needs no calibration set.
    sample_weight : array_like, shape (K, n), optional
        For ``"jackknife+"``, the weights that `fit_many` was given; a member left out the samples of weight 0.
    min_variance : float or sequence of float
        For ``"normalised"`` with one network, what `MLP.fit` was given: below it a log-variance says nothing. Other
        methods ignore it.

    Returns
    -------
    Intervals

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or there are too few samples for the coverage.

    Notes
    -----
    If the samples and a new one are exchangeable (as independent draws from one source are, but not a drift in time),
    an interval from a calibration set contains the new target with probability at least `coverage`, on average over
    calibration sets and new samples, and at most ``coverage + 1 / (n + 1)`` if no errors are equal [1]_, [2]_. For
    ``"jackknife+"`` the guarantee is ``2 * coverage - 1``, less ``sqrt(2 / n)`` for folds [4]_; for bootstraps it holds
    if their number is itself drawn at random [3]_. In practice the coverage comes close to `coverage`. There is no
    guarantee at any particular X.

    References
    ----------
    .. [1] J. Lei et al., "Distribution-free predictive inference for regression", JASA 113, 2018, theorem 2.2 and
       section 5.2.
    .. [2] Y. Romano, E. Patterson, E. Candès, "Conformalized quantile regression", NeurIPS 2019, theorem 1.
    .. [3] B. Kim, C. Xu, R. F. Barber, "Predictive inference is free with the jackknife+-after-bootstrap", NeurIPS
       2020, theorem 1.
    .. [4] R. F. Barber et al., "Predictive inference with the jackknife+", Annals of Statistics 49, 2021, theorems 1
       and 4.

    Examples
    --------
    >>> sure = fastnn.intervals(net, X_calibration, y_calibration, coverage=0.9)
    >>> low, middle, high = sure.predict(X_new)
    """
    coverage = check_coverage(coverage)
    checks.check_name("method", method, METHODS)
    _check_model(model, method)
    spec = model.spec
    if (sample_weight is None) == (method == "jackknife+"):
        needed = "what fit_many was given" if sample_weight is None else f"None for method={method!r}"
        raise ValueError(f"sample_weight must be {needed}; got {checks.describe(sample_weight)}")
    X = checks.check_inputs(X, spec, least=1)
    given, loss = y, catalogue.LOSSES[_loss(model, method)]
    y = checks.check_targets(given, replace(spec, dtype="float64"), loss, len(X))  # whatever the network computes in
    floor = np.full(y.shape[1], checks.check_loss_parameter(loss, spec, min_variance=min_variance), np.float64)
    if method == "quantile":
        if np.shape(given) not in ((len(X),), (len(X), 1)):
            raise ValueError(f"y must have shape (n,) or (n, 1) for method='quantile'; got {np.shape(given)}")
        y = y[:, :1]  # which the loss has for each quantile
    checks.check_finite_data(X, y, None)
    rank = rank_of(coverage, len(X))
    model, outputs = deepcopy(model), finite_outputs(model, X)
    if method == "jackknife+":
        shares = _shares(sample_weight, len(model), len(X))  # type: ignore[arg-type] # checked above
        errors = np.abs(y - np.einsum("nk,kno->no", shares, outputs))
        size = np.abs(outputs).max(axis=0) + np.abs(y)
        errors += (4 + len(outputs)) * np.spacing(size)  # as in `_errors`, and as the means of `predict` may differ
        return Intervals(model, method, coverage, errors, shares)
    low, _, high, unit = _ends(outputs, method, floor)
    if method == "quantile":
        crossed = int((low > high).sum())
        if 2 * crossed > len(X):
            raise ValueError(
                "model must have its lowest quantile as first output and its highest as last for method='quantile'; "
                f"got outputs in the other order for {crossed} of {len(X)} rows of X"
            )
    if not np.all(unit > 0):
        raise ValueError("model must have members that differ everywhere for method='normalised'; some agree")
    margin = smallest(_errors(y, low, high, unit), rank)
    return Intervals(model, method, coverage, margin, None, floor if loss.parameter is catalogue.MIN_VARIANCE else None)


def _errors(y: NDArray[Any], low: NDArray[Any], high: NDArray[Any], unit: Any) -> NDArray[np.float64]:
    """The margins, in units, of which each target needs its own to lie between the ends, shape (n, n_targets).

    Many targets may need the same one. Rounding must then not leave them all outside, so they take a little more of it.
    """
    errors = np.maximum(low - y, y - high) / unit
    left_out = (low - errors * unit > y) | (high + errors * unit < y)
    more = 4 * np.spacing(np.maximum(abs(low), abs(high)) + abs(errors * unit)) / unit
    return np.where(left_out, errors + more, errors)


def _check_model(model: Any, method: str) -> None:
    """Refuse a model that the method is not for."""
    if not isinstance(model, (MLP, Ensemble)):
        raise TypeError(f"model must be a fastnn.MLP or fastnn.Ensemble; got {checks.describe(model)}")
    spec = model.spec
    if spec.output_activation == "softmax":
        raise ValueError(f"model must not be a classifier, for which there is fastnn.prediction_sets; got {model!r}")
    if method == "quantile" and (isinstance(model, Ensemble) or spec.n_out < 2):
        raise ValueError(f"model must be a network with at least two quantiles as outputs; got {model!r}")
    if method == "jackknife+" and not isinstance(model, Ensemble):
        raise ValueError(f"model must be an ensemble for method={method!r}; got {model!r}")
    if method == "normalised" and isinstance(model, MLP) and spec.n_out % 2:
        raise ValueError(
            f"model must be an ensemble, or a network of means and log-variances, for method={method!r}; got {model!r}"
        )


def _loss(model: MLP | Ensemble, method: str) -> str:
    """A loss that takes the targets which the method compares with the model's outputs."""
    if method == "normalised" and isinstance(model, MLP):
        return "gaussian_nll"
    return "pinball" if method == "quantile" else "mse"


def _shares(sample_weight: ArrayLike, members: int, n: int) -> NDArray[np.float64]:
    """Each member's share in the mean of those that left a sample out, shape (n, members)."""
    weights = checks.check_columns("sample_weight", sample_weight)
    if weights.shape != (members, n):
        raise ValueError(f"sample_weight must have shape ({members}, {n}), a row for each member; got {weights.shape}")
    left_out = (weights == 0).T.astype(np.float64)
    counts = left_out.sum(axis=1, keepdims=True)
    if not counts.all():
        row = int(np.argmin(counts))
        raise ValueError(f"sample_weight must be 0 for each sample in at least one member; got none for row {row}")
    return np.ascontiguousarray(left_out / counts)


def _ends(
    outputs: NDArray[Any], method: str, min_variance: Any
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], Any]:
    """Low, middle, high and the unit of the margin; `min_variance` is that of a network of means and log-variances."""
    if method == "quantile":
        n_out = outputs.shape[1]
        middle = outputs[:, (n_out - 1) // 2 : n_out // 2 + 1].mean(axis=1, keepdims=True)
        return outputs[:, :1], middle, outputs[:, -1:], 1.0
    unit: Any = 1.0
    if outputs.ndim == 3:
        members_last = np.moveaxis(outputs, 0, -1).copy()  # so that no sum's order depends on the number of rows
        middle = members_last.mean(axis=-1)
        unit = members_last.std(axis=-1) if method == "normalised" else unit
    elif method == "normalised":
        middle, variance = means_and_variances(outputs, min_variance)
        unit = np.sqrt(variance)
    else:
        middle = outputs
    return middle, middle, middle, unit
