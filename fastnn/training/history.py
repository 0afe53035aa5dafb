"""The record of a run that `fit` returns, and the record of an epoch that a callback receives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import counted
from fastnn.jobs.job import State
from fastnn.training.evidence import Evidence

Stop = Literal["finished", "early", "converged", "stalled", "callback", "interrupted", "diverged"]


class Epoch(NamedTuple):
    """What a callback receives after an epoch.

    Attributes
    ----------
    number : int
        The number of the epoch, from 0; a resumed run continues the count.
    loss, learning_rate : float
        As in `History`.
    validation_loss, validation_metric : float or None
        As in `History`.
    """

    number: int
    loss: float
    learning_rate: float
    validation_loss: float | None
    validation_metric: float | None


@dataclass(frozen=True, repr=False, eq=False)  # as arrays have no one truth value
class History:
    """The record of one training run.

    Attributes
    ----------
    loss : ndarray of float64, shape (epochs,)
        The loss of each whole epoch: the weighted mean of its batches' losses, each before its update.
    learning_rate : ndarray of float64, shape (epochs,)
        The learning rate of each whole epoch.
    seconds : float
        Wall time of the run with any compiling, without the checks before it.
    stopped : {"finished", "early", "converged", "stalled", "callback", "interrupted", "diverged"}
        Why the run ended: it did all its epochs; early stopping ended it; a solver reached a minimum of the loss; no
        step of a solver lowered the loss, although it is not at a minimum, as where outputs are saturated; the callback
        ended it; Ctrl-C ended it; or the loss or the parameters became infinite or NaN in the epoch after those
        recorded.
    state : State
        Passed to ``fit``, it resumes the run bit for bit.
    validation_loss : ndarray of float64, shape (epochs,), or None
        The loss on the validation set after each epoch, without the l2 penalty and without the slopes of ``dydx``.
    validation_metric : ndarray of float64, shape (epochs,), or None
        The metric on the validation set after each epoch; NaN where it is r2 and no target varies, or by too little or
        too much to be squared.
    metric : {"r2", "accuracy"}
        The metric: the coefficient of determination, averaged over the outputs, or the share of samples that are
        classified correctly.
    best_epoch : int or None
        The number of the best epoch, by early stopping, from 0; a resumed run continues the count.
    evidence : Evidence or None
        What `LevenbergMarquardt` with ``regularisation="bayesian"`` found: ``alpha``, ``beta`` and
        ``effective_params``, see `fastnn.training.evidence.Evidence`.
    """

    loss: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    seconds: float
    stopped: Stop
    state: State
    validation_loss: NDArray[np.float64] | None = None
    validation_metric: NDArray[np.float64] | None = None
    metric: str = "r2"
    best_epoch: int | None = None
    evidence: Evidence | None = None

    @property
    def epochs(self) -> int:
        """Number of whole epochs done."""
        return len(self.loss)

    def __repr__(self) -> str:
        ends = f", loss {self.loss[0]:.4g} -> {self.loss[-1]:.4g}" if self.epochs else ""
        if self.epochs and self.validation_loss is not None:
            ends += f", validation {self.validation_loss[0]:.4g} -> {self.validation_loss[-1]:.4g}"
        stopped = {
            "early": f"stopped early, best in epoch {self.best_epoch}",
            "stalled": f"stalled in epoch {self.epochs}",
            "callback": "stopped by the callback",
            "diverged": f"diverged in epoch {self.epochs}",
        }.get(self.stopped, self.stopped)
        steps = 0 if self.stopped == "interrupted" else self.state.steps_done // max(self.state.epochs_done, 1)
        of = f" of {counted(steps, 'step')}" if steps else ""  # it is 1 where batch_size was forgotten
        return f"<History: {counted(self.epochs, 'epoch')}{of} in {self.seconds:.3g} s{ends}, {stopped}>"
