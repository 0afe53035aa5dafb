"""One training run, as both twins take it: its network, data and settings (`Job`) and its progress (`State`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.aligned import aligned_zeros
from fastnn.jobs.monitor import Monitor, fresh_monitor_state
from fastnn.jobs.slopes import Slopes
from fastnn.settings import catalogue
from fastnn.settings.describing import counted
from fastnn.settings.optimizers import Optimizer
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec


@dataclass(frozen=True)
class LossConvention:
    """How scikit-learn counts a batch's loss, where that differs from fastnn.

    The penalty is ``l2 / 2 * sum(W**2)`` divided by the batch's weight; an epoch's loss weights its batches by their
    numbers of rows, regardless of the sample weights.

    Attributes
    ----------
    divisor : float
        Divisor of the sum of a row's losses over the outputs, instead of their number.
    reported : float
        Factor of the loss that is reported, apart from the penalty; it does not affect the gradient.
    """

    divisor: float = 1.0
    reported: float = 1.0


@dataclass
class Job:
    """The network, the data and the settings of one run, validated; what ``trainer`` of either twin gives runs it.

    Attributes
    ----------
    spec : NetworkSpec
        The network.
    params : ndarray, shape (n_params,)
        The parameters, updated in place; like all arrays of floats here, C-contiguous and of the spec's dtype.
    X : ndarray, shape (n, n_in)
        The samples. The kernels check that they are finite while they train.
    y : ndarray, shape (n, n_targets), or (n,) of intp
        The targets, NaN where one is missing and the loss is masked; or class labels for a loss that takes them.
    sample_weight : ndarray, shape (n,), or None
        Weight of each sample.
    loss : catalogue.Loss
        The loss.
    loss_parameter : float or ndarray, shape (n_targets,)
        The loss's parameter (`catalogue.Loss.parameter`), for each target; a loss without one ignores it.
    optimizer : Optimizer or Solver
        The update rule, whose learning rate is passed separately, epoch by epoch; or the solver.
    batch_size : int
        Number of rows in a batch, at most n; the last batch of an epoch may be smaller.
    shuffle : bool
        Whether each epoch visits the rows in a new random order.
    l2 : float
        ``l2 / 2`` times the sum of squared weights is added to each batch's loss.
    max_grad_norm : float
        The gradient is scaled down to this 2-norm; infinity leaves it alone.
    dropout : tuple of float
        Probability with which the outputs of each hidden layer are set to zero; empty without dropout.
    input_noise : float
        Standard deviation of the Gaussian noise that is added to the samples of every batch.
    trainable : ndarray of int64, shape (k, 2), or None
        Ranges of the parameters that are updated, each by its start and its end (exclusive); None for all.
    monitor : Monitor or None
        What is monitored at the end of an epoch.
    slopes : Slopes or None
        Derivatives of the outputs that the network is trained on as well.
    batches : callable or None
        Yields the training data of an epoch, batch by batch, each time it is called; X and y are then a
        placeholder row of zeros.
    orders : ndarray of int64, shape (m, n), or None
        With `shuffle`, the orders in which rows are visited: epoch e uses row ``e % m``, instead of a random order.
    convention : LossConvention or None
        A different way to count the loss of a batch.
    member : int
        Number of the stream of random numbers that the run draws from, together with the seed.
    buffers : tuple of ndarray
        What the normal equations of the job were computed in before, for the next time.
    """

    spec: NetworkSpec
    params: NDArray[Any]
    X: NDArray[Any]
    y: NDArray[Any]
    loss: catalogue.Loss
    optimizer: Optimizer | Solver
    batch_size: int
    sample_weight: NDArray[Any] | None = None
    loss_parameter: NDArray[Any] | float | None = None  # the loss's default where nothing is said
    shuffle: bool = True
    l2: float = 0.0
    max_grad_norm: float = np.inf
    dropout: tuple[float, ...] = ()
    input_noise: float = 0.0
    trainable: NDArray[np.int64] | None = None
    monitor: Monitor | None = None
    slopes: Slopes | None = None
    batches: Callable[[], Iterable[Any]] | None = None
    orders: NDArray[np.int64] | None = None
    convention: LossConvention | None = None  # where it is not ours
    member: int = 0
    buffers: tuple[NDArray[Any], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.loss_parameter is None:
            self.loss_parameter = self.loss.default

    @property
    def is_finite(self) -> bool:
        """Whether all numbers in the data are finite, apart from targets that may be missing."""
        data = [self.X] if self.loss.masked else [self.X, self.y]
        if self.sample_weight is not None:
            data.append(self.sample_weight)
        return all(bool(np.isfinite(numbers).all()) for numbers in data)

    @property
    def may_use_lanes(self) -> bool:
        """Whether an update rule trains on arrays, by the loss alone.

        There are no batches from a callable, slopes, frozen parameters, dropout, noise or convention.
        """
        plain = self.batches is None and self.convention is None and self.slopes is None and self.trainable is None
        return plain and not self.dropout and self.input_noise == 0.0 and isinstance(self.optimizer, Optimizer)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weight of each sample, shape (n,), in float64: ones where none are given."""
        return np.ones(len(self.X)) if self.sample_weight is None else self.sample_weight.astype(np.float64)

    @property
    def frozen(self) -> NDArray[np.bool_]:
        """Which parameters are not updated, shape (n_params,)."""
        frozen = np.full(self.spec.n_params, self.trainable is not None)
        for begin, end in () if self.trainable is None else self.trainable:
            frozen[begin:end] = False
        return frozen

    @property
    def update_rule(self) -> Optimizer:
        """The optimizer, which must not be a solver."""
        assert isinstance(self.optimizer, Optimizer)
        return self.optimizer

    @property
    def n_batches(self) -> int:
        """Number of batches in an epoch; a number too large to reach if they come from an iterator."""
        if self.batches is not None:
            return 2**62
        return -(-len(self.X) // self.batch_size)


_NOTHING = np.empty(0)  # shared, for nothing can be written to it


@dataclass(repr=False, eq=False)
class State:
    """The progress of a run: together with the parameters, all that is needed to resume it bit for bit.

    Attributes
    ----------
    optimizer : str
        Name of the update rule, as another one could not use the slots.
    seed : int
        Seed of the run's random numbers, in [0, 2**63).
    slots : ndarray, shape (n_slots, n_params)
        What the optimizer keeps from step to step (`catalogue.Optimizer.slots` rows).
    counters : ndarray of int64, shape (3,)
        Number of whole epochs, of batches in the present epoch, and of steps in all.
    sums : ndarray of float64, shape (2,)
        Sums over the batches of the present epoch: batch loss times batch weight, and batch weight.
    monitor_state : ndarray of float64
        What is kept from epoch to epoch (`fastnn.jobs.monitor.MonitorState`).
    best : ndarray, shape (n_params,) or (0,)
        The parameters after the best epoch, if early stopping is to restore them.
    last : ndarray, shape (n_params,), or None
        The parameters to continue from, if the network was given the best ones instead.
    """

    optimizer: str
    seed: int
    slots: NDArray[Any]
    counters: NDArray[np.int64]
    sums: NDArray[np.float64]
    monitor_state: NDArray[np.float64] = field(default_factory=fresh_monitor_state)
    best: NDArray[Any] = field(default_factory=lambda: _NOTHING)
    last: NDArray[Any] | None = None

    @classmethod
    def fresh(cls, spec: NetworkSpec, optimizer: Optimizer | Solver, seed: int) -> State:
        """The state before the first step."""
        name = type(optimizer).__name__
        if isinstance(optimizer, Solver) or catalogue.OPTIMIZERS[name].slots == 0:
            slots = np.zeros((0, spec.n_params), dtype=spec.dtype)
        else:
            row = catalogue.OPTIMIZERS[name]
            slots = aligned_zeros(row.slots * spec.n_params, spec.dtype).reshape(row.slots, spec.n_params)
            if row.keeps_step_sizes:
                slots[1] = optimizer.learning_rate
        return cls(name, seed, slots, np.zeros(3, np.int64), np.zeros(2))

    @classmethod
    def for_gradient(cls, dtype: str) -> State:
        """The state of a run that only computes a gradient."""
        return cls("", 0, np.empty((1, 0), dtype), np.zeros(3, np.int64), np.zeros(2))

    def __repr__(self) -> str:
        return f"<State: {self.optimizer}, {counted(self.epochs_done, 'epoch')} done, seed {self.seed}>"

    @property
    def epochs_done(self) -> int:
        """Number of whole epochs."""
        return self.counters.item(0)

    @property
    def batches_done(self) -> int:
        """Number of batches in the present epoch."""
        return self.counters.item(1)

    @property
    def steps_done(self) -> int:
        """Number of steps in all."""
        return self.counters.item(2)

    def copy(self) -> State:
        """An independent copy of the state."""
        arrays: Any = {name: value.copy() for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)


class Status(IntEnum):
    """How a call of what trains ended."""

    DONE = 0  # every epoch it was given learning rates for
    PAUSED = 1  # as many steps as it was allowed
    BAD_DATA = 2  # a batch held NaN or infinity in X, y or the sample weights
    DIVERGED = 3  # a batch's loss is not finite although its data are
    STOPPED = 4  # early stopping ended it after a whole epoch
    CONVERGED = 5  # no step lowers the loss any more, for it is at a minimum
    STALLED = 6  # no step lowers the loss any more, though it is at no minimum


#: Each status by its number: calling `Status` takes twenty times as long.
STATUSES = tuple(Status)

#: What runs a job from where a state stands: given that, the learning rates of the epochs, where their losses go, and
#: the most steps it may make; see `fastnn.reference.training.train`.
Train = Callable[[State, NDArray[np.float64], NDArray[np.float64], int], Status]
