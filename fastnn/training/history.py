"""What `fit` returns: how the run went, and the state that resumes it; and what a callback is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import State
from fastnn.training.evidence import Evidence

Stop = Literal["finished", "early", "converged", "stalled", "callback", "interrupted", "diverged"]


class Epoch(NamedTuple):
    """What a callback is told after an epoch.

    Attributes
    ----------
    number : int
        The epoch's, from 0; a resumed run counts on.
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


@dataclass(frozen=True, repr=False)
class History:
    """The record of one training run.

    Attributes
    ----------
    loss : ndarray of float64, shape (epochs,)
        Of each whole epoch, the weighted mean of its batches' losses before their updates.
    learning_rate : ndarray of float64, shape (epochs,)
        Of each whole epoch.
    seconds : float
        Wall time, without the checks before the run.
    stopped : {"finished", "early", "converged", "stalled", "callback", "interrupted", "diverged"}
        Why the run ended: all epochs were done; early stopping ended it; a solver's loss is at a minimum; no step of a
        solver lowered the loss although it is at none, as where outputs are saturated; the callback or Ctrl-C ended
        it; or the loss or the parameters were no longer finite in the epoch after those recorded.
    state : State
        Passed back to ``fit``, it resumes the run to the same bits.
    validation_loss : ndarray of float64, shape (epochs,), or None
        On the validation set after each epoch, without the l2 penalty.
    validation_metric : ndarray of float64, shape (epochs,), or None
        On the validation set after each epoch: what `metric` says.
    metric : {"r2", "accuracy"}
        The coefficient of determination, averaged over the outputs; or the share of samples classified correctly.
    best_epoch : int or None
        Number of the epoch that early stopping found the best, from 0; a resumed run counts on.
    evidence : Evidence or None
        What `LevenbergMarquardt` found with ``regularisation="bayesian"``: ``alpha``, ``beta`` and
        ``effective_params``, see `fastnn.training.evidence`.
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
        return f"<History: {self.epochs} epochs in {self.seconds:.3g} s{ends}, {stopped}>"
