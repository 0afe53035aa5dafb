"""How the training of each member of an ensemble went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.describing import counted

#: Why a member's training ended, by its status.
STATUS_NAMES = ("waiting", "finished", "early", "diverged", "converged", "stalled")

#: The statuses that kernels write.
FINISHED, EARLY, DIVERGED = 1, 2, 3


@dataclass(frozen=True, repr=False, eq=False)
class Records:
    """How the training of each member went; the first axis of every array counts members.

    Attributes
    ----------
    member : ndarray of int64, shape (K,)
        Number of the member; its random numbers depend on this and the seed alone.
    status : ndarray of int8, shape (K,)
        Why its training ended, as an index into ``("waiting", "finished", "early", "diverged", "converged",
        "stalled")``, of which the last two are a solver's.
    epochs, steps : ndarray of int64, shape (K,)
        Number of whole epochs and of updates.
    loss : ndarray of float64, shape (K,)
        Loss of the last epoch: the weighted mean of its batches' losses, each before its update; NaN if it diverged.
        Of a solver that took no step, the loss where it began.
    best : ndarray of float64, shape (K,)
        Least of what early stopping monitored, a loss or a metric's negative; infinity without early stopping.
    history, validation : ndarray of float64, shape (K, epochs), or (K, 0)
        Loss of every epoch, in training and on the validation set, if asked for; NaN after the end.
    """

    member: NDArray[np.int64]
    status: NDArray[np.int8]
    epochs: NDArray[np.int64]
    steps: NDArray[np.int64]
    loss: NDArray[np.float64]
    best: NDArray[np.float64]
    history: NDArray[np.float64]
    validation: NDArray[np.float64]

    @classmethod
    def blank(cls, member: NDArray[np.int64], epochs: int, validates: bool) -> Records:
        """Records of members that are not yet trained, with room for the losses of this many epochs.

        That room is not touched, so that a run takes memory only for the epochs that it comes to.
        """
        k = len(member)
        return cls(
            member=member,
            status=np.zeros(k, np.int8),
            epochs=np.zeros(k, np.int64),
            steps=np.zeros(k, np.int64),
            loss=np.full(k, np.nan),
            best=np.full(k, np.inf),
            history=np.empty((k, epochs)),
            validation=np.empty((k, epochs if validates else 0)),
        )

    def __repr__(self) -> str:
        counts = zip(STATUS_NAMES, np.bincount(self.status, minlength=len(STATUS_NAMES)), strict=True)
        ends = [f"{count:,} {name}" for name, count in counts if count]
        return f"<Records: {', '.join([counted(len(self.member), 'member'), *ends])}>"

    def __getitem__(self, index: Any) -> Records:
        return Records(**{name: array[index] for name, array in vars(self).items()})

    def put(self, index: Any, other: Records) -> None:
        """Replace the records of some members."""
        for name, array in vars(other).items():
            getattr(self, name)[index] = array

    def end_histories(self) -> None:
        """Write NaN after the end of each member's training."""
        if self.history.size:
            for k in np.flatnonzero(self.ended):
                self.history[k, self.epochs[k] :] = self.validation[k, self.epochs[k] :] = np.nan

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Whether each member's training has ended, shape (K,)."""
        return self.status > 0

    @property
    def n_ended(self) -> int:
        """Number of members whose training has ended."""
        return int(np.count_nonzero(self.status))

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Whether each member's loss or parameters became infinite or NaN, shape (K,)."""
        return self.status == DIVERGED
