"""How the training of each member of an ensemble went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Why a member's training ended, by its status; and the statuses of those whose training did.
STOPPED = ("waiting", "finished", "early", "diverged")
FINISHED, EARLY, DIVERGED = 1, 2, 3


@dataclass(frozen=True)
class Records:
    """How the training of each member went; the first axis of every array counts members.

    Attributes
    ----------
    member : ndarray of int64, shape (K,)
        Its number: with the seed, what its random numbers hang on.
    status : ndarray of int8, shape (K,)
        Place in `STOPPED` of why it ended.
    epochs, steps : ndarray of int64, shape (K,)
        Whole epochs it was trained for, and updates made.
    loss : ndarray of float64, shape (K,)
        Of its last epoch, the weighted mean of the batches' losses before their updates; NaN if it diverged.
    best : ndarray of float64, shape (K,)
        With early stopping the least loss that was monitored; infinity without.
    history, validation : ndarray of float64, shape (K, epochs), or (K, 0)
        Losses of every epoch, of training and of the validation set, where they were asked for; NaN after the end.
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
        """Of members that wait; with room for the losses of so many epochs."""
        k = len(member)
        return cls(
            member=member,
            status=np.zeros(k, np.int8),
            epochs=np.zeros(k, np.int64),
            steps=np.zeros(k, np.int64),
            loss=np.full(k, np.nan),
            best=np.full(k, np.inf),
            history=np.full((k, epochs), np.nan),
            validation=np.full((k, epochs if validates else 0), np.nan),
        )

    def __getitem__(self, index: Any) -> Records:
        return Records(**{name: array[index] for name, array in vars(self).items()})

    def put(self, index: Any, other: Records) -> None:
        """Write down how the training of some of them went."""
        for name, array in vars(other).items():
            getattr(self, name)[index] = array

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Whose training has ended, shape (K,)."""
        return self.status > 0

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Whose loss or parameters were no longer finite, shape (K,)."""
        return self.status == DIVERGED
