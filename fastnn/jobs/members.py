"""Training of many members, as the twins take it: the members and their data (`MembersJob`), and the result."""

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
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec


@dataclass
class MembersJob:
    """Members to be trained, after validation; a first axis that counts members has length K, or 1 if all share it.

    Attributes
    ----------
    spec, loss, loss_parameter, batch_size, max_grad_norm
        As in `fastnn.jobs.job.Job`.
    X, y, weights : ndarray, shapes (1 or K, n, n_in), (1 or K, n, n_targets), (0, 1 or K, n)
        The data.
    X_val, y_val, weights_val : ndarray
        The validation set, one block for all members, which has no rows if there is none; weights as above.
    optimizer : Optimizer or Solver
        The settings that all members share.
    rates, momenta, l2 : ndarray, shape (K,)
        The settings of each member.
    schedule : ndarray, shape (1 or epochs,)
        Factors of the rates in each epoch.
    seeds, streams : ndarray of int64, shape (K,)
        The seed of each member's random numbers, and the number of its stream.
    init : str
        How parameters are drawn, if they are not given.
    params : ndarray, shape (K, n_params), or None
        The initial parameters, if they are given.
    epochs : int
        Number of passes over the samples.
    shuffle : bool
        Whether each member visits the samples in its own random order, in batches.
    stopping : EarlyStopping or None
        When a member stops.
    history : bool
        Whether the losses of every epoch are kept.
    features : ndarray of bool, shape (K, n_in), or None
        Which features each member uses; its weights of the others are zero and stay zero. None if all use all.
    slopes : Slopes or None
        Derivatives of the outputs that all members are trained on as well; they then share X.
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
    optimizer: Optimizer | Solver
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
    def may_use_lanes(self) -> bool:
        """Whether the kernels that train members in lanes can do everything that is asked for."""
        if isinstance(self.optimizer, Solver):
            return False
        follows_plateau = isinstance(self.optimizer.learning_rate, ReduceOnPlateau)
        alike = not follows_plateau and self.slopes is None
        return alike and (self.stopping is None or self.stopping.monitor == "loss")

    def unseen_weights(self, index: Any = ...) -> NDArray[np.bool_]:
        """Which parameters of some members are weights of features that they do not use, shape (..., n_params)."""
        assert self.features is not None
        features = self.features[index]
        unseen = np.zeros((*features.shape[:-1], self.spec.n_params), bool)
        self.spec.weights(unseen)[0][:] = ~features[..., np.newaxis]
        return unseen

    def part(self, index: Any) -> MembersJob:
        """The job of some members, or this one if they are all."""
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
    """The result of training members.

    Attributes
    ----------
    params : ndarray, shape (K, n_params)
        The parameters of each member.
    records : Records
        How the training of each member went.
    """

    params: NDArray
    records: Records

    @classmethod
    def blank(cls, job: MembersJob) -> MembersOutcome:
        """The outcome before any training."""
        kept = job.epochs if job.history else 0
        params = np.empty((len(job), job.spec.n_params), job.spec.dtype)
        return cls(params, Records.blank(job.streams, kept, job.X_val.shape[1] > 0))

    def part(self, index: Any) -> MembersOutcome:
        """The outcome of some members, in the same memory for a slice, or this one if they are all."""
        if _is_all(index, len(self.params)):
            return self
        return MembersOutcome(self.params[index], self.records[index])

    def put(self, index: Any, other: MembersOutcome) -> None:
        """Replace the outcome of some members."""
        self.params[index] = other.params
        self.records.put(index, other.records)


def _is_all(index: Any, count: int) -> bool:
    """Whether an index selects all of `count` members, in order."""
    return isinstance(index, slice) and index == slice(0, count)
