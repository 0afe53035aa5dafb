"""What is monitored at the end of an epoch: the validation set, for early stopping and for the learning rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.settings.catalogue import Loss
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.schedules import ReduceOnPlateau

#: Samples, targets and, if there are any, weights to validate on.
ValidationData = tuple[ArrayLike, ArrayLike] | tuple[ArrayLike, ArrayLike, ArrayLike | None]


class MonitorState(IntEnum):
    """Indices of the numbers that are kept from epoch to epoch."""

    BEST = 0  # the least value monitored by early stopping: a loss, or a metric's negative
    BEST_EPOCH = 1  # its number, from 0; -1 before the first
    WAITED = 2  # epochs since the last improvement
    PLATEAU_BEST = 3  # the same for ReduceOnPlateau
    PLATEAU_WAITED = 4
    COOLDOWN = 5  # epochs that are not counted yet
    RATE = 6  # the learning rate of the next epoch, if ReduceOnPlateau rules it
    DAMPING = 7  # of LevenbergMarquardt, 0 before the first step
    ALPHA = 8  # its evidence, where it weighs that; 0 before the first step
    BETA = 9
    EFFECTIVE_PARAMS = 10


def fresh_monitor_state() -> NDArray[np.float64]:
    """The numbers before the first epoch."""
    return _FRESH.copy()


_FRESH = np.zeros(len(MonitorState))
_FRESH[[MonitorState.BEST, MonitorState.PLATEAU_BEST, MonitorState.RATE]] = np.inf
_FRESH[MonitorState.BEST_EPOCH] = -1


def held_out(n: Any, fraction: float) -> Any:
    """How many of `n` samples, an integer or an array of them, are held out."""
    return np.floor(np.round(n * fraction, 9))  # rounded, so that 100 * 0.29 is 29


@dataclass
class Monitor:
    """What a run monitors, and what it records of it.

    Attributes
    ----------
    X, y, sample_weight
        The validation set, as a `Job`'s data; all None without one.
    stopping : EarlyStopping or None
        When to stop.
    plateau : ReduceOnPlateau or None
        When to reduce the learning rate.
    fraction : float
        The fraction of the job's samples that becomes the validation set when the run begins; 0 for none.
    first : int
        Number of the run's first epoch.
    loss, metric : ndarray of float64, shape (epochs,)
        Receive the loss and the metric on the validation set after every epoch.
    """

    X: Any = None
    y: Any = None
    sample_weight: NDArray | None = None
    stopping: EarlyStopping | None = None
    plateau: ReduceOnPlateau | None = None
    fraction: float = 0.0
    first: int = 0
    loss: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    metric: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def validates(self) -> bool:
        """Whether there is a validation set."""
        return self.X is not None or self.fraction > 0

    def begin(self, first: int, epochs: int) -> None:
        """Make room for the run's epochs."""
        self.first = first
        if self.validates:
            self.loss, self.metric = np.full(epochs, np.nan), np.full(epochs, np.nan)

    def make_room(self, epochs: int) -> None:
        """Make room for further ones."""
        if self.validates:
            more = np.full(epochs, np.nan)
            self.loss, self.metric = np.concatenate([self.loss, more]), np.concatenate([self.metric, more])

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """The factors, shape (n_targets,), in ``r2 = 1 - sum(shares * weight * (o - y)**2)``.

        This is the mean of the outputs' coefficients of determination. An output whose target is constant, or varies by
        too little or too much to be squared, has none and does not count; neither does a missing target. NaN if no
        output has one.
        """
        missing = np.isnan(self.y)
        y = np.where(missing, 0.0, self.y.astype(np.float64))
        weight = np.ones(len(y)) if self.sample_weight is None else self.sample_weight.astype(np.float64)
        # Elementwise: a product of matrices would be BLAS's, whose bits depend on its threads.
        weight = ~missing * weight[:, np.newaxis]
        total = weight.sum(axis=0)
        mean = (weight * y).sum(axis=0) / np.where(total > 0, total, 1.0)
        with np.errstate(over="ignore"):  # which leaves a target without a share
            spread = (weight * (y - mean) ** 2).sum(axis=0)
        idle = weight == 0
        varies = np.where(idle, np.inf, y).min(axis=0) < np.where(idle, -np.inf, y).max(axis=0)
        tiny = float(np.finfo(np.float64).tiny)  # below it kernels take numbers for zero, the reciprocal, too
        varies &= (spread > tiny) & (spread < 1 / tiny)
        return np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0) / (varies.sum() or np.nan)

    def judge(self, outputs: NDArray, loss: Loss) -> float:
        """The metric of outputs for the validation set: the accuracy, or the coefficient of determination."""
        y, weight = self.y, self.sample_weight
        if loss.metric == "r2":
            shares = self.shares
            errors = np.where(np.isnan(y) | (shares == 0), 0.0, outputs[:, : y.shape[1]] - y)
            squares = (errors.astype(np.float64) ** 2 * shares).sum(axis=1)
            return float(1 - (squares if weight is None else weight * squares).sum())
        if loss.one_class:
            right = outputs.argmax(axis=1) == (y if y.ndim == 1 else y.argmax(axis=1))
        else:
            right = ((outputs > 0.5) == (y > 0.5)).all(axis=1)
        return float(np.average(right, weights=weight))
