"""Who is trained on what (`MembersJob`), and what became of them (`MembersOutcome`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.records import Records
from fastnn.jobs.slopes import Slopes
from fastnn.settings import catalogue
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.optimizers import Optimizer
from fastnn.settings.schedules import ReduceOnPlateau
from fastnn.settings.spec import NetworkSpec


@dataclass(frozen=True)
class MembersJob:
    """Members to be trained, validated; arrays whose first axis counts members have a length of K, or of 1 for all.

    Attributes
    ----------
    spec, loss, loss_parameter, batch_size, max_grad_norm
        As in `fastnn.jobs.job.Job`.
    X, y, weights : ndarray, shapes (1 or K, n, n_in), (1 or K, n, n_targets), (0, 1 or K, n)
        The data.
    X_val, y_val, weights_val : ndarray
        The validation set, of one block for all, without rows where there is none; weights as above.
    optimizer : Optimizer
        Settings that all share.
    rates, momenta, l2 : ndarray, shape (K,)
        Those that differ.
    schedule : ndarray, shape (1 or epochs,)
        What the rates are multiplied by in each epoch.
    seeds, streams : ndarray of int64, shape (K,)
        The seed of each member's random numbers, and which stream of it is the member's.
    init : str
        How parameters are drawn where there are none.
    params : ndarray, shape (K, n_params), or None
        First parameters.
    epochs : int
        Passes over the samples.
    shuffle : bool
        Whether each member visits the samples in an order of its own, in batches.
    stopping : EarlyStopping or None
        When a member stops.
    history : bool
        Whether the losses of every epoch are kept.
    features : ndarray of bool, shape (K, n_in), or None
        Which features each member sees: its weights of the others are zero, and stay so. None where all see all.
    slopes : Slopes or None
        Derivatives of the outputs that all are trained on as well; then they share X.
    specialize : bool or None
        Whether the networks are trained in lanes, by a kernel compiled for them, or one after another; None leaves the
        choice open.
    """

    spec: NetworkSpec
    loss: catalogue.Loss
    loss_parameter: NDArray | float
    batch_size: int
    max_grad_norm: float
    X: NDArray
    y: NDArray
    weights: NDArray
    X_val: NDArray
    y_val: NDArray
    weights_val: NDArray
    optimizer: Optimizer
    rates: NDArray[np.float64]
    momenta: NDArray[np.float64]
    l2: NDArray[np.float64]
    schedule: NDArray[np.float64]
    seeds: NDArray[np.int64]
    streams: NDArray[np.int64]
    init: str
    params: NDArray | None
    epochs: int
    shuffle: bool
    stopping: EarlyStopping | None
    history: bool
    features: NDArray[np.bool_] | None
    slopes: Slopes | None
    specialize: bool | None

    def __len__(self) -> int:
        return len(self.streams)

    @property
    def may_share_lanes(self) -> bool:
        """Whether the kernels that train members in lanes do all that is asked for."""
        follows_plateau = isinstance(self.optimizer.learning_rate, ReduceOnPlateau)
        alike = not follows_plateau and self.slopes is None
        return alike and (self.stopping is None or self.stopping.monitor == "loss")

    def part(self, index: Any) -> MembersJob:
        """The job of some members; this one if they are all."""
        if _is_all(index, len(self)):
            return self

        def blocks(array: NDArray) -> NDArray:
            return array[index] if len(array) > 1 else array

        return replace(
            self,
            X=blocks(self.X),
            y=blocks(self.y),
            weights=blocks(self.weights),
            weights_val=blocks(self.weights_val),
            rates=self.rates[index],
            momenta=self.momenta[index],
            l2=self.l2[index],
            seeds=self.seeds[index],
            streams=self.streams[index],
            params=None if self.params is None else self.params[index],
            features=None if self.features is None else self.features[index],
        )


@dataclass(frozen=True)
class MembersOutcome:
    """What became of members.

    Attributes
    ----------
    params : ndarray, shape (K, n_params)
        What they know.
    records : Records
        How their training went.
    """

    params: NDArray
    records: Records

    @classmethod
    def blank(cls, job: MembersJob) -> MembersOutcome:
        """Before anything has become of them."""
        kept = job.epochs if job.history else 0
        params = np.empty((len(job), job.spec.n_params), job.spec.dtype)
        return cls(params, Records.blank(job.streams, kept, job.X_val.shape[1] > 0))

    def part(self, members: slice) -> MembersOutcome:
        """Some of them, in the same memory; this one if they are all."""
        if _is_all(members, len(self.params)):
            return self
        return MembersOutcome(self.params[members], self.records[members])

    def put(self, index: Any, other: MembersOutcome) -> None:
        """Write down what became of some of them."""
        self.params[index] = other.params
        self.records.put(index, other.records)


def _is_all(index: Any, count: int) -> bool:
    """Whether an index names all of so many, in their order."""
    return isinstance(index, slice) and index == slice(0, count)
