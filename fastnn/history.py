"""What `fit` returns: how the run went, and the state that resumes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fastnn.job import State

Stop = Literal["finished", "diverged"]


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
    stopped : {"finished", "diverged"}
        Why the run ended: all epochs were done, or the loss or the parameters were no longer
        finite in the epoch after those recorded.
    state : State
        Passed back to ``fit``, it resumes the run to the same bits.
    """

    loss: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    seconds: float
    stopped: Stop
    state: State

    @property
    def epochs(self) -> int:
        """Number of whole epochs done."""
        return len(self.loss)

    def __repr__(self) -> str:
        ends = f", loss {self.loss[0]:.4g} -> {self.loss[-1]:.4g}" if self.epochs else ""
        stopped = f"diverged in epoch {self.epochs}" if self.stopped == "diverged" else self.stopped
        return f"<History: {self.epochs} epochs in {self.seconds:.3g} s{ends}, {stopped}>"
